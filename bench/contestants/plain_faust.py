"""A plain Faust agent that only decodes: what Driftline would be without its own transport.

`python plain_faust.py BROKERS TOPIC ROWS` reads so many records from the beginning.
"""

import json
import os
import resource
import sys
import tempfile
import time
import uuid

import faust
import msgspec


def cpu_s() -> float:
    """Processor time of this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def main(brokers: str, topic: str, rows: int) -> None:
    """Read and decode them all; the clock starts with the first record."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{brokers}",
        store="memory://",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
    )
    decode = msgspec.json.Decoder().decode

    @app.agent(app.topic(topic, value_serializer="raw"))
    async def agent(stream: faust.StreamT[bytes]) -> None:
        seen, cpu, wall = 0, 0.0, 0.0
        async for value in stream:
            if not seen:
                cpu, wall = cpu_s(), time.monotonic()
            decode(value)
            seen += 1
            if seen == rows:
                spent = {"rows": seen, "cpu_s": cpu_s() - cpu, "wall_s": time.monotonic() - wall}
                print(json.dumps(spent), flush=True)
                os._exit(0)

    faust.Worker(
        app, loglevel="error", redirect_stdouts=False, quiet=True
    ).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
