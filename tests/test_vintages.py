"""Quality by the time of prediction, beside a count of single predictions."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.events import Prediction, Truth
from stream.settings import DAY_S, ModelSettings
from stream.vintages import Vintages
from tests import tales
from tests.tales import DAY_MS, START_MS, Event, Tale, Way
from tests.test_ages import HOUR_MS, HOURS, PLAIN, days, outcomes, quality, seen, spread

PLAINLY = Way(chunk=1_000)


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


def accuracies(told: Tale, s: ModelSettings, way: Way = PLAINLY) -> list[tuple[int, Any]]:
    """Days on which a cohort was told of again, with what was told."""
    return [
        ((ms(e["time"]) - START_MS) // DAY_MS, cohort)
        for e in quality(tales.play(told, s, way))
        for cohort in e["labels"].get("corrected", [])
    ]


def corrections(days_of: int = 30) -> Tale:
    """A prediction in four of each day turns out otherwise, twelve days later; labels every day."""
    told = spread(days_of=days_of, delays=0)
    made = {e.prediction_id: e for e in told.events if isinstance(e, Prediction)}
    first = [e for e in told.events if isinstance(e, Truth)]
    later = [
        msgspec.structs.replace(
            e, time=made[e.prediction_id].time + 12 * DAY_MS, label="0", revision=1
        )
        for e in first[::4]
    ]
    events: list[Event] = [*made.values(), *first, *later]
    events.sort(key=lambda e: e.time)
    return dataclasses.replace(told, events=[e for e in events if e.time < told.end_ms])


LONG = dataclasses.replace(PLAIN, horizon_s=20 * DAY_S)


@pytest.mark.parametrize("way", [PLAINLY, Way(2, 3, 90, seed=4, restart=True)])
def test_a_correction_is_told_of_when_the_cohort_is_twice_as_old(way: Way) -> None:
    found = accuracies(corrections(), LONG, way)
    of_first = [(day, c) for day, c in found if ms(c["start"]) == START_MS]
    assert [(day, c["final"]) for day, c in of_first] == [(13, False)]
    ((_, told),) = of_first
    (accuracy,) = [f for f in told["figures"] if f["metric"] == "accuracy"]
    assert accuracy["n"] == told["labelled"] == told["predictions"] == 60
    assert accuracy["high"] < 1.0


def test_more_of_the_truth_is_told_of_before_it_counts_no_more() -> None:
    """Complete by half of it at once; the other half takes nineteen of twenty days."""
    told = corrections(45)
    slow = [
        msgspec.structs.replace(e, time=e.time + 19 * DAY_MS)
        if isinstance(e, Truth) and int(e.prediction_id[1:]) % 2
        else e
        for e in told.events
        if isinstance(e, Prediction) or e.revision == 0
    ]
    slow.sort(key=lambda e: e.time)
    s = dataclasses.replace(LONG, complete_coverage=0.5)
    events = [e for e in slow if e.time < told.end_ms]
    found = accuracies(dataclasses.replace(told, events=events), s)
    of_first = [(day, c["labelled"]) for day, c in found if ms(c["start"]) == START_MS]
    assert of_first[-1] == (20, 60)
    assert len(of_first) <= 5  # not with every label


def test_what_counts_no_more_is_kept_no_more() -> None:
    pipeline = tales.play(corrections(), LONG, PLAINLY)
    kept = [field for field in pipeline.watched.fields if field.startswith("later/")]
    assert len(kept) in range(20, 23)
    (monitor,) = pipeline.watch.monitors.values()
    vintages = monitor.memory.vintages
    assert vintages is not None
    pipeline.restart()
    (monitor,) = pipeline.watch.monitors.values()
    assert monitor.memory.vintages is not None
    assert monitor.memory.vintages.later == vintages.later


def test_what_an_earlier_release_did_not_go_on_with_is_dropped() -> None:
    pipeline = tales.play(corrections(), LONG, PLAINLY)
    (name,) = [field for field in pipeline.watched.fields if field.startswith("monitor/")]
    state = msgspec.msgpack.decode(pipeline.watched.fields[name])
    assert state.pop("later") is True
    pipeline.watched.fields[name] = msgspec.msgpack.encode(state)
    pipeline.restart()
    (monitor,) = pipeline.watch.monitors.values()
    assert monitor.memory.vintages is not None
    assert monitor.memory.vintages.later == {}
    pipeline.checkpoint()
    assert not [field for field in pipeline.watched.fields if field.startswith("later/")]


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
