"""The oracle: what lies in the source topics, through the pipeline in memory."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from agents.settings import Settings, load
from stream.events import Limits, Rejected, decode_prediction, decode_truth
from stream.firsts import FIRST_PANES
from stream.pipeline import Pipeline
from tests.fire.records import At, Record, chunks, records
from tests.workers import Deployment

DECODERS = {"predictions": decode_prediction, "ground-truth": decode_truth}
OUT = ("evaluations", "alerts", "retrain-requests")
Id = tuple[str, str]  # topic and id
Said = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


@dataclasses.dataclass(slots=True)
class Oracle:
    """A pipeline that was fed. taken: records of each source partition; rejected: their places."""

    settings: Settings
    pipeline: Pipeline
    taken: defaultdict[At, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    rejected: set[tuple[str, int, int]] = dataclasses.field(default_factory=set)

    @classmethod
    def of(cls, d: Deployment) -> "Oracle":
        """All that was sent to a deployment, in an order of its own."""
        settings, counts = load(d.config), d.partitions
        pipeline = Pipeline(settings.model, counts("events"), counts("predictions"))
        found = cls(settings, pipeline)
        begun, ended = _controls(d)
        for raw in begun:
            pipeline.control(raw)
        for chunk in chunks(d.kafka.bootstrap, [d.topic(name) for name in DECODERS]):
            found._feed(chunk, DECODERS[chunk[0].topic.removeprefix(f"{d.name}.")])
        for raw in ended:
            pipeline.control(raw)
        pipeline.checkpoint()
        return found

    def _feed(self, chunk: Sequence[Record], decode: Any) -> None:
        rows, limits = [], Limits()
        for r in chunk:
            try:
                event = decode(r.value, r.key, r.timestamp, limits)
                rows.append((r.offset, r.timestamp, event))
            except Rejected:
                self.rejected.add((r.topic, r.partition, r.offset))
        first = chunk[0]
        self.taken[first.topic, first.partition] += len(chunk)
        newest = max(r.timestamp for r in chunk)
        self.pipeline.rows(first.topic, first.partition, rows, newest)
        self.pipeline.checkpoint()

    def published(self) -> dict[Id, Said]:
        """What is to be published, by topic and id."""
        return {
            (m.topic, msgspec.json.decode(m.value)["id"]): (m.key, m.value, tuple(m.headers))
            for m in self.pipeline.published
            if m.topic in OUT
        }


def published(d: Deployment) -> tuple[dict[Id, Said], int]:
    """What was published, and how much of it again. Equal ids must have equal bodies."""
    found: dict[Id, Said] = {}
    again = 0
    for topic in OUT:
        for r in records(d.kafka.bootstrap, d.topic(topic)):
            key = topic, msgspec.json.decode(r.value or b"")["id"]
            said = (r.key, r.value, tuple(r.headers))
            again += key in found
            assert found.setdefault(key, said) == said, f"{key} says two things"
    return found, again


def _controls(d: Deployment) -> tuple[list[Any], list[Any]]:
    """What a test has told: at the beginning, and where event time is closed."""
    told = [
        msgspec.json.decode(r.value or b"{}")
        for r in records(d.kafka.bootstrap, d.topic("control"))
    ]
    own = [event for event in told if event.get("source") != FIRST_PANES]
    ended = [event for event in own if event["type"] == "watermark"]
    return [event for event in own if event not in ended], ended
