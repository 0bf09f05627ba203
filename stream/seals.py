"""Seals: how watermarks advance, and what becomes of the pages that they have passed."""

from collections.abc import Iterable, Mapping

from stream.books import Book
from stream.changes import Changes
from stream.fronts import Front
from stream.settings import ModelSettings
from stream.shelves import Shelf, Truths

Progress = Mapping[str, Mapping[int, int]]  # newest record time by source topic and partition


def advance(shelf: Shelf, progress: Progress, changes: Changes, models: Iterable[str]) -> None:
    """Let the watermarks of models follow their fronts; close what they have passed."""
    for model in models:
        books = shelf.books_of(model)
        truths = shelf.truths_of(model) if books else shelf.truths.get(model)
        if truths is None:
            continue
        settings = shelf.settings(model)
        moved = _moved(truths.front, progress, settings, settings.label_lateness_s)
        truths.touched |= moved
        for book in books:
            book.news |= _moved(book.front, progress, settings, settings.lateness_s) or moved
            _seal(book, truths, changes)
        if truths.touched:
            truths.forget(books, settings.panes_kept)


def _moved(front: Front, progress: Progress, s: ModelSettings, lateness_s: float) -> bool:
    source = progress.get(front.topic, {})
    return front.advance(source, round(s.idle_s * 1000), round(lateness_s * 1000))


def _seal(book: Book, truths: Truths, changes: Changes) -> None:
    book.settle_outcomes()
    for name, raw in book.seal(truths.watermark_ms, truths.sources):
        changes.put(name.field(book.key), raw)
        changes.delete(open_field(name.kind, book, name.pane))
    for pages in (book.inputs, book.quality):
        if pages.sealed:
            for pane, revision in pages.expired():
                changes.delete(f"{pages.kind}/{book.key}/{pane}/{revision}")


def open_field(kind: str, book: Book, pane: int) -> str:
    """Where an open page is kept in its partition's state."""
    return f"open-{kind}/{book.key}/{pane}"
