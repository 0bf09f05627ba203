"""Replay: a file's rows sent to Kafka as predictions and delayed truth, as if it were now.

Nothing is sent that the worker could not take in, and everything is waited for: what was sent is
compared with what was read, and at the end event time is closed so that the last window is judged.
"""

import asyncio
import dataclasses
import itertools
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agents import topics
from agents.bars import Sending, Show
from agents.clusters import Cluster
from agents.files import File
from agents.gates import Gate
from agents.labels import Labels
from agents.mappings import Clock, Columns, Survey
from agents.producers import Message, Producer
from agents.settings import Settings
from agents.tables import BadTable
from agents.timelines import Event, Timeline
from stream.events import rfc3339

SLICE = 1_000  # events handed to Kafka at once
TICK_S = 0.1  # how finely a stated speed is kept
MAX_LAG = 20_000
SPEED = re.compile(r"(\d+(?:\.\d+)?)x")


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to replay. speed: event time over our time, None: as fast as it can be taken in.

    start_ms, every_ms: times of rows without a column for them. start_ms None: so that the last
    row is of now. max_lag: unread records allowed, 0: any number. shuffle: a seed.
    """

    file: Path
    model: str
    version: str
    columns: Columns
    truth: Sequence[Path] = ()
    delimiter: str | None = None
    speed: float | None = None
    start_ms: int | None = None
    every_ms: float = 1_000.0
    shuffle: int | None = None
    max_lag: int = MAX_LAG
    close: bool = True


@dataclasses.dataclass(slots=True)
class Sent:
    """What became of it. later: truths that lie in the future. rejected: new dead letters."""

    predictions: int = 0
    truths: int = 0
    later: int = 0
    rejected: int = 0
    lost: int = 0
    seconds: float = 0.0
    closed_ms: int | None = None

    def lines(self) -> Iterator[str]:
        """In words."""
        rate = (self.predictions + self.truths) / max(self.seconds, 1e-9)
        yield (
            f"Sent {self.predictions:,} predictions and {self.truths:,} truths in"
            f" {self.seconds:.1f} s ({rate:,.0f} a second); the worker has read them all."
        )
        if self.later:
            yield f"{self.later:,} truths lie in the future and were not sent."
        lost = "Nothing was lost" if not self.lost else f"{self.lost:,} records were LOST unread"
        letters = f"{self.rejected:,} records were refused; see `driftline tail dead-letters`"
        yield f"{lost}; {letters if self.rejected else 'none was refused'}."
        if self.closed_ms is not None:
            until = rfc3339(self.closed_ms)
            yield f"Event time is closed up to {until}: all windows that end by then are judged."


def speed_of(text: str) -> float | None:
    """ "1x" is 1.0, "max" None. Raises ValueError."""
    if text == "max":
        return None
    found = SPEED.fullmatch(text)
    if found is None or not float(found[1]) > 0:
        raise ValueError('must be "max", "1x" (as it happened) or a multiple such as "100x"')
    return float(found[1])


def prepare(plan: Plan, now_ms: int) -> tuple[Timeline, Survey, list[str]]:
    """The plan's timeline, what is in it, and notes. Raises BadTable."""
    file = File(plan.file, plan.delimiter)
    labels = None
    if plan.truth:
        c = plan.columns
        files = [File(path, plan.delimiter) for path in plan.truth]
        labels = Labels(files, c.id or "", c.label or "")
    clock = Clock(plan.start_ms or 0, plan.every_ms)
    timeline = Timeline(file, plan.columns, plan.model, plan.version, clock, labels, plan.shuffle)
    survey = timeline.survey()
    if plan.columns.time is None and plan.start_ms is None:
        ago_ms = round((survey.rows - 1) * plan.every_ms)
        timeline.clock = Clock(now_ms - ago_ms, plan.every_ms)
        survey = timeline.survey()
    return timeline, survey, list(_notes(plan, file, survey, labels))


def _notes(plan: Plan, file: File, survey: Survey, labels: Labels | None) -> Iterator[str]:
    if not survey.in_order:
        yield f"{plan.file} is not in order of {plan.columns.time!r}: its rows are sorted"
    for name, why in file.skipped.items():
        yield f"column {name!r} is left out: {why}"
    if labels is not None and labels.repeated:
        yield f"{labels.repeated:,} ids are in the truth more than once: the last label counts"
    if labels is not None and survey.truths < len(labels):
        yield f"{len(labels) - survey.truths:,} labels are of ids that {plan.file} does not have"


def closing(plan: Plan, end_ms: int, *, truths: bool) -> dict[str, Any]:
    """The control event that says that nothing earlier than a time will come."""
    event = {"type": "watermark", "model": plan.model, "time": end_ms}
    return event if truths else event | {"version": plan.version}  # another replay may have some


async def run(settings: Settings, plan: Plan, now_ms: int, show: Show | None = None) -> Sent:
    """Replay all of it. Raises BadTable, Stalled, Unusable, ConnectionError, DeliveryFailed."""
    timeline, survey, notes = prepare(plan, now_ms)
    latest_ms = now_ms + int(settings.limits.max_ahead_s * 1_000)
    _check_times(survey, latest_ms)
    total = survey.rows + survey.truths
    notes += too_late(plan, survey, settings.model(plan.model).horizon_s * 1_000)
    with Sending(total) as bar:
        for note in notes:
            (show or bar).say(f"note: {note}")
        replay = Replay(settings, plan, timeline, show or bar, latest_ms)
        try:
            return await replay.play()
        except asyncio.CancelledError:
            sent = replay.sent
            done = f"{sent.predictions:,} predictions and {sent.truths:,} truths"
            (show or bar).say(f"stopped: {done} were sent, event time is not closed")
            raise
        finally:
            await replay.producer.close()


def too_late(plan: Plan, survey: Survey, horizon_ms: int) -> Iterator[str]:
    """A note, where truth comes later than it is waited for."""
    longest, horizon = survey.longest_delay_ms / 86_400_000, horizon_ms / 86_400_000
    if longest <= horizon:
        return
    yield (
        f"truth comes up to {longest:.0f} days late and is waited for {horizon:.0f} days: set"
        f" horizon_s of [models.{plan.model}] to {longest:.0f}d, or the rest is not counted"
    )


def _check_times(survey: Survey, latest_ms: int) -> None:
    if survey.last_ms > latest_ms:
        raise BadTable(
            f"the last prediction is of {rfc3339(survey.last_ms)}, which lies in the future;"
            " take --time row, or move the times of the file back"
        )


class Replay:
    """One replay to a running worker."""

    def __init__(
        self, settings: Settings, plan: Plan, timeline: Timeline, show: Show, latest_ms: int
    ) -> None:
        self.settings, self.plan, self.timeline = settings, plan, timeline
        self.show, self.latest_ms = show, latest_ms
        self.cluster = Cluster(settings.kafka)
        self.gate = Gate(settings, plan.max_lag, show.say)
        self.producer = Producer(settings.kafka, max_message_bytes=settings.limits.max_bytes)
        self.sent = Sent()
        self._last_ms = 0

    async def play(self) -> Sent:
        """The events, and the end of event time."""
        begun = time.monotonic()
        await topics.ensure(self.settings, self.cluster)
        await self.gate.open()
        letters = await self.gate.count("dead-letters")
        for events in self._slices():
            await self._send(events)
        await self.gate.taken_in()
        self.sent.seconds = time.monotonic() - begun
        if self.plan.close:
            await self._close()
        await self.gate.judged()
        self.sent.rejected = await self.gate.count("dead-letters") - letters
        self.sent.lost = self.gate.lost
        return self.sent

    def _slices(self) -> Iterator[list[Event]]:
        events = self._known()
        if self.plan.speed is None:
            yield from iter(lambda: list(itertools.islice(events, SLICE)), [])
            return
        tick_ms = max(1, round(TICK_S * 1_000 * self.plan.speed))
        for _, group in itertools.groupby(events, lambda event: event.time_ms // tick_ms):
            yield from iter(lambda: list(itertools.islice(group, SLICE)), [])  # noqa: B023

    def _known(self) -> Iterator[Event]:
        """Events but for truth of the future."""
        for event in self.timeline.events():
            if event.time_ms <= self.latest_ms:
                yield event
            else:
                self.sent.later += 1

    async def _send(self, events: Sequence[Event]) -> None:
        await self._pace(events[0].time_ms)
        await self.gate.wait(len(events), sum(len(event.value) for event in events))
        await self.producer.produce_all(list(self._messages(events)))
        self._last_ms = max(self._last_ms, events[-1].time_ms)
        done = self.sent.predictions + self.sent.truths
        self.show.advance(done, events[-1].time_ms, self.gate.behind)

    def _messages(self, events: Iterable[Event]) -> Iterator[Message]:
        for event in events:
            if event.topic == "predictions":
                self.sent.predictions += 1
            else:
                self.sent.truths += 1
            yield Message(self.settings.topics.name(event.topic), event.value, event.key)

    async def _pace(self, time_ms: int) -> None:
        """Wait until an event of this time is due."""
        if self.plan.speed is None:
            return
        if self._last_ms == 0:
            self._origin = (time_ms, time.monotonic())
        first_ms, since_s = self._origin
        due_s = since_s + (time_ms - first_ms) / 1_000 / self.plan.speed
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def _close(self) -> None:
        """Say that nothing earlier will come: up to the end of the last pane, or now."""
        pane_ms = self.settings.model(self.plan.model).pane_s * 1_000
        now_ms = self.latest_ms - int(self.settings.limits.max_ahead_s * 1_000)
        end_ms = min((self._last_ms // pane_ms + 1) * pane_ms, max(now_ms, self._last_ms))
        event = closing(self.plan, end_ms, truths=self.sent.truths > 0)
        topic = self.settings.topics.name("control")
        await self.producer.produce_all([Message(topic, json.dumps(event).encode())])
        self.sent.closed_ms = end_ms
