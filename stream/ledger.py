"""The ledger: one partition of the internal log, from batches of rows to shares and signals.

Gather, decide, apply: `wanted` names the pending entries that a batch touches, the shell fetches
them, `apply` decides on everything, and `changes` is what the checkpoint makes durable.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from stream import states
from stream.bands import derived
from stream.batches import Batch, Block
from stream.batches.blocks import rows_of
from stream.books import Book
from stream.changes import Changes, OutMessage
from stream.columns import Bools, Hashes
from stream.controls import Controls
from stream.dispatches import dispatches
from stream.entries import Tables
from stream.events import Limits
from stream.matches import Matches
from stream.names import Names
from stream.panes import BEFORE_ALL, pane_of, panes_of
from stream.references import Reference
from stream.rows import after, signal_values
from stream.seals import advance
from stream.shelves import MAX_MODELS, Settings, Shelf
from stream.signals import Series, encode_signals
from stream.sources import Source, Sources
from stream.thinning import Thinning
from stream.turns import in_steps, sampled

Counts = dict[str, int]
WIDE = 100  # features: what has more of them takes milliseconds to count and to pack
MOST_WAITING = 500_000  # values that are counted together, some 5 ms: 4 MB, and more are no faster


class Ledger:
    """All that one partition knows. partition, partitions: its number and how many there are."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        settings: Settings,
        limits: Limits | None = None,
        max_models: int = MAX_MODELS,
    ) -> None:
        self.partition, self.partitions, self.settings = partition, partitions, settings
        self.limits, self.max_models = limits or Limits(), max_models
        self.sources = Sources()
        self.shelf = Shelf(settings, max_models)
        self.matches = Matches(Tables(Names(), Names()))
        self.thinning = Thinning(settings)
        self.controls = Controls(partition, partitions, self.limits)
        self.progress: dict[str, dict[int, int]] = {}  # record time by source topic and partition
        self._counts: Counts = {}
        self._changes = Changes()
        self._dirty = False
        self._waiting = 0  # values that books have not yet counted

    def wanted(self, batch: Batch) -> Hashes:
        """Id hashes whose pending entries `apply` needs, shape (n,): those that are `unfetched`."""
        applied = self.sources.applied((batch.topic, batch.partition), batch.topic_id)
        joined = [block for block in batch.blocks if self._joined(block)]
        ids = [block.ids[block.offsets > applied] for block in joined]
        return np.concatenate(ids) if ids else np.array([], dtype=np.uint64)

    def unfetched(self, ids: Hashes) -> Hashes:
        """Those of id hashes that are not in memory; each of them once."""
        return self.matches.unfetched(ids)

    def apply(self, batch: Batch, found: Mapping[int, bytes]) -> None:
        """Take in what is new of a batch. found: pending entries by id hash, as `wanted` asked.

        Raises `stream.sources.Replaced` where the source topic is not the one counted so far.
        """
        source = (batch.topic, batch.partition)
        applied = self.sources.applied(source, batch.topic_id)
        self._progress(batch)
        if batch.last <= applied:
            return
        self.matches.found = found
        fresh = after(batch.blocks, applied)
        for block in in_steps(fresh, self.thinning, self.shelf, self.matches):
            known = self._predictions if block.kind == "prediction" else self._truths
            if not known(block, source):
                self._count("too-many-models", len(block))
        self.matches.found = {}
        self._control(batch, applied)
        self._marks(batch)
        self.sources.advance(source, batch.topic_id, batch.last)
        self._dirty = True
        if self._waiting >= MOST_WAITING:
            self._count_waiting()

    def heavy(self, batch: Batch) -> bool:
        """Whether `apply` may take so long that nothing else should have to wait for it."""
        if batch.control or any(len(block.features) > WIDE for block in batch.blocks):
            return True
        models = {mark[1] for mark in batch.marks}  # a mark may seal what was counted before
        return any(_is_wide(book) for model in models for book in self.shelf.books_of(model))

    def _count_waiting(self) -> None:
        for book in self.shelf:
            book.count_rows()
        self._waiting = 0

    def _predictions(self, block: Block, source: Source) -> bool:
        """Join and count predictions; False where there is no room for their model."""
        book = self.shelf.book(block.model, block.version or "")
        joined = self._joined(block)
        if book is None or (joined and not self.matches.admits(book.model, book.version)):
            return False
        kept = self._kept(block, book.inputs.oldest_ms)
        book.count("too-old-predictions", len(block) - len(kept))
        kept = derived(kept, book.settings)
        fresh = rows_of(kept, self._entered(book, kept)) if joined else kept
        book.touched = True
        if len(fresh):
            _add_rows(book, fresh, source)
            self._waiting += len(fresh) * (1 + len(fresh.features))
            _add_series(book, fresh)
        return True

    def _entered(self, book: Book, block: Block) -> Bools:
        """Enter predictions; a mask of those that were not there before, as far as is known."""
        exponents = self.thinning.exponents(book.model, block.times_ms)
        books = self.shelf.books_of(book.model) if book.settings.challengers else []
        if exponents is None:
            return self.matches.forecasts(book, block, books=books)
        return sampled(self.matches, book, block, exponents, books)

    def _truths(self, block: Block, source: Source) -> bool:
        """Join truth; False where there is no room for its model."""
        if not self._joined(block):
            self._tell(
                self.shelf.books_of(block.model), block.version, "unexpected-truths", len(block)
            )
            return True
        truths = self.shelf.truths_of(block.model)
        if truths is None or not self.matches.admits(block.model, block.version):
            return False
        settings, books = self.settings(block.model), self.shelf.books_of(block.model)
        oldest_ms = min((book.quality.oldest_ms for book in books), default=BEFORE_ALL)
        kept = self._kept(block, oldest_ms)
        strictest = self.thinning.strictest(block.model, kept.times_ms)
        for reason, rows in self.matches.labels(books, kept, settings, strictest).items():
            self._tell(books, block.version, reason, rows)
        self.thinning.stay(block.model, self.matches.stays or [])
        self._tell(books, block.version, "too-old-truths", len(block) - len(kept))
        panes = panes_of(kept.times_ms, settings.pane_s * 1000)
        for pane in np.unique(panes).tolist():
            offsets = kept.offsets[panes == pane]
            truths.came_from(pane, source, int(offsets.min()), int(offsets.max()))
        return True

    def _joined(self, block: Block) -> bool:
        """Whether rows wait for others of their id: predictions for truth, or for each other."""
        settings = self.settings(block.model)
        return settings.joins if block.kind == "prediction" else settings.expects_truth

    def _kept(self, block: Block, oldest_ms: int) -> Block:
        """The rows that are not too old to be told from their duplicates and to be counted."""
        old = block.times_ms < oldest_ms
        return rows_of(block, ~old) if old.any() else block

    def _tell(self, books: list[Book], version: str | None, reason: str, rows: int) -> None:
        """Count truth once: with the version it is about, else with the first by name."""
        about = [book for book in books if version in (None, book.version)]
        if about:
            min(about, key=lambda book: book.version).count(reason, rows)
        else:
            self._count(reason, rows)

    def _count(self, reason: str, rows: int) -> None:
        if rows:
            self._counts[reason] = self._counts.get(reason, 0) + rows

    def counted(self) -> Counts:
        """Rows since the last call, by what became of them; those told to the watch included."""
        counts, self._counts = self._counts, {}
        return counts

    def _progress(self, batch: Batch) -> None:
        """A source partition without news may be told of as well: that is how idleness shows."""
        progress = self.progress.setdefault(batch.topic, {})
        if batch.record_ms > progress.get(batch.partition, BEFORE_ALL):
            progress[batch.partition] = batch.record_ms
            self._dirty = True

    def _control(self, batch: Batch, applied: int) -> None:
        for row in batch.control:
            if row[0] > applied:
                model = self.controls.update(batch, row, self.shelf, self._changes)
                advance(self.shelf, self.progress, self._changes, [model] if model else [])

    def _marks(self, batch: Batch) -> None:
        """Let event time advance, and close what it has passed."""
        for kind, model, version, newest_ms, record_ms in batch.marks:
            truth = kind == "truth"
            known = self.shelf.truths_of(model) if truth else self.shelf.book(model, version)
            if known is not None:
                front = known.front
                front.topic = batch.topic
                front.partitions = max(front.partitions, batch.partitions)
                front.update(batch.partition, newest_ms, record_ms)
                known.touched = True
        models = dict.fromkeys(mark[1] for mark in batch.marks)  # a set has no order
        advance(self.shelf, self.progress, self._changes, models)

    def expire(self, entries: Mapping[int, bytes]) -> None:
        """Let the next checkpoint remove pending entries that no event can ask for any more.

        entries: packed, by id hash. Their every item is older than the horizon behind the
        watermark of the model. Raises ValueError where one is damaged.
        """
        before = self.matches.pending
        self._count("orphan-truths", self.matches.expire(entries, self._line_ms))
        self._dirty |= before != self.matches.pending

    def _line_ms(self, model: str) -> int:
        """Items before it have met all that they could meet.

        The truth may lag behind the predictions, or never come: it is waited for as long as half
        of the room for entries is free.
        """
        settings, truths = self.settings(model), self.shelf.truths.get(model)
        books = self.shelf.books_of(model)
        known = max((book.watermark_ms for book in books), default=BEFORE_ALL)
        if settings.expects_truth and self.matches.pending <= settings.max_pending // 2:
            known = min(known, truths.watermark_ms if truths else BEFORE_ALL)
        return known - settings.horizon_s * 1000

    def changes(self) -> Changes:
        """Everything since the last call, as absolute values, with what is to be published."""
        if self._dirty:
            advance(self.shelf, self.progress, self._changes, self.shelf.models)
        changes, self._changes = self._changes, Changes()
        self._waiting = 0
        for book in self.shelf:
            book.settle()
            if book.touched or book.news:
                self._save(book, changes)
        states.save(self, changes, all_of_it=self._dirty)
        self._dirty = False
        return changes

    def _save(self, book: Book, changes: Changes) -> None:
        for counts in (book.counts, book.totals):
            for reason, rows in counts.items():
                self._count(reason, rows)
        book.totals = {}
        if book.news:
            truths = self.shelf.truths.get(book.model)
            label_ms = truths.watermark_ms if truths else BEFORE_ALL
            told = dispatches(book, label_ms, self.partition, self.partitions)
            key = book.model.encode()
            changes.outbox += [OutMessage("signals", key, encode_signals(one)) for one in told]
        states.save_book(book, changes)

    def restore(self, fields: Mapping[str, bytes], references: Mapping[str, Reference]) -> None:
        """Take up the state that the fields of `changes` make up. Raises ValueError if damaged."""
        states.restore(self, fields, references)

    @staticmethod
    def references_in(fields: Mapping[str, bytes]) -> set[str]:
        """Ids of the references that `restore` needs. Raises ValueError if damaged."""
        return states.references_in(fields)


def _is_wide(book: Book) -> bool:
    return any(len(known.features) > WIDE for known in book.references.values())


def _add_rows(book: Book, block: Block, source: Source) -> None:
    for pane, rows in _by_pane(block, book.inputs.pane_ms):
        book.count("late-predictions", len(rows) if pane < book.inputs.until_ms else 0)
        book.add_rows(pane, rows, source)
    book.total("predictions", len(block))


def _by_pane(block: Block, pane_ms: int) -> Iterator[tuple[int, Block]]:
    """The rows of each pane; mostly there is one."""
    first = pane_of(int(block.times_ms.min()), pane_ms)
    if int(block.times_ms.max()) < first + pane_ms:
        yield first, block
        return
    panes = panes_of(block.times_ms, pane_ms)
    for pane in np.unique(panes).tolist():
        yield pane, rows_of(block, panes == pane)


def _add_series(book: Book, block: Block) -> None:
    for signal in {d.signal for d in book.settings.detectors} - {"error"}:
        values = signal_values(block, signal, book.settings.positive)
        if values is not None:
            series = Series(block.times_ms, block.ids, values)
            book.add_series(signal, series.take(np.isfinite(values)))
