"""Answers: the same before and after they were packed, and how sure the model was of them."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.answers import answers, confidence, scores
from stream.columns import column_of
from stream.names import MAX_WORD_CHARS, TOO_MANY, Names
from tests.ledgers import block_of, prediction

values = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=False), st.sampled_from(["a", "1", "", "1.0"])),
    min_size=1,
)


@given(values)
def test_values_come_out_of_a_column_as_they_went_in(some: list[float | str | None]) -> None:
    assert answers(column_of(some), len(some)) == some


def test_no_column_is_missing_throughout() -> None:
    assert answers(None, 3) == [None, None, None]


def test_minus_zero_is_zero() -> None:
    (found,) = answers(column_of([-0.0]), 1)
    assert math.copysign(1.0, float(found or 0.0)) == 1.0


def test_long_words_and_words_without_room_are_told_as_what_comes_back() -> None:
    names = Names(limit=2)
    found = answers(column_of(["a", "x" * 1000, "b", None, 1.0]), 5, names)
    assert found[0] == "a"
    assert len(str(found[1])) == MAX_WORD_CHARS
    assert found[2:] == [TOO_MANY, None, 1.0]


def test_a_score_is_that_of_the_positive_class() -> None:
    block = block_of(prediction(1, 1, score=0.25), prediction(2, 2, score=float("nan")))
    assert scores(block, "yes") == [(("yes", 0.25),), ()]


def test_probabilities_are_pairs_and_missing_ones_are_left_out() -> None:
    given_ = {"a": 0.25, "b": float("nan")}
    assert scores(block_of(prediction(1, 1, probabilities=given_)), "b") == [(("a", 0.25),)]
    assert scores(block_of(prediction(1, 1)), "b") == [()]


@given(values, st.floats(0, 1), st.sampled_from(["a", "1", "0.5", "x"]))
def test_confidence_of_a_score_belongs_to_the_positive_class_or_the_other(
    some: list[float | str | None], score: float, positive: str
) -> None:
    block = block_of(*(prediction(i, i, v, score=score) for i, v in enumerate(some)))
    names = column_of(some).names()
    found = confidence(block, positive)
    assert found is not None
    assert found.tolist() == [score if name == positive else 1.0 - score for name in names]


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "1", "c"]), st.just(1.0)), min_size=1))
def test_confidence_of_classes_is_that_of_the_answer(some: list[float | str | None]) -> None:
    p = {"a": 0.25, "1": 0.5}
    block = block_of(*(prediction(i, i, v, probabilities=p) for i, v in enumerate(some)))
    found = confidence(block, "1")
    expected = [p.get(name, 0.0) if name else np.nan for name in column_of(some).names()]
    assert found is not None
    np.testing.assert_array_equal(found, expected)


def test_without_scores_there_is_no_confidence() -> None:
    assert confidence(block_of(prediction(1, 1)), "1") is None
