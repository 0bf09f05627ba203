"""Windows: merges of sealed panes, kept as long as a window can still reach them."""

import dataclasses
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping

from stream.cohorts import Cohorts
from stream.panes import window_panes
from stream.previous import Previous
from stream.references import Reference
from stream.samples import Sample
from stream.seasons import Seasonal, panes_by_hour
from stream.settings import ModelSettings
from stream.shares import Share
from stream.signals import Kind, ShareName
from stream.sources import Source
from stream.totals import Totals

Ranges = dict[Source, tuple[int, int]]


@dataclasses.dataclass(slots=True)
class Pane:
    """The merged shares of one pane. names: of the shares that are in.

    packed: by reference, as bytes: a share in memory has a number for every edge of the
    reference, most of them 0. gone: rows of shares that were not kept that long. later: outcomes of
    shares that were sealed after the first, by name.
    """

    names: set[ShareName] = dataclasses.field(default_factory=set)
    packed: dict[str, bytes] = dataclasses.field(default_factory=dict)
    sample: Sample | None = None
    cohorts: Cohorts = dataclasses.field(default_factory=Cohorts)
    gone: int = 0
    later: dict[ShareName, Cohorts] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """A window's counts. other: rows left out because they were counted against another
    reference; sampled: rows of panes without any; gone: rows whose shares were not kept.
    against: what they are compared with in place of the whole reference.
    """

    share: Share
    other: int = 0
    sampled: int = 0
    gone: int = 0
    against: Seasonal | Previous | None = None


@dataclasses.dataclass(slots=True)
class Windows:
    """What has been named by the partitions, and what of it is in memory.

    named: shares by pane, never forgotten before `forget`. panes, totals: caches, made again from
    Redis after a restart.
    """

    kind: Kind
    pane_ms: int
    named: dict[int, set[ShareName]] = dataclasses.field(default_factory=dict)
    panes: dict[int, Pane] = dataclasses.field(default_factory=dict)
    totals: Totals = dataclasses.field(default_factory=Totals)

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
        for pane in self._starts(end_ms, window_ms, self.named):
            known = self.panes[pane].names if pane in self.panes else set()
            found += sorted(self.named[pane] - known)
        return found

    def add(self, name: ShareName, raw: bytes | None, references: Mapping[str, Reference]) -> None:
        """Merge one share into its pane; None: it is no more. Raises ValueError if damaged."""
        pane = self.panes.setdefault(name.pane, Pane())
        if name in pane.names:
            return
        if raw is None:
            pane.gone += name.rows
        elif self.kind != "inputs":
            found = Cohorts.from_bytes(raw)
            pane.cohorts.merge(found)
            if name.revision:
                pane.later[name] = found
        elif name.reference:
            _merge(pane, raw, references[name.reference])
        else:
            sample = Sample.from_bytes(raw)
            pane.sample = pane.sample or Sample(sample.limit)
            pane.sample.merge(sample)
        pane.names.add(name)

    def merged(
        self,
        end_ms: int,
        window_ms: int,
        reference: Reference,
        positive: str,
        among: Container[int] | None = None,
        beside: Hashable = None,
    ) -> Merged:
        """The counts of a window against a reference; samples are counted now.

        among: the panes that are wanted, where not all are. beside: tells windows of one length
        apart that move on side by side, so that each is made of its own last one.
        """
        starts, ref = self._starts(end_ms, window_ms, self.panes, among), reference.id
        parts = {at: raw for at in starts if (raw := self.panes[at].packed.get(ref)) is not None}
        total = self.totals.get((ref, window_ms, beside), parts, reference)
        other, sampled, gone = 0, 0, 0
        for pane in (self.panes[at] for at in starts):
            gone += pane.gone
            others = pane.packed.keys() - {ref}
            other += sum(n.rows for n in pane.names if n.reference in others)
            if pane.sample is not None:
                sampled += pane.sample.seen
                pane.sample.trim()
                total.merge(pane.sample.counted(reference, positive))
        return Merged(total, other, sampled, gone)

    def by_hour(
        self, end_ms: int, window_ms: int, reference: Reference, settings: ModelSettings
    ) -> Merged:
        """The same and by hour, without the hours that the reference has not."""
        seasonal, total = Seasonal.of(settings), Merged(Share(reference))
        starts = self._starts(end_ms, window_ms, self.panes)
        for hour, panes in panes_by_hour(starts, settings.seasonality).items():
            found = self.merged(end_ms, window_ms, reference, settings.positive, panes, hour)
            if seasonal.add(hour, found.share, settings):
                total.share.merge(found.share)
            other, sampled = total.other + found.other, total.sampled + found.sampled
            total = Merged(total.share, other, sampled, total.gone + found.gone)
        return dataclasses.replace(total, against=seasonal)

    def first(self, since_ms: int) -> int | None:
        """The first pane from a time on that any rows are known of."""
        return min((pane for pane in self.named if pane >= since_ms), default=None)

    def cohorts(self, end_ms: int, window_ms: int) -> Cohorts:
        """Outcomes that became known in a window, by the pane of their prediction.

        Corrected as far as it is known at the window's end; a correction of what was known before
        the window is not its business.
        """
        found = Cohorts()
        for pane in self._in(end_ms, window_ms):
            found.merge_since(pane.cohorts, end_ms - window_ms)
        return found

    def gone(self, end_ms: int, window_ms: int) -> int:
        """Rows of a window whose shares were not kept."""
        return sum(pane.gone for pane in self._in(end_ms, window_ms))

    def sample(self, end_ms: int, window_ms: int) -> Sample | None:
        """The raw rows of a window without a reference."""
        samples = [p.sample for p in self._in(end_ms, window_ms) if p.sample is not None]
        if not samples:
            return None
        found = Sample(samples[0].limit * len(samples))
        for sample in samples:
            sample.trim()
            found.merge(dataclasses.replace(sample, blocks=list(sample.blocks)))
        return found

    def rows(self, pane: int) -> int:
        """How many rows were named for a pane."""
        return sum(name.rows for name in self.named.get(pane, ()))

    def late(self, end_ms: int, window_ms: int) -> int:
        """How many rows of a window were named after its pane was sealed."""
        panes = self._starts(end_ms, window_ms, self.named)
        return sum(n.rows for pane in panes for n in self.named[pane] if n.revision)

    def rows_in(self, end_ms: int, window_ms: int) -> int:
        """The same for a window."""
        return sum(self.rows(pane) for pane in self._starts(end_ms, window_ms, self.named))

    def rows_against(self, end_ms: int, window_ms: int, reference_id: str) -> int:
        """Those of them that can be compared with a reference."""
        known = ("", reference_id)
        return sum(
            name.rows
            for pane in self._starts(end_ms, window_ms, self.named)
            for name in self.named[pane]
            if name.reference in known
        )

    def sources(self, pane: int, references: Mapping[str, Reference]) -> Ranges:
        """Where the rows of a pane in memory lie: first and last offset."""
        if pane not in self.panes:
            return {}
        merged = self.panes[pane]
        found = Cohorts()
        told = [merged.cohorts.sources]
        told += [Share.from_bytes(raw, references[ref]).sources for ref, raw in _sorted(merged)]
        told += [merged.sample.sources] if merged.sample is not None else []
        for sources in told:
            for source, (first, last) in sources.items():
                found.came_from(source, first, last)
        return found.sources

    def _starts(
        self,
        end_ms: int,
        window_ms: int,
        known: Mapping[int, object],
        among: Container[int] | None = None,
    ) -> list[int]:
        """The panes of a window that are known; where a window is long, by those that are."""
        starts = window_panes(end_ms, window_ms, self.pane_ms)
        if len(starts) > len(known):
            found = sorted(pane for pane in known if pane in starts)
        else:
            found = [pane for pane in starts if pane in known]
        return found if among is None else [pane for pane in found if pane in among]

    def _in(self, end_ms: int, window_ms: int) -> Iterator[Pane]:
        return (self.panes[pane] for pane in self._starts(end_ms, window_ms, self.panes))

    def forget(self, before_ms: int, named_before_ms: int) -> list[int]:
        """Drop merged panes, and names, that no window reaches any more: the panes of the names."""
        gone = [pane for pane in self.named if pane < named_before_ms]
        self.drop(before_ms)
        for pane in gone:
            del self.named[pane]
        return gone

    def drop(self, before_ms: int) -> None:
        """Drop merged panes alone: they can be had again."""
        self.panes = {pane: merged for pane, merged in self.panes.items() if pane >= before_ms}
        self.totals.forget(before_ms)


def _merge(pane: Pane, raw: bytes, reference: Reference) -> None:
    share = Share.from_bytes(raw, reference)
    if reference.id in pane.packed:
        share.merge(Share.from_bytes(pane.packed[reference.id], reference))
        raw = share.to_bytes()
    pane.packed[reference.id] = raw


def _sorted(pane: Pane) -> list[tuple[str, bytes]]:
    return sorted(pane.packed.items())
