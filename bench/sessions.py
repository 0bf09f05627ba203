"""Sessions: workers on topics and keys of their own, fed with Arrow batches."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import confluent_kafka as ck
import msgspec
import redis

from agents.arrows import MEDIA_TYPE
from bench.places import Place
from bench.processes import Worker
from bench.samples import MODEL, Rows, reference_event

PATIENCE_S = 300.0
POLL_S = 0.1
HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", MEDIA_TYPE.encode())]
_evaluation = msgspec.json.Decoder(dict[str, object])


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One group of workers. tables: TOML that is added to the configuration of each.

    http_port: where the only worker tells of itself; 0: nowhere.
    """

    servers: Place
    folder: Path
    prefix: str
    partitions: int = 4
    tables: str = ""
    http_port: int = 0

    @contextlib.contextmanager
    def workers(self, count: int = 1) -> Iterator[list[Worker]]:
        """So many, which have made their topics; ended at the exit."""
        config = self._config()
        with contextlib.ExitStack() as stack:
            found = []
            for number in range(count):
                worker = Worker(config, self.folder / f"{self.prefix}-{number}.log")
                stack.callback(worker.close)
                found.append(worker)
            found[0].until(lambda: self.servers.has(f"{self.prefix}.control"), PATIENCE_S)
            yield found

    def register(self, known: Rows, worker: Worker) -> None:
        """The rows as the model's reference; returns when each partition has checkpointed it."""
        now_ms = int(time.time() * 1000)
        self.servers.produce(f"{self.prefix}.control", [reference_event(known, now_ms)])
        worker.until(self.registered, PATIENCE_S)

    def produce(self, messages: Sequence[bytes], name: str = "predictions") -> None:
        """Arrow messages in order, one partition after the other; returns when Kafka has them.

        name: of the topic, without its prefix.
        """
        settings = {"bootstrap.servers": self.servers.kafka.bootstrap, "linger.ms": 20}
        limits = {"queue.buffering.max.kbytes": 1_000_000, "compression.type": "lz4"}
        producer = ck.Producer(settings | limits)
        for i, value in enumerate(messages):
            topic, to = f"{self.prefix}.{name}", i % self.partitions
            producer.produce(topic, value, partition=to, headers=HEADERS)
            producer.poll(0)
        if producer.flush(PATIENCE_S):
            raise RuntimeError(f"Kafka did not take all records of {self.prefix}")

    def evaluations(self, enough: Callable[[list[dict[str, object]]], bool]) -> None:
        """Read what is published until it is enough. Raises RuntimeError where that never comes."""
        end, found = time.monotonic() + PATIENCE_S, list[dict[str, object]]()
        reader = self._reader()
        try:
            reader.assign(
                [
                    ck.TopicPartition(f"{self.prefix}.evaluations", p, ck.OFFSET_BEGINNING)
                    for p in range(self.partitions)
                ]
            )
            while not enough(found):
                if time.monotonic() > end:
                    raise RuntimeError(f"{len(found)} evaluations in {PATIENCE_S:.0f} s")
                for message in reader.consume(100, POLL_S):
                    if message.error() is None:
                        found.append(_evaluation.decode(message.value() or b"{}"))
        finally:
            reader.close()

    def done(self, name: str = "predictions") -> bool:
        """Whether all that was produced to a topic is in checkpointed shares."""
        reader = self._reader()
        try:
            raw, events = (
                [ck.TopicPartition(f"{self.prefix}.{topic}", p) for p in range(self.partitions)]
                for topic in (name, "events")
            )
            ends = [reader.get_watermark_offsets(tp, timeout=10)[1] for tp in raw]
            if [tp.offset for tp in reader.committed(raw, timeout=10)] != ends:
                return False
            return self._positions() == [reader.get_watermark_offsets(tp)[1] for tp in events]
        finally:
            reader.close()

    def _reader(self) -> ck.Consumer:
        brokers = {"bootstrap.servers": self.servers.kafka.bootstrap, "log_level": 2}
        return ck.Consumer(brokers | {"group.id": self.prefix, "enable.auto.commit": False})

    def _config(self) -> Path:
        config = self.folder / f"{self.prefix}.toml"
        config.write_text(
            f"""
            [kafka]
            brokers = ["{self.servers.kafka.bootstrap}"]
            group_id = "{self.prefix}"
            session_timeout_s = 60  # workers are stopped while Kafka is filled
            request_timeout_s = 60
            [redis]
            url = "{self.servers.redis.url}"
            key_prefix = "{self.prefix}"
            [topics]
            prefix = "{self.prefix}"
            partitions = {self.partitions}
            [http]
            port = {self.http_port}
            {self.tables}
            """
        )
        return config

    def registered(self) -> bool:
        """Whether each partition has checkpointed the model's reference."""
        with contextlib.closing(redis.Redis.from_url(self.servers.redis.url)) as client:
            keys = (f"{self.prefix}:{{ledger:{p}}}:state" for p in range(self.partitions))
            return all(any(MODEL.encode() in f for f in client.hkeys(key)) for key in keys)

    def _positions(self) -> list[int]:
        """Where each partition goes on, -1 while a checkpoint is still to be applied."""
        with contextlib.closing(redis.Redis.from_url(self.servers.redis.url)) as client:
            metas = (f"{self.prefix}:{{ledger:{p}}}:meta" for p in range(self.partitions))
            found = (client.hmget(meta, "next", "redo") for meta in metas)
            return [int(after or -1) if redo is None else -1 for after, redo in found]
