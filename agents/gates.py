"""Gates: a sender held back until the worker has read what was sent before.

A broker may drop what nobody has read: the embedded one keeps 5 MiB a partition and drops the
oldest records without a word. So what lies unread is kept under a limit, and looked after: records
that are gone before the worker had them are counted as lost.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from agents.clusters import Cluster, Lag
from agents.settings import Settings

SOURCES = ("predictions", "ground-truth", "control")
INNER = ("events", "signals")
INNER_LAG = 20  # messages of a partition on the embedded broker; each holds many rows
MOCK_BYTES = 4 * 2**20  # unread source records of all partitions together
LOOK_S = 0.25
STALLED_S = 60.0
Told = Callable[[str], object]


class Stalled(RuntimeError):
    """The worker's group reads nothing; the text says what to look at."""


class Gate:
    """Looks at the positions of the worker's group.

    most: unread source records that are allowed; 0 is no limit.
    """

    def __init__(self, settings: Settings, most: int, told: Told, stalled_s: float = STALLED_S):
        self.settings, self.most, self.told, self.stalled_s = settings, most, told, stalled_s
        self.cluster = Cluster(settings.kafka)
        self.lost = 0
        self._mock = self._open = False
        self._lags: list[Lag] = []
        self._ahead = 0  # sent since the last look
        self._gone: dict[tuple[str, int], int] = {}
        self._firsts: dict[tuple[str, int], int] = {}

    async def open(self) -> None:
        """Look for the first time, until control events that were sent before have been read."""
        self._mock = await self.cluster.is_mock()
        await self._look()
        self._open = True
        await self._until(lambda: self._behind(("control",)) == 0)

    async def wait(self, count: int, size: int) -> None:
        """Until there is room for `count` more records of `size` bytes together."""
        most = self._most(size / max(count, 1))
        if most and self._behind(SOURCES) + self._ahead + count > most:
            room = max(most - count, 0)
            await self._until(lambda: self._behind(SOURCES) <= room and self._inner_has_room())
        self._ahead += count

    async def taken_in(self) -> None:
        """Until everything has been read by intake."""
        await self._until(lambda: self._behind(SOURCES) == 0)

    async def judged(self) -> None:
        """Until the ledgers and then the watch are past all that lies before them now.

        They acknowledge a checkpoint just before they publish what came of it: hence the pauses.
        """
        pause_s = max(2 * self.settings.worker.checkpoint_s, LOOK_S)
        await self.taken_in()
        for topic in INNER:
            await asyncio.sleep(pause_s)
            await self._look()
            name = self.settings.topics.name(topic)
            ends = {lag.partition: lag.end for lag in self._lags if lag.topic == name}
            await self._until(lambda n=name, e=ends: self._past(n, e))  # type: ignore[misc]
        await asyncio.sleep(pause_s)

    def _past(self, topic: str, ends: Mapping[int, int]) -> bool:
        mine = [lag for lag in self._lags if lag.topic == topic]
        return all((lag.committed or lag.first) >= ends.get(lag.partition, 0) for lag in mine)

    async def count(self, topic: str) -> int:
        """How many records were ever written to a topic."""
        name = self.settings.topics.name(topic)
        return sum(lag.end for lag in await self.cluster.positions(self._group, [name]))

    @property
    def behind(self) -> int:
        """Source records that were unread at the last look, or sent since."""
        return self._behind(SOURCES) + self._ahead

    @property
    def _group(self) -> str:
        return self.settings.kafka.group_id

    async def _until(self, ready: Callable[[], bool]) -> None:
        """Look again and again. Raises Stalled when nothing moves any more."""
        moved_s = time.monotonic()
        hinted = False
        before: object = None
        while True:
            await self._look()
            if ready():
                return
            now = [(lag.committed, lag.end) for lag in self._lags]
            if now != before:
                before, moved_s = now, time.monotonic()
            waited_s = time.monotonic() - moved_s
            if waited_s > self.stalled_s:
                raise self._stalled()
            if waited_s > 5 and not hinted:
                hinted = True
                self.told(f"waiting for the worker of group {self._group!r} ...")
            await asyncio.sleep(LOOK_S)

    def _stalled(self) -> Stalled:
        unread = ", ".join(
            f"{lag.behind:,} in {lag.topic}[{lag.partition}]" for lag in self._lags if lag.behind
        )
        return Stalled(
            f"the worker's group {self._group!r} has read nothing for {self.stalled_s:.0f} s;"
            f" unread: {unread}. Is `driftline worker` running, with the same settings?"
        )

    async def _look(self) -> None:
        names = [self.settings.topics.name(topic) for topic in SOURCES + INNER]
        self._lags = await self.cluster.positions(self._group, names)
        self._ahead = 0
        for lag in self._lags:
            self._count_gone(lag)

    def _count_gone(self, lag: Lag) -> None:
        """Records that went before the group had read them."""
        at = (lag.topic, lag.partition)
        read = lag.committed
        if read is None:  # it will begin with the first record that was there when we came
            read = self._firsts.setdefault(at, 0 if self._open else lag.first)
        gone = max(0, lag.first - read)
        self.lost += max(0, gone - self._gone.get(at, 0))
        self._gone[at] = gone

    def _behind(self, topics: tuple[str, ...]) -> int:
        names = {self.settings.topics.name(topic) for topic in topics}
        return sum(lag.behind for lag in self._lags if lag.topic in names)

    def _most(self, record_bytes: float) -> int:
        if not self._mock:
            return self.most
        fits = int(MOCK_BYTES / max(record_bytes, 1))
        return min(self.most, fits) if self.most else fits

    def _inner_has_room(self) -> bool:
        names = {self.settings.topics.name(topic) for topic in INNER}
        inner = [lag for lag in self._lags if lag.topic in names]
        return not self._mock or all(lag.behind <= INNER_LAG for lag in inner)
