"""The shell: Kafka, Redis, the command line. Everything that decides lives in `stream`."""
