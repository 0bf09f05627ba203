"""Books: what one partition has counted of one model version, pane by pane."""

import functools
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from stream.batches import Block
from stream.batches.joining import gathered
from stream.cohorts import Cohorts
from stream.contests import Contests
from stream.fronts import Front, State
from stream.joins import Outcome, Step, Steps
from stream.meetings import Meetings
from stream.outcomes import Outcomes, outcomes_of_rows
from stream.pages import Pages
from stream.panes import BEFORE_ALL
from stream.references import Reference
from stream.samples import Sample, count_rows
from stream.segments import Key
from stream.settings import ModelSettings, Task
from stream.shares import Share
from stream.signals import Kind, Quiet, Series, ShareName
from stream.sources import Source

Counts = Share | Sample
MOST_KEYS = 10_000  # that are remembered
# of inputs, of quality and, where it has any, of answers
Revisions = Annotated[list[dict[int, int]], msgspec.Meta(min_length=2, max_length=3)]


class Known(msgspec.Struct, frozen=True, gc=False):
    """An outcome that waits to be counted. key: its id hash where detectors are to see it."""

    outcome: Outcome
    sign: int
    time_ms: int
    key: int | None


class _State(msgspec.Struct, array_like=True):
    model: str
    version: str
    front: State
    sequence: int
    active: list[tuple[int, str]]
    inputs_until_ms: int
    quality_until_ms: int


class Book:
    """One model version in one partition. touched: to be saved; news: the watch is to be told.

    totals: rows and outcomes counted. counts: rows that were late, duplicated or the like.
    """

    def __init__(self, model: str, version: str, settings: ModelSettings) -> None:
        self.model, self.version, self.settings = model, version, settings
        self.key = model_key(model, version)
        pane_ms, keep = settings.pane_s * 1000, settings.panes_kept
        self.inputs: Pages[Counts] = Pages("inputs", pane_ms, keep)
        self.quality: Pages[Cohorts] = Pages("quality", pane_ms, keep)
        self.answers: Pages[Cohorts] = Pages("answers", pane_ms, keep)  # of a challenger
        for pages in self.pages:
            pages.most_open, pages.most_revisions = settings.max_open_panes, settings.max_revisions
        self.front = Front()
        self.sequence = 0
        self.active: list[tuple[int, str]] = []  # (from event time, reference id), in that order
        self.references: dict[str, Reference] = {}
        self.touched = self.news = True
        self.quiet: dict[Kind, Quiet] = {}  # silences that the watch knows of, or soon will
        self.saying: dict[Kind, Quiet] = {}
        self.named: list[ShareName] = []
        self.series: dict[str, list[Series]] = {}
        self.outcomes: dict[tuple[int, int, int, int], list[Known]] = {}
        self.contests = Contests()
        self.control: list[bytes] = []
        self.counts: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        self._waiting: dict[int, list[Block]] = {}  # rows of open shares by pane, not yet counted

    @property
    def pages(self) -> tuple[Pages[Counts], Pages[Cohorts], Pages[Cohorts]]:
        """Of all kinds."""
        return self.inputs, self.quality, self.answers

    @property
    def watermark_ms(self) -> int:
        """No prediction before it is expected."""
        return self.front.watermark_ms

    @property
    def reference(self) -> Reference | None:
        """The one activated last."""
        return self.references[self.active[-1][1]] if self.active else None

    @property
    def challenges(self) -> bool:
        """Whether it runs beside the version that is in use."""
        return self.version in self.settings.challengers

    @property
    def task(self) -> Task:
        """The configured task, else the reference's; "auto" where neither says."""
        known = self.settings.task
        if known == "auto" and self.reference:
            return cast(Task, self.reference.task)
        return known

    def count(self, reason: str, rows: int = 1) -> None:
        """Note rows that were late, duplicated or the like; told to the watch."""
        if rows:
            self.counts[reason] = self.counts.get(reason, 0) + rows
            self.news = True

    def total(self, name: str, rows: int) -> None:
        """Note how much was counted; for the service's own counters."""
        self.totals[name] = self.totals.get(name, 0) + rows

    def reference_of(self, pane: int) -> Reference | None:
        """The reference that is active at the start of a pane."""
        ids = [ref for since, ref in self.active if since <= pane]
        return self.references[ids[-1]] if ids else None

    def counts_of(self, pane: int) -> Counts:
        """The open page of a pane's inputs: a share, or a sample where no reference is known."""

        def new() -> Counts:
            reference = self.reference_of(pane)
            return Share(reference) if reference else Sample(self.settings.max_sample_rows)

        return self.inputs.page(pane, new)

    def add_rows(self, pane: int, block: Block, source: Source) -> None:
        """Take in rows of a pane; those of a share wait for `count_rows`.

        source: the topic and partition they came from.
        """
        page = self.counts_of(pane)
        if isinstance(page, Sample):
            page.update(block, source)
            return
        page.came_from(source, int(block.offsets.min()), int(block.offsets.max()))
        self._waiting.setdefault(pane, []).append(block)

    def count_rows(self) -> None:
        """Count the rows that wait, those of a pane together: a search costs less in company."""
        for pane, blocks in self._waiting.items():
            page = self.inputs.open[pane]
            assert isinstance(page, Share)
            for block in gathered(blocks):
                count_rows(page, block, self.settings.positive)
        self._waiting = {}

    def activate(self, reference: Reference, since_ms: int | None) -> bool:
        """Use a reference from an event time on, from the start if none is given.

        Samples of open panes are counted against it. False where it was active already.
        """
        if reference.id in self.references:
            return False
        since = BEFORE_ALL if since_ms is None else since_ms
        self.references[reference.id] = reference
        self.active = sorted([*self.active, (since, reference.id)])
        for pane, page in list(self.inputs.open.items()):
            known = self.reference_of(pane)
            if isinstance(page, Sample) and known:
                self.inputs.dirty.add(pane)
                self.inputs.open[pane] = page.counted(known, self.settings.positive)
        self.touched = self.news = True
        return True

    def change(self, key: int, old: Steps, new: Steps) -> None:
        """Book the difference between how an outcome was known and how it is known now.

        key: the id's hash. What detectors see is the first truth about a prediction alone.
        """
        if not old:
            for step in new:
                self._book(step, 1, key if step is new[0] else None)
            return
        for step in old:
            if step not in new:
                self._book(step, -1)
        for step in new:
            if step not in old:
                self._book(step, 1)

    def _book(self, step: Step, sign: int, key: int | None = None) -> None:
        """What belongs to a pane that is gone goes to the oldest one kept: sums stay right."""
        pane_ms, time_ms, outcome = self.quality.pane_ms, step.time_ms, step.outcome
        oldest, made = self.quality.oldest_ms, outcome.forecast.time_ms
        pane, first = max(time_ms, oldest), max(step.first_ms, oldest)
        cohort, exponent = made - made % pane_ms, outcome.exponent
        cell = pane - pane % pane_ms, first - first % pane_ms, cohort, exponent
        known = Known(outcome, sign * step.sign, time_ms, key)
        rows = self.outcomes.get(cell)
        if rows is None:
            self.outcomes[cell] = [known]
        else:
            rows.append(known)

    def meet(self, champion: str, old: Meetings, new: Meetings) -> None:
        """Book the difference between how a pair was known and how it is known now."""
        kinds = (self.answers, self.quality) if self.settings.expects_truth else (self.answers,)
        self.contests.change(champion, old, new, kinds)

    def add_series(self, signal: str, series: Series) -> None:
        """Values for the online detectors."""
        if len(series):
            self.series.setdefault(signal, []).append(series)
            self.news = True

    def settle(self) -> None:
        """Count the rows and the outcomes that wait, all of a pane or cell at once."""
        self.count_rows()
        self.settle_outcomes()

    def settle_outcomes(self) -> None:
        """Count the outcomes that wait, and the pairs; before anything is sealed."""
        if self.contests.waiting:
            kinds = self.answers, self.quality
            self.contests.settle(kinds, self.task, self.settings.positive)
            self.touched = True
        if not self.outcomes:
            return
        watched = any(d.signal == "error" for d in self.settings.detectors)
        waiting = [known for rows in self.outcomes.values() for known in rows]
        whole, at = _outcomes(waiting, self.task, self.settings.positive), 0
        for (pane, first, cohort, exponent), rows in self.outcomes.items():
            found, at = whole.take(slice(at, at + len(rows))), at + len(rows)
            page = self.quality.page(pane, Cohorts).sample(exponent)
            tally = page.cell(cohort) if first == pane else page.correction(first, cohort)
            tally.update(found)
            self._settle_segments((pane, first, cohort, exponent), rows, found)
            back = int((found.signs < 0).sum())
            self.total("outcomes", len(rows) - back)
            self.total("outcomes-taken-back", back)
            self.touched = True
            if watched:
                self.add_series("error", _errors(rows, found))
        self.outcomes = {}

    def _settle_segments(
        self, cell: tuple[int, int, int, int], rows: list[Known], found: Outcomes
    ) -> None:
        """Count outcomes by the segments of their predictions too."""
        own: dict[Key, list[int]] = {}
        for i, known in enumerate(rows):
            for key in known.outcome.forecast.segments:
                own.setdefault(key, []).append(i)
        pane, first, cohort, exponent = cell
        for key, places in own.items():
            page = self.quality.page(pane, Cohorts).segment(key).sample(exponent)
            tally = page.cell(cohort) if first == pane else page.correction(first, cohort)
            tally.update(found.take(np.array(places)))

    def seal(
        self, label_watermark_ms: int, told: Mapping[int, Cohorts]
    ) -> Iterator[tuple[ShareName, bytes]]:
        """Close the pages that the watermarks have passed: their names and bytes.

        told: where the truth of each pane of label time lies.
        """
        if self.inputs.closes(self.watermark_ms):
            self.count_rows()
        for pane, revision, page in self.inputs.seal(self.watermark_ms):
            reference = page.reference.id if isinstance(page, Share) else ""
            rows = page.rows if isinstance(page, Share) else page.seen
            yield self._name("inputs", pane, revision, reference, rows), page.to_bytes()
        for pane, revision, cohorts in self.answers.seal(self.watermark_ms):
            yield self._name("answers", pane, revision, "", cohorts.rows), cohorts.to_bytes()
        known = min(self.watermark_ms, label_watermark_ms)
        for pane, revision, cohorts in self.quality.seal(known):
            if pane in told:
                cohorts.merge(told[pane])
            yield self._name("quality", pane, revision, "", cohorts.rows), cohorts.to_bytes()
        for pages in self.pages:
            self.count("panes-sealed-early", pages.early)
            self.count("panes-put-off", pages.put_off)
            pages.early = pages.put_off = 0

    def _name(self, kind: Kind, pane: int, revision: int, ref: str, rows: int) -> ShareName:
        self.touched = self.news = True
        name = ShareName(kind, pane, revision, -1, ref, rows)
        self.named.append(name)
        return name

    def to_bytes(self) -> bytes:
        """The book without its pages, their revisions and references."""
        return msgspec.msgpack.encode(
            _State(
                self.model,
                self.version,
                self.front.dump(),
                self.sequence,
                self.active,
                self.inputs.until_ms,
                self.quality.until_ms,
            )
        )

    @classmethod
    def from_bytes(cls, raw: bytes, settings: Callable[[str], ModelSettings]) -> "Book":
        """The book of `to_bytes`. Raises ValueError on anything else."""
        state = _state(raw)
        book = cls(state.model, state.version, settings(state.model))
        book.front, book.sequence, book.active = (
            Front.load(state.front),
            state.sequence,
            state.active,
        )
        book.inputs.until_ms = book.answers.until_ms = state.inputs_until_ms
        book.quality.until_ms = state.quality_until_ms
        book.touched = book.news = False
        return book

    def page_bytes(self, kind: Kind, pane: int) -> bytes:
        """An open page, with the id of its reference."""
        page: Counts | Cohorts = self._of(kind).open[pane]
        reference = page.reference.id if isinstance(page, Share) else ""
        return msgspec.msgpack.encode((reference, page.to_bytes()))

    def _of(self, kind: str) -> Pages[Any]:
        return next(pages for pages in self.pages if pages.kind == kind)

    def open_page(self, kind: str, pane: int, packed: bytes) -> None:
        """Take up `page_bytes`. Raises ValueError on anything else."""
        try:
            reference, raw = msgspec.msgpack.decode(packed, type=tuple[str, bytes])
        except msgspec.DecodeError as error:
            raise ValueError(f"{self.key}: a damaged page: {error}") from error
        if kind != "inputs":
            self._of(kind).open[pane] = Cohorts.from_bytes(raw)
        elif reference:
            self.inputs.open[pane] = Share.from_bytes(raw, self.references[reference])
        else:
            self.inputs.open[pane] = Sample.from_bytes(raw)

    def revisions_to_bytes(self) -> bytes:
        """How many revisions of each pane have been sealed; changes once a pane."""
        found = [self.inputs.revisions, self.quality.revisions]
        found += [self.answers.revisions] if self.answers.revisions else []
        return msgspec.msgpack.encode(found)

    def load_revisions(self, raw: bytes) -> None:
        """Take up `revisions_to_bytes`. Raises ValueError on anything else."""
        try:
            found = msgspec.msgpack.decode(raw, type=Revisions)
        except msgspec.DecodeError as error:
            raise ValueError(f"{self.key}: damaged revisions: {error}") from error
        self.inputs.revisions, self.quality.revisions = found[:2]
        self.answers.revisions = found[2] if found[2:] else {}


def references_of(raw: bytes) -> list[str]:
    """Ids of the references that a book's bytes name. Raises ValueError if they are damaged."""
    return [ref for _, ref in _state(raw).active]


def _state(raw: bytes) -> _State:
    try:
        return msgspec.msgpack.decode(raw, type=_State)
    except msgspec.DecodeError as error:
        raise ValueError(f"a damaged book: {error}") from error


@functools.lru_cache(MOST_KEYS)
def model_key(model: str, version: str) -> str:
    """A model version as part of a key: free of slashes and control characters."""
    return f"{urllib.parse.quote(model, safe='')}/{urllib.parse.quote(version, safe='')}"


def _outcomes(rows: list[Known], task: Task, positive: str) -> Outcomes:
    return outcomes_of_rows(
        [k.outcome.label.answer for k in rows],
        [k.outcome.forecast.answer for k in rows],
        [k.outcome.forecast.scores for k in rows],
        [k.sign for k in rows],
        task,
        positive,
    )


def _errors(rows: list[Known], found: Outcomes) -> Series:
    seen = np.array([k.key is not None for k in rows], dtype=np.bool_) & np.isfinite(found.missed)
    times = np.array([k.time_ms for k in rows], dtype=np.int64)
    ids = np.array([k.key or 0 for k in rows], dtype=np.uint64)
    return Series(times, ids, found.missed).take(seen)
