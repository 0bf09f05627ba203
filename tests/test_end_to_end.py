"""The main job through real worker processes, on the embedded pair and on a real Kafka."""

import csv
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from tests.workers import HOUR_MS, START_MS, Deploy, Deployment, prediction, truth


def ages(values: Sequence[float], hour: int, first: int = 0) -> Iterator[Any]:
    """Predictions of one hour with these ages."""
    for i, value in enumerate(values):
        yield prediction(first + i, START_MS + hour * HOUR_MS + i, {"age": value})


def p_values(d: Deployment, feature: str = "age") -> list[float]:
    """Of all evaluations of the inputs, in order of event time."""
    found = d.evaluations()
    return [r["p_value"] for e in found for r in e["readings"] if r["subject"] == feature]


def slide(data: Path) -> dict[str, list[float]]:
    with (data / "insurance" / "slide_ages.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def play_ages(d: Deployment, columns: Sequence[Sequence[float]]) -> list[float]:
    """Each column is one hour's predictions; the p-value of each hour."""
    for hour, values in enumerate(columns):
        d.send("predictions", ages(values, hour, first=10_000 * hour))
    d.close_time("m", START_MS + len(columns) * HOUR_MS)
    d.until(lambda: len(d.evaluations()) == len(columns))
    assert [e["rows"] for e in d.evaluations()] == [len(values) for values in columns]
    return p_values(d)


def test_the_slides_ages_give_the_slides_p_values(deploy: Deploy, data: Path) -> None:
    columns = slide(data)
    d = deploy()
    d.start()
    features = {"age": {"values": columns["reference"]}}
    d.control("reference", "m", version="1", features=features, active_from=START_MS)
    found = play_ages(d, [columns["current_p75"], columns["current_drift"]])
    assert found == [0.7516787908604354, 2.3432446792419765e-14]


def test_a_reference_from_a_file_gives_them_too(deploy: Deploy, data: Path, tmp_path: Path) -> None:
    columns = slide(data)
    d = deploy()
    d.start()
    file = tmp_path / "training.csv"
    file.write_text("\n".join(["age", *map(repr, columns["reference"])]))
    command = [sys.executable, "-m", "agents.commands", "reference", str(file)]
    options = ["--model", "m", "--version", "1", "--config", str(d.config)]
    told = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert "1,500 rows" in told.stdout
    d.until_taken_in()
    found = play_ages(d, [columns["current_p75"], columns["current_drift"]])
    assert found == [0.7516787908604354, 2.3432446792419765e-14]


def test_p_values_are_scipys_to_the_last_bit(deploy: Deploy) -> None:
    rng = random.Random(7)
    reference = [round(rng.gauss(40, 12), 3) for _ in range(900)]
    hours = [[round(rng.gauss(40 + 2 * h, 12), 3) for _ in range(400 + h)] for h in range(3)]
    d = deploy()
    d.start()
    features = {"age": {"values": reference}}
    d.control("reference", "m", version="1", features=features, active_from=START_MS)
    assert play_ages(d, hours) == [stats.ks_2samp(reference, h).pvalue for h in hours]


DETECTORS = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
detectors = [
    { name = "ADWIN", signal = "x", raw = true },
    { name = "KSWIN", signal = "x", raw = true, parameters = { alpha = 0.0001, seed = 42 } },
    { name = "PageHinkley", signal = "x", raw = true },
]
"""


def values_of_the_docstrings() -> list[float]:
    """The stream in the docstrings of river's detectors: it changes at its thousandth value."""
    rng = random.Random(12345)
    return [*rng.choices([0, 1], k=1000), *rng.choices(range(4, 8), k=1000)]


def second_by_second(values: Sequence[float], first: int = 0) -> Iterator[Any]:
    for i, x in enumerate(values, first):
        yield prediction(i, START_MS + 1000 * i, {"x": x})


def fired(d: Deployment) -> dict[str, set[int]]:
    """At which of its values each detector fired first."""
    found: dict[str, set[int]] = {}
    for event in d.evaluations("detectors"):
        for reading in event["readings"]:
            found.setdefault(reading["check"], set()).update(reading["details"]["indices"][:1])
    return found


ORACLES = {"ADWIN": {1023}, "KSWIN": {1016}, "PageHinkley": {1006}}


def close_stream(d: Deployment) -> None:
    d.close_time("m", START_MS + HOUR_MS)
    d.until(lambda: d.evaluations() and fired(d).keys() == ORACLES.keys())
    d.until_idle()


def test_rivers_detectors_fire_where_their_docstrings_say(deploy: Deploy) -> None:
    d = deploy(DETECTORS)
    d.start()
    d.send("predictions", second_by_second(values_of_the_docstrings()))
    close_stream(d)
    assert fired(d) == ORACLES
    assert [e["rows"] for e in d.evaluations()] == [2000]


def test_they_do_when_the_worker_is_killed_in_between(deploy: Deploy) -> None:
    d = deploy(DETECTORS, worker={"checkpoint_s": 0.05})
    values = values_of_the_docstrings()
    worker = d.start()
    d.send("predictions", second_by_second(values[:700]))
    d.close_time("m", START_MS + 500_000)  # what comes before is fed, the rest is held
    worker.kill()
    d.send("predictions", second_by_second(values[700:1020], 700))
    worker = d.start()
    for i in range(1020, 1200, 20):
        d.send("predictions", second_by_second(values[i : i + 20], i))
    worker.kill()
    d.start()
    d.send("predictions", second_by_second(values[1200:], 1200))
    close_stream(d)
    assert fired(d) == ORACLES
    assert [e["rows"] for e in d.evaluations()] == [2000]


QUALITY = """
[models.m]
task = "classification"
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
horizon_s = "1d"
minimum_rows = 50
hold = 1
retrain_minimum_labels = 50
retrain_cooldown_s = 0
"""
PER_HOUR = 120
MINUTE_MS = 60_000


def labelled(hour: int, accuracy: float) -> tuple[list[Any], list[Any]]:
    """Predictions of one hour, and their truth ten minutes after each."""
    rng, predictions, truths = random.Random(hour), [], []
    for i in range(PER_HOUR):
        number, time_ms = hour * PER_HOUR + i, START_MS + hour * HOUR_MS + i * 20_000
        answer = rng.choice(["yes", "no"])
        right = i * 7 % PER_HOUR < accuracy * PER_HOUR
        label = answer if right else {"yes": "no", "no": "yes"}[answer]
        features = {"age": rng.gauss(40, 10)}
        predictions.append(prediction(number, time_ms, features, prediction=answer))
        truths.append(truth(number, time_ms + 10 * MINUTE_MS, label))
    return predictions, truths


def register_quality(d: Deployment) -> None:
    rng = random.Random(99)
    values = [rng.gauss(40, 10) for _ in range(500)]
    more: dict[str, Any] = {
        "features": {"age": {"values": values}},
        "quality": {"accuracy": 0.95},
    }
    d.control("reference", "m", version="1", task="classification", active_from=START_MS, **more)


def quality_rows(d: Deployment) -> int:
    return sum(e["rows"] for e in d.evaluations("quality"))


def test_truth_joins_before_and_after_its_prediction_and_counts_once(deploy: Deploy) -> None:
    d = deploy(QUALITY)
    d.start()
    register_quality(d)
    predictions, truths = labelled(0, 0.9)
    d.send("ground-truth", truths[:40])
    d.until_taken_in()
    d.send("predictions", predictions)
    d.until_taken_in()
    d.send("ground-truth", truths[20:])  # half of those that were there come again
    d.send("predictions", predictions[:30])
    d.close_time("m", START_MS + 3 * HOUR_MS)
    d.until(lambda: quality_rows(d) >= PER_HOUR)
    d.until_idle()
    assert quality_rows(d) == PER_HOUR
    assert sum(e["rows"] for e in d.evaluations()) == PER_HOUR
    assert right_answers(d) == 0.9 * PER_HOUR


def right_answers(d: Deployment) -> int:
    """How many there were, by the accuracies of all evaluations."""
    readings = [r for e in d.evaluations("quality") for r in e["readings"]]
    return sum(round(r["statistic"] * r["n"]) for r in readings if r["check"] == "accuracy")


def play_hours(d: Deployment, hours: range, accuracy: float) -> None:
    for hour in hours:
        predictions, truths = labelled(hour, accuracy)
        d.send("predictions", predictions)
        d.send("ground-truth", truths)
    d.close_time("m", START_MS + hours.stop * HOUR_MS)
    d.until_idle()


def test_a_fall_of_quality_pages_and_asks_for_retraining_until_it_is_answered(
    deploy: Deploy,
) -> None:
    d = deploy(QUALITY)
    d.start()
    owner = "the team that built it"
    d.control("model-registered", "m", version="1", owner=owner)
    register_quality(d)
    play_hours(d, range(2), 0.95)
    assert [a["summary"] for a in d.events("alerts")] == []
    play_hours(d, range(2, 5), 0.6)
    firing = [a for a in d.events("alerts") if a["state"] == "firing"]
    assert [(a["cause"], a["owner"], a["severity"]) for a in firing] == [("quality", owner, "page")]
    (request,) = d.events("retrain-requests")
    assert request["labelled_rows"] >= 50
    assert request["alert_ids"] == [firing[0]["id"]]
    check_offsets(d, request)
    end = START_MS + 5 * HOUR_MS
    for answer in ("started", "accepted", "accepted", "finished", "started"):
        more = {"version": "1", "request_id": request["id"]}
        d.control(f"retraining-{answer}", "m", end, **more)
    play_hours(d, range(5, 6), 0.6)
    requests = d.events("retrain-requests")
    assert len(requests) == 2
    assert len({r["idempotency_key"] for r in requests}) == 2


def check_offsets(d: Deployment, request: Any) -> None:
    """The records that a request names hold the labelled rows it speaks of."""
    found = 0
    for span in request["data"]["offsets"]:
        topic = span["topic"].removeprefix(f"{d.name}.")
        assert topic in ("predictions", "ground-truth")
        for r in d.read(topic):
            if r.partition == span["partition"] and span["first"] <= r.offset <= span["last"]:
                found += topic == "ground-truth"
    assert found >= request["labelled_rows"]


def test_a_model_without_a_reference_works_and_says_so(deploy: Deploy) -> None:
    d = deploy("""
[defaults]
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
minimum_rows = 50
reference_rows = 200
""")
    d.start()
    rng = random.Random(3)
    for hour, mean in enumerate([40, 40, 40, 60]):
        d.send("predictions", ages([rng.gauss(mean, 5) for _ in range(150)], hour, 1_000 * hour))
    d.close_time("m", START_MS + 4 * HOUR_MS)
    d.until(lambda: len(d.evaluations()) == 4)
    d.until_idle()
    assert "no reference is registered" in d.evaluations()[0]["notes"][0]
    rng = random.Random(3)
    for hour in (4, 5):
        d.send("predictions", ages([rng.gauss(60, 5) for _ in range(150)], hour, 1_000 * hour))
    d.close_time("m", START_MS + 6 * HOUR_MS)
    d.until(lambda: len(d.evaluations()) >= 6)
    last = d.evaluations()[-1]
    assert last["reference_id"]
    inputs = [r for r in last["readings"] if r["role"] == "input"]
    assert [(r["subject"], r["verdict"]) for r in inputs] == [("age", "moved")]
