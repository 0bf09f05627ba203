"""What is judged no more lets its alert go, and is no reason to retrain."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.columns import column_of
from stream.estimates import ESTIMATED
from stream.events import FeatureValue, Prediction, Reading, Segment, Truth
from stream.notices import DROPPED
from stream.objectives import Objective
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.retirements import retired
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import DAILY, DAY_MS, START_MS

ROWS = 200
WISH = dataclasses.replace(
    DAILY,
    objectives={"recall": 0.7},
    complete_coverage=0.0,
    watch_labels=False,
    retrain_cooldown_s=DAY_S,
    retrain_minimum_labels=50,
)
PLAIN = dataclasses.replace(WISH, objectives={})
REFERENCE = Reference.build(
    "m",
    "1",
    {"x": column_of([1.0, 2.0] * 500)},
    prediction=column_of(["0", "1"] * 500),
    quality={"accuracy": 0.8, "recall": 0.8},
    task="classification",
)


def day(pipeline: Pipeline, number: int, found: float) -> None:
    """A day with as many positives as negatives, of which so many are found; four in five right."""
    rng = np.random.default_rng(number)
    hits = np.arange(ROWS // 2) < round(ROWS // 2 * found)
    quiet = np.arange(ROWS // 2) < round(ROWS // 2 * (1.6 - found))
    rows = [("1", "1" if hit else "0") for hit in hits.tolist()]
    rows += [("0", "0" if ok else "1") for ok in quiet.tolist()]
    predictions, truths = [], []
    for i, place in enumerate(rng.permutation(ROWS).tolist()):
        (label, said), key = rows[place], f"{number}-{i}"
        time_ms, offset = START_MS + number * DAY_MS + i, number * ROWS + i
        features: dict[str, FeatureValue] = {"x": float(1 + i % 2)}
        predictions.append(
            (offset, time_ms, Prediction(key, "m", "1", time_ms, features, prediction=said))
        )
        truths.append((offset, time_ms, Truth(key, "m", time_ms, label)))
    pipeline.rows("predictions", 0, predictions, predictions[-1][1])
    pipeline.rows("ground-truth", 0, truths, truths[-1][1])
    pipeline.checkpoint()


def answer_all(pipeline: Pipeline, seen: set[str]) -> None:
    """A retraining system that is always done at once."""
    for request in tales.events(pipeline, "retrain-requests"):
        if request["id"] not in seen:
            seen.add(request["id"])
            about = {"model": "m", "version": "1", "request_id": request["id"]}
            pipeline.control({"type": "retraining-finished", "time": request["time"]} | about)


def played(after: ModelSettings, *, restart: bool) -> Pipeline:
    """Three bad days; then other settings, and days that are no better."""
    wish, seen = [WISH], set[str]()
    pipeline = Pipeline(lambda _: wish[0])
    for part in REFERENCE.to_parts(600_000, time=START_MS):
        pipeline.control(part)
    pipeline.checkpoint()
    for number in range(9):
        if number == 4:
            wish[0] = after
        if restart or number == 4:
            pipeline.restart()
        day(pipeline, number, 0.6)
        answer_all(pipeline, seen)
        pipeline.checkpoint()
    return pipeline


def alerts(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [e for e in tales.events(pipeline, "alerts") if e["cause"] == "quality"]


def times(pipeline: Pipeline) -> list[int]:
    """Days of requests."""
    return [int(e["time"][8:10]) for e in tales.events(pipeline, "retrain-requests")]


@pytest.mark.parametrize("restart", [False, True])
def test_an_objective_that_is_taken_back_lets_its_alert_go(restart: bool) -> None:
    pipeline = played(PLAIN, restart=restart)
    fired, over = alerts(pipeline)
    assert "recall 0.800 -> 0.600" in fired["summary"]
    assert over["summary"] == "m 1: resolved: recall: not judged any more"
    assert (over["meaning"], over["action"]) == DROPPED
    (monitor,) = pipeline.watch.monitors.values()
    assert "quality:recall" not in monitor.memory.alerts
    assert max(times(pipeline)) < int(over["time"][8:10])


def test_one_that_stands_goes_on() -> None:
    pipeline = played(WISH, restart=False)
    assert [e["state"] for e in alerts(pipeline)] == ["firing"]
    assert len(times(pipeline)) > len(times(played(PLAIN, restart=False)))


SITE = Segment(name="site", value="Lyon")
GAP_SETTINGS = dataclasses.replace(
    WISH,
    segments=("sex",),
    protected=("sex",),
    objectives={"selection_rate_difference": Objective(0.1, DAY_S)},
)


def reading(check: str, subject: str = "", segment: Segment | None = None) -> Reading:
    found = Reading(
        check=check, subject=subject or check, role="quality", n=1, verdict="moved", reason=""
    )
    return msgspec.structs.replace(found, segment=segment) if segment else found


@pytest.mark.parametrize(
    ("one", "settings", "gone"),
    [
        (reading("accuracy"), PLAIN, False),  # judged without an objective
        (reading("recall"), WISH, False),
        (reading("recall"), PLAIN, True),
        (reading("accuracy", segment=SITE), PLAIN, True),  # the reference has no such segment
        (reading(ESTIMATED), PLAIN, True),  # nor does it know what scores meant
        (reading("selection_rate_difference", "selection_rate_difference by sex"), PLAIN, True),
        (
            reading("selection_rate_difference", "selection_rate_difference by sex"),
            GAP_SETTINGS,
            False,
        ),
        (
            reading("selection_rate_difference", "selection_rate_difference by age"),
            GAP_SETTINGS,
            True,
        ),
        (reading("retraining"), PLAIN, False),  # ends by itself
    ],
)
def test_what_is_judged_no_more_is_retired(
    one: Reading, settings: ModelSettings, gone: bool
) -> None:
    assert retired(one, REFERENCE, settings, DAY_S) == gone


def test_a_window_that_an_objective_does_not_name_has_none() -> None:
    settings = dataclasses.replace(
        WISH, windows_s=(DAY_S, 7 * DAY_S), objectives={"recall": Objective(0.7, 7 * DAY_S)}
    )
    found = [retired(reading("recall"), REFERENCE, settings, s) for s in settings.windows_s]
    assert found == [True, False]
