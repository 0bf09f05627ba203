"""Runs: the rows of a file through the core in memory, as a worker would take them in.

Nothing of it knows the file's future: events come in order of event time, truth when it became
known, and what is published is what the live pipeline publishes for the same records.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from agents import registration, replay
from agents.findings import Output
from agents.mappings import Survey
from agents.outputs import TYPES
from agents.reading import Reader
from agents.registration import PART_SHARE
from agents.roles import ROW, Roles
from agents.settings import Settings
from agents.tables import BadTable, Table
from agents.timelines import Event, Timeline
from stream.changes import OutMessage
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share

SLICE = 5_000  # events taken in at once
ROW_MS = 1_000  # from row to row, where a reference's rows have no times
NAMED = 3  # reasons of refusal that are told
EPOCH_S = 946_684_800  # 2000-01-01: rows without times begin with the first pane after it
Advance = Callable[[int, int, int], None]
"""Is told how many events were taken in, of how many, and the event time in ms."""


@dataclasses.dataclass(slots=True)
class Raw:
    """A record as Kafka would have it. timestamp: the event's own time, ms."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What is played. plan: the file and what its columns are. model: how it is watched.

    weights: how much the changes of features weigh, by name.
    """

    settings: Settings
    model: ModelSettings
    plan: replay.Plan
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def start_ms(self) -> int:
        """The time of the first row, where rows have none: the start of a pane."""
        pane_s = self.model.pane_s
        return -(-EPOCH_S // pane_s) * pane_s * 1_000


class Run:
    """One file against one reference. refused: events by the reason that they were refused for."""

    def __init__(self, task: Task, reference: Reference) -> None:
        """Reads the file once, to know what is coming. Raises BadTable."""
        self.task, self.reference = task, reference
        plan = task.plan
        if plan.start_ms is None:
            plan = dataclasses.replace(plan, start_ms=task.start_ms)
        self.timeline, self.survey, self.notes = prepared(plan, task.model.horizon_s * 1_000)
        self.refused: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self._reader = Reader(task.settings)
        self._pipeline = Pipeline(lambda _: task.model)
        self._kept = 0

    def play(self, advance: Advance = lambda *_: None) -> Iterator[OutMessage]:
        """What is published, in order. Raises BadTable."""
        most = int(self.task.settings.limits.max_bytes * PART_SHARE)
        for part in self.reference.to_parts(most, time=self.survey.first_ms):
            self._pipeline.control(part)
        total, done = self.survey.rows + self.survey.truths, 0
        events = self.timeline.events()
        while some := list(itertools.islice(events, SLICE)):
            self._take_in(some)
            yield from self._checkpoint()
            done += len(some)
            advance(done, total, some[-1].time_ms)
        self._pipeline.control(self._end())
        yield from self._checkpoint()

    def published(self, advance: Advance = lambda *_: None) -> Iterator[Output]:
        """The same, decoded."""
        for message in self.play(advance):
            if message.topic in TYPES:
                yield msgspec.json.decode(message.value, type=TYPES[message.topic])

    @property
    def end_ms(self) -> int:
        """The end of the last pane: up to it all windows are judged."""
        return self._end_of(max(self.survey.last_ms, self.survey.last_truth_ms))

    @property
    def inputs_end_ms(self) -> int:
        """The end of the last pane that has predictions."""
        return self._end_of(self.survey.last_ms)

    def _end_of(self, time_ms: int) -> int:
        pane_ms = self.task.model.pane_s * 1_000
        return (time_ms // pane_ms + 1) * pane_ms

    def last_window(self) -> Share:
        """The counts of the newest window of inputs that was judged; empty where none was."""
        memory = self._pipeline.watch.open(self.task.plan.model, self.task.plan.version).memory
        end_ms, window_ms = memory.progress["inputs"].done_ms, memory.longest_ms
        positive = self.task.model.positive
        return memory.windows["inputs"].merged(end_ms, window_ms, self.reference, positive).share

    def refusals(self) -> str:
        """In words; nothing where nothing was refused."""
        told = [f"{count:,} ({why})" for why, count in self.refused.most_common(NAMED)]
        return f"refused, as in production: {', '.join(told)}" if told else ""

    def _end(self) -> dict[str, object]:
        return replay.closing(self.task.plan, self.end_ms, truths=self.survey.truths > 0)

    def _take_in(self, events: Sequence[Event]) -> None:
        for topic in ("predictions", "ground-truth"):
            some = [event for event in events if event.topic == topic]
            first = self.taken[topic]
            records = [
                Raw(first + i, event.time_ms, event.key, event.value)
                for i, event in enumerate(some)
            ]
            self.taken[topic] += len(records)
            taken = self._reader.read(topic, records) if records else None
            if taken is None:
                continue
            self.refused.update(error.detail for error in taken.refused.values())
            name = self.task.settings.topics.name(topic)
            self._pipeline.rows(name, 0, taken.rows, records[-1].timestamp)

    def _checkpoint(self) -> list[OutMessage]:
        self._expire()
        found = self._pipeline.checkpoint()
        self._pipeline.published.clear()  # handed on; a long file would keep all of it
        return found

    def _expire(self) -> None:
        """Let go what waits no longer, each time that there is twice as much as before."""
        for ledger, state in zip(self._pipeline.ledgers, self._pipeline.stored, strict=True):
            if len(state.pending) > 2 * max(self._kept, SLICE):
                ledger.expire(state.pending)
                self._kept = len(state.pending)


def prepared(plan: replay.Plan, horizon_ms: int) -> tuple[Timeline, Survey, list[str]]:
    """The plan's timeline, what is in it, and notes. Raises BadTable."""
    timeline, survey, notes = replay.prepare(plan, 0)
    return timeline, survey, notes + list(replay.too_late(plan, survey, horizon_ms))


def reference_of(task: Task, table: Table, name: Path) -> tuple[Reference, list[str]]:
    """The reference of a table as `driftline reference` makes it, and notes. Raises BadTable.

    Columns that are something else in the file are no features; what the reference has not of
    answers and truth is not known of it.
    """
    plan, known = task.plan, {*table.columns, *table.names}
    try:
        own = roles(task, known)
        return registration.build(table, plan.model, plan.version, own, task.model)
    except BadTable as error:
        raise BadTable(f"{name}: {error}") from None


def roles(task: Task, known: set[str]) -> Roles:
    """What the columns of the reference are, of those that it has."""
    c, rows = task.plan.columns, ROW if task.plan.every_ms == ROW_MS else None
    own = c.among(known)
    return Roles(
        prediction=own.prediction,
        score=own.score,
        probabilities=own.probabilities,
        label=own.label,
        positive=task.model.positive,
        categorical=own.categorical,
        ignore=tuple(sorted(c.no_features() & known - {c.time})),
        max_categories=task.model.max_categories,
        time=own.time if c.time else rows,
        weights=task.weights,
        segments=own.segments,
        banded=own.banded,
    )
