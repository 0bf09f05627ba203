"""Mappings: which columns are features, and what a survey adds up to."""

from hypothesis import given
from hypothesis import strategies as st

from agents.mappings import Clock, Columns, Survey

ALL = Columns(
    id="i", time="t", prediction="p", score="s", probabilities={"a": "pa"}, label="y",
    label_delay="d", categorical=("c",), ignore=("x",),
)  # fmt: skip


def test_delays_and_categories_are_features_and_nothing_else_that_is_named() -> None:
    assert ALL.no_features() == {"i", "t", "p", "s", "pa", "y", "x"}
    assert set(ALL.named()) == {"i", "t", "p", "s", "pa", "y", "x", "d", "c"}
    assert ALL.named()["pa"] == "--probabilities"


def test_what_is_ignored_is_no_feature_whatever_else_it_is() -> None:
    assert "d" in Columns(label_delay="d", ignore=("d",)).no_features()


def test_columns_that_hold_times() -> None:
    assert Columns(time="t", label_time="u").times == {"t", "u"}
    assert Columns().times == set()


def test_rows_without_a_time_come_at_even_steps() -> None:
    clock = Clock(start_ms=1_000, every_ms=0.5)
    assert [clock.at(row) for row in (0, 2, 4)] == [1_000, 1_001, 1_002]


@given(st.lists(st.tuples(st.integers(0, 99), st.none() | st.integers(0, 199)), min_size=1))
def test_a_survey_adds_up(rows: list[tuple[int, int | None]]) -> None:
    survey = Survey()
    for time_ms, label_ms in rows:
        survey.add(time_ms, label_ms)
    times = [time_ms for time_ms, _ in rows]
    known = [(time_ms, label_ms) for time_ms, label_ms in rows if label_ms is not None]
    assert (survey.rows, survey.truths) == (len(rows), len(known))
    assert (survey.first_ms, survey.last_ms) == (min(times), max(times))
    assert survey.in_order == (times == sorted(times))
    assert survey.last_truth_ms == max((label_ms for _, label_ms in known), default=0)
    assert survey.longest_delay_ms == max([0, *(b - a for a, b in known)])
