"""Windows: merges of sealed panes, kept as long as a window can still reach them."""

import dataclasses
from collections.abc import Iterable, Mapping

from stream.cohorts import Cohorts
from stream.panes import window_panes
from stream.references import Reference
from stream.samples import Sample
from stream.shares import Share
from stream.signals import Kind, ShareName

Source = tuple[str, int]


@dataclasses.dataclass(slots=True)
class Pane:
    """The merged shares of one pane. names: of the shares that are in."""

    names: set[ShareName] = dataclasses.field(default_factory=set)
    shares: dict[str, Share] = dataclasses.field(default_factory=dict)
    sample: Sample | None = None
    cohorts: Cohorts = dataclasses.field(default_factory=Cohorts)


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """A window's counts. share: None where no reference is known. other: rows left out because
    they were counted against another reference; sampled: rows of panes without any.
    """

    share: Share | None
    other: int = 0
    sampled: int = 0


@dataclasses.dataclass(slots=True)
class Windows:
    """What has been named by the partitions, and what of it is in memory.

    named: shares by pane, never forgotten before `forget`. panes: a cache, made again from Redis
    after a restart.
    """

    kind: Kind
    pane_ms: int
    named: dict[int, set[ShareName]] = dataclasses.field(default_factory=dict)
    panes: dict[int, Pane] = dataclasses.field(default_factory=dict)

    def name(self, names: Iterable[ShareName]) -> list[int]:
        """Take in names of sealed shares; the panes that are new or have new revisions."""
        changed = set()
        for name in names:
            if name.kind == self.kind and name not in self.named.setdefault(name.pane, set()):
                self.named[name.pane].add(name)
                changed.add(name.pane)
        return sorted(changed)

    def wanted(self, end_ms: int, window_ms: int) -> list[ShareName]:
        """The shares of a window that are not in memory, in order."""
        found: list[ShareName] = []
        for pane in window_panes(end_ms, window_ms, self.pane_ms):
            known = self.panes[pane].names if pane in self.panes else set()
            found += sorted(self.named.get(pane, set()) - known)
        return found

    def add(self, name: ShareName, raw: bytes, references: Mapping[str, Reference]) -> None:
        """Merge one share into its pane. Raises ValueError on damaged bytes."""
        pane = self.panes.setdefault(name.pane, Pane())
        if name in pane.names:
            return
        if self.kind == "quality":
            pane.cohorts.merge(Cohorts.from_bytes(raw))
        elif name.reference:
            share = Share.from_bytes(raw, references[name.reference])
            into = pane.shares.setdefault(name.reference, Share(references[name.reference]))
            into.merge(share)
        else:
            sample = Sample.from_bytes(raw)
            pane.sample = pane.sample or Sample(sample.limit)
            pane.sample.merge(sample)
        pane.names.add(name)

    def merged(self, end_ms: int, window_ms: int, reference: Reference, positive: str) -> Merged:
        """The counts of a window against a reference; samples are counted now."""
        total, other, sampled = Share(reference), 0, 0
        for pane in self._in(end_ms, window_ms):
            for ref, share in pane.shares.items():
                if ref == reference.id:
                    total.merge(share)
                else:
                    other += share.rows
            if pane.sample is not None:
                sampled += pane.sample.seen
                total.merge(pane.sample.counted(reference, positive))
        return Merged(total, other, sampled)

    def cohorts(self, end_ms: int, window_ms: int) -> Cohorts:
        """Outcomes that became known in a window, by the pane of their prediction."""
        return Cohorts.merged(pane.cohorts for pane in self._in(end_ms, window_ms))

    def sample(self, end_ms: int, window_ms: int) -> Sample | None:
        """The raw rows of a window without a reference."""
        samples = [p.sample for p in self._in(end_ms, window_ms) if p.sample is not None]
        if not samples:
            return None
        found = Sample(samples[0].limit * max(1, len(samples)))
        for sample in samples:
            found.merge(dataclasses.replace(sample, blocks=list(sample.blocks)))
        return found

    def rows(self, pane: int) -> int:
        """How many rows were named for a pane."""
        return sum(name.rows for name in self.named.get(pane, ()))

    def sources(self, start_ms: int, end_ms: int) -> dict[Source, tuple[int, int]]:
        """Where the rows of the panes in memory lie: first and last offset."""
        found = Cohorts()
        for pane in self._in(end_ms, end_ms - start_ms):
            told = [pane.cohorts.sources, *(share.sources for share in pane.shares.values())]
            for sources in told:
                for source, (first, last) in sources.items():
                    found.came_from(source, first, last)
        return found.sources

    def _in(self, end_ms: int, window_ms: int) -> list[Pane]:
        starts = window_panes(end_ms, window_ms, self.pane_ms)
        return [self.panes[pane] for pane in starts if pane in self.panes]

    def forget(self, before_ms: int, named_before_ms: int) -> None:
        """Drop merged panes, and names, that no window reaches any more."""
        self.panes = {pane: merged for pane, merged in self.panes.items() if pane >= before_ms}
        self.named = {pane: names for pane, names in self.named.items() if pane >= named_before_ms}
