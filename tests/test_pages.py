"""Pages are sealed once event time has passed them; a pane is the sum of its revisions."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stream.pages import Pages
from stream.panes import BEFORE_ALL


def pages(keep: int = 100) -> Pages[list[int]]:
    return Pages("inputs", 10, keep)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(-50, 300)), max_size=40))
def test_a_pane_is_the_sum_of_its_revisions(some: list[tuple[int, int]]) -> None:
    book, counted = pages(), Counter[int]()
    told: dict[int, list[int]] = {}
    for time_ms, watermark_ms in some:
        book.page(time_ms // 10 * 10, list).append(1)
        for pane, revision, page in book.seal(watermark_ms):
            assert revision == len(told.setdefault(pane, []))
            told[pane].append(revision)
            counted[pane] += len(page)
    counted += Counter({pane: len(page) for pane, page in book.open.items()})
    assert counted == Counter(time_ms // 10 * 10 for time_ms, _ in some)


def test_a_pane_is_sealed_when_the_watermark_reaches_its_end() -> None:
    book = pages()
    book.page(0, list)
    assert not list(book.seal(9))
    assert list(book.seal(10)) == [(0, 0, [])]
    assert book.sealed
    assert not book.dirty


def test_what_comes_late_is_sealed_at_the_next_panes_end() -> None:
    book = pages()
    list(book.seal(20))
    book.page(0, list)
    assert not list(book.seal(29))
    assert list(book.seal(30)) == [(0, 0, [])]


def test_before_anything_was_seen_nothing_is_sealed() -> None:
    book = pages()
    book.page(0, list)
    assert not list(book.seal(BEFORE_ALL))
    assert not book.too_old(0)


def test_more_open_panes_than_allowed_are_sealed_early_the_oldest_first() -> None:
    book = pages()
    book.most_open = 20
    for pane in range(0, 10 * (20 + 3), 10):
        book.page(pane, list)
    assert [pane for pane, _, _ in book.seal(BEFORE_ALL)] == [0, 10, 20]
    assert (len(book.open), book.early) == (20, 3)
    assert book.until_ms == BEFORE_ALL


def test_panes_past_what_is_kept_expire_with_all_their_revisions() -> None:
    book = pages(keep=2)
    for watermark_ms in (10, 20, 40):
        book.page(0, list)
        list(book.seal(watermark_ms))
    assert book.too_old(0)
    assert not book.too_old(20)
    assert list(book.expired()) == [(0, 0), (0, 1), (0, 2)]
    assert not list(book.expired())


def test_a_pane_that_was_sealed_often_waits_until_it_is_forgotten() -> None:
    book = pages(keep=10)
    book.most_revisions = 2
    told = []
    for end in range(10, 110, 10):
        book.page(0, list)
        told += [(end, revision) for pane, revision, _ in book.seal(end) if pane == 0]
    assert told == [(10, 0), (20, 1), (100, 2)]
    assert book.put_off == 1


def test_panes_that_wait_are_among_those_that_may_be_open() -> None:
    book = pages()
    book.most_revisions, book.most_open = 1, 2
    for pane in (0, 10, 20):
        book.page(pane, list)
    assert [pane for pane, _, _ in book.seal(30)] == [0, 10, 20]
    for pane in (0, 10, 20):
        book.page(pane, list)
    assert [(pane, revision) for pane, revision, _ in book.seal(40)] == [(0, 1)]
