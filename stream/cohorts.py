"""Cohorts: quality as it became known in one pane of label time, by the pane of the prediction."""

import dataclasses
from collections.abc import Iterable

import msgspec

from stream.quality import Tally
from stream.shares import Source


@dataclasses.dataclass(slots=True)
class Cohorts:
    """Tallies of outcomes by the start of the prediction's pane. sources: where the truth lies."""

    cells: dict[int, Tally] = dataclasses.field(default_factory=dict)
    sources: dict[Source, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Outcomes that became known, less those taken back."""
        return sum(tally.n for tally in self.cells.values())

    def cell(self, pane: int) -> Tally:
        """The tally of one cohort."""
        return self.cells.setdefault(pane, Tally())

    def came_from(self, source: Source, first: int, last: int) -> None:
        """Note the source offsets of truth records."""
        known = self.sources.get(source, (first, last))
        self.sources[source] = (min(known[0], first), max(known[1], last))

    def merge(self, other: "Cohorts") -> None:
        """Add another one."""
        for pane, tally in other.cells.items():
            self.cell(pane).merge(tally)
        for source, (first, last) in other.sources.items():
            self.came_from(source, first, last)

    def total(self) -> Tally:
        """All cohorts together."""
        found = Tally()
        for tally in self.cells.values():
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
        sources = [(*source, *offsets) for source, offsets in sorted(self.sources.items())]
        return msgspec.msgpack.encode((cells, sources))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Cohorts":
        """The content of `to_bytes`. Raises ValueError on anything else."""
        kind = tuple[list[tuple[int, bytes]], list[tuple[str, int, int, int]]]
        try:
            cells, sources = msgspec.msgpack.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged quality share: {error}") from error
        return cls(
            {pane: Tally.from_bytes(tally) for pane, tally in cells},
            {(topic, partition): (first, last) for topic, partition, first, last in sources},
        )
