"""stream.outcomes: columns and rows say the same of what was right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.columns import column_of, name_of_number
from stream.outcomes import Answer, Outcomes, Scores, outcomes, outcomes_of_rows

answers = (
    st.none() | st.sampled_from(["0", "1", "a", "b", "true"]) | st.sampled_from([0.0, 1.0, 2.5])
)
shares = st.floats(0, 1)
scores = st.one_of(
    st.just(()),
    st.tuples(st.tuples(st.just("1"), shares)),
    st.tuples(st.tuples(st.just("a"), shares), st.tuples(st.just("b"), shares)),
    st.tuples(*(st.tuples(st.just(c), shares) for c in ("0", "1", "a"))),
)


def name(answer: Answer) -> str | None:
    return name_of_number(answer) if isinstance(answer, float) else answer


def given_to(what: str | None, scores: Scores) -> float:
    table = dict(scores)
    if what is None or not table:
        return math.nan
    if len(table) == 1 and what not in table:
        return 1 - next(iter(table.values()))
    return table.get(what, 0.0)


def brier(label: str | None, scores: Scores) -> float:
    if label is None or not scores:
        return math.nan
    if len(scores) == 1:
        return (1 - given_to(label, scores)) ** 2
    total = sum((p - (c == label)) ** 2 for c, p in scores) + (label not in dict(scores))
    return total / 2 if len(scores) == 2 else total


@given(st.lists(st.tuples(answers, answers, scores), min_size=1, max_size=30))
def test_rows_and_columns_equal_the_plain_definition(
    rows: list[tuple[Answer, Answer, Scores]],
) -> None:
    labels, answers_, given_to_each = ([r[i] for r in rows] for i in range(3))
    found = outcomes_of_rows(labels, answers_, given_to_each)  # type: ignore[arg-type]
    for i, (label, answer, given_) in enumerate(rows):
        a, b = name(label), name(answer)
        assert found.hit is not None
        assert found.error is not None
        assert str(found.hit[i]) == str(math.nan if a is None or b is None else float(a == b))
        if isinstance(label, float) and isinstance(answer, float):
            assert found.error[i] == answer - label
        else:
            assert math.isnan(found.error[i])
        if found.probability is None or found.brier is None or found.confidence is None:
            assert not any(s for *_, s in rows)
            continue
        np.testing.assert_equal(found.probability[i], given_to(a, given_))
        np.testing.assert_equal(found.confidence[i], given_to(b, given_))
        np.testing.assert_allclose(found.brier[i], brier(a, given_), rtol=1e-12, equal_nan=True)


def test_an_empty_list_of_rows_is_no_outcome() -> None:
    found = outcomes_of_rows([], [], [])
    assert len(found) == 0
    assert len(found.missed) == 0


def test_the_task_says_what_is_worked_out() -> None:
    label, answer = column_of([1.0, 0.5]), column_of([1.0, 2.0])
    regression = outcomes(label, answer, task="regression")
    assert regression.hit is None
    assert regression.missed.tolist() == [0.0, 1.5]
    classes = outcomes(label, answer, task="classification")
    assert classes.error is None
    assert classes.missed.tolist() == [0.0, 1.0]
    assert np.isnan(Outcomes(np.ones(2, dtype=np.int64)).missed).all()


def test_a_label_that_is_no_class_is_counted() -> None:
    matrix = np.array([[0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]])
    found = outcomes(column_of(["c", "a", "c"]), column_of(["b", "b", "b"]), (("a", "b"), matrix))
    assert found.unclassed is not None
    assert found.unclassed.tolist() == [1, 0, 0]
    assert found.probability is not None
    assert found.probability[0] == 0.0


@pytest.mark.parametrize("p", [-0.5, 1.5])
def test_probabilities_outside_their_range_are_cut(p: float) -> None:
    found = outcomes(column_of(["1"]), column_of(["1"]), (("1",), np.array([[p]])))
    assert found.probability is not None
    assert found.probability.tolist() == [min(max(p, 0.0), 1.0)]
