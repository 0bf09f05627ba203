"""README's programs do what it says: produce, consume, and retrain until the request is closed."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from stream.events import Limits, decode_prediction, decode_truth, encode
from tests.servers import Kafka
from tests.test_findings import alert
from tests.test_producers import read
from tests.workers import HOUR_MS, Deploy, Deployment

EXAMPLES = Path(__file__).parent / "examples"
MODEL = """
[models.m]
task = "regression"
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
horizon_s = "1d"
minimum_rows = 50
hold = 1
retrain_minimum_labels = 50
retrain_cooldown_s = "6h"
"""
PER_HOUR = 120
OLD, NEW = (2.0, 1.0), (-1.0, 30.0)  # slope and intercept of the world
NOW_MS = int(time.time() * 1000)
FIRST_MS = NOW_MS // HOUR_MS * HOUR_MS - 6 * HOUR_MS


@contextmanager
def running(name: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """An example as a program of its own; it ends with the block."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def hour(number: int, world: tuple[float, float]) -> tuple[list[Any], list[Any]]:
    """An hour's predictions by a model that knows the old world, and their truth."""
    rng, predictions, truths = random.Random(number), [], []
    for i in range(PER_HOUR):
        time_ms = FIRST_MS + number * HOUR_MS + i * 20_000
        x = rng.uniform(0, 10)
        common = {"prediction_id": f"{number}-{i}", "model": "m", "time": time_ms}
        predicted = OLD[0] * x + OLD[1]
        predictions.append(common | {"version": "1", "features": {"x": x}, "prediction": predicted})
        label = world[0] * x + world[1] + rng.gauss(0, 0.3)
        truths.append(common | {"label": label, "time": time_ms + 60_000})
    return predictions, truths


def play(d: Deployment, hours: range, world: tuple[float, float]) -> None:
    for number in hours:
        predictions, truths = hour(number, world)
        d.send("predictions", predictions)
        d.send("ground-truth", truths)
    d.close_time("m", FIRST_MS + hours.stop * HOUR_MS)
    d.until_idle()


def answers(d: Deployment) -> list[dict[str, Any]]:
    found = [r.event for r in d.read("control")]
    return [e for e in found if e["type"].startswith("retraining-")]


def test_a_request_is_answered_and_closed(deploy: Deploy) -> None:
    d = deploy(MODEL, limits={"max_ahead_s": "10d"})
    d.start()
    rng = random.Random(0)
    values = [rng.uniform(0, 10) for _ in range(500)]
    more: dict[str, Any] = {"features": {"x": {"values": values}}, "quality": {"mae": 0.25}}
    d.control("reference", "m", FIRST_MS, version="1", task="regression",
              active_from=FIRST_MS, **more)  # fmt: skip
    play(d, range(2), OLD)
    assert d.events("retrain-requests") == []
    play(d, range(2, 5), NEW)
    (request,) = d.events("retrain-requests")  # one is outstanding, whatever else comes

    with running("retrain.py", d.kafka.bootstrap, d.name) as retraining:
        result = json.loads(line_of(retraining))
        d.until(lambda: len(answers(d)) == 3)
    assert result["rows"] >= request["labelled_rows"] >= 50
    slope, intercept = result["weights"]
    assert slope == pytest.approx(NEW[0], abs=0.1)
    assert intercept == pytest.approx(NEW[1], abs=0.5)
    kinds = [a["type"].removeprefix("retraining-") for a in answers(d)]
    assert kinds == ["accepted", "started", "finished"]
    assert {a["request_id"] for a in answers(d)} == {request["id"]}
    assert answers(d)[2]["new_version"] == result["new_version"]

    d.until_taken_in()
    play(d, range(5, 8), NEW)
    assert len(d.events("retrain-requests")) == 1, "within the cool-down nothing is asked"
    play(d, range(8, 14), NEW)
    assert len(d.events("retrain-requests")) == 2, "after it, the old version is still bad"


def claims(kafka: Kafka, topic: str) -> bytes:
    """The one record of the example's model."""
    records = [v for some in read(kafka.bootstrap, f"driftline.{topic}") for _, v, _ in some]
    (found,) = [value for value in records if value and b"claims" in value]
    return found


def test_ten_lines_produce(mock_kafka: Kafka) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "predict.py"), mock_kafka.bootstrap]
    subprocess.run(command, check=True)
    now_ms = int(time.time() * 1000)
    prediction = decode_prediction(claims(mock_kafka, "predictions"), None, now_ms, Limits())
    assert (prediction.model, prediction.prediction) == ("claims", "high")
    truth = decode_truth(claims(mock_kafka, "ground-truth"), None, now_ms, Limits())
    assert (truth.prediction_id, truth.label) == (prediction.prediction_id, "high")


def test_ten_lines_consume(mock_kafka: Kafka) -> None:
    producer = Producer({"bootstrap.servers": mock_kafka.bootstrap})
    producer.produce("driftline.alerts", encode(alert(8)))
    assert producer.flush(10) == 0
    with running("consume.py", mock_kafka.bootstrap) as consuming:
        assert line_of(consuming) == f"{alert(8).severity} {alert(8).state} {alert(8).summary}\n"


@pytest.mark.parametrize("name", ["predict.py", "consume.py"])
def test_ten_lines_are_ten(name: str) -> None:
    lines = (EXAMPLES / name).read_text().splitlines()
    code = [x for x in lines if x and not x.startswith(("import ", "from "))]
    assert len(code) <= 10
