"""The join: what is known of an id is a function of what came, not of its order."""

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.joins import MAX_ITEMS, MAX_LABELS, Entry, Forecast, Label, Step

MODEL, ONE, OTHER = 0, 1, 2
HORIZON_MS = 100
FORECAST = Forecast(ONE, 50, 1.0)

labels = st.builds(
    Label,
    st.sampled_from([MODEL, ONE, OTHER]),
    st.integers(0, 250),
    st.sampled_from([None, 0.0, 1.0, "0", "a"]),
    st.integers(0, 3),
    st.booleans(),
)


def entry_of(some: list[Label]) -> Entry:
    entry = Entry()
    for label in some:
        entry.add_label(label)
    return entry


def final(steps: tuple[Step, ...]) -> dict[Label, int]:
    """How often each label counts once all steps are booked."""
    found: dict[Label, int] = {}
    for step in steps:
        found[step.outcome.label] = found.get(step.outcome.label, 0) + step.sign
    return {label: n for label, n in found.items() if n}


@given(st.lists(labels, max_size=8), st.randoms())
def test_the_highest_label_within_the_horizon_holds(some: list[Label], random: Random) -> None:
    steps = entry_of(some).steps(FORECAST, MODEL, HORIZON_MS)
    fitting = [
        x
        for x in some
        if x.subject in (MODEL, ONE) and abs(x.time_ms - FORECAST.time_ms) <= HORIZON_MS
    ]
    best = max(fitting, key=Label.rank, default=None)
    expected = best if best and not best.retracted and best.answer is not None else None
    assert [x.rank() for x in final(steps)] == ([expected.rank()] if expected else [])


@given(st.lists(labels, max_size=30), st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(some: list[Label], random: Random) -> None:
    shuffled = some + some[: len(some) // 2]
    random.shuffle(shuffled)
    one, other = entry_of(some), entry_of(shuffled)
    assert one.labels == other.labels
    assert one.steps(FORECAST, MODEL, HORIZON_MS) == other.steps(FORECAST, MODEL, HORIZON_MS)


def test_only_the_highest_labels_of_a_subject_are_kept() -> None:
    some = [Label(ONE, t, 1.0) for t in range(MAX_LABELS + 3)]
    for order in (some, some[::-1]):
        kept = entry_of(order).labels
        assert [x.time_ms for x in kept] == list(range(3, MAX_LABELS + 3))
    assert not entry_of(some).add_label(some[0])


def test_labels_of_other_versions_leave_room() -> None:
    entry = entry_of([Label(OTHER, t, 1.0, revision=9) for t in range(20)])
    assert entry.add_label(Label(ONE, 1, 0.0))


def test_labels_of_one_id_are_bounded() -> None:
    some = [Label(subject, 5, 1.0) for subject in range(MAX_ITEMS + 10)]
    for order in (some, some[::-1]):
        assert [x.subject for x in entry_of(order).labels] == list(range(10, MAX_ITEMS + 10))


@pytest.mark.parametrize(("time_ms", "met"), [(-51, 0), (-50, 1), (150, 1), (151, 0)])
def test_truth_and_prediction_meet_within_the_horizon(time_ms: int, met: int) -> None:
    steps = entry_of([Label(ONE, time_ms, 1.0)]).steps(FORECAST, MODEL, HORIZON_MS)
    assert len(steps) == met


def test_a_revision_takes_the_old_outcome_back_when_it_was_stated() -> None:
    first, second = Label(MODEL, 60, 0.0), Label(MODEL, 90, 1.0, revision=1)
    for order in itertools.permutations([first, second]):
        steps = entry_of(list(order)).steps(FORECAST, MODEL, HORIZON_MS)
        told = [(s.time_ms, s.sign, s.outcome.label) for s in steps]
        assert told == [(60, 1, first), (90, -1, first), (90, 1, second)]


def test_what_was_stated_before_the_prediction_is_booked_with_it() -> None:
    (step,) = entry_of([Label(MODEL, 10, 1.0)]).steps(FORECAST, MODEL, HORIZON_MS)
    assert step.time_ms == FORECAST.time_ms


def test_a_retraction_of_the_same_time_and_revision_holds() -> None:
    entry = entry_of([Label(MODEL, 60, 1.0, retracted=True), Label(MODEL, 60, 1.0)])
    assert not final(entry.steps(FORECAST, MODEL, HORIZON_MS))
