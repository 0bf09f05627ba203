"""Seals: how watermarks advance, and what becomes of the pages that they have passed."""

from collections.abc import Iterable, Mapping

from stream.books import Book
from stream.changes import Changes
from stream.fronts import Front
from stream.settings import ModelSettings
from stream.shelves import Shelf, Truths
from stream.signals import Kind, Quiet

PATIENCE_MS = 11 * 86_400_000  # beyond the longest window; see `stream.monitor.silences`
Progress = Mapping[str, Mapping[int, int]]  # newest record time by source topic and partition


def advance(shelf: Shelf, progress: Progress, changes: Changes, models: Iterable[str]) -> None:
    """Let the watermarks of models follow their fronts; close what they have passed."""
    for model in models:
        books = sorted(shelf.books_of(model), key=lambda book: book.challenges)
        truths = shelf.truths_of(model) if books else shelf.truths.get(model)
        if truths is None:
            continue
        settings = shelf.settings(model)
        moved = _moved(truths.front, progress, settings, settings.label_lateness_s)
        truths.touched |= moved
        for book in books:
            most_ms = _champions_ms(books, progress) if book.challenges else None
            book.news |= (
                _moved(book.front, progress, settings, settings.lateness_s, most_ms) or moved
            )
            book.news |= _fell_silent(book, "inputs", book.front, progress, settings)
            if settings.watch_labels and settings.expects_truth:
                book.news |= _fell_silent(book, "quality", truths.front, progress, settings)
            _seal(book, truths, changes)
        if truths.touched:
            truths.forget(books, settings.panes_kept)


def _moved(
    front: Front,
    progress: Progress,
    s: ModelSettings,
    lateness_s: float,
    most_ms: int | None = None,
) -> bool:
    source = progress.get(front.topic, {})
    return front.advance(source, round(s.idle_s * 1000), round(lateness_s * 1000), most_ms)


def _champions_ms(books: Iterable[Book], progress: Progress) -> int | None:
    """Up to when a challenger can be held against all others: where the slowest of them stands.

    Without that a pair would be there or not by which version was read first. Those that predict
    no more hold nobody back, as with source partitions.
    """
    found = [
        book.watermark_ms
        for book in books
        if not book.challenges
        and book.front.heard
        and book.front.silence(
            progress.get(book.front.topic, {}), round(book.settings.idle_s * 1000)
        )
        is None
    ]
    return min(found, default=None)


def _fell_silent(
    book: Book, kind: Kind, front: Front, progress: Progress, s: ModelSettings
) -> bool:
    """Whether the watch is to be told how long the model, or its truth, has been silent: once a
    pane, and no more when all has been said that there is to say.
    """
    found, pane_ms = _silence(book, kind, front, progress, s), s.pane_s * 1000
    if found is None or found[1] - found[0] < pane_ms:
        return False
    known = book.quiet.get(kind, found)
    if known[0] != found[0] or kind not in book.quiet:
        known = found[0], found[0]
    longest_ms = max(s.windows_s) * 1000 + PATIENCE_MS
    longest_ms += s.horizon_s * 1000 if kind == "quality" else 0
    if found[1] // pane_ms == known[1] // pane_ms or known[1] - known[0] > longest_ms:
        return False
    book.quiet[kind] = book.saying[kind] = found
    return True


def _silence(
    book: Book, kind: Kind, front: Front, progress: Progress, s: ModelSettings
) -> Quiet | None:
    """A newest event time, and up to when nothing newer is known.

    Truth may come before its prediction, and is known when that is: of truth nothing can be said
    of a time whose predictions are still to come, though its own log has passed it.
    """
    found = front.silence(progress.get(front.topic, {}), round(s.idle_s * 1000))
    if found is None or kind == "inputs":
        return found
    return found[0], min(found[1], book.watermark_ms + round(s.label_lateness_s * 1000))


def _seal(book: Book, truths: Truths, changes: Changes) -> None:
    book.settle_outcomes()
    for name, raw in book.seal(truths.watermark_ms, truths.sources):
        changes.put(name.field(book.key), raw)
        changes.delete(open_field(name.kind, book, name.pane))
    for pages in book.pages:
        if pages.sealed:
            for pane, revision in pages.expired():
                changes.delete(f"{pages.kind}/{book.key}/{pane}/{revision}")


def open_field(kind: str, book: Book, pane: int) -> str:
    """Where an open page is kept in its partition's state."""
    return f"open-{kind}/{book.key}/{pane}"
