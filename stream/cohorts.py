"""Cohorts: quality as it became known in one pane of label time, by the pane of the prediction."""

import dataclasses
from collections.abc import Iterable, Iterator

import msgspec

from stream.quality import Tally
from stream.segments import Key
from stream.sources import Source
from stream.weights import weighted


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    cells: list[tuple[int, bytes]]
    earlier: list[tuple[int, int, bytes]]
    sources: list[tuple[str, int, int, int]]
    samples: list[tuple[int, bytes]] = []
    segments: list[tuple[str, str, bytes]] = []
    contests: list[tuple[str, str, bytes]] = []


@dataclasses.dataclass(slots=True)
class Cohorts:
    """Tallies of outcomes by the start of the prediction's pane. sources: where the truth lies.

    earlier: corrections of outcomes that were first known in an earlier pane of label time, by that
    pane and the prediction's: what was taken back, and what was added in its place.
    samples: the same of predictions of which one in 2**k was joined, by k (`stream.thinning`).
    segments: all of it once more, of the predictions of each segment, without their sources.
    contests: of a challenger beside other versions, by version and part (`stream.contests`).
    """

    cells: dict[int, Tally] = dataclasses.field(default_factory=dict)
    earlier: dict[tuple[int, int], Tally] = dataclasses.field(default_factory=dict)
    sources: dict[Source, tuple[int, int]] = dataclasses.field(default_factory=dict)
    samples: "dict[int, Cohorts]" = dataclasses.field(default_factory=dict)
    segments: "dict[Key, Cohorts]" = dataclasses.field(default_factory=dict)
    contests: "dict[Key, Cohorts]" = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Outcomes that became known, less those taken back."""
        return sum(found.total().n for found in self.strata().values())

    @property
    def stands_for(self) -> int:
        """The same with the predictions that they are a sample of, by expectation."""
        return sum(found.total().n << k for k, found in self.strata().items())

    @property
    def panes(self) -> list[int]:
        """The cohorts, in order."""
        return sorted({pane for found in self.strata().values() for pane in found.cells})

    def sample(self, exponent: int) -> "Cohorts":
        """Outcomes that are known of one prediction in 2**exponent."""
        return self.samples.setdefault(exponent, Cohorts()) if exponent else self

    def segment(self, key: Key) -> "Cohorts":
        """Outcomes of the predictions of a segment."""
        return self.segments.setdefault(key, Cohorts())

    def contest(self, key: Key) -> "Cohorts":
        """A part of what is known of this version beside another one."""
        return self.contests.setdefault(key, Cohorts())

    def strata(self) -> "dict[int, Cohorts]":
        """The outcomes by the exponent of the sample that they are of, 0 where all were joined."""
        return {0: Cohorts(self.cells, self.earlier), **self.samples}

    def parts(self) -> Iterator[tuple[int, int | None, int, Tally]]:
        """Each tally with the exponent of its sample and the pane of its predictions.

        Between them the earlier pane in which its outcomes were first known; None: they are new.
        """
        for exponent, some in self.strata().items():
            for made, tally in some.cells.items():
                yield exponent, None, made, tally
            for (earlier, made), tally in some.earlier.items():
                yield exponent, earlier, made, tally

    def cell(self, pane: int) -> Tally:
        """The tally of one cohort."""
        return self.cells.setdefault(pane, Tally())

    def correction(self, first: int, pane: int) -> Tally:
        """The tally that corrects a cohort's outcomes first known in an earlier pane."""
        return self.earlier.setdefault((first, pane), Tally())

    def came_from(self, source: Source, first: int, last: int) -> None:
        """Note the source offsets of truth records."""
        known = self.sources.get(source, (first, last))
        self.sources[source] = (min(known[0], first), max(known[1], last))

    def merge(self, other: "Cohorts") -> None:
        """Add another one."""
        for pane, tally in other.cells.items():
            self.cell(pane).merge(tally)
        for (first, pane), tally in other.earlier.items():
            self.correction(first, pane).merge(tally)
        for source, (first, last) in other.sources.items():
            self.came_from(source, first, last)
        for exponent, sample in other.samples.items():
            self.sample(exponent).merge(sample)
        for key, own in other.segments.items():
            self.segment(key).merge(own)
        for key, own in other.contests.items():
            self.contest(key).merge(own)

    def since(self, start: int) -> "Cohorts":
        """What is known of outcomes that were first known from a pane on, with corrections."""
        found = Cohorts()
        found.merge_since(self, start)
        return found

    def merge_since(self, other: "Cohorts", start: int) -> None:
        """Add what `since` gives of another one."""
        for pane, tally in other.cells.items():
            self.cell(pane).merge(tally)
        for (first, pane), tally in other.earlier.items():
            if first >= start:
                self.cell(pane).merge(tally)
        for source, (first, last) in other.sources.items():
            self.came_from(source, first, last)
        for exponent, sample in other.samples.items():
            self.sample(exponent).merge_since(sample, start)
        for key, own in other.segments.items():
            self.segment(key).merge_since(own, start)
        for key, own in other.contests.items():
            self.contest(key).merge_since(own, start)

    def made_since(self, start: int) -> "Cohorts":
        """What is known of predictions made from a time on, all rows of them."""
        return Cohorts(
            {pane: tally for pane, tally in self.cells.items() if pane >= start},
            {panes: tally for panes, tally in self.earlier.items() if panes[1] >= start},
            samples={k: sample.made_since(start) for k, sample in self.samples.items()},
        )

    def total(self) -> Tally:
        """All cohorts together, with all corrections, by their weights."""
        if self.samples:
            return weighted({k: found.total() for k, found in self.strata().items()})
        found = Tally()
        for tally in (*self.cells.values(), *self.earlier.values()):
            found.merge(tally)
        return found

    @classmethod
    def merged(cls, parts: Iterable["Cohorts"]) -> "Cohorts":
        """The sum of several."""
        found = cls()
        for part in parts:
            found.merge(part)
        return found

    def to_bytes(self) -> bytes:
        """Compact bytes, equal for equal content."""
        cells = [(pane, tally.to_bytes()) for pane, tally in sorted(self.cells.items())]
        earlier = [(*panes, tally.to_bytes()) for panes, tally in sorted(self.earlier.items())]
        sources = [(*source, *offsets) for source, offsets in sorted(self.sources.items())]
        found: list[object] = [cells, earlier, sources]
        if self.samples or self.segments or self.contests:
            found.append([(k, sample.to_bytes()) for k, sample in sorted(self.samples.items())])
        if self.segments or self.contests:
            found.append([(*key, own.to_bytes()) for key, own in sorted(self.segments.items())])
        if self.contests:
            found.append([(*key, own.to_bytes()) for key, own in sorted(self.contests.items())])
        return msgspec.msgpack.encode(found)

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Cohorts":
        """The content of `to_bytes`. Raises ValueError on anything else."""
        try:
            packed = msgspec.msgpack.decode(raw, type=_Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged quality share: {error}") from error
        return cls(
            {pane: Tally.from_bytes(tally) for pane, tally in packed.cells},
            {(first, pane): Tally.from_bytes(tally) for first, pane, tally in packed.earlier},
            {(topic, part): (first, last) for topic, part, first, last in packed.sources},
            {k: cls.from_bytes(sample) for k, sample in packed.samples},
            {(name, value): cls.from_bytes(own) for name, value, own in packed.segments},
            {(version, part): cls.from_bytes(own) for version, part, own in packed.contests},
        )
