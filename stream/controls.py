"""Controls: what control events change in a partition. Every partition sees all of them."""

from typing import Any

import msgspec

from stream.batches import Batch, ControlRow
from stream.changes import Changes, OutMessage
from stream.events import (
    Limits,
    Recalibration,
    ReferencePart,
    Rejected,
    Watermark,
    decode_control,
)
from stream.firsts import FIRST_PANES
from stream.hashes import id_hash
from stream.parts import Parts
from stream.recalibrations import Learnt
from stream.seasons import unfit
from stream.shelves import Shelf

MAX_ERROR_CHARS = 500


class Controls:
    """The control events of one partition. partition, partitions: its number, and of how many."""

    def __init__(self, partition: int, partitions: int, limits: Limits) -> None:
        self.partition, self.partitions, self.limits = partition, partitions, limits
        self.parts = Parts()
        self.touched = False

    def update(self, batch: Batch, row: ControlRow, shelf: Shelf, changes: Changes) -> str | None:
        """Take one in; the model it is about. None where it was rejected, or past the limit."""
        _, record_ms, raw = row
        try:
            return self._apply(raw, record_ms, shelf, changes)
        except Rejected as error:
            if self.partition == 0:  # all partitions see it, the first one says so
                changes.outbox.append(dead_letter(batch, row, error))
            return None

    def _apply(self, raw: bytes, record_ms: int, shelf: Shelf, changes: Changes) -> str | None:
        event = decode_control(raw, None, record_ms, self.limits)
        match event:
            case ReferencePart():
                known = self._reference(event, shelf, changes)
            case Watermark():
                known = _watermark(event, shelf)
            case _:
                if isinstance(event, Recalibration):
                    _check(event)
                known = self._tell(event, raw, shelf)
        return event.model if known else None

    def _reference(self, event: ReferencePart, shelf: Shelf, changes: Changes) -> bool:
        book = shelf.book(event.model, event.version)
        if book is None:
            return False
        self.touched = True
        try:
            told = msgspec.to_builtins(event)
            for name in ("calibration", "weights", "wholes", "dimensions", "segments", "odds"):
                if not told[name]:
                    del told[name]  # kept as it was kept before there were any
            reference = self.parts.add(told)
        except ValueError as error:
            raise Rejected("bad-reference", str(error)) from error
        why = unfit(reference, book.settings.seasonality) if reference is not None else ""
        if why:
            raise Rejected("bad-reference", why)
        if reference is not None and not (event.source == FIRST_PANES and book.active):
            since = event.time if event.active_from is None and book.active else event.active_from
            if book.activate(reference, since):
                changes.references[reference.id] = reference.to_bytes()
        return True

    def _tell(self, event: Any, raw: bytes, shelf: Shelf) -> bool:
        """Pass on what concerns the watch; one partition does it, chosen by the model's name."""
        book = shelf.book(event.model, event.version)
        if book is None:
            return False
        if id_hash(event.model, "") % self.partitions == self.partition:
            book.control.append(raw)
            book.touched = book.news = True
        return True


def _check(event: Recalibration) -> None:
    try:
        Learnt.of(event)
    except ValueError as error:
        raise Rejected("bad-recalibration", str(error)) from error


def _watermark(event: Watermark, shelf: Shelf) -> bool:
    truths = shelf.truths_of(event.model)
    if truths is None:
        return False
    books = [b for b in shelf.books_of(event.model) if event.version in (None, b.version)]
    fronts = [book.front for book in books]
    for book in books:
        book.touched = True
    if event.version is None:
        fronts.append(truths.front)
        truths.touched = True
    for front in fronts:
        front.floor_ms = max(front.floor_ms, event.time)
    return True


def dead_letter(batch: Batch, row: ControlRow, error: Rejected) -> OutMessage:
    """A control record that cannot be used, as `schemas/dead-letter.v1.json` describes it.

    Its key is not known here: the internal log carries values alone.
    """
    offset, record_ms, raw = row
    told = {
        "driftline-reason": error.reason,
        "driftline-error": error.detail[:MAX_ERROR_CHARS],
        "driftline-topic": batch.topic,
        "driftline-partition": str(batch.partition),
        "driftline-offset": str(offset),
        "driftline-timestamp": str(record_ms),
    }
    headers = tuple((name, text.encode("utf-8", "replace")) for name, text in told.items())
    return OutMessage("dead-letters", b"", raw, headers)
