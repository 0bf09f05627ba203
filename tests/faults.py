"""What may happen to topics behind the workers' back, and the command that sets it right."""

import asyncio
import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import confluent_kafka as ck
import msgspec
import pytest
from confluent_kafka.admin import AdminClient

from agents import commands
from agents.preparation import prepare
from agents.settings import load
from agents.store import Unusable
from stream.events import Limits, decode_prediction, decode_truth
from stream.pipeline import Pipeline
from tests.processes import PATIENCE_S
from tests.workers import HOUR_MS, START_MS, Deployment, prediction, truth

PARTITIONS = 2
ROWS = 1_500
TABLES = """
[models.m]
task = "classification"
pane_s = 1800
windows_s = [1800, 3600]
idle_s = "1h"
minimum_rows = 50
reference_rows = 100
"""
DETECTORS = TABLES + 'detectors = [{ name = "ADWIN", signal = "x", raw = true }]\n'

Found = dict[str, Any]
REFERENCE = {
    "type": "reference",
    "model": "m",
    "version": "1",
    "time": START_MS,
    "active_from": START_MS,
    "task": "classification",
    "features": {"x": {"values": [float(i % 7) for i in range(500)]}},
}


def story(first: int, last: int) -> tuple[list[Any], list[Any]]:
    """Predictions spread over three hours, every fifth with its truth half a minute later."""
    predictions, truths = [], []
    for i in range(first, last):
        at = START_MS + i * 3 * HOUR_MS // ROWS
        features = {"x": float(i % 7 + 4 * (i > ROWS // 2))}
        predictions.append(prediction(i, at, features, prediction="yes"))
        if i % 5 == 0:
            truths.append(truth(i, at + 30_000, "yes" if i % 10 else "no"))
    return predictions, truths


def tell(d: Deployment, first: int, last: int) -> None:
    """A part of the story, in order, to all partitions alike."""
    for topic, events in zip(("predictions", "ground-truth"), story(first, last), strict=True):
        for number in range(PARTITIONS):
            d.send(topic, events[number::PARTITIONS], partition=number)


def oracle(d: Deployment, parts: Iterable[tuple[int, int]]) -> Found:
    """The evaluations of these parts of the story, by id, of the same core in memory."""
    pipeline = Pipeline(load(d.config).model, PARTITIONS, PARTITIONS)
    pipeline.control(REFERENCE)
    offsets: dict[tuple[str, int], int] = {}
    for first, last in parts:
        for topic, events in zip(("predictions", "ground-truth"), story(first, last), strict=True):
            decode: Any = decode_prediction if topic == "predictions" else decode_truth
            for number in range(PARTITIONS):
                rows = [
                    (offset, e["time"], decode(msgspec.json.encode(e), None, e["time"], Limits()))
                    for offset, e in enumerate(
                        events[number::PARTITIONS], offsets.get((topic, number), 0)
                    )
                ]
                offsets[topic, number] = rows[-1][0] + 1 if rows else 0
                pipeline.rows(d.topic(topic), number, rows, START_MS)
        pipeline.checkpoint()
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 4 * HOUR_MS})
    pipeline.checkpoint()
    found = (msgspec.json.decode(m.value) for m in pipeline.published if m.topic == "evaluations")
    return {event["id"]: event for event in found}


def settle(d: Deployment, enough: Callable[[Found], bool]) -> Found:
    """Close event time; all evaluations by id, once there are enough.

    What is committed may still have to be judged: that nothing is behind does not say that all
    is published.
    """
    d.close_time("m", START_MS + 4 * HOUR_MS)
    d.until(lambda: enough(evaluations(d)))
    d.until_idle()
    return evaluations(d)


def evaluations(d: Deployment) -> Found:
    """All there are by now, by id."""
    return {event["id"]: event for event in d.events("evaluations")}


def exact(d: Deployment, parts: Iterable[tuple[int, int]]) -> Found:
    """Settled, these parts of the story have given what the core in memory gives."""
    wanted = oracle(d, parts)
    found = settle(d, lambda found: found.keys() >= wanted.keys())
    assert not differing(found, wanted)
    return found


def admin(d: Deployment) -> AdminClient:
    return AdminClient({"bootstrap.servers": d.kafka.bootstrap})


def make_anew(d: Deployment, name: str, partitions: int = PARTITIONS) -> None:
    """Delete a topic, and make one of the same name."""
    topic, client = d.topic(name), admin(d)
    for done in client.delete_topics([topic]).values():
        done.result(30)
    d.until(lambda: topic not in client.list_topics(timeout=10).topics)
    d.kafka.create_topics(topic, partitions=partitions)
    d.until(lambda: topic in client.list_topics(timeout=10).topics)


def overtake(d: Deployment, name: str, leave: int = 0) -> None:
    """As retention does: all but the last records of each partition are dropped."""
    ends = {lag.partition: lag.end for lag in d.lags([name])}
    asked = [ck.TopicPartition(d.topic(name), p, end - leave) for p, end in ends.items()]
    client = admin(d)
    for done in client.delete_records(asked).values():
        done.result(30)


def ended(d: Deployment, *words: str) -> str:
    """A worker ends by itself with exit code 69, in these words and without a traceback."""
    process = d.start(wait=False)
    d.processes.remove(process)  # its end is no failure
    assert process.process.wait(PATIENCE_S) == 69, process.log()
    assert "Traceback" not in process.log(), process.log()
    for word in words:
        assert word in process.log()
    return process.log()


def refused(d: Deployment, *words: str) -> str:
    """What a worker says at its start, without one: processes take their time."""
    with pytest.raises(Unusable) as refusal:
        asyncio.run(prepare(load(d.config)))
    for word in words:
        assert word in str(refusal.value)
    return str(refusal.value)


def repair(d: Deployment, *arguments: str, code: int = 0) -> str:
    """What `driftline repair` prints."""
    return _run(d, "repair", *arguments, code=code)


def status(d: Deployment) -> str:
    """What `driftline status` prints."""
    return _run(d, "status")


def _run(d: Deployment, *arguments: str, code: int = 0) -> str:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        found = commands.run([*arguments, "--config", str(d.config)])
    assert found == code, told.getvalue()
    return told.getvalue()


def mended(d: Deployment, command: str) -> str:
    """The command is the one that the diagnosis names; after it nothing is wrong."""
    assert f"driftline {command}" in repair(d, code=1)
    said = repair(d, *command.split()[1:], "--yes")
    assert "nothing is wrong" in repair(d)
    return said


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> Sequence[str]:
    """Where they differ, in short."""
    return [
        f"{key}: {found.get(key)} is not {wanted.get(key)}"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ][:3]
