"""Matches: what a batch of predictions or truth changes in the entries of its ids."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from stream.answers import answers, scores
from stream.batches import Block
from stream.books import Book
from stream.columns import Bools
from stream.joins import Entry, Forecast, Label, Names, Step, unpack_entry
from stream.settings import ModelSettings


@dataclasses.dataclass(slots=True)
class Matches:
    """The entries that changed since the last checkpoint, and how many there are in all.

    found: packed entries that were fetched for the batch at hand, by id hash.
    """

    names: Names
    changed: dict[int, Entry] = dataclasses.field(default_factory=dict)
    pending: int = 0
    found: Mapping[int, bytes] = dataclasses.field(default_factory=dict)

    def entry(self, key: int) -> Entry:
        """What is known of an id."""
        if key in self.changed:
            return self.changed[key]
        raw = self.found.get(key)
        return Entry() if raw is None else unpack_entry(raw, self.names)

    def subject(self, model: str, version: str | None) -> int:
        """The number of a model version, or of all versions of a model."""
        return self.names.number(model if version is None else f"{model}\0{version}")

    def forecasts(self, book: Book, block: Block) -> Bools:
        """Enter predictions; a mask, shape (n,), of those that were not there before."""
        subject = self.subject(book.model, book.version)
        given, sure = answers(block.prediction, len(block)), scores(block, book.settings.positive)
        control = _flags(block)
        fresh = np.ones(len(block), dtype=np.bool_)
        rows = zip(block.ids.tolist(), block.times_ms.tolist(), given, sure, control, strict=True)
        for i, (key, *values) in enumerate(rows):
            entry = self.entry(key)
            if entry.forecast(subject) is not None:
                fresh[i] = False
            else:
                self._forecast(book, key, entry, Forecast(subject, *values))
        book.count("duplicate-predictions", int(len(block) - fresh.sum()))
        return fresh

    def _forecast(self, book: Book, key: int, entry: Entry, forecast: Forecast) -> None:
        entry.forecasts.append(forecast)
        if not self._keep(key, entry, book.settings):
            book.count("pending-full")
        if entry.labels:
            book.change(key, (), self._steps(book, entry, forecast))

    def labels(self, model: str, books: Sequence[Book], block: Block, s: ModelSettings) -> None:
        """Enter truth about predictions of a model, whether they have come or not."""
        assert block.revision is not None
        assert block.retracted is not None
        subject = self.subject(model, block.version)
        given = answers(block.label, len(block))
        revisions, retracted = block.revision.tolist(), block.retracted.tolist()
        times = block.times_ms.tolist()
        rows = zip(block.ids.tolist(), times, given, revisions, retracted, strict=True)
        for key, *values in rows:
            self._label(books, key, Label(subject, *values), s)

    def _label(self, books: Sequence[Book], key: int, label: Label, s: ModelSettings) -> None:
        entry = self.entry(key)
        found = ((book, entry.forecast(self.subject(book.model, book.version))) for book in books)
        met = [(book, forecast) for book, forecast in found if forecast is not None]
        before = [self._steps(book, entry, forecast) for book, forecast in met]
        new = entry.add_label(label) and self._keep(key, entry, s)
        for (book, forecast), old in zip(met, before, strict=True):
            book.count("duplicate-truths", int(not new))
            book.change(key, old, self._steps(book, entry, forecast))
        if not met:
            for book in books:
                book.count("truths-before-predictions")

    def _keep(self, key: int, entry: Entry, settings: ModelSettings) -> bool:
        new = len(entry.forecasts) + len(entry.labels) == 1
        if new and self.pending >= settings.max_pending:
            return False
        self.pending += new
        self.changed[key] = entry
        return True

    def _steps(self, book: Book, entry: Entry, forecast: Forecast) -> tuple[Step, ...]:
        model = self.subject(book.model, None)
        return entry.steps(forecast, model, book.settings.horizon_s * 1000)


def _flags(block: Block) -> list[bool]:
    if block.control_group is None:
        return [False] * len(block)
    return [name == "true" for name in block.control_group.names()]
