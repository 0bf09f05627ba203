"""Replay: what is sent and when, what is said about it, and how event time is closed."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents import replay
from agents.gates import INNER, SOURCES
from agents.mappings import Columns
from agents.replay import Plan, Sent, speed_of
from agents.settings import Kafka as KafkaTable
from agents.settings import Settings, Topics, Worker
from agents.tables import BadTable
from stream.events import rfc3339
from tests.readers import Reader, records
from tests.servers import Kafka

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01
NOW_MS = START_MS + 100 * DAY_MS
ROLES = Columns(id="id", time="t", prediction="p", label="y", delay_ms=3_600_000)
Say = Callable[[str], None]


class Told:
    """A show that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: list[tuple[int, int, int]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, done: int, time_ms: int, behind: int) -> None:
        self.steps.append((done, time_ms, behind))


def file(path: Path, rows: int, step_ms: int = 60_000) -> Path:
    lines = [f"{i},{rfc3339(START_MS + i * step_ms)},{i % 7},{i % 2},{i % 2}" for i in range(rows)]
    path.write_text("\n".join(["id,t,a,p,y", *lines]) + "\n")
    return path


def settings(kafka: Kafka, name: str) -> Settings:
    return Settings(
        kafka=KafkaTable(brokers=(kafka.bootstrap,), group_id=name, commit_s=0.1),
        topics=Topics(prefix=name),
        worker=Worker(checkpoint_s=0.1),
    )


def play(s: Settings, plan: Plan, show: Told | None = None, now_ms: int = NOW_MS) -> Sent:
    names = [s.topics.name(topic) for topic in SOURCES + INNER]
    with Reader(s.kafka.brokers[0], s.kafka.group_id, names):
        return asyncio.run(replay.run(s, plan, now_ms, show))


def read(s: Settings, topic: str) -> list[dict[str, Any]]:
    found = records(s.kafka.brokers[0], s.topics.name(topic))
    return [json.loads(bytes(message.value() or b"")) for message in found]


def test_all_rows_arrive_and_event_time_is_closed(
    broker: Kafka, namespace: str, tmp_path: Path
) -> None:
    s, told = settings(broker, namespace), Told()
    plan = Plan(file(tmp_path / "rows.csv", 2_500), "m", "1", ROLES, max_lag=1_500)
    sent = play(s, plan, told)
    assert (sent.predictions, sent.truths, sent.lost, sent.rejected) == (2_500, 2_500, 0, 0)
    predictions, truths = read(s, "predictions"), read(s, "ground-truth")
    assert {p["prediction_id"] for p in predictions} == {str(i) for i in range(2_500)}
    assert len(predictions) == len(truths) == 2_500
    assert max(behind for _, _, behind in told.steps) <= 1_500
    assert told.steps[-1][0] == 5_000
    last_ms = START_MS + 2_499 * 60_000 + 3_600_000
    assert sent.closed_ms == (last_ms // 3_600_000 + 1) * 3_600_000
    (watermark,) = read(s, "control")
    assert watermark == {"type": "watermark", "model": "m", "time": sent.closed_ms}


def test_without_truth_only_the_versions_predictions_are_closed(
    mock_kafka: Kafka, namespace: str, tmp_path: Path
) -> None:
    s = settings(mock_kafka, namespace)
    columns = Columns(id="id", time="t", prediction="p", ignore=("y",))
    play(s, Plan(file(tmp_path / "rows.csv", 5), "m", "1", columns))
    (watermark,) = read(s, "control")
    assert watermark["version"] == "1"
    assert read(s, "ground-truth") == []


def test_event_time_may_be_left_open(mock_kafka: Kafka, namespace: str, tmp_path: Path) -> None:
    s = settings(mock_kafka, namespace)
    sent = play(s, Plan(file(tmp_path / "rows.csv", 5), "m", "1", ROLES, close=False))
    assert sent.closed_ms is None
    assert read(s, "control") == []


def test_truth_of_the_future_is_not_sent(mock_kafka: Kafka, namespace: str, tmp_path: Path) -> None:
    s = settings(mock_kafka, namespace)
    columns = Columns(id="id", time="t", label="y", delay_ms=100 * DAY_MS)
    rows = file(tmp_path / "rows.csv", 10, DAY_MS // 10)
    told = Told()
    sent = play(s, Plan(rows, "m", "1", columns), told, NOW_MS + DAY_MS // 2 - 3_600_000)
    assert (sent.truths, sent.later) == (6, 4)
    assert "4 truths lie in the future" in "\n".join(sent.lines())
    assert sent.closed_ms == START_MS + 100 * DAY_MS + DAY_MS // 2
    assert any("horizon_s of [models.m] to 100d" in text for text in told.said)


def test_predictions_of_the_future_are_refused(
    mock_kafka: Kafka, namespace: str, tmp_path: Path
) -> None:
    plan = Plan(file(tmp_path / "rows.csv", 5), "m", "1", ROLES)
    with pytest.raises(BadTable, match="lies in the future"):
        asyncio.run(replay.run(settings(mock_kafka, namespace), plan, START_MS - DAY_MS))


def test_it_takes_as_long_as_it_did_over_the_speed(
    mock_kafka: Kafka, namespace: str, tmp_path: Path
) -> None:
    s, told = settings(mock_kafka, namespace), Told()
    plan = Plan(file(tmp_path / "rows.csv", 21, 60_000), "m", "1", ROLES, speed=3_000.0)
    begun = time.monotonic()
    sent = play(s, plan, told)
    took_s = time.monotonic() - begun
    whole_s = (20 * 60 + 3_600) / 3_000
    assert whole_s <= took_s
    assert sent.predictions == sent.truths == 21
    assert len(told.steps) >= 10, "a little at a time"


def test_stopped_it_says_what_was_sent(mock_kafka: Kafka, namespace: str, tmp_path: Path) -> None:
    s, told = settings(mock_kafka, namespace), Told()
    plan = Plan(file(tmp_path / "rows.csv", 500), "m", "1", ROLES, speed=1.0)
    names = [s.topics.name(topic) for topic in SOURCES + INNER]

    async def main() -> None:
        task = asyncio.create_task(replay.run(s, plan, NOW_MS, told))
        while not told.steps:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Reader(s.kafka.brokers[0], s.kafka.group_id, names):
        asyncio.run(main())
    assert told.said[-1] == (
        "stopped: 1 predictions and 0 truths were sent, event time is not closed"
    )


def test_rows_without_a_time_end_now(tmp_path: Path) -> None:
    plan = Plan(file(tmp_path / "rows.csv", 11), "m", "1", Columns(ignore=("t",)), every_ms=500)
    _, survey, _ = replay.prepare(plan, NOW_MS)
    assert (survey.first_ms, survey.last_ms) == (NOW_MS - 5_000, NOW_MS)


def test_what_is_odd_about_the_files_is_noted(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("id,t,a\n1,2024-01-02,1\n2,2024-01-01,1\n")
    truth = tmp_path / "truth.csv"
    truth.write_text("id,y\n1,a\n1,b\n9,a\n")
    columns = Columns(id="id", time="t", label="y")
    _, _, notes = replay.prepare(Plan(rows, "m", "1", columns, truth=[truth]), NOW_MS)
    text = "\n".join(notes)
    assert "its rows are sorted" in text
    assert "1 ids are in the truth more than once" in text
    assert "1 labels are of ids that" in text


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1x", 1.0), ("0.5x", 0.5)])
def test_speeds(text: str, speed: float | None) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "10", "0x", "-1x", "x"])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(ValueError, match="100x"):
        speed_of(text)


def test_loss_and_refusals_are_said() -> None:
    text = "\n".join(Sent(predictions=7, rejected=2, lost=3, seconds=1).lines())
    assert "3 records were LOST" in text
    assert "2 records were refused; see `driftline tail dead-letters`" in text
