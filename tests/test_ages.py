"""How old predictions are when their truth comes, beside a count of single ones."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.ages import FINE, MOST, Ages, Census
from stream.cohorts import Cohorts
from stream.events import Prediction, Truth
from stream.pipeline import Pipeline
from stream.settings import DAY_S, ModelSettings
from stream.tallies import Tally
from tests import tales
from tests.tales import DAY_MS, START_MS, Published, Tale, Way

PLAIN = dataclasses.replace(tales.SETTINGS, detectors=(), windows_s=(DAY_S,), horizon_s=6 * DAY_S)
HOURS = dataclasses.replace(
    PLAIN, pane_s=3_600, windows_s=(3_600,), horizon_s=300 * 3_600, panes_kept=1_000
)
HOUR_MS = 3_600_000

# by itself


def outcomes(*cells: tuple[int, int], earlier: Iterable[tuple[int, int, int]] = ()) -> Cohorts:
    """cells: pane and outcomes; earlier: pane first known in, pane, outcomes."""
    found = Cohorts()
    for pane, n in cells:
        found.cell(pane).merge(Tally(n=n))
    for first, pane, n in earlier:
        found.correction(first, pane).merge(Tally(n=n))
    return found


def days(rows: dict[int, int], *, s: ModelSettings = PLAIN) -> Ages:
    ages = Ages(s)
    for day, n in rows.items():
        ages.name(day * DAY_MS, n)
    return ages


def seen(ages: Ages, end: int, s: ModelSettings = PLAIN) -> Census:
    ages.age(end)
    return ages.census(end, s)


def test_what_is_not_old_enough_is_no_sign_that_nothing_comes() -> None:
    ages = days({0: 10, 1: 10, 2: 1_000})
    ages.add(0, outcomes((0, 2)))
    ages.add(DAY_MS, outcomes((0, 4), (DAY_MS, 2)))
    ages.add(2 * DAY_MS, outcomes((DAY_MS, 4), (2 * DAY_MS, 200)))
    found = seen(ages, 3 * DAY_MS)
    assert found.delays.left.tolist() == pytest.approx([0.8, 0.8 * 0.5, 0.4])
    assert found.delays.quantile(0.5) == 2
    assert found.delays.quantile(0.9) is None
    assert found.labelled.tolist() == [6, 6, 200]
    assert not found.complete.any()


def test_a_cohort_is_complete_by_coverage_by_age_or_when_no_more_comes() -> None:
    ages = days({0: 10, 1: 10, 2: 10, 3: 10, 4: 10})
    ages.add(2 * DAY_MS, outcomes((0, 1), (DAY_MS, 9), (2 * DAY_MS, 3)))
    ages.add(3 * DAY_MS, outcomes((0, 2), (2 * DAY_MS, 1)))
    found = seen(ages, 5 * DAY_MS)
    assert found.complete.tolist() == [False, True, False, False, False]
    quick = days({0: 10, 1: 10})
    quick.add(0, outcomes((0, 3)))
    assert not seen(quick, DAY_MS).complete.any()
    assert seen(quick, 2 * DAY_MS).complete.tolist() == [True, False]
    none = days({0: 10, 1: 10})
    assert not seen(none, 6 * DAY_MS).complete.any()
    assert seen(none, 7 * DAY_MS).complete.tolist() == [True, False]
    soon = dataclasses.replace(PLAIN, complete_age_s=DAY_S)
    assert seen(days({0: 10, 1: 10}, s=soon), 2 * DAY_MS, soon).complete.tolist() == [True, False]
    always = dataclasses.replace(PLAIN, complete_coverage=0)
    assert seen(days({0: 10}, s=always), DAY_MS, always).complete.all()


def test_what_is_taken_back_is_taken_back_where_it_was_counted() -> None:
    ages = days({0: 10})
    ages.add(0, outcomes((0, 6)))
    ages.add(2 * DAY_MS, outcomes((0, 1), earlier=[(0, 0, -2)]))
    assert ages.cohorts[0].came.tolist()[:4] == [4, 0, 1, 0]


def test_a_sample_counts_for_all_that_it_stands_for() -> None:
    ages = days({0: 80})
    page = Cohorts()
    page.sample(3).cell(0).merge(Tally(n=5))
    ages.add(0, page)
    assert seen(ages, DAY_MS).labelled.tolist() == [40]


CELLS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 310)), max_size=300)


@settings(max_examples=30, deadline=None)
@given(CELLS, st.sets(st.integers(1, 400), max_size=5))
def test_old_cohorts_are_put_together_and_nothing_is_lost(
    cells: list[tuple[int, int]], stops: set[int]
) -> None:
    """cells: hours of predictions, and of their delays. stops: when it is saved and loaded."""
    ages = Ages(HOURS)
    known = [(made, made + delay) for made, delay in cells if delay <= 300 and made + delay < 400]
    for made in range(400):
        ages.name(made * HOUR_MS, 3 + sum(m == made for m, _ in known))
    for hour in range(400):
        of_hour = [(m * HOUR_MS, 1) for m, at in known if at == hour]
        ages.add(hour * HOUR_MS, outcomes(*of_hour))
        ages.age((hour + 1) * HOUR_MS)
        if hour - 200 > 0:
            ages.forget_name((hour - 200) * HOUR_MS)
        if hour in stops:
            rows, ages = ages.rows, loaded(ages)
            ages.rows = rows
    found = ages.census(400 * HOUR_MS, HOURS)
    oldest = found.starts[0] // HOUR_MS
    assert oldest in range(400 - 302 - 4, 400 - 302 + 1)
    inside = [(m, at) for m, at in known if m >= oldest]
    assert found.made.sum() == 3 * (400 - oldest) + len(inside)
    assert found.labelled.sum() == len(inside)
    assert len(found.starts) <= MOST + FINE + 5
    firsts = np.array([m for m, _ in inside], dtype=np.int64) * HOUR_MS
    by_start = np.bincount(
        np.searchsorted(found.starts, firsts, side="right") - 1, minlength=len(found.starts)
    )
    assert found.labelled.tolist() == by_start.tolist()


def loaded(ages: Ages) -> Ages:
    found = Ages(HOURS)
    assert found.load(ages.to_bytes())
    assert found.to_bytes() == ages.to_bytes()
    return found


def test_damage_and_another_horizon_are_seen() -> None:
    ages = Ages(HOURS)
    assert not Ages(dataclasses.replace(HOURS, horizon_s=3_000 * 3_600)).load(ages.to_bytes())
    with pytest.raises(ValueError, match="damaged ages"):
        ages.load(b"\x91")


# in the pipeline


def spread(share: float = 1.0, days_of: int = 9, delays: int = 4, flip: int = 0) -> Tale:
    """A plain story whose truth takes up to some days, for a share of it that comes at all.

    flip: the truth that takes no whole day is wrong so often, in a hundred.
    """
    told = tales.tale(days=days_of, rows=60, delay_ms=0)
    rng = np.random.default_rng(3)
    events: list[Prediction | Truth] = []
    for event in told.events:
        if isinstance(event, Prediction):
            events.append(msgspec.structs.replace(event, prediction="1", score=0.8))
        elif rng.random() < share:
            delay_ms = int(rng.random() * delays * DAY_MS)
            wrong = rng.random() < (flip / 100 if delay_ms < DAY_MS else 0.05)
            later = event.time + delay_ms
            events.append(msgspec.structs.replace(event, time=later, label=str(int(not wrong))))
    events = sorted((e for e in events if e.time < told.end_ms), key=lambda e: e.time)
    reference = dataclasses.replace(told.reference, quality={"accuracy": 0.95})
    return Tale(reference, events, told.end_ms)


def quality(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "quality"]


@functools.cache
def expected() -> Published:
    played = tales.play(spread(0.7), PLAIN, Way())
    return tales.without_offsets(tales.published(played))


@settings(max_examples=5, deadline=None)
@given(
    st.builds(
        Way,
        st.sampled_from((1, 3)),
        st.sampled_from((1, 2)),
        st.sampled_from((17, 200)),
        st.integers(0, 99),
        st.booleans(),
    )
)
def test_what_is_said_of_labels_is_the_same_however_it_is_played(way: Way) -> None:
    found = tales.published(tales.play(spread(0.7), PLAIN, way))
    assert tales.without_offsets(found) == expected()


def test_the_figures_are_those_of_a_count() -> None:
    told = spread(0.7)
    made = {e.prediction_id: e.time for e in told.events if isinstance(e, Prediction)}
    came = {e.prediction_id: e.time for e in told.events if isinstance(e, Truth)}
    for found in quality(tales.play(told, PLAIN, Way())):
        end = int(np.datetime64(found["time"][:-1], "ms").astype(np.int64))
        day = {key: time // DAY_MS for key, time in made.items() if time < end}
        known = {key: time // DAY_MS for key, time in came.items() if time < end}
        window = {day[key] for key, at in known.items() if at == end // DAY_MS - 1}
        of_window = [key for key, at in day.items() if at in window]
        labels = found["labels"]
        assert labels["predictions"] == len(of_window)
        assert labels["labelled"] == sum(key in known for key in of_window)
        ages = {key: end // DAY_MS - at for key, at in day.items()}
        watched = [
            (known[key] - at + 1, True) if key in known else (ages[key], False)
            for key, at in day.items()
            if ages[key] <= 8
        ]
        for point in labels["coverage_by_age"]:
            age = point["age_seconds"] // DAY_S
            left = 1.0
            for a in range(1, age + 1):
                risk = sum(w >= a for w, _ in watched)
                left *= 1 - sum(w == a and c for w, c in watched) / risk
            assert point["share"] == pytest.approx(1 - left, abs=1e-6)
            assert point["predictions"] == sum(w >= age for w, _ in watched)


def test_quick_truth_that_is_worse_is_no_fall_of_quality() -> None:
    told = spread(flip=45, delays=5)
    found = quality(tales.play(told, PLAIN, Way()))
    first = [e for e in found if e["labels"]["provisional"]]
    assert first[0] is found[0]
    assert len(first) in range(3, 7)
    for e in first:
        (accuracy,) = [r for r in e["readings"] if r["check"] == "accuracy"]
        assert accuracy["verdict"] == "not-enough-data"
        assert accuracy["details"]["provisional"] == 1
        assert any(note.startswith("provisional: ") for note in e["notes"])
        assert e["verdict"]["quality"] is None
    assert found[-1]["labels"]["provisional"] is False
    assert not any("provisional" in r["details"] for r in found[-1]["readings"])


@pytest.mark.parametrize(
    ("judge", "retrain", "out"),
    [(False, False, (0, 0)), (True, False, (1, 0)), (True, True, (1, 1))],
)
def test_what_provisional_figures_may_do(judge: bool, retrain: bool, out: tuple[int, int]) -> None:
    told = spread(flip=60, delays=5, days_of=4)
    s = dataclasses.replace(PLAIN, judge_provisional=judge, retrain_on_provisional=retrain)
    pipeline = tales.play(told, s, Way(chunk=1_000))
    assert all(e["labels"]["provisional"] for e in quality(pipeline))
    pages = [e for e in tales.events(pipeline, "alerts") if e["severity"] == "page"]
    requests = tales.events(pipeline, "retrain-requests")
    assert (min(1, len(pages)), len(requests)) == out
    assert all("provisional: " in e["summary"] for e in pages)
    assert all("provisional: " in e["reason"] for e in requests)


def test_a_share_of_truth_that_comes_at_once_is_soon_enough() -> None:
    found = quality(tales.play(spread(0.3, delays=0), PLAIN, Way()))
    assert [e["labels"]["provisional"] for e in found] == [True, True] + [False] * 7
    assert found[-1]["labels"]["delay_median_seconds"] is None


def test_a_model_that_expects_no_truth_has_none() -> None:
    s = dataclasses.replace(PLAIN, expects_truth=False)
    pipeline = tales.play(tales.tale(days=3), s, Way())
    assert {e["labels"] for e in tales.events(pipeline, "evaluations")} == {None}
    assert not [field for field in pipeline.watched.fields if field.startswith("ages/")]


def test_after_an_earlier_release_it_begins_anew() -> None:
    """An earlier release writes its state without a word of ages, and leaves theirs as they are."""
    told = spread(0.7)
    half = START_MS + 5 * DAY_MS
    parts = [list(g) for _, g in itertools.groupby(told.events, lambda e: e.time < half)]
    pipeline = Pipeline(lambda _: PLAIN)
    for part in told.reference.to_parts(600_000, time=START_MS):
        pipeline.control(part)
    done = {"predictions": 0, "ground-truth": 0}
    for number, events in enumerate(parts):
        for topic, kind in (("predictions", Prediction), ("ground-truth", Truth)):
            rows = [
                (done[topic] + i, e.time, e)
                for i, e in enumerate(e for e in events if isinstance(e, kind))
            ]
            done[topic] += len(rows)
            pipeline.rows(topic, 0, rows, rows[-1][1])
        pipeline.checkpoint()
        if not number:
            state = msgspec.msgpack.decode(pipeline.watched.fields["monitor/m/1"])
            assert state.pop("ages") is True
            pipeline.watched.fields["monitor/m/1"] = msgspec.msgpack.encode(state)
            pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": told.end_ms})
    pipeline.checkpoint()
    last = quality(pipeline)[-1]
    assert last["labels"]["cohorts_complete"] + last["labels"]["cohorts_provisional"] == 5
    assert last["labels"]["provisional"] is False
