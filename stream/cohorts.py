"""Cohorts: quality as it became known in one pane of label time, by the pane of the prediction."""

import dataclasses
from collections.abc import Iterable

import msgspec

from stream.quality import Tally
from stream.shares import Source


@dataclasses.dataclass(slots=True)
class Cohorts:
    """Tallies of outcomes by the start of the prediction's pane. sources: where the truth lies.

    earlier: corrections of outcomes that were first known in an earlier pane of label time, by that
    pane and the prediction's: what was taken back, and what was added in its place.
    """

    cells: dict[int, Tally] = dataclasses.field(default_factory=dict)
    earlier: dict[tuple[int, int], Tally] = dataclasses.field(default_factory=dict)
    sources: dict[Source, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Outcomes that became known, less those taken back."""
        return sum(tally.n for tally in (*self.cells.values(), *self.earlier.values()))

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

    def since(self, start: int) -> "Cohorts":
        """What is known of outcomes that were first known from a pane on, with corrections."""
        found = Cohorts(sources=dict(self.sources))
        for pane, tally in self.cells.items():
            found.cell(pane).merge(tally)
        for (first, pane), tally in self.earlier.items():
            if first >= start:
                found.cell(pane).merge(tally)
        return found

    def total(self) -> Tally:
        """All cohorts together, with all corrections."""
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
        return msgspec.msgpack.encode((cells, earlier, sources))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Cohorts":
        """The content of `to_bytes`. Raises ValueError on anything else."""
        kind = tuple[
            list[tuple[int, bytes]],
            list[tuple[int, int, bytes]],
            list[tuple[str, int, int, int]],
        ]
        try:
            cells, earlier, sources = msgspec.msgpack.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged quality share: {error}") from error
        return cls(
            {pane: Tally.from_bytes(tally) for pane, tally in cells},
            {(first, pane): Tally.from_bytes(tally) for first, pane, tally in earlier},
            {(topic, partition): (first, last) for topic, partition, first, last in sources},
        )
