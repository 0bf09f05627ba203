"""Books: pages get the reference of their pane, and outcomes the pane they became known in."""

import pytest

from stream.books import Book, model_key, references_of
from stream.joins import Forecast, Label, Outcome, Step
from stream.panes import BEFORE_ALL
from stream.samples import Sample
from stream.shares import Share
from tests.ledgers import PANE_MS, SETTINGS, block_of, prediction, reference_of

SOURCE = ("predictions", 0)


def book() -> Book:
    return Book("m", "1", SETTINGS)


def step(time_ms: int, sign: int = 1, answer: float = 1.0, label: float = 1.0) -> Step:
    return Step(time_ms, sign, Outcome(Forecast(1, 5, answer), Label(0, time_ms, label)), time_ms)


def test_a_pane_is_counted_against_the_reference_of_its_start() -> None:
    one, other = reference_of([1.0, 2.0]), reference_of([3.0, 4.0])
    kept = book()
    assert kept.activate(one, None)
    assert kept.activate(other, 2 * PANE_MS)
    assert not kept.activate(other, 5 * PANE_MS)
    found = [kept.reference_of(p * PANE_MS) for p in range(4)]
    assert found == [one, one, other, other]
    assert kept.reference is other


def test_before_a_reference_rows_are_kept_and_then_counted() -> None:
    kept = book()
    kept.add_rows(0, block_of(prediction(1, 1), prediction(2, 2)), SOURCE)
    before = kept.inputs.open[0]
    kept.activate(reference_of([1.0, 2.0]), None)
    page = kept.inputs.open[0]
    assert isinstance(before, Sample)
    assert isinstance(page, Share)
    assert page.rows == 2
    assert page.sources == {SOURCE: (0, 1)}


def test_the_difference_of_two_stories_is_booked() -> None:
    kept = book()
    first = (step(10, 1, label=0.0),)
    second = (step(10, 1, label=0.0), step(20, -1, label=0.0), step(20, 1))
    kept.change(1, (), first)
    kept.change(1, first, second)
    kept.settle()
    total = kept.quality.open[0].total()
    assert (total.judged, total.hits) == (1, 1)
    kept.change(1, second, ())
    kept.settle()
    assert kept.quality.open[0].total().judged == 0
    assert kept.totals == {"outcomes": 3, "outcomes-taken-back": 3}


def test_an_outcome_of_a_pane_that_is_gone_goes_to_the_oldest_one_kept() -> None:
    kept = book()
    kept.quality.until_ms = (SETTINGS.panes_kept + 3) * PANE_MS
    kept.change(1, (), (step(10),))
    kept.settle()
    assert list(kept.quality.open) == [3 * PANE_MS]


def test_counts_are_news_and_nothing_is_not() -> None:
    kept = book()
    told = []
    for rows in (0, 2):
        kept.news = False
        kept.count("late-predictions", rows)
        told.append(kept.news)
    assert told == [False, True]
    assert kept.counts == {"late-predictions": 2}


def test_a_book_comes_back_without_pages() -> None:
    kept = book()
    kept.activate(reference_of([1.0, 2.0]), 7)
    kept.front.update(0, 5, 6)
    kept.sequence, kept.inputs.until_ms, kept.inputs.revisions = 9, PANE_MS, {0: 2}
    found = Book.from_bytes(kept.to_bytes(), lambda _: SETTINGS)
    found.load_revisions(kept.revisions_to_bytes())
    assert (found.model, found.version, found.active, found.sequence) == ("m", "1", kept.active, 9)
    assert found.front == kept.front
    assert found.inputs.until_ms == PANE_MS
    assert found.quality.until_ms == BEFORE_ALL
    assert (found.inputs.revisions, found.answers.revisions) == ({0: 2}, {})
    kept.answers.revisions = {PANE_MS: 1}
    found.load_revisions(kept.revisions_to_bytes())
    assert (found.inputs.revisions, found.answers.revisions) == ({0: 2}, {PANE_MS: 1})
    assert (found.touched, found.news) == (False, False)
    assert references_of(kept.to_bytes()) == [kept.active[0][1]]


def test_pages_come_back() -> None:
    kept, found = book(), book()
    kept.add_rows(0, block_of(prediction(1, 1)), SOURCE)
    kept.activate(reference_of([1.0, 2.0]), PANE_MS)
    found.references = kept.references
    kept.add_rows(PANE_MS, block_of(prediction(2, PANE_MS)), SOURCE)
    kept.change(1, (), (step(10),))
    kept.settle()
    for kind, pane in (("inputs", 0), ("inputs", PANE_MS), ("quality", 0)):
        raw = kept.page_bytes(kind, pane)  # type: ignore[arg-type]
        found.open_page(kind, pane, raw)
        assert found.page_bytes(kind, pane) == raw  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"\x90", b"\x91\x80", b"\x92\x01\x02", b"\x94\x80\x80\x80\x80"]
)
def test_foreign_bytes_are_errors(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        Book.from_bytes(raw, lambda _: SETTINGS)
    with pytest.raises(ValueError, match="damaged"):
        book().load_revisions(raw)
    with pytest.raises(ValueError, match="damaged"):
        book().open_page("inputs", 0, raw)


def test_keys_of_models_are_free_of_slashes_and_never_meet() -> None:
    assert model_key("a/b", "1") == "a%2Fb/1"
    assert model_key("a", "b/1") != model_key("a/b", "1")
