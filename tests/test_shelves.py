"""Shelves hold so many books and no more; truth clocks keep what pages will ask for."""

import pytest

from stream.books import Book
from stream.cohorts import Cohorts
from stream.shelves import Shelf, Truths
from tests.ledgers import PANE_MS, SETTINGS


def shelf(limit: int = 2) -> Shelf:
    return Shelf(lambda _: SETTINGS, limit)


def test_books_are_opened_up_to_the_limit_and_then_none_but_the_known() -> None:
    found = shelf()
    books = [found.book("m", v) for v in "12"]
    assert found.book("m", "3") is None
    assert found.book("m", "1") is books[0]
    assert len(found) == 2
    assert list(found) == found.books_of("m") == books
    assert found.books_of("n") == []


def test_a_model_with_a_book_always_gets_a_truth_clock() -> None:
    found = shelf(limit=1)
    assert found.truths_of("truth alone") is not None
    assert found.truths_of("another") is None
    found.book("m", "1")
    assert found.truths_of("m") is found.truths_of("m") is not None
    assert found.models == ["m", "truth alone"]


def test_offsets_are_kept_for_open_pages_and_for_what_is_not_sealed() -> None:
    truths, book = Truths(), Book("m", "1", SETTINGS)
    for pane in range(4):
        truths.came_from(pane * PANE_MS, ("truths", 0), pane, pane + 5)
    book.quality.until_ms = 2 * PANE_MS
    book.quality.page(0, Cohorts)
    truths.forget([book], 10)
    assert list(truths.sources) == [0, 2 * PANE_MS, 3 * PANE_MS]


def test_offsets_of_truth_without_predictions_are_bounded() -> None:
    truths = Truths()
    for pane in range(10):
        truths.came_from(pane, ("truths", 0), 0, 0)
    truths.forget([], 3)
    assert list(truths.sources) == [7, 8, 9]


def test_a_truth_clock_comes_back() -> None:
    truths = Truths()
    truths.came_from(5, ("truths", 0), 3, 4)
    truths.front.update(0, 7, 8)
    found = Truths.from_bytes(truths.to_bytes())
    assert (found.front, found.sources) == (truths.front, truths.sources)
    assert not found.touched


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x92\x90\x90"])
def test_foreign_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged truth clock"):
        Truths.from_bytes(raw)
