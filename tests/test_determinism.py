"""One input, however many workers, partitions and batches: the same events, field by field."""

import functools
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.settings import Settings
from stream.events import Limits
from stream.pipeline import Pipeline
from tests.fire.fleets import SHORT, Fleet
from tests.fire.loads import Load
from tests.fire.oracles import DECODERS, OUT, published
from tests.fire.stories import MODELS, PANE_STEPS, TABLES, Story, Told, references
from tests.fire.verdicts import FAR_MS, PART_BYTES, register
from tests.servers import Kafka
from tests.workers import START_MS, Deployment

STEPS = 260
WAYS = (  # workers, records at once, partitions of the internal log
    (1, 5_000, 4),
    (2, 137, 4),
    (4, 10, 4),
    (4, 1_000, 3),
)
WATCHED = f"""{TABLES}
[models.rivals]
challengers = ["2"]
"""
Events = dict[str, dict[str, Any]]


@functools.cache
def expected() -> Events:
    """What the core says, alone, in one thread and one partition."""
    tables: Any = tomllib.loads(WATCHED)
    pipeline, story = Pipeline(Settings(**tables).model, 1, 4), Story()
    for reference in references():
        for part in reference.to_parts(PART_BYTES, time=START_MS):
            pipeline.control(part)
    ends: Counter[tuple[str, int]] = Counter()
    for _ in range(STEPS // PANE_STEPS):
        _feed(pipeline, [told for _ in range(PANE_STEPS) for told in story.next()], ends)
    _feed(pipeline, [told for step in story.rest() for told in step], ends)
    for model in MODELS:
        end_ms = story.end_ms + FAR_MS
        pipeline.control({"type": "watermark", "model": model.name, "time": end_ms})
    pipeline.checkpoint()
    said = [(m.topic, msgspec.json.decode(m.value)) for m in pipeline.published]
    return {f"{topic} {event['id']}": event for topic, event in said if topic in OUT}


def _feed(pipeline: Pipeline, some: list[Told], ends: Counter[tuple[str, int]]) -> None:
    rows: defaultdict[tuple[str, int], list[tuple[int, int, Any]]] = defaultdict(list)
    for told in some:
        at, decode = (told.topic, told.partition), DECODERS[told.topic]
        rows[at].append((ends[at], told.time_ms, decode(told.value, None, told.time_ms, Limits())))
        ends[at] += 1
    for (topic, partition), own in rows.items():
        pipeline.rows(f"T.{topic}", partition, own, own[-1][1])
    pipeline.checkpoint()


def found(d: Deployment) -> Events:
    """What workers say, under the name that the core was told."""
    said, _ = published(d)
    plain = {
        at: (value or b"").replace(d.name.encode(), b"T") for at, (_, value, _) in said.items()
    }
    return {f"{topic} {id_}": msgspec.json.decode(value) for (topic, id_), value in plain.items()}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("workers", "records", "partitions"), WAYS)
def test_the_same_input_gives_the_same_events(
    real_kafka: Kafka,
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    workers: int,
    records: int,
    partitions: int,
) -> None:
    worker: Mapping[str, object] = {"max_chunk_records": records, "checkpoint_s": 0.3}
    told = (real_kafka, redis_url, namespace, tmp_path)
    with Deployment(*told, WATCHED, kafka=SHORT, worker=worker) as d:
        real_kafka.create_topics(d.topic("events"), partitions=partitions)
        real_kafka.create_topics(*(d.topic(name) for name in (*DECODERS, "control")))
        fleet = Fleet.of(d, workers)
        register(d)
        with Load(d.access, d.name, Story(), pause_s=0.0, least=STEPS, most=STEPS) as load:
            load.finish()
        for model in MODELS:
            d.close_time(model.name, load.story.end_ms + FAR_MS)
        d.until_idle(120)
        fleet.stop()
        beside = [one for event in expected().values() for one in event.get("beside", [])]
        assert any(one["disagreement"] for one in beside)
        assert any(one["metrics"] for one in beside)
        differences = compare(found(d), expected())
        assert not differences, differences[:10]


def compare(one: Events, other: Events) -> list[str]:
    """Every field that is not the same, by the event's id."""
    told = [f"{id_}: only one has it" for id_ in sorted(one.keys() ^ other.keys())]
    for id_ in sorted(one.keys() & other.keys()):
        fields = one[id_].keys() | other[id_].keys()
        told += [
            f"{id_}: {field}: {one[id_].get(field)!r}, {other[id_].get(field)!r}"
            for field in sorted(fields)
            if one[id_].get(field) != other[id_].get(field)
        ]
    return told
