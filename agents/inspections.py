"""Inspections: once in a while the worker looks at itself, and tells health and counters.

What can be seen in memory is read there; Kafka and Redis are asked, with a bound on the wait.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import IllegalStateError, KafkaError  # type: ignore[import-untyped]
from faust.exceptions import ConsumerNotStarted
from prometheus_client import Gauge

from agents import coverages
from agents.app import App
from agents.chunks import TP, Lane
from agents.clusters import Cluster
from agents.context import Context
from agents.counters import Counters
from agents.coverages import Readings
from agents.health import Health
from agents.keepers import Keeper
from agents.lags import lags
from agents.watch import WatchCore
from stream.monitor import Memory
from stream.monitor.memory import KINDS
from stream.panes import BEFORE_ALL

TURN_S = 1.0
LOOK_S = 5.0
ASK_S = 10.0  # after which one that does not answer counts as unreachable
LATE_CHECKPOINTS, LATE_S = 10, 30.0


class Worker(Protocol):
    """What of a worker is looked at."""

    app: App
    context: Context
    keepers: dict[TP, Keeper]


class Inspection:
    """Looks at one worker. `turn` shows that the loop turns, `lag` how late, `look` does the rest.

    Each is a task.
    """

    def __init__(self, worker: Worker, health: Health) -> None:
        self.worker, self.health, self.context = worker, health, worker.context
        self.cluster = Cluster(self.context.settings.kafka)
        self._told: dict[Gauge, set[tuple[str, ...]]] = {}

    async def turn(self) -> None:
        """Show that the event loop turns."""
        while not self.worker.app.should_stop:
            self.health.turn()
            await asyncio.sleep(TURN_S)

    async def lag(self) -> None:
        """Measure how late it turns."""
        app, histogram = self.worker.app, self.context.counters.loop_lag
        await lags(histogram.observe, lambda: bool(app.should_stop))

    async def look(self) -> None:
        """Look again and again."""
        while not self.worker.app.should_stop:
            with self.worker.app.fatal("an inspection"):
                outside = await asyncio.gather(self._kafka(), self._redis())
                self.health.wrong = dict([*_named(*outside), *self._inside()])
                await self._count(self.context.counters)
            await asyncio.sleep(LOOK_S)
        self.health.wrong = {"group": "the worker is stopping"}

    async def _kafka(self) -> tuple[str, str]:
        return "kafka", await _problem(self.cluster.answers(self.context.topic("control")))

    async def _redis(self) -> tuple[str, str]:
        return "redis", await _problem(self.context.store.answers())

    def _inside(self) -> Iterator[tuple[str, str]]:
        """What memory says is wrong."""
        app = self.worker.app
        lanes = [app.positions.lane(tp) for tp in app.positions.assigned()]
        if not lanes and not app.consumer_generation_id:
            yield "group", "nothing is assigned yet"
        closed = [lane.tp for lane in lanes if lane and not (lane.ready and lane.live)]
        closed += [tp for tp, keeper in self.worker.keepers.items() if not keeper.live]
        if closed:
            yield "partitions", "not opened: " + _listed(sorted(set(closed)))
        late_s = late_after_s(self.context.settings.worker.checkpoint_s)
        ages = {tp: keeper.unsaved_s() for tp, keeper in self.worker.keepers.items()}
        if late := [tp for tp, age_s in ages.items() if age_s > late_s]:
            yield "checkpoints", f"oldest {max(ages.values()):.0f} s: {_listed(sorted(late))}"

    async def _count(self, counters: Counters) -> None:
        keepers = self.worker.keepers
        self._tell(counters.lag, await self._lags())
        self._tell(counters.watermark_delay, _delays(self._memories(), time.time() * 1000))
        self._count_truth(counters)
        states = Counter(x.state for m in self._memories() for x in list(m.alerts.values()))
        self._tell(counters.alerts, {(state,): float(n) for state, n in states.items()})
        ages: Readings = {}
        waiting: Readings = {}
        for keeper in keepers.values():
            ages[keeper.stage,] = max(ages.get((keeper.stage,), 0.0), keeper.unsaved_s())
            waiting[keeper.stage,] = waiting.get((keeper.stage,), 0.0) + keeper.partition.backlog
        self._tell(counters.checkpoint_age, ages)
        self._tell(counters.outbox, waiting)
        counters.cover()

    def _count_truth(self, counters: Counters) -> None:
        known = [*coverages.known_of(self._memories())]
        cohorts, predictions = coverages.cohorts(known)
        self._tell(counters.cohorts, cohorts)
        self._tell(counters.cohort_predictions, predictions)
        self._tell(counters.label_coverage, coverages.by_age(known))
        self._tell(counters.label_delay, coverages.delays(known))

    def _memories(self) -> Iterator[Memory]:
        """Of all model versions watched here; a thread may be at work on them."""
        for keeper in list(self.worker.keepers.values()):
            if isinstance(keeper.core, WatchCore):
                yield from [monitor.memory for monitor in list(keeper.core.watch.monitors.values())]

    async def _lags(self) -> Readings:
        """Records that are there and not acknowledged, by topic and partition."""
        app = self.worker.app
        lanes = [app.positions.lane(tp) for tp in app.positions.assigned()]
        ready = {TopicPartition(*x.tp): x for x in lanes if x and x.ready and x.live}
        try:
            async with asyncio.timeout(ASK_S):
                ends: Any = {}  # TopicPartition -> offset
                if ready:
                    ends = await app.consumer.highwaters(*ready)
                done = {key: await self._done(key, lane) for key, lane in ready.items()}
        except (KafkaError, IllegalStateError, ConsumerNotStarted, TimeoutError):
            return {}
        known = {key: at for key, at in done.items() if at is not None and key in ends}
        return {(t, str(n)): float(max(0, ends[t, n] - at)) for (t, n), at in known.items()}

    async def _done(self, key: TopicPartition, lane: Lane) -> int | None:
        """Everything before it needs no more work; None while that is not known."""
        if lane.acked is not None:
            return lane.acked
        found: int | None = lane.begin
        return await self.worker.app.consumer.position(key) if found is None else found

    def _tell(self, gauge: Gauge, readings: Readings) -> None:
        """Set these; what was told of before and is no more goes."""
        for labels in self._told.get(gauge, set()) - readings.keys():
            gauge.remove(*labels)
        for labels, value in readings.items():
            gauge.labels(*labels).set(value)
        self._told[gauge] = set(readings)


def late_after_s(checkpoint_s: float) -> float:
    """How old unsaved work may be before the worker is not ready."""
    return max(LATE_S, LATE_CHECKPOINTS * checkpoint_s)


def _named(*found: tuple[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, problem) for name, problem in found if problem)


async def _problem(asked: Any) -> str:
    """What it answers, or that it does not."""
    try:
        async with asyncio.timeout(ASK_S):
            return str(await asked)
    except TimeoutError:
        return f"no answer within {ASK_S:.0f} s"


def _listed(tps: list[TP]) -> str:
    more = f" and {len(tps) - 5} more" if len(tps) > 5 else ""
    return ", ".join(f"{tp.topic}/{tp.partition}" for tp in tps[:5]) + more


def _delays(memories: Iterator[Memory], now_ms: float) -> Readings:
    """Seconds from the low watermark to now, of the model version that is furthest behind."""
    found: Readings = {}
    for memory in memories:
        for kind in KINDS:
            low_ms = memory.low_ms(kind)
            if low_ms > BEFORE_ALL:
                delay_s = (now_ms - low_ms) / 1000
                found[kind,] = max(found.get((kind,), delay_s), delay_s)
    return found
