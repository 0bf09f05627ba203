"""Totals: sums of the shares of a window, each made of the one before by what came and what went.

Counts are integers, so adding and taking away are exact: a total is the same, to the last bit, as
the sum of its parts. What is kept is a cache, and no part of any state.
"""

import dataclasses
from collections.abc import Hashable, Mapping

from stream.columns import Ints
from stream.references import Reference
from stream.shares import Head, Share

FEW = 4  # parts that are quicker added up than compared
MAX_TOTALS = 256  # kept at once: windows times references times hours
Parts = Mapping[int, bytes]


@dataclasses.dataclass(slots=True)
class _Total:
    """parts: the packed shares that are in, by pane; heads: what cannot be taken away of them.

    packed: the sum as a share's bytes: in memory it has a number for every edge.
    """

    parts: dict[int, bytes] = dataclasses.field(default_factory=dict)
    heads: dict[int, Head] = dataclasses.field(default_factory=dict)
    packed: bytes = b""


class Totals:
    """The totals of one kind of window, by whatever tells them apart."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Total] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Hashable, parts: Parts, reference: Reference) -> Share:
        """The sum of packed shares of one reference, by pane: a share of the caller's own.

        Raises ValueError where one is damaged.
        """
        known = self._known.pop(key, None)
        if len(parts) < FEW:
            return _sum(parts, reference)
        total = known if known and _alike(known.parts, parts) else _Total()
        counts = _moved(total, parts, reference)
        found = Share(reference, vector=counts)
        for pane in sorted(total.heads):
            found.add_head(total.heads[pane])
        total.packed = Share(reference, vector=counts).to_bytes()
        self._known[key] = total
        if len(self._known) > MAX_TOTALS:
            del self._known[next(iter(self._known))]
        return found

    def forget(self, before_ms: int) -> None:
        """Drop the totals of which no part begins at a time, or after it."""
        self._known = {k: t for k, t in self._known.items() if max(t.parts) >= before_ms}


def _sum(parts: Parts, reference: Reference) -> Share:
    return Share.merged(reference, (Share.from_bytes(raw, reference) for _, raw in _sorted(parts)))


def _sorted(parts: Parts) -> list[tuple[int, bytes]]:
    return sorted(parts.items())


def _alike(known: Parts, parts: Parts) -> bool:
    """Whether less is to be changed than to be added up."""
    same = sum(known.get(pane) is raw for pane, raw in parts.items())
    return len(known) + len(parts) - 2 * same < len(parts)


def _moved(total: _Total, parts: Parts, reference: Reference) -> Ints:
    """The counts of the total once its parts are these."""
    start = Share.from_bytes(total.packed, reference) if total.packed else Share(reference)
    counts = start.vector
    gone = {p: raw for p, raw in total.parts.items() if parts.get(p) is not raw}
    for pane, raw in gone.items():
        counts -= Share.from_bytes(raw, reference).vector
        del total.parts[pane], total.heads[pane]
    for pane, raw in parts.items():
        if pane not in total.parts:
            share = Share.from_bytes(raw, reference)
            counts += share.vector
            total.parts[pane], total.heads[pane] = raw, share.head()
    return counts
