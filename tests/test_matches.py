"""Matches: what predictions and truth say of ids, within bounds."""

import pytest

from stream.books import Book
from stream.changes import Changes
from stream.entries import Tables
from stream.joins import MAX_ITEMS, Entry
from stream.matches import Matches
from stream.names import Names
from tests.ledgers import SETTINGS, block_of, prediction, truth


def matches(subjects: int = 100) -> Matches:
    return Matches(Tables(Names(), Names(limit=subjects)))


def test_an_id_that_was_there_is_not_fresh() -> None:
    found, book = matches(), Book("m", "1", SETTINGS)
    block = block_of(prediction(1, 5), prediction(2, 6), prediction(1, 5))
    assert found.forecasts(book, block).tolist() == [True, True, False]
    assert book.counts == {"duplicate-predictions": 1}
    assert found.pending == 2


def test_versions_of_a_model_share_an_entry_and_each_has_its_own_forecast() -> None:
    found = matches()
    books = [Book("m", v, SETTINGS) for v in "12"]
    for book in books:
        assert found.forecasts(book, block_of(prediction(1, 5))).all()
    assert found.pending == 1
    said = found.labels(books, block_of(truth(1, 9)), SETTINGS)
    assert not said
    assert [len(book.outcomes) for book in books] == [1, 1]


def test_truth_of_one_version_leaves_the_others_alone() -> None:
    found = matches()
    books = [Book("m", v, SETTINGS) for v in "12"]
    for book in books:
        found.forecasts(book, block_of(prediction(1, 5)))
    found.labels(books, block_of(truth(1, 9, version="2")), SETTINGS)
    assert [len(book.outcomes) for book in books] == [0, 1]


def test_what_is_said_of_truth_is_counted_by_rows() -> None:
    found, book = matches(), Book("m", "1", SETTINGS)
    found.forecasts(book, block_of(prediction(1, 5)))
    block = block_of(truth(1, 9), truth(1, 9), truth(7, 9))
    said = found.labels([book], block, SETTINGS)
    assert said == {"duplicate-truths": 1, "truths-before-predictions": 1}


def test_forecasts_of_one_id_are_bounded() -> None:
    found = matches()
    books = [Book("m", str(i), SETTINGS) for i in range(MAX_ITEMS + 1)]
    for book in books:
        found.forecasts(book, block_of(prediction(1, 5)))
    assert books[-1].counts == {"pending-full": 1}
    (entry,) = found.changed.values()
    assert len(entry.forecasts) == MAX_ITEMS


def test_there_is_a_number_for_so_many_models_and_versions() -> None:
    found = matches(subjects=2)
    assert found.admits("m", "1")
    assert not found.admits("m", "2")
    assert not found.admits("n", None)


def test_entries_are_packed_when_saved_and_read_when_found() -> None:
    found, book = matches(), Book("m", "1", SETTINGS)
    found.forecasts(book, block_of(prediction(1, 5)))
    ((key, entry),) = found.changed.items()
    changes = Changes()
    found.save(changes)
    assert not found.changed
    found.found = changes.pending_puts
    assert found.entry(key) == entry
    assert found.entry(key + 1) == Entry()
    found.found = {key: b"junk"}
    with pytest.raises(ValueError, match="damaged"):
        found.entry(key)


def test_an_entry_expires_when_its_newest_item_is_older_than_the_line() -> None:
    found, book = matches(), Book("m", "1", SETTINGS)
    found.forecasts(book, block_of(prediction(1, 5)))
    found.labels([book], block_of(truth(1, 9)), SETTINGS)
    changes, models = Changes(), list[str]()

    def line(time_ms: int) -> None:
        found.expire(changes.pending_puts, lambda model: models.append(model) or time_ms)  # type: ignore[func-returns-value]

    found.save(changes)
    line(9)
    assert not found.expired
    line(10)
    line(10)
    assert found.expired == set(changes.pending_puts)
    assert found.pending == 0
    assert models == ["m", "m"]
