"""Dispatches: what a book has to tell the watch, as numbered messages of bounded size."""

import dataclasses
from collections.abc import Iterator

from stream.books import Book
from stream.signals import Signals, concatenate

MAX_SIGNAL_ROWS = 20_000  # 24 bytes each: a message stays under half a megabyte
MAX_NAMES = 2_000  # of sealed shares, about 100 bytes each


def dispatches(
    book: Book, label_watermark_ms: int, partition: int, partitions: int
) -> list[Signals]:
    """The messages since the last call; watermarks travel with the last one."""
    parts = [*_series(book), *_names(book, partition), *({"control": (c,)} for c in book.control)]
    last = {
        "watermark_ms": book.watermark_ms,
        "label_watermark_ms": label_watermark_ms,
        "active": tuple(book.active),
        "counts": book.counts,
    }
    found = []
    for part in [*parts, last]:
        book.sequence += 1
        head = (book.model, book.version, partition, partitions, book.sequence)
        found.append(Signals(*head, **part))  # type: ignore[arg-type]
    book.series, book.named, book.control, book.counts = {}, [], [], {}
    book.news = False
    return found


def _series(book: Book) -> Iterator[dict[str, object]]:
    for name, runs in sorted(book.series.items()):
        run = concatenate(runs)
        for at in range(0, len(run), MAX_SIGNAL_ROWS):
            yield {"series": {name: run.take(slice(at, at + MAX_SIGNAL_ROWS))}}


def _names(book: Book, partition: int) -> Iterator[dict[str, object]]:
    named = [dataclasses.replace(name, partition=partition) for name in book.named]
    for at in range(0, len(named), MAX_NAMES):
        yield {"sealed": tuple(named[at : at + MAX_NAMES])}
