"""Books: what one partition has counted of one model version, pane by pane."""

import dataclasses
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import msgspec
import numpy as np

from stream.cohorts import Cohorts
from stream.fronts import Front
from stream.joins import Outcome, Step
from stream.outcomes import Outcomes, outcomes_of_rows
from stream.pages import Pages
from stream.panes import BEFORE_ALL, pane_of
from stream.references import Reference
from stream.samples import Sample
from stream.settings import ModelSettings, Task
from stream.shares import Share
from stream.signals import Kind, Series, ShareName

Counts = Share | Sample


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """An outcome that waits to be counted. key: its id hash where detectors are to see it."""

    outcome: Outcome
    sign: int
    time_ms: int
    key: int | None


class Book:
    """One model version in one partition."""

    def __init__(self, model: str, version: str, settings: ModelSettings) -> None:
        self.model, self.version, self.settings = model, version, settings
        self.key = model_key(model, version)
        pane_ms, keep = settings.pane_s * 1000, settings.panes_kept
        self.inputs: Pages[Counts] = Pages("inputs", pane_ms, keep)
        self.quality: Pages[Cohorts] = Pages("quality", pane_ms, keep)
        self.front = Front()
        self.watermark_ms = BEFORE_ALL
        self.sequence = 0
        self.active: list[tuple[int, str]] = []  # (from event time, reference id), in that order
        self.references: dict[str, Reference] = {}
        self.touched = True
        self.named: list[ShareName] = []
        self.series: dict[str, list[Series]] = {}
        self.outcomes: dict[tuple[int, int], list[Known]] = {}
        self.control: list[bytes] = []
        self.counts: dict[str, int] = {}

    @property
    def reference(self) -> Reference | None:
        """The one activated last."""
        return self.references[self.active[-1][1]] if self.active else None

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
            self.touched = True

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
        self.touched = True
        return True

    def change(self, key: int, old: Sequence[Step], new: Sequence[Step]) -> None:
        """Book the difference between how an outcome was known and how it is known now.

        key: the id's hash. What detectors see is the first truth about a prediction alone.
        """
        for step in old:
            if step not in new:
                self._book(step, -1)
        for step in new:
            if step not in old:
                self._book(step, 1, key if not old and step is new[0] else None)

    def _book(self, step: Step, sign: int, key: int | None = None) -> None:
        pane_ms = self.quality.pane_ms
        pane = pane_of(step.time_ms, pane_ms)
        if self.quality.too_old(pane):
            self.count("too-old-truths")
            return
        cell = pane, pane_of(step.outcome.forecast.time_ms, pane_ms)
        known = Known(step.outcome, sign * step.sign, step.time_ms, key)
        self.outcomes.setdefault(cell, []).append(known)
        self.touched = True

    def add_series(self, signal: str, series: Series) -> None:
        """Values for the online detectors."""
        if len(series):
            self.series.setdefault(signal, []).append(series)
            self.touched = True

    def settle(self) -> None:
        """Count the outcomes that wait, all of a cell at once."""
        watched = any(d.signal == "error" for d in self.settings.detectors)
        for (pane, cohort), rows in self.outcomes.items():
            found = _outcomes(rows, self.task)
            self.quality.page(pane, Cohorts).cell(cohort).update(found)
            if watched:
                self.add_series("error", _errors(rows, found))
        self.outcomes = {}

    def seal(self, label_watermark_ms: int) -> Iterator[tuple[ShareName, bytes]]:
        """Close the pages that the watermarks have passed: their names and bytes."""
        for pane, revision, page in self.inputs.seal(self.watermark_ms):
            reference = page.reference.id if isinstance(page, Share) else ""
            rows = page.rows if isinstance(page, Share) else page.seen
            yield self._name("inputs", pane, revision, reference, rows), page.to_bytes()
        known = min(self.watermark_ms, label_watermark_ms)
        for pane, revision, cohorts in self.quality.seal(known):
            yield self._name("quality", pane, revision, "", cohorts.rows), cohorts.to_bytes()

    def _name(self, kind: Kind, pane: int, revision: int, ref: str, rows: int) -> ShareName:
        self.touched = True
        name = ShareName(kind, pane, revision, -1, ref, rows)
        self.named.append(name)
        return name

    def to_bytes(self) -> bytes:
        """The book without its pages and references."""
        return msgspec.msgpack.encode(
            {
                "model": self.model,
                "version": self.version,
                "front": self.front.dump(),
                "watermark_ms": self.watermark_ms,
                "sequence": self.sequence,
                "active": self.active,
                "inputs": self.inputs.dump(),
                "quality": self.quality.dump(),
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes, settings: Callable[[str], ModelSettings]) -> "Book":
        """The book of `to_bytes`."""
        fields: dict[str, Any] = msgspec.msgpack.decode(raw)
        book = cls(fields["model"], fields["version"], settings(fields["model"]))
        book.front, book.watermark_ms = Front.load(fields["front"]), fields["watermark_ms"]
        book.sequence = fields["sequence"]
        book.active = [(since, ref) for since, ref in fields["active"]]
        book.inputs.load(fields["inputs"])
        book.quality.load(fields["quality"])
        book.touched = False
        return book


def model_key(model: str, version: str) -> str:
    """A model version as part of a key: free of slashes and control characters."""
    return f"{urllib.parse.quote(model, safe='')}/{urllib.parse.quote(version, safe='')}"


def _outcomes(rows: list[Known], task: Task) -> Outcomes:
    return outcomes_of_rows(
        [k.outcome.label.answer for k in rows],
        [k.outcome.forecast.answer for k in rows],
        [k.outcome.forecast.scores for k in rows],
        [k.sign for k in rows],
        task,
    )


def _errors(rows: list[Known], found: Outcomes) -> Series:
    seen = np.array([k.key is not None for k in rows], dtype=np.bool_) & np.isfinite(found.missed)
    times = np.array([k.time_ms for k in rows], dtype=np.int64)
    ids = np.array([k.key or 0 for k in rows], dtype=np.uint64)
    return Series(times, ids, found.missed).take(seen)
