"""Matches: what a batch of predictions or truth changes in the entries of its ids."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from stream.answers import answers, scores
from stream.batches import Block
from stream.batches.blocks import rows_of
from stream.books import Book
from stream.changes import Changes
from stream.columns import Bools, Hashes, Ints
from stream.entries import Tables, pack_entry, unpack_entry
from stream.joins import MAX_ITEMS, Entry, Forecast, Label
from stream.meetings import meetings
from stream.memberships import Keys, memberships
from stream.names import FULL
from stream.packed import packed_forecasts
from stream.panes import BEFORE_ALL
from stream.settings import ModelSettings
from stream.sieves import Sieve
from stream.thinning import Stay, is_taken


@dataclasses.dataclass(slots=True)
class Matches:
    """The entries that changed since the last checkpoint, and how many there are in all.

    packed: new entries of one forecast, which nothing has asked for since. found: packed entries
    that were fetched for the batch at hand, by id hash. expired: entries that the next checkpoint
    removes. stays: what the last call of `labels` made wait, and wait longer, where it was
    to note that.
    """

    tables: Tables
    sieve: Sieve = dataclasses.field(default_factory=Sieve)  # of the ids changed and packed
    changed: dict[int, Entry] = dataclasses.field(default_factory=dict)
    packed: dict[int, bytes] = dataclasses.field(default_factory=dict)
    pending: int = 0
    found: Mapping[int, bytes] = dataclasses.field(default_factory=dict)
    expired: set[int] = dataclasses.field(default_factory=set)
    stays: list[Stay] | None = None

    def entry(self, key: int) -> Entry:
        """What is known of an id. Raises ValueError where that is damaged."""
        known = self.changed.get(key)
        if known is not None:
            return known
        raw = self.packed.get(key) or self.found.get(key)
        return Entry() if raw is None else unpack_entry(raw, self.tables)

    def admits(self, model: str, version: str | None) -> bool:
        """Whether there is a number for a model and a version, so that its rows can be kept."""
        subjects = self.tables.subjects
        return FULL not in (subjects.number(model), subjects.number(_subject(model, version)))

    def subject(self, model: str, version: str | None) -> int:
        """The number of a model version, or of all versions of a model."""
        return self.tables.subjects.number(_subject(model, version))

    def forecasts(
        self, book: Book, block: Block, exponent: int = 0, books: Sequence[Book] = ()
    ) -> Bools:
        """Enter predictions; a mask, shape (n,), of those that were not there before.

        exponent: of the sample that they are (`stream.thinning`). books: of the model, where some
        of its versions challenge others.
        """
        subject = self.subject(book.model, book.version)
        model, horizon_ms = self.subject(book.model, None), book.settings.horizon_s * 1000
        fresh = np.ones(len(block), dtype=np.bool_)
        most, full = book.settings.max_pending, 0
        of = self._by_subject(books)
        own = memberships(block, book.settings, book.reference_of, self.tables.words)
        if own is None:
            others = self._pack(book, block, subject, exponent)  # nearly always none
            rest = rows_of(block, others)
        else:
            others, rest = fresh.copy(), block
        answered = self._answered(rest, book.settings.positive, exponent, own)
        for i, (key, *values) in zip(np.flatnonzero(others).tolist(), answered, strict=True):
            forecast = Forecast(subject, *values)
            if not (key in self.changed or key in self.found or key in self.packed):
                full += not self._keep(key, Entry([forecast]), most)
                continue
            entry = self.entry(key)
            if entry.forecast(subject) is not None:
                fresh[i] = False
                continue
            added = self._add(key, entry, forecast, most)
            full += not added
            for one, other in self._pairs(entry, of, forecast) if added and of else ():
                new = meetings(entry, one, other, model, horizon_ms)
                of[other.subject].meet(of[one.subject].version, (), new)
            if entry.labels:
                book.change(key, (), entry.steps(forecast, model, horizon_ms))
        book.count("pending-full", full)
        book.count("duplicate-predictions", len(block) - int(fresh.sum()))
        return fresh

    def _by_subject(self, books: Sequence[Book]) -> dict[int, Book]:
        return {self.subject(book.model, book.version): book for book in books}

    @staticmethod
    def _pairs(
        entry: Entry, of: Mapping[int, Book], about: Forecast | None = None
    ) -> list[tuple[Forecast, Forecast]]:
        """Those of champions with those of challengers. about: only pairs that it is one of.

        of: the books of the model by subject.
        """
        some = [f for f in entry.forecasts if f.subject in of] if len(entry.forecasts) > 1 else []
        new = [f for f in some if of[f.subject].challenges]
        pairs = [(a, b) for b in new for a in some if not of[a.subject].challenges]
        return [pair for pair in pairs if about is None or about in pair]

    def _pack(self, book: Book, block: Block, subject: int, exponent: int) -> Bools:
        """Enter all usual predictions of ids that nobody knows; the other rows, a mask."""
        others = np.ones(len(block), dtype=np.bool_)
        new = self._unknown(block.ids)
        room = max(0, book.settings.max_pending - self.pending)
        positive, words = book.settings.positive, self.tables.words
        made = packed_forecasts(block, subject, positive, words, exponent)
        if made is None or not new.any():
            return others
        usual, entries = made
        rows = np.flatnonzero(usual)
        kept = new[rows]
        if not kept.all() or len(rows) > room:
            kept &= np.cumsum(kept) <= room
            entries = [
                entry for entry, wanted in zip(entries, kept.tolist(), strict=True) if wanted
            ]
        rows = rows[kept]
        self._enter(block.ids[rows], entries)
        self.pending += len(rows)
        others[rows] = False
        return others

    def _enter(self, ids: Hashes, entries: Sequence[bytes]) -> None:
        self.packed.update(zip(ids.tolist(), entries, strict=True))
        self.sieve.add(ids)

    def _unknown(self, ids: Hashes) -> Bools:
        """Rows of ids that have no entry, and of those the first; a mask."""
        known = self._in_memory(ids)
        others = [some for some in (self.found, self.expired) if some]
        for some in others:
            known |= np.isin(ids, np.fromiter(some, np.uint64, len(some)))
        ordered = np.sort(ids)
        if (ordered[1:] != ordered[:-1]).all():
            return ~known
        first = np.zeros(len(ids), dtype=np.bool_)
        first[np.unique(ids, return_index=True)[1]] = True
        return first & ~known

    def _in_memory(self, ids: Hashes) -> Bools:
        """Rows of ids whose entries are in memory, a mask."""
        found = self.sieve.may_hold(ids)
        for i in np.flatnonzero(found).tolist():
            key = int(ids[i])
            found[i] = key in self.changed or key in self.packed
        return found

    def unfetched(self, ids: Hashes) -> Hashes:
        """Those of ids whose entries are not in memory; each of them once."""
        return np.unique(ids[~self._in_memory(ids)])

    def _answered(
        self, block: Block, positive: str, exponent: int, own: list[Keys] | None
    ) -> Iterator[tuple[Any, ...]]:
        """Of each row: id hash, time, answer, scores, if of the control group, k, segments."""
        words, ids, times = self.tables.words, block.ids.tolist(), block.times_ms.tolist()
        given, sure = answers(block.prediction, len(block), words), scores(block, positive, words)
        of = [()] * len(block) if own is None else own
        same = [exponent] * len(block)
        return zip(ids, times, given, sure, _flags(block), same, of, strict=True)

    def _add(self, key: int, entry: Entry, forecast: Forecast, most: int) -> bool:
        """Add a forecast to its entry; False where there is no room to remember it."""
        if len(entry.forecasts) >= MAX_ITEMS:
            return False
        entry.forecasts.append(forecast)
        return self._keep(key, entry, most)

    def known(self, book: Book, ids: Hashes) -> Bools:
        """Which predictions are there already, a mask of shape (n,)."""
        subject, found = self.subject(book.model, book.version), np.zeros(len(ids), dtype=np.bool_)
        for i, key in enumerate(ids.tolist()):
            if key in self.changed or key in self.packed or key in self.found:
                found[i] = self.entry(key).forecast(subject) is not None
        return found

    def labels(
        self, books: Sequence[Book], block: Block, s: ModelSettings, exponents: Ints | None = None
    ) -> dict[str, int]:
        """Enter truth about predictions of a model, whether they have come or not.

        books: those of the model. exponents, shape (n,): of the samples that ids of which nothing
        is known must be in. Returns how many rows there were that are worth a word.
        """
        self.stays = None if exponents is None else []
        subject = self.subject(block.model, block.version)
        model = self.subject(block.model, None)
        of = self._by_subject(books)
        said: dict[str, int] = {}
        for key, *values in self._stated(block, exponents):
            reason = self._label(key, Label(subject, *values), of, model, s)
            if reason:
                said[reason] = said.get(reason, 0) + 1
        return said

    def _stated(self, block: Block, exponents: Ints | None) -> Iterator[tuple[Any, ...]]:
        """Of each row: id hash, time, label, revision, whether it is taken back, exponent."""
        assert block.revision is not None
        assert block.retracted is not None
        ids, times = block.ids.tolist(), block.times_ms.tolist()
        given = answers(block.label, len(block), self.tables.words)
        revisions, retracted = block.revision.tolist(), block.retracted.tolist()
        strict = [0] * len(block) if exponents is None else exponents.tolist()
        return zip(ids, times, given, revisions, retracted, strict, strict=True)

    def _label(
        self, key: int, label: Label, of: Mapping[int, Book], model: int, s: ModelSettings
    ) -> str:
        """Add a label to its entry; what there is to say of it, if anything. of: by subject."""
        entry, horizon_ms = self.entry(key), s.horizon_s * 1000
        new = not entry.forecasts and not entry.labels
        if label.exponent:
            if new and not is_taken(key, label.exponent):
                return "truths-sampled-out"
            if not new and entry.exponent < label.exponent:
                label = msgspec.structs.replace(label, exponent=entry.exponent)
        newest = BEFORE_ALL if new or self.stays is None else entry.newest_ms()
        met = [f for f in entry.forecasts if f.subject in of]
        before = [entry.steps(f, model, horizon_ms) for f in met] if entry.labels else None
        pairs = self._pairs(entry, of) if s.challengers else []
        known = [meetings(entry, *pair, model, horizon_ms) for pair in pairs]
        if not entry.add_label(label):
            return "duplicate-truths"
        if not self._keep(key, entry, s.max_pending):
            return "pending-full"
        if self.stays is not None and label.time_ms > newest:
            self.stays.append(Stay(None if new else newest, label.time_ms))
        for i, forecast in enumerate(met):
            after = entry.steps(forecast, model, horizon_ms)
            of[forecast.subject].change(key, before[i] if before else (), after)
        for (one, other), old in zip(pairs, known, strict=True):
            now = meetings(entry, one, other, model, horizon_ms)
            of[other.subject].meet(of[one.subject].version, old, now)
        return "" if met else "truths-before-predictions"

    def _keep(self, key: int, entry: Entry, most: int) -> bool:
        """Remember a changed entry; False where it is new and there is no room."""
        if key in self.changed:
            return True
        self.sieve.add_one(key)
        if self.packed.pop(key, None) is not None:
            self.changed[key] = entry
            return True
        if key not in self.found or key in self.expired:
            if self.pending >= most:
                return False
            self.pending += 1
            self.expired.discard(key)
        self.changed[key] = entry
        return True

    def expire(self, entries: Mapping[int, bytes], line_ms: Callable[[str], int]) -> int:
        """Let the next checkpoint remove entries whose every item is older than its model's line.

        line_ms: of a model's name. Returns how many of them were truth whose prediction never
        came. Raises ValueError where an entry is damaged.
        """
        orphans = 0
        for key, raw in entries.items():
            if key in self.changed or key in self.packed or key in self.expired:
                continue
            entry = unpack_entry(raw, self.tables)
            subject = (entry.forecasts or entry.labels)[0].subject
            model = self.tables.subjects.word(subject).partition("\0")[0]
            if entry.newest_ms() < line_ms(model):
                self.expired.add(key)
                self.pending -= 1
                orphans += not entry.forecasts
        return orphans

    def save(self, changes: Changes) -> None:
        """Everything since the last call."""
        words = self.tables.words
        for key, entry in self.changed.items():
            changes.pending_puts[key] = pack_entry(entry, words)
        changes.pending_puts |= self.packed
        changes.pending_deletes |= self.expired
        self.changed, self.packed, self.expired = {}, {}, set()
        self.sieve.clear()


def _subject(model: str, version: str | None) -> str:
    return model if version is None else f"{model}\0{version}"


def _flags(block: Block) -> list[bool]:
    if block.control_group is None:
        return [False] * len(block)
    return [name == "true" for name in block.control_group.names()]
