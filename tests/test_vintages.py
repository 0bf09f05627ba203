"""Quality by the time of prediction, beside a count of single predictions."""

import dataclasses

import numpy as np
import pytest

from stream.events import Prediction, Truth
from stream.settings import DAY_S
from stream.vintages import Vintages
from tests import tales
from tests.tales import DAY_MS, START_MS, Event, Way
from tests.test_ages import HOUR_MS, HOURS, PLAIN, days, outcomes, quality, seen, spread


def ms(text: str) -> int:
    return int(np.datetime64(text[:-1], "ms").astype(np.int64))


def test_a_cohort_is_told_of_once_and_with_what_is_known_by_then() -> None:
    told = spread(flip=40)
    made = {e.prediction_id: e.time for e in told.events if isinstance(e, Prediction)}
    came = {e.prediction_id: e for e in told.events if isinstance(e, Truth)}
    found = [
        (ms(e["time"]), cohort)
        for e in quality(tales.play(told, PLAIN, Way(2, 1, 90, restart=True)))
        for cohort in e["labels"]["completed"]
    ]
    starts = [ms(cohort["start"]) for _, cohort in found]
    assert len(starts) in range(4, 7)
    assert starts == sorted(set(starts))
    for end, cohort in found:
        inside = [k for k, at in made.items() if at // DAY_MS * DAY_MS == ms(cohort["start"])]
        known = [came[k].label for k in inside if k in came and came[k].time < end]
        assert ms(cohort["end"]) == ms(cohort["start"]) + DAY_MS
        assert (cohort["predictions"], cohort["labelled"]) == (len(inside), len(known))
        assert len(known) >= 0.9 * len(inside)
        (accuracy,) = [f for f in cohort["figures"] if f["metric"] == "accuracy"]
        assert accuracy["n"] == len(known)
        assert accuracy["value"] == pytest.approx(np.mean([label == "1" for label in known]))
        assert accuracy["low"] < accuracy["value"] < accuracy["high"]
        assert {"recall", "auroc", "calibration_error"} <= {f["metric"] for f in cohort["figures"]}


def test_the_first_truth_of_all_looks_worse_than_any_whole_cohort() -> None:
    events = quality(tales.play(spread(flip=60), PLAIN, Way(chunk=1_000)))
    first = next(r["statistic"] for r in events[0]["readings"] if r["check"] == "accuracy")
    whole = [
        f["value"]
        for e in events
        for cohort in e["labels"]["completed"]
        for f in cohort["figures"]
        if f["metric"] == "accuracy"
    ]
    assert first < 0.6 < min(whole)


def test_several_short_panes_are_one() -> None:
    ages = days({}, s=HOURS)
    vintages = Vintages(ages)
    assert vintages.length_ms == 4 * HOUR_MS
    for hour in range(8):
        ages.name(hour * HOUR_MS, 2)
        page = outcomes((hour * HOUR_MS, 2))
        ages.add(hour * HOUR_MS, page)
        vintages.add(page, ages)
        end = (hour + 1) * HOUR_MS
        told = vintages.complete(end, seen(ages, end, HOURS), "auto")
        assert len(told) == (hour % 4 == 3)
    vintages.add(outcomes((0, 1)), ages)
    assert vintages.complete(end, seen(ages, end, HOURS), "auto") == []


def test_it_is_saved_where_it_changed_and_told_of_no_more() -> None:
    ages = days({0: 2, 1: 2})
    vintages = Vintages(ages)
    vintages.add(outcomes((0, 2), (DAY_MS, 1)), ages)
    ages.add(0, outcomes((0, 2), (DAY_MS, 1)))
    assert len(vintages.complete(2 * DAY_MS, seen(ages, 2 * DAY_MS), "auto")) == 1
    saved = dict(vintages.save())
    assert [*saved] == [0, DAY_MS]
    assert dict(vintages.save()) == {}
    again = Vintages(ages)
    for start, raw in saved.items():
        assert raw is not None
        again.load(start, raw)
    assert again.found == vintages.found
    ages.age(8 * DAY_MS + DAY_MS)
    again.forget(ages)
    assert dict(again.save()) == {0: None}
    with pytest.raises(ValueError, match="damaged vintage"):
        again.load(0, b"\x91")


def test_what_is_not_expected_is_not_kept() -> None:
    s = dataclasses.replace(PLAIN, horizon_s=2 * DAY_S)
    pipeline = tales.play(spread(), s, Way(chunk=1_000))
    kept = [field for field in pipeline.watched.fields if field.startswith("vintage/")]
    assert 2 <= len(kept) <= 5


@pytest.mark.parametrize("restart", [False, True])
def test_a_pause_longer_than_what_is_remembered_makes_no_cohort_empty(restart: bool) -> None:
    """Predictions and truth of four days, and of one much later; half of it never comes."""
    rows = [(day, i) for day in (0, 1, 2, 3, 60) for i in range(60)]
    predictions = [
        Prediction(f"{day}-{i}", "m", "1", START_MS + day * DAY_MS + i, {"x": 1.0}, prediction="1")
        for day, i in rows
    ]
    truths = [Truth(p.prediction_id, "m", p.time + DAY_MS // 2, "1") for p in predictions[::2]]
    made: list[Event] = [*predictions, *truths]
    made.sort(key=lambda e: e.time)
    told = dataclasses.replace(spread(), events=made, end_ms=START_MS + 62 * DAY_MS)
    found = [
        cohort
        for e in quality(tales.play(told, PLAIN, Way(1, 1, 50, restart=restart)))
        for cohort in e["labels"]["completed"]
    ]
    assert [(c["predictions"], c["labelled"]) for c in found[:4]] == [(60, 30)] * 4
