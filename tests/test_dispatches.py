"""Dispatches: bounded messages without holes, the watermarks in the last one."""

import numpy as np

from stream.books import Book
from stream.dispatches import MAX_NAMES, MAX_SIGNAL_ROWS, dispatches
from stream.panes import BEFORE_ALL
from stream.signals import Series, ShareName
from tests.ledgers import SETTINGS


def test_watermarks_and_counts_travel_with_the_last_message() -> None:
    book = Book("m", "1", SETTINGS)
    n = MAX_SIGNAL_ROWS + 1
    book.add_series("error", Series(np.arange(n), np.arange(n, dtype=np.uint64), np.ones(n)))
    book.named = [ShareName("inputs", i, 0, -1, "", 1) for i in range(MAX_NAMES + 1)]
    book.control = [b"{}", b"[]"]
    book.count("late-predictions", 3)
    book.front.floor_ms = 7
    book.front.advance({}, 1, 0)
    found = dispatches(book, 6, 2, 4)
    assert [s.sequence for s in found] == list(range(1, 7))
    assert [s.watermark_ms for s in found] == [BEFORE_ALL] * 5 + [7]
    assert found[-1].label_watermark_ms == 6
    assert found[-1].counts == {"late-predictions": 3}
    assert {(s.partition, s.partitions) for s in found} == {(2, 4)}
    assert [len(s.series["error"]) for s in found if s.series] == [MAX_SIGNAL_ROWS, 1]
    assert [len(s.sealed) for s in found if s.sealed] == [MAX_NAMES, 1]
    assert all(name.partition == 2 for s in found for name in s.sealed)
    assert [s.control for s in found if s.control] == [(b"{}",), (b"[]",)]


def test_what_was_told_is_not_told_again() -> None:
    book = Book("m", "1", SETTINGS)
    book.control = [b"{}"]
    book.count("late-predictions", 3)
    dispatches(book, 6, 0, 1)
    assert not book.news
    (last,) = dispatches(book, 6, 0, 1)
    assert (last.control, last.counts, last.sequence) == ((), {}, 3)


def test_signals_share_a_message_while_there_is_room() -> None:
    book, n = Book("m", "1", SETTINGS), MAX_SIGNAL_ROWS // 2 + 1
    run = Series(np.arange(n), np.arange(n, dtype=np.uint64), np.arange(n) / 2)
    for name in ("y", "x", "z"):
        book.add_series(name, run)
    found = dispatches(book, 6, 0, 1)
    assert [{k: len(v) for k, v in s.series.items()} for s in found] == [
        {"x": n, "y": n - 2},
        {"y": 2, "z": n},
    ]
    told = [s.series["y"].values for s in found]
    assert np.array_equal(np.concatenate(told), run.values)


def test_values_and_watermarks_are_one_message() -> None:
    book = Book("m", "1", SETTINGS)
    book.add_series("x", Series(np.arange(2), np.arange(2, dtype=np.uint64), np.ones(2)))
    book.front.floor_ms = 7
    book.front.advance({}, 1, 0)
    (one,) = dispatches(book, 6, 0, 1)
    assert (len(one.series["x"]), one.watermark_ms) == (2, 7)
