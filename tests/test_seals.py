"""Seals: panes close in event time, those of quality by the slower of predictions and truth."""

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


def test_a_model_that_nobody_has_seen_gets_no_clock() -> None:
    shelf = shelf_at(5, 5)
    sealed(shelf)
    assert list(shelf.truths) == ["m"]
