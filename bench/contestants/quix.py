"""A Quix Streams application that only decodes and counts.

`python quix.py BROKERS TOPIC ROWS` reads so many records from the beginning. Runs in an environment
of its own and knows nothing of Driftline.
"""

import json
import logging
import resource
import sys
import tempfile
import time
import uuid
from typing import Any

from quixstreams import Application


def cpu_s() -> float:
    """Processor time of this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


class Count:
    """Values seen, and when the first and the last of them came."""

    def __init__(self, app: Application, rows: int) -> None:
        self.app, self.rows, self.seen = app, rows, 0
        self.cpu = self.wall = 0.0
        self.spent: dict[str, float] = {}

    def __call__(self, _: Any) -> None:
        """One more."""
        if not self.seen:
            self.cpu, self.wall = cpu_s(), time.monotonic()
        self.seen += 1
        if self.seen == self.rows:
            self.spent = {
                "rows": self.seen,
                "cpu_s": cpu_s() - self.cpu,
                "wall_s": time.monotonic() - self.wall,
            }
            self.app.stop()


def main(brokers: str, topic: str, rows: int) -> None:
    """Read, decode and count them all; the clock starts with the first record."""
    logging.disable(logging.CRITICAL)
    app = Application(
        broker_address=brokers,
        consumer_group=f"bench-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(),
        auto_create_topics=False,
    )
    count = Count(app, rows)
    app.dataframe(app.topic(topic, value_deserializer="json")).update(count)
    app.run()
    print(json.dumps(count.spent))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
