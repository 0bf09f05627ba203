"""Names keep their numbers over restarts, and are bounded in number and length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.names import FULL, MAX_WORD_CHARS, PIECE, TOO_MANY, Names, short


@given(st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=5))
def test_words_keep_their_numbers_over_restarts(batches: list[list[str]]) -> None:
    names, pieces, numbers = Names(), dict[int, bytes](), dict[str, int]()
    for words in batches:
        for word in words:
            assert names.number(word) == numbers.setdefault(word, len(numbers))
        pieces |= dict(names.grown())
        names = Names.load(pieces)
    assert [names.word(n) for n in range(len(names))] == list(numbers)


def test_only_pieces_that_grew_are_saved() -> None:
    names = Names([str(i) for i in range(PIECE + 5)])
    assert not list(names.grown())
    names.number("new")
    assert [piece for piece, _ in names.grown()] == [1]
    assert not list(names.grown())


def test_past_the_limit_all_new_words_share_one_number() -> None:
    names = Names(limit=2)
    assert [names.number(w) for w in "abcda"] == [0, 1, FULL, FULL, 0]
    assert names.word(FULL) == names.canonical("z") == TOO_MANY


def test_a_number_that_nothing_has_is_an_error() -> None:
    with pytest.raises(ValueError, match="no name has the number 1"):
        Names(["a"]).word(1)


def test_a_long_word_is_cut_and_still_told_apart() -> None:
    one, other = short("x" * 1000 + "1"), short("x" * 1000 + "2")
    assert len(one) == MAX_WORD_CHARS
    assert one != other
    assert short("x" * MAX_WORD_CHARS) == "x" * MAX_WORD_CHARS


@pytest.mark.parametrize(
    "pieces", [{1: b"\x90"}, {0: b"\xc1"}, {0: b"\x91\x01"}, {0: b"\x90", 1: b"\x90"}]
)
def test_damaged_or_missing_pieces_are_errors(pieces: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match="names"):
        Names.load(pieces)
