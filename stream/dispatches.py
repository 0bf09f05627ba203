"""Dispatches: what a book has to tell the watch, as numbered messages of bounded size."""

import dataclasses
from collections.abc import Iterator

from stream.books import Book
from stream.signals import LabelQuiet, Series, Signals, concatenate

MAX_SIGNAL_ROWS = 20_000  # 24 bytes each: a message stays under half a megabyte
MAX_NAMES = 2_000  # of sealed shares, about 100 bytes each


def dispatches(
    book: Book, label_watermark_ms: int, partition: int, partitions: int
) -> list[Signals]:
    """The messages since the last call, mostly one; watermarks travel with the last one."""
    parts: list[dict[str, object]] = [{"control": (c,)} for c in book.control]
    parts += [*_series(book), *_names(book, partition)]
    last: dict[str, object] = {
        "watermark_ms": book.watermark_ms,
        "label_watermark_ms": label_watermark_ms,
        "active": tuple(book.active),
        "counts": book.counts,
        "quiet": book.saying.get("inputs"),
        "label_quiet": _label_quiet(book),
    }
    if parts and "control" not in parts[-1]:  # that may be as large as its topic allows
        last |= parts.pop()
    found = []
    for part in [*parts, last]:
        book.sequence += 1
        head = (book.model, book.version, partition, partitions, book.sequence)
        found.append(Signals(*head, **part))  # type: ignore[arg-type]
    book.series, book.named, book.control, book.counts = {}, [], [], {}
    book.news, book.saying = False, {}
    return found


def _label_quiet(book: Book) -> LabelQuiet | None:
    said = book.saying.get("quality")
    pages = book.quality
    known = (pane for pane, page in pages.open.items() if not page.contests or page.rows)
    return said and (*said, tuple(sorted(pane for pane in known if pane >= pages.until_ms)))


def _series(book: Book) -> Iterator[dict[str, object]]:
    part: dict[str, Series] = {}
    room = MAX_SIGNAL_ROWS
    for name, runs in sorted(book.series.items()):
        run = concatenate(runs)
        while len(run):
            part[name], run = run.take(slice(0, room)), run.take(slice(room, None))
            room -= len(part[name])
            if room == 0:
                yield {"series": part}
                part, room = {}, MAX_SIGNAL_ROWS
    if part:
        yield {"series": part}


def _names(book: Book, partition: int) -> Iterator[dict[str, object]]:
    named = [dataclasses.replace(name, partition=partition) for name in book.named]
    for at in range(0, len(named), MAX_NAMES):
        yield {"sealed": tuple(named[at : at + MAX_NAMES])}
