"""Seals: panes close in event time, those of quality by the slower of predictions and truth."""

import dataclasses

import pytest

from stream.changes import Changes
from stream.cohorts import Cohorts
from stream.panes import BEFORE_ALL
from stream.seals import advance, open_field
from stream.shelves import Shelf
from tests.ledgers import PANE_MS, SETTINGS, block_of, prediction

SOURCE = ("predictions", 0)
PROGRESS = {"predictions": {0: 0}, "truths": {0: 0}}


def shelf_at(time_ms: int, label_ms: int) -> Shelf:
    shelf = Shelf(lambda _: SETTINGS)
    book, truths = shelf.book("m", "1"), shelf.truths_of("m")
    assert book is not None
    assert truths is not None
    book.add_rows(0, block_of(prediction(1, 1)), SOURCE)
    book.quality.page(0, Cohorts)
    truths.came_from(0, ("truths", 0), 3, 4)
    for front, at in ((book.front, time_ms), (truths.front, label_ms)):
        front.topic = "predictions"
        front.update(0, at, 0)
    book.news = False
    return shelf


def sealed(shelf: Shelf) -> Changes:
    changes = Changes()
    advance(shelf, PROGRESS, changes, ["m", "unknown"])
    return changes


def test_inputs_are_sealed_by_predictions_alone() -> None:
    shelf = shelf_at(PANE_MS, BEFORE_ALL)
    changes = sealed(shelf)
    (book,) = shelf
    assert set(changes.puts) == {"inputs/m/1/0/0"}
    assert changes.deletes == {open_field("inputs", book, 0)}


def test_quality_is_sealed_by_the_slower_of_both() -> None:
    for times in ((PANE_MS, PANE_MS - 1), (PANE_MS - 1, PANE_MS)):
        assert "quality/m/1/0/0" not in sealed(shelf_at(*times)).puts
    raw = sealed(shelf_at(PANE_MS, PANE_MS)).puts["quality/m/1/0/0"]
    assert Cohorts.from_bytes(raw).sources == {("truths", 0): (3, 4)}


def test_a_watermark_that_moved_is_news_also_that_of_truth() -> None:
    for times in ((5, BEFORE_ALL), (BEFORE_ALL, 5)):
        shelf = shelf_at(*times)
        (book,) = shelf
        sealed(shelf)
        assert book.news
        book.news = False
        sealed(shelf)
        assert not book.news


@pytest.mark.parametrize(
    ("champion_ms", "seen_ms", "expected"),
    [(3, 0, 3), (PANE_MS, 0, PANE_MS), (3, 50_000, PANE_MS), (None, 0, PANE_MS)],
)
def test_a_challenger_waits_for_the_champion(
    champion_ms: int | None, seen_ms: int, expected: int
) -> None:
    """champion_ms: how far it has come, if it ever spoke; seen_ms: its newest record is as old."""
    settings = dataclasses.replace(SETTINGS, challengers=("1",), lateness_s=0, idle_s=30)
    shelf = Shelf(lambda _: settings)
    for version, at in (("1", PANE_MS), ("0", champion_ms)):
        book = shelf.book("m", version)
        assert book is not None
        book.front.topic = "predictions"
        if at is not None:
            book.front.update(0, at, 0)
    advance(shelf, {"predictions": {0: seen_ms}}, Changes(), ["m"])
    found = {book.version: book.watermark_ms for book in shelf}
    assert found == {"1": expected, "0": BEFORE_ALL if champion_ms is None else champion_ms}


def test_a_model_that_nobody_has_seen_gets_no_clock() -> None:
    shelf = shelf_at(5, 5)
    sealed(shelf)
    assert list(shelf.truths) == ["m"]
