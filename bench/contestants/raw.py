"""The limit: raw aiokafka `getmany` and msgspec's typed decode, and nothing else.

`python raw.py BROKERS TOPIC ROWS` reads so many records from the beginning.
"""

import asyncio
import json
import resource
import sys
import time

import msgspec
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]


class Prediction(msgspec.Struct):
    """What is in every record."""

    prediction_id: str
    model: str
    version: str
    time: int
    features: dict[str, float]
    prediction: float
    score: float


def cpu_s() -> float:
    """Processor time of this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


async def main(brokers: str, topic: str, rows: int) -> None:
    """Read and decode them all."""
    decode = msgspec.json.Decoder(Prediction).decode
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest")
    await consumer.start()  # without a group it gets all partitions
    seen, cpu, wall = 0, cpu_s(), time.monotonic()
    while seen < rows:
        found = await consumer.getmany(timeout_ms=1_000, max_records=5_000)
        for records in found.values():
            for record in records:
                decode(record.value)
            seen += len(records)
    spent = {"rows": seen, "cpu_s": cpu_s() - cpu, "wall_s": time.monotonic() - wall}
    await consumer.stop()
    print(json.dumps(spent))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
