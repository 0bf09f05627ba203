"""The demo: embedded servers, the real worker, and a story streamed through them.

The worker is the production one, a process of its own with a settings file. The embedded Kafka
keeps 5 MiB a partition and then drops the oldest records without a word; so the stream is held
back by what the worker has committed, and at the end what was sent is compared with what was
evaluated.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from agents import portfolio, registration, story
from agents.children import Child
from agents.clusters import Cluster, Lag
from agents.embedded import EmbeddedKafka, EmbeddedRedis
from agents.findings import Findings
from agents.outputs import Outputs
from agents.producers import Message, Producer
from agents.settings import TOPICS, Settings, load
from agents.show import Json, Screen, Show
from agents.story import MODEL, Story, Told
from stream.events import milliseconds

SLICE = 500  # events sent between two looks at the lag
SOURCE_LAG = 3_000  # events; a month or two, far below 5 MiB
INNER_LAG = 20  # messages of a partition; each holds many rows
LATENESS_S = 86_400  # each source partition is in order; no truth is later than its delay
LOOK_S = 0.1
STALLED_S = 60.0
PATIENCE_S = 15.0  # for the worker to end
SOURCES = ("predictions", "ground-truth", "control")
INNER = ("events", "signals")


class DemoFailed(RuntimeError):
    """The demo did not get to its end; the text says where it stopped, with the worker's log."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to tell. data: the folder of the published files, None: generated ones."""

    data: Path | None = None
    months: int = portfolio.MONTHS
    seed: int = portfolio.SEED
    label_delay_s: int = story.LABEL_DELAY_S
    as_json: bool = False

    def story(self) -> Story:
        """The story of this plan. Raises BadTable."""
        if self.data is None:
            return story.generate(self.months, self.seed, self.label_delay_s)
        return story.load(self.data, self.months, self.seed, self.label_delay_s)


async def run(plan: Plan) -> Findings:
    """Start everything, tell the story, show what comes out, end everything.

    Raises BadTable, CannotEmbed or DemoFailed.
    """
    told = plan.story()

    def when(start: str) -> str:
        return f"month {_month_of(told)(start)}"

    show: Show = Json() if plan.as_json else Screen(when)
    with show, contextlib.ExitStack() as stack:
        kafka = stack.enter_context(EmbeddedKafka())
        redis = stack.enter_context(EmbeddedRedis())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-")))
        config = folder / "driftline.toml"
        config.write_text(_config(kafka.bootstrap, redis.url, plan), encoding="utf-8")
        worker = stack.enter_context(_worker(config))
        show.say(f"Kafka at {kafka.bootstrap}, Redis at {redis.url}, worker {worker.pid}")
        settings = load(config)
        names = [settings.topics.name(topic) for topic in TOPICS]
        await Cluster(settings.kafka).ensure_topics(names, settings.topics.partitions)
        stage = Stage(settings, told, show, worker)
        stack.callback(stage.outputs.close)
        try:
            await stage.play()
        finally:
            await stage.producer.close()
    return stage.findings


class Stage:
    """One telling of a story to a running worker."""

    def __init__(self, settings: Settings, told: Story, show: Show, worker: Child) -> None:
        self.settings, self.told, self.show, self.worker = settings, told, show, worker
        self.findings = Findings(_month_of(told), story.CHANGED)
        self.producer = Producer(settings.kafka)
        self.cluster = Cluster(settings.kafka)
        self.outputs = Outputs(settings)
        self.sent = {"predictions": 0, "ground-truth": 0}
        self._moved_s = time.monotonic()
        self._before: object = None

    async def play(self) -> None:
        """The reference, the events, the end. Raises DemoFailed."""
        await registration.publish(self.settings, self.told.reference, story.START_MS)
        await self._until(lambda lags: _behind(lags, SOURCES) == 0)
        for slice_ in _slices(self.told.events(), SLICE):
            await self._until(_has_room)
            await self._send(slice_)
        await self._until(lambda lags: _behind(lags, SOURCES) == 0)
        await self._close()
        await self._until(lambda lags: self._complete() and _behind(lags, INNER) == 0)
        await asyncio.sleep(4 * self.settings.worker.checkpoint_s)
        self._look()
        self.show.end(self.findings.rows(), self._summary())

    async def _send(self, events: Iterable[Told]) -> None:
        messages = []
        for told in events:
            topic = self.settings.topics.name(told.topic)
            messages.append(Message(topic, json.dumps(told.event).encode(), told.key.encode()))
            self.sent[told.topic] += 1
            month = self.told.month_of(told.time_ms)
        await self.producer.produce_all(messages)
        total = self.told.predictions
        text = f"month {month} of {len(self.told.months)}"
        self.show.advance(self.sent["predictions"], total, text)

    async def _close(self) -> None:
        """Say that nothing earlier will come, so that the last month is judged too."""
        event = {"type": "watermark", "model": MODEL, "time": self.told.end_ms}
        topic = self.settings.topics.name("control")
        await self.producer.produce_all([Message(topic, json.dumps(event).encode())])

    async def _until(self, ready: Callable[[list[Lag]], bool]) -> None:
        """Wait, showing what comes out. Raises DemoFailed when nothing moves any more."""
        names = [self.settings.topics.name(topic) for topic in SOURCES + INNER]
        while True:
            lags = await self.cluster.positions(self.settings.kafka.group_id, names)
            self._look()
            self._check(lags)
            if ready(lags):
                return
            await asyncio.sleep(LOOK_S)

    def _look(self) -> None:
        for event in self.outputs.read():
            if self.findings.update(event):
                self.show.event(event)

    def _check(self, lags: list[Lag]) -> None:
        lost = [lag for lag in lags if lag.first > (lag.committed or 0)]
        if lost:
            raise self._failed(f"records were dropped unread: {lost}")
        if not self.worker.running:
            raise self._failed("the worker has ended")
        # what lies in the inner topics moves on its own: idle sources are told there
        committed = [lag.committed for lag in lags if lag.topic.endswith(SOURCES)]
        now = (self.sent.copy(), committed, len(self.findings.evaluations))
        if now != self._before:
            self._before, self._moved_s = now, time.monotonic()
        if time.monotonic() - self._moved_s > STALLED_S:
            raise self._failed(f"nothing moved for {STALLED_S:.0f} s")

    def _failed(self, what: str) -> DemoFailed:
        return DemoFailed(f"{what}. {self._summary()}\nThe worker's log ends:\n{self.worker.log()}")

    def _complete(self) -> bool:
        seen = self.findings.rows_of
        inputs, labelled = seen("inputs"), seen("quality")
        return inputs == self.sent["predictions"] and labelled == self.sent["ground-truth"]

    def _summary(self) -> str:
        seen = self.findings.rows_of
        text = (
            f"{self.sent['predictions']:,} predictions sent, {seen('inputs'):,} evaluated;"
            f" {self.sent['ground-truth']:,} truths sent, {seen('quality'):,} evaluated."
        )
        return f"{text} Nothing was lost." if self._complete() else text


@contextlib.contextmanager
def _worker(config: Path) -> Iterator[Child]:
    child = Child([sys.executable, "-m", "agents.commands", "worker", "--config", str(config)])
    try:
        yield child
    finally:
        child.stop(PATIENCE_S)


def _config(bootstrap: str, url: str, plan: Plan) -> str:
    """The settings file: what differs from the defaults, and the model of the story."""
    return f"""
[kafka]
brokers = ["{bootstrap}"]
group_id = "driftline-demo"
session_timeout_s = "6s"
commit_s = "200ms"

[redis]
url = "{url}"

[worker]
checkpoint_s = "200ms"

[http]
port = 0

[models.{MODEL}]
owner = "the actuaries"
pane_s = "30d"
windows_s = ["30d"]
lateness_s = {LATENESS_S}
label_lateness_s = {LATENESS_S}
idle_s = "1h"
evidence_s = "60d"
false_alarms_per_month = 0.02
horizon_s = {plan.label_delay_s + LATENESS_S}

[[models.{MODEL}.detectors]]
name = "ADWIN"
signal = "error"
"""


def _has_room(lags: list[Lag]) -> bool:
    inner = [lag for lag in lags if lag.topic.endswith(INNER)]
    return _behind(lags, SOURCES) <= SOURCE_LAG and all(lag.behind <= INNER_LAG for lag in inner)


def _behind(lags: list[Lag], topics: tuple[str, ...]) -> int:
    return sum(lag.behind for lag in lags if lag.topic.endswith(topics))


def _slices(events: Iterable[Told], size: int) -> Iterator[list[Told]]:
    iterator = iter(events)
    while piece := list(itertools.islice(iterator, size)):
        yield piece


def _month_of(told: Story) -> Callable[[str], int]:
    """The number of the month that a time, as text, is in."""
    return lambda text: told.month_of(milliseconds(datetime.datetime.fromisoformat(text)))
