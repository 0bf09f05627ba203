"""The ledger: one partition of the internal log, from batches of rows to shares and signals.

Gather, decide, apply: `wanted` names the pending entries that a batch touches, the shell fetches
them, `apply` decides on everything, and `changes` is what the checkpoint makes durable.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from stream.batches import Batch, Block
from stream.books import Book, Counts
from stream.changes import Changes, OutMessage
from stream.cohorts import Cohorts
from stream.columns import Hashes
from stream.events import Limits, ReferencePart, Rejected, Watermark, decode_control
from stream.fronts import Front
from stream.hashes import id_hash
from stream.joins import Names, pack_entry
from stream.matches import Matches
from stream.panes import BEFORE_ALL, panes_of
from stream.references import Parts, Reference
from stream.rows import after, signal_values
from stream.samples import Sample, count_rows, rows_of
from stream.settings import ModelSettings
from stream.shares import Share
from stream.signals import Kind, Series, Signals, concatenate, encode_signals
from stream.sources import Source, Sources

FORMAT = 1
MAX_SIGNAL_ROWS = 20_000  # 24 bytes each: a message stays under half a megabyte
Settings = Callable[[str], ModelSettings]


@dataclasses.dataclass(slots=True)
class Truths:
    """How far the truth of a model has come. sources: offsets of truth by pane of label time."""

    front: Front = dataclasses.field(default_factory=Front)
    watermark_ms: int = BEFORE_ALL
    sources: dict[int, Cohorts] = dataclasses.field(default_factory=dict)


class Ledger:
    """All that one partition knows. partition, partitions: its number and how many there are."""

    def __init__(
        self, partition: int, partitions: int, settings: Settings, limits: Limits | None = None
    ) -> None:
        self.partition, self.partitions, self.settings = partition, partitions, settings
        self.limits = limits or Limits()
        self.sources = Sources()
        self.matches = Matches(Names())
        self.parts = Parts()
        self.books: dict[tuple[str, str], Book] = {}
        self.truths: dict[str, Truths] = {}
        self.progress: dict[str, dict[int, int]] = {}  # record time by source topic and partition
        self._changes = Changes()
        self._dirty = False

    def wanted(self, batch: Batch) -> Hashes:
        """Id hashes whose pending entries `apply` needs, shape (n,)."""
        applied = self.sources.applied((batch.topic, batch.partition), batch.topic_id)
        ids = [block.ids[block.offsets > applied] for block in batch.blocks]
        found = np.unique(np.concatenate(ids)) if ids else np.array([], dtype=np.uint64)
        changed = self.matches.changed
        return np.array([h for h in found.tolist() if h not in changed], dtype=np.uint64)

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
        for block in after(batch.blocks, applied):
            if block.kind == "prediction":
                self._predictions(self.book(block.model, block.version or ""), block, source)
            else:
                self._truths(block, source)
        for offset, record_ms, raw in batch.control:
            if offset > applied:
                self._control(raw, record_ms)
        self._marks(batch)
        self.sources.advance(source, batch.topic_id, batch.last)
        self._dirty = True

    def book(self, model: str, version: str) -> Book:
        """The book of a model version, opened if it is new."""
        key = (model, version)
        if key not in self.books:
            self.books[key] = Book(model, version, self.settings(model))
        return self.books[key]

    def books_of(self, model: str) -> list[Book]:
        """The books of all versions of a model."""
        return [book for (name, _), book in self.books.items() if name == model]

    def truths_of(self, model: str) -> Truths:
        """What is known of the truth of a model."""
        return self.truths.setdefault(model, Truths())

    def _predictions(self, book: Book, block: Block, source: Source) -> None:
        fresh = rows_of(block, self.matches.forecasts(book, block))
        if len(fresh):
            self._count(book, fresh, source)
        book.touched = True

    def _count(self, book: Book, block: Block, source: Source) -> None:
        panes = panes_of(block.times_ms, book.inputs.pane_ms)
        for pane in np.unique(panes).tolist():
            rows = rows_of(block, panes == pane)
            if book.inputs.too_old(pane):
                book.count("too-old-predictions", len(rows))
                continue
            book.count("late-predictions", len(rows) if pane < book.inputs.until_ms else 0)
            _add_rows(book, pane, rows, source)
        for signal in {d.signal for d in book.settings.detectors} - {"error"}:
            values = signal_values(block, signal, book.settings.positive)
            if values is not None:
                series = Series(block.times_ms, block.ids, values)
                book.add_series(signal, series.take(np.isfinite(values)))

    def _truths(self, block: Block, source: Source) -> None:
        settings = self.settings(block.model)
        self.matches.labels(block.model, self.books_of(block.model), block, settings)
        _note_sources(self.truths_of(block.model), block, source, settings.pane_s * 1000)

    def _progress(self, batch: Batch) -> None:
        """A source partition without news may be told of as well: that is how idleness shows."""
        progress = self.progress.setdefault(batch.topic, {})
        if batch.record_ms > progress.get(batch.partition, -1):
            progress[batch.partition] = batch.record_ms
            self._dirty = True

    def _marks(self, batch: Batch) -> None:
        """Let event time advance, and close what it has passed."""
        for kind, model, version, newest_ms, record_ms in batch.marks:
            truth = kind == "truth"
            front = self.truths_of(model).front if truth else self.book(model, version).front
            front.topic, front.partitions = batch.topic, max(front.partitions, batch.partitions)
            front.update(batch.partition, newest_ms, record_ms)
        self._advance({mark[1] for mark in batch.marks})

    def _advance(self, models: Collection[str]) -> None:
        """Let the watermarks of models follow their fronts; close what they have passed."""
        for model in models:
            settings, truths = self.settings(model), self.truths_of(model)
            truths.watermark_ms = self._watermark_of(truths.front, settings, truth=True)
            for book in self.books_of(model):
                book.watermark_ms = self._watermark_of(book.front, settings)
                book.touched = True
                self._seal(book, truths)
            until = min((b.quality.until_ms for b in self.books_of(model)), default=BEFORE_ALL)
            truths.sources = {p: told for p, told in truths.sources.items() if p >= until}

    def _watermark_of(self, front: Front, s: ModelSettings, *, truth: bool = False) -> int:
        lateness_s = s.label_lateness_s if truth else s.lateness_s
        progress = self.progress.get(front.topic, {})
        return front.watermark_ms(progress, round(s.idle_s * 1000), round(lateness_s * 1000))

    def _control(self, raw: bytes, record_ms: int) -> None:
        try:
            event = decode_control(raw, None, record_ms, self.limits)
        except Rejected as error:
            self._reject(raw, error.reason, error.detail)
            return
        match event:
            case ReferencePart():
                self._reference(event, raw)
            case Watermark():
                self._watermark(event)
            case _:
                self._tell(event, raw)
        self._advance([event.model])

    def _reference(self, event: ReferencePart, raw: bytes) -> None:
        try:
            reference = self.parts.add(msgspec.to_builtins(event))
        except ValueError as error:
            self._reject(raw, "bad-reference", str(error))
            return
        if reference is not None:
            book = self.book(event.model, event.version)
            since = event.time if event.active_from is None and book.active else event.active_from
            if book.activate(reference, since):
                self._changes.references[reference.id] = reference.to_bytes()

    def _reject(self, raw: bytes, reason: str, detail: str) -> None:
        """A control event that cannot be used. All partitions see it, the first one says so."""
        if self.partition == 0:
            told = (("driftline-reason", reason.encode()), ("driftline-error", detail.encode()))
            self._changes.outbox.append(OutMessage("dead-letters", b"", raw, told))

    def _watermark(self, event: Watermark) -> None:
        fronts = [b.front for b in self.books_of(event.model) if event.version in (None, b.version)]
        if event.version is None:
            fronts.append(self.truths_of(event.model).front)
        for front in fronts:
            front.floor_ms = max(front.floor_ms, event.time)

    def _tell(self, event: Any, raw: bytes) -> None:
        """Pass on what concerns the watch; one partition does it, chosen by the model's name."""
        book = self.book(event.model, event.version)
        if id_hash(event.model, "") % self.partitions == self.partition:
            book.control.append(raw)

    def _seal(self, book: Book, truths: Truths) -> None:
        book.settle()
        for pane, told in truths.sources.items():
            if pane in book.quality.open:
                book.quality.page(pane, Cohorts).merge(told)
        for name, raw in book.seal(truths.watermark_ms):
            self._changes.put(name.field(book.key), raw)
            self._changes.delete(_open_field(name.kind, book, name.pane))
        for pages in (book.inputs, book.quality):
            for pane, revision in pages.expired():
                self._changes.delete(f"{pages.kind}/{book.key}/{pane}/{revision}")

    def changes(self) -> Changes:
        """Everything since the last call, as absolute values, with what is to be published."""
        if self._dirty:
            self._advance({model for model, _ in self.books})
        changes, self._changes = self._changes, Changes()
        for book in self.books.values():
            if book.touched:
                self._save(book, changes)
        for key, entry in self.matches.changed.items():
            changes.pending_puts[key] = pack_entry(entry, self.matches.names)
        if self._dirty:
            changes.put("ledger", self._dump())
        self.matches.changed.clear()
        self._dirty = False
        return changes

    def _save(self, book: Book, changes: Changes) -> None:
        book.settle()
        for pages in (book.inputs, book.quality):
            for pane in sorted(pages.dirty):
                changes.put(_open_field(pages.kind, book, pane), _page_bytes(pages.open[pane]))
            pages.dirty.clear()
        key = book.model.encode()
        signals = [encode_signals(s) for s in self._signals(book)]
        changes.outbox += [OutMessage("signals", key, raw) for raw in signals]
        changes.put(f"book/{book.key}", book.to_bytes())
        book.touched = False

    def _signals(self, book: Book) -> list[Signals]:
        """The messages to the watch; watermarks and names travel with the last one."""
        runs = [(name, concatenate(runs)) for name, runs in sorted(book.series.items())]
        pieces = [
            {name: run.take(slice(at, at + MAX_SIGNAL_ROWS))}
            for name, run in runs
            for at in range(0, len(run), MAX_SIGNAL_ROWS)
        ]
        found = [self._signal(book, series) for series in pieces]
        names = (dataclasses.replace(name, partition=self.partition) for name in book.named)
        last = dataclasses.replace(
            self._signal(book, {}),
            watermark_ms=book.watermark_ms,
            label_watermark_ms=self.truths_of(book.model).watermark_ms,
            active=tuple(book.active),
            sealed=tuple(names),
            control=tuple(book.control),
            counts=book.counts,
        )
        book.series, book.named, book.control, book.counts = {}, [], [], {}
        return [*found, last]

    def _signal(self, book: Book, series: dict[str, Series]) -> Signals:
        book.sequence += 1
        return Signals(
            book.model, book.version, self.partition, self.partitions, book.sequence, series=series
        )

    def _dump(self) -> bytes:
        truths = {
            model: (
                t.front.dump(),
                t.watermark_ms,
                [(p, c.to_bytes()) for p, c in t.sources.items()],
            )
            for model, t in self.truths.items()
        }
        return msgspec.msgpack.encode(
            {
                "format": FORMAT,
                "sources": self.sources.dump(),
                "names": self.matches.names.known,
                "truths": truths,
                "progress": self.progress,
                "pending": self.matches.pending,
                "parts": self.parts.to_bytes(),
            }
        )

    @staticmethod
    def references_in(fields: Mapping[str, bytes]) -> set[str]:
        """Ids of the references that `restore` needs."""
        books = (raw for field, raw in fields.items() if field.startswith("book/"))
        return {ref for raw in books for _, ref in msgspec.msgpack.decode(raw)["active"]}

    def restore(self, fields: Mapping[str, bytes], references: Mapping[str, Reference]) -> None:
        """Take up the state that the fields of `changes` make up. Raises ValueError if damaged."""
        if "ledger" in fields:
            self._restore(msgspec.msgpack.decode(fields["ledger"], strict=False))
        for field, raw in sorted(fields.items()):
            if field.startswith("book/"):
                book = Book.from_bytes(raw, self.settings)
                book.references = {ref: references[ref] for _, ref in book.active}
                self.books[book.model, book.version] = book
        keys = {book.key: book for book in self.books.values()}
        for field, raw in fields.items():
            kind, _, rest = field.partition("/")
            if kind.startswith("open-"):
                key, _, pane = rest.rpartition("/")
                _open(keys[key], kind.removeprefix("open-"), int(pane), raw)

    def _restore(self, state: dict[str, Any]) -> None:
        if state["format"] != FORMAT:
            raise ValueError(f"ledger state of format {state['format']}, not {FORMAT}")
        self.sources = Sources.load(state["sources"])
        self.matches = Matches(Names(state["names"]), pending=state["pending"])
        self.parts = Parts.from_bytes(state["parts"])
        self.progress = state["progress"]
        for model, (front, watermark_ms, sources) in state["truths"].items():
            told = {pane: Cohorts.from_bytes(raw) for pane, raw in sources}
            self.truths[model] = Truths(Front.load(front), watermark_ms, told)


def _open_field(kind: Kind | str, book: Book, pane: int) -> str:
    return f"open-{kind}/{book.key}/{pane}"


def _page_bytes(page: Counts | Cohorts) -> bytes:
    reference = page.reference.id if isinstance(page, Share) else ""
    return msgspec.msgpack.encode((reference, page.to_bytes()))


def _open(book: Book, kind: str, pane: int, packed: bytes) -> None:
    reference, raw = msgspec.msgpack.decode(packed, type=tuple[str, bytes])
    if kind == "quality":
        book.quality.open[pane] = Cohorts.from_bytes(raw)
    elif reference:
        book.inputs.open[pane] = Share.from_bytes(raw, book.references[reference])
    else:
        book.inputs.open[pane] = Sample.from_bytes(raw)


def _add_rows(book: Book, pane: int, rows: Block, source: Source) -> None:
    page = book.counts_of(pane)
    if isinstance(page, Share):
        count_rows(page, rows, book.settings.positive, source)
    else:
        page.update(rows)


def _note_sources(truths: Truths, block: Block, source: Source, pane_ms: int) -> None:
    panes = panes_of(block.times_ms, pane_ms)
    for pane in np.unique(panes).tolist():
        offsets = block.offsets[panes == pane]
        told = truths.sources.setdefault(pane, Cohorts())
        told.came_from(source, int(offsets.min()), int(offsets.max()))
