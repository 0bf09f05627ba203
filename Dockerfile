FROM python:3.12-slim
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY stream stream
COPY agents agents
RUN pip install --no-cache-dir . && rm -rf /src/*
USER nobody
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["driftline"]
CMD ["worker"]
