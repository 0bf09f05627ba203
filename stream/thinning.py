"""Thinning: which predictions are joined where more would wait than there is room for.

Nothing is done while at most half of `max_pending` entries wait. A pane of predictions that begins
while more do gets an exponent k, 0 where there will be room: of its predictions one in 2**k is
joined, those whose spread id hash begins with k zero bits (Poisson thinning, by Knuth's
multiplicative hash). The samples are nested, and who is in one depends on nothing but id and k, so
that an outcome counts 2**k times without bias.

k follows from what this partition has read: how many predictions the panes before had, and the
entries that still wait by then. It is the smallest with which an eighth of the room stays free, if
predictions go on to come as they do while the older entries expire.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from stream.columns import Bools, Hashes, Ints
from stream.panes import pane_of, panes_of
from stream.settings import DAY_S, ModelSettings

ODD = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio
MOST = 30  # as an exponent
MORE = (
    3  # by which an exponent may be above the one that lasts: a few rows of huge weight say little
)
ALL_BITS = 2**64 - 1


def taken(ids: Hashes, exponents: Ints) -> Bools:
    """Which id hashes are in the samples of their exponents, shape (n,)."""
    spread = ids * np.uint64(ODD)
    found: Bools = spread >> np.uint64(1) >> (63 - exponents).astype(np.uint64) == 0
    return found


def is_taken(key: int, exponent: int) -> bool:
    """The same of one."""
    return (key * ODD & ALL_BITS) >> (64 - exponent) == 0


class Stay(NamedTuple):
    """An entry that is kept for the sake of truth of a time (ms), no more for that of another."""

    before_ms: int | None
    time_ms: int


class _Packed(msgspec.Struct, array_like=True):
    since_ms: int
    labelled: int
    delays_ms: int
    panes: list[tuple[int, int, int]]
    others: list[tuple[int, int]]


@dataclasses.dataclass(slots=True)
class Rates:
    """One model. since_ms: the first pane of which it is known how many predictions it has.

    exponents, rows: of panes by their start; rows: all predictions, joined or not. others: entries
    by when they are gone, with those less that go later than their panes: truth that waits, and
    what waits longer for its sake. labelled: how many those are; delays_ms: by how much, in all.
    """

    since_ms: int
    labelled: int = 0
    delays_ms: int = 0
    exponents: dict[int, int] = dataclasses.field(default_factory=dict)
    rows: dict[int, int] = dataclasses.field(default_factory=dict)
    others: dict[int, int] = dataclasses.field(default_factory=dict)

    def per_ms(self, now_ms: int, settings: ModelSettings) -> float:
        """Predictions a millisecond: of the newest pane or, if that is more, of some before now."""
        pane_ms = settings.pane_s * 1000
        now = max([now_ms, *self.rows])
        span = max(pane_ms, min(DAY_S * 1000, settings.horizon_s * 250))
        start = max(now - span, self.since_ms)
        if start >= now:
            return 0.0
        mean = sum(n for pane, n in self.rows.items() if start <= pane < now) / (now - start)
        return max(mean, self.rows.get(now - pane_ms, 0) / pane_ms)

    def stay_ms(self, settings: ModelSettings) -> int:
        """How long the entry of a prediction is kept: the horizon after its truth."""
        delay_ms = self.delays_ms // max(1, self.labelled)
        return (settings.horizon_s + settings.pane_s) * 1000 + delay_ms

    def waiting(self, life_ms: int) -> Counter[int]:
        """Entries by when they are gone."""
        found = Counter(self.others)
        for pane, rows in self.rows.items():
            found[pane + life_ms] += -(-rows >> self.exponents[pane])
        return found

    def forget(self, now_ms: int, life_ms: int) -> None:
        """Drop what is gone by now."""
        for pane in [pane for pane in self.rows if pane + life_ms <= now_ms]:
            del self.rows[pane], self.exponents[pane]
        self.others = {at: n for at, n in self.others.items() if at > now_ms}

    def to_bytes(self) -> bytes:
        """All of it."""
        panes = [(pane, self.exponents[pane], rows) for pane, rows in sorted(self.rows.items())]
        others = sorted(self.others.items())
        packed = _Packed(self.since_ms, self.labelled, self.delays_ms, panes, others)
        return msgspec.msgpack.encode(packed)

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Rates":
        """The content of `to_bytes`. Raises ValueError on anything else."""
        try:
            known = msgspec.msgpack.decode(raw, type=_Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"damaged rates of panes: {error}") from error
        exponents = {pane: k for pane, k, _ in known.panes}
        rows = {pane: n for pane, _, n in known.panes}
        head = (known.since_ms, known.labelled, known.delays_ms)
        return cls(*head, exponents, rows, dict(known.others))


def life_ms(settings: ModelSettings) -> int:
    """From the start of a pane until its entries are gone: the horizon, and a pane to find them."""
    return (settings.horizon_s + 2 * settings.pane_s) * 1000


@dataclasses.dataclass(slots=True)
class Thinning:
    """The exponents of one partition; without models all predictions are joined.

    touched: models whose rates changed since they were saved, also those that have none any more.
    """

    settings: Callable[[str], ModelSettings]
    models: dict[str, Rates] = dataclasses.field(default_factory=dict)
    touched: set[str] = dataclasses.field(default_factory=set)

    def matters(self, model: str, pending: int) -> bool:
        """Whether a pane that begins while so many entries wait needs an exponent."""
        return bool(self.models) or pending > self.settings(model).max_pending // 2

    def knows(self, model: str, pane: int) -> bool:
        """Whether a pane has an exponent of its own."""
        return model in self.models and pane in self.models[model].exponents

    def fix(self, model: str, pane: int, pending: int, seen: Mapping[str, Iterable[int]]) -> None:
        """Give a pane that begins its exponent. pending: entries that wait in the partition.

        seen: the panes of all models that predictions were counted of. Until a pane is thinned
        nothing is kept: the entries are taken to be spread evenly over those panes.
        """
        if not self.matters(model, pending):
            return
        if not self.models:
            self._begin(pane, pending, seen)
        rates = self.models.setdefault(model, Rates(pane))
        for name, known in self.models.items():
            known.forget(pane, life_ms(self.settings(name)))
        rates.exponents[pane], rates.rows[pane] = self._exponent(model, pane, pending), 0
        self.touched |= self.models.keys()
        if not any(any(known.exponents.values()) for known in self.models.values()):
            self.models = {}

    def _begin(self, now_ms: int, pending: int, seen: Mapping[str, Iterable[int]]) -> None:
        for model, panes in seen.items():
            life = life_ms(self.settings(model))
            rows = {pane: 0 for pane in panes if pane + life > now_ms}
            if rows:
                self.models[model] = Rates(min(rows), exponents=dict(rows), rows=rows)
        each = -(-pending // max(1, sum(len(rates.rows) for rates in self.models.values())))
        for rates in self.models.values():
            rates.rows = dict.fromkeys(rates.rows, each)

    def _waiting(self) -> Counter[int]:
        found = Counter[int]()
        for model, rates in self.models.items():
            found.update(rates.waiting(life_ms(self.settings(model))))
        return found

    def _exponent(self, model: str, now_ms: int, pending: int) -> int:
        """What is not accounted for is taken to stay as long as may be."""
        s, waiting = self.settings(model), self._waiting()
        waiting[now_ms + life_ms(s)] += max(0, pending - waiting.total())
        owners = [(rates, self.settings(model)) for model, rates in self.models.items()]
        flows = [(rates.per_ms(now_ms, own), rates.stay_ms(own)) for rates, own in owners]
        needed = _needed(waiting, flows, now_ms, s.max_pending - s.max_pending // 8)
        lasting = sum(rate * life for rate, life in flows) / s.max_pending
        return min(_halvings(needed), _halvings(lasting) + MORE)

    def exponents(self, model: str, times_ms: Ints) -> Ints | None:
        """Of predictions at these times, shape (n,), which are counted; None: all are joined."""
        rates = self.models.get(model)
        if rates is None:
            return None
        panes, places, counts = np.unique(
            panes_of(times_ms, self.settings(model).pane_s * 1000),
            return_inverse=True,
            return_counts=True,
        )
        known = panes.tolist()
        for pane, rows in zip(known, counts.tolist(), strict=True):
            if pane in rates.rows:
                rates.rows[pane] += rows
        self.touched.add(model)
        found: Ints = np.array([rates.exponents.get(p, 0) for p in known], dtype=np.int64)[places]
        return found

    def strictest(self, model: str, times_ms: Ints) -> Ints | None:
        """The highest exponent that a prediction of which this may be the truth can have so far.

        times_ms: of truths, shape (n,). None: all truth is kept.
        """
        rates = self.models.get(model)
        if rates is None:
            return None
        pane_ms, reach_ms = (self.settings(model).pane_s * 1000, life_ms(self.settings(model)))
        panes, places = np.unique(panes_of(times_ms, pane_ms), return_inverse=True)
        thinned = [(pane, k) for pane, k in rates.exponents.items() if k]
        found = [
            max((k for pane, k in thinned if abs(pane - at) < reach_ms), default=0)
            for at in panes.tolist()
        ]
        return np.array(found, dtype=np.int64)[places]

    def stay(self, model: str, stays: Iterable[Stay]) -> None:
        """Count what truth made wait, and wait longer."""
        rates = self.models.get(model)
        if rates is None:
            return
        s = self.settings(model)
        for before_ms, time_ms in stays:
            rates.others[_gone(time_ms, s)] = rates.others.get(_gone(time_ms, s), 0) + 1
            if before_ms is not None:
                rates.others[_gone(before_ms, s)] = rates.others.get(_gone(before_ms, s), 0) - 1
                rates.labelled += 1
                rates.delays_ms += time_ms - before_ms
        self.touched.add(model)


def _gone(time_ms: int, settings: ModelSettings) -> int:
    return pane_of(time_ms, settings.pane_s * 1000) + life_ms(settings)


def _needed(waiting: Counter[int], flows: list[tuple[float, int]], now_ms: int, room: int) -> float:
    """How many times too much comes, at the time before which there is least room for it.

    waiting: entries by when they are gone. flows: (predictions a ms, ms that each waits).
    """
    held, needed = waiting.total(), 0.0
    for gone in sorted(waiting.keys() | {now_ms + life for _, life in flows}):
        ahead = gone - now_ms
        coming = sum(rate * min(ahead, life) for rate, life in flows)
        if coming:
            needed = max(needed, coming / (room - held) if room > held else math.inf)
        held -= waiting[gone]
    return needed


def _halvings(times: float) -> int:
    """The smallest exponent that makes so many times too much enough."""
    return next((k for k in range(MOST) if times <= 1 << k), MOST)
