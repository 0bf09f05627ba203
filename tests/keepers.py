"""A keeper on a real Redis and Kafka with a core that adds numbers up: what its tests share."""

import dataclasses
from collections.abc import Sequence

from agents.chunks import TP, Record
from agents.context import Context
from agents.counters import Counters
from agents.keepers import Keeper
from agents.producers import Producer
from agents.settings import Settings, Topics
from agents.store import Partition, Store, connect
from stream.changes import Changes, OutMessage


@dataclasses.dataclass(slots=True)
class Row:
    """A record as it comes from Kafka."""

    offset: int
    value: bytes | None = b""
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


class Adder:
    """Adds up what records hold and tells each total. topic: where to."""

    def __init__(self, topic: str = "alerts") -> None:
        self.topic = topic
        self.total = 0
        self.large = 0
        self.messages = 1
        self.waiting = 0  # pieces of work
        self.urgent_at = -1  # of which somebody waits for the one before so many others

    async def restore(self, partition: Partition) -> None:
        fields = await partition.load()
        self.total = int(fields.get("total", b"0"))

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        del partition
        for record in records:
            self.total += int(record.value or b"0")

    def changes(self) -> Changes:
        found = Changes()
        found.put("total", str(self.total).encode())
        if self.large:
            found.outbox.append(OutMessage(self.topic, b"k", bytes(self.large)))
        found.outbox += [
            OutMessage(self.topic, b"k", str(self.total + i).encode()) for i in range(self.messages)
        ]
        return found

    async def confirm(self) -> None:
        """Nothing."""

    def due(self) -> bool:
        return self.waiting > 0

    def urgent(self) -> bool:
        return self.waiting == self.urgent_at

    async def work(self) -> None:
        self.waiting -= 1
        self.total += 1

    async def housekeeping(self, partition: Partition) -> bool:
        del partition
        self.total += 1
        return True


class House:
    """Keepers of one partition, as several workers would have them."""

    def __init__(self, redis_url: str, brokers: str, prefix: str) -> None:
        settings = Settings(topics=Topics(prefix=prefix))
        self.tp = TP(settings.topics.name("events"), 1)
        self.acked: list[tuple[tuple[str, int], int]] = []
        self.lost: list[tuple[str, int]] = []
        self.starts: dict[TP, int] = {}
        self.client = connect(redis_url)
        self.context = Context(
            settings,
            Store(self.client, prefix),
            Producer([brokers], delivery_s=2.0),
            Counters(),
            {self.tp.topic: 4, settings.topics.name("signals"): 4},
            {self.tp.topic: "one"},
            lambda tp, at: self.acked.append((tp, at)),
            self.lost.append,
            self._start,
        )

    async def _start(self, tp: TP) -> int:
        return self.starts.get(tp, 0)

    def keeper(self, core: Adder | None = None) -> Keeper:
        return Keeper(self.context, "ledger", self.tp, core or Adder())

    async def opened(self, core: Adder | None = None) -> Keeper:
        keeper = self.keeper(core)
        await keeper.open()
        return keeper

    def store_partition(self) -> Partition:
        """What another worker would claim."""
        return self.context.store.partition("ledger", self.tp.partition)

    async def close(self) -> None:
        await self.context.producer.close(0.1)
        await self.client.aclose()


def rows(first: int, *values: int) -> Sequence[Record]:
    """Records from an offset on."""
    return [Row(first + i, str(value).encode()) for i, value in enumerate(values)]
