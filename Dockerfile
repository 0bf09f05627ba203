FROM python:3.12.8-slim-bookworm
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY stream stream
COPY agents agents
RUN pip install --no-cache-dir . && rm -rf /src/*
# nobody, by number: what runs as root can be told apart without looking into the image
USER 65534
WORKDIR /tmp
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
EXPOSE 6060
ENTRYPOINT ["driftline"]
CMD ["worker"]
