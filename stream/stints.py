"""Stints: how truth came in a day of label time or longer, by the age of what it is about.

A stint is as long as the longest window, and a day at least: the rhythm that labelling has. Stints
are compared with each other at equal age, so truth that comes early is beside what came early.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from stream.cohorts import Cohorts
from stream.columns import Floats, Ints
from stream.settings import DAY_S, ModelSettings

MOST = 40  # stints remembered beside the open one
ENOUGH = 7  # of them, before anything is said
WEEKS = 3  # of days, before a weekday is compared with its like
DAY_MS = DAY_S * 1000


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    risk: list[tuple[int, int]]
    came: list[tuple[int, int]]
    mix: list[tuple[str, list[tuple[int, int]]]]
    odd: list[str]


@dataclasses.dataclass(slots=True)
class Stint:
    """By bin of age, shape (bins,) each: predictions that passed through it in the stint without
    truth (risk), and those whose truth came there (came); mix: truth that came in the stint, by its
    class. odd: what was found to be unusual of it.
    """

    risk: Ints
    came: Ints
    mix: dict[str, Ints] = dataclasses.field(default_factory=dict)
    odd: set[str] = dataclasses.field(default_factory=set)

    def to_bytes(self) -> bytes:
        """Compact bytes, equal for equal content."""
        mix = [(name, _sparse(counts)) for name, counts in sorted(self.mix.items())]
        packed = _Packed(_sparse(self.risk), _sparse(self.came), mix, sorted(self.odd))
        return msgspec.msgpack.encode(packed)

    @classmethod
    def from_bytes(cls, raw: bytes, bins: int) -> "Stint":
        """The content of `to_bytes`. Raises ValueError on anything else."""
        try:
            packed = msgspec.msgpack.decode(raw, type=_Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged stint of labelling: {error}") from error
        mix = {name: _dense(cells, bins) for name, cells in packed.mix}
        return cls(_dense(packed.risk, bins), _dense(packed.came, bins), mix, {*packed.odd})


class Stints:
    """Of one model version. ends: of the bins of age, in panes. found: by start. open_ms: start of
    the one that is counted. changed: those to be saved, or deleted where they are not found.
    stale: what an earlier process saved is of other settings, and passed over.
    looked: since when a pause lasts, and up to when it has been looked at.
    """

    def __init__(self, settings: ModelSettings, ends: Ints) -> None:
        self.pane_ms, self.ends = settings.pane_s * 1000, ends
        longest_s = max(*settings.windows_s, DAY_S)
        self.panes = -(-longest_s // settings.pane_s)
        self.length_ms = self.panes * self.pane_ms
        self.form = (self.length_ms, int(ends[-1]))
        self.found: dict[int, Stint] = {}
        self.open_ms: int | None = None
        self.changed: set[int] = set()
        self.stale = False
        self.looked: tuple[int, int] | None = None

    def start_of(self, pane: int) -> int:
        """The stint that a pane is in."""
        return pane - pane % self.length_ms

    def add(self, pane: int, outcomes: Cohorts, *, classes: bool) -> None:
        """Count truth that became known in a pane of label time. classes: whether it names any."""
        self.open_ms = self.start_of(pane)
        if self.open_ms not in self.found:
            zeros = np.zeros(len(self.ends), dtype=np.int64)
            self.found[self.open_ms] = Stint(zeros, zeros.copy())
        self.changed.add(self.open_ms)
        for some in outcomes.strata().values() if classes else ():
            for made, tally in some.cells.items():
                place = self._place(pane - made)
                for (label, _), n in tally.breakdown.confusion.pairs.items():
                    self._class(label)[place] += n

    def _place(self, delay_ms: int) -> int:
        delay = max(0, delay_ms) // self.pane_ms
        return min(int(np.searchsorted(self.ends, delay, side="right")), len(self.ends) - 1)

    def _class(self, label: str) -> Ints:
        assert self.open_ms is not None
        mix = self.found[self.open_ms].mix
        if label not in mix:
            mix[label] = np.zeros(len(self.ends), dtype=np.int64)
        return mix[label]

    def close(self, risk: Ints, came: Ints) -> tuple[int, Stint]:
        """The open one, with what is known of its ages: shape (bins,) each."""
        assert self.open_ms is not None
        start, stint = self.open_ms, self.found[self.open_ms]
        stint.risk, stint.came = risk, came
        self.open_ms = None
        for old in sorted(self.found)[:-MOST]:
            del self.found[old]
            self.changed.add(old)
        self.changed.add(start)
        return start, stint

    def before(self, start: int, kind: str) -> dict[int, Stint]:
        """Those before one by start, the unusual too: how far they lie out is how far they may.

        Where the last of them was unusual, those that were as usual, so as to tell whether it lasts
        (nothing new begins by that); all of them again, where it has become usual.
        """
        every = {at: stint for at, stint in sorted(self.found.items()) if at < start}
        usual = {at: stint for at, stint in every.items() if kind not in stint.odd}
        lasts = len(usual) >= ENOUGH and kind in every[max(every)].odd
        return usual if lasts else every

    def kinds(self, before: Iterable[int], start: int) -> tuple[Ints, int]:
        """Weekdays of stints before one by their starts, shape (k,), and its own; all are alike
        where stints are no days, or fewer than WEEKS of them are known.
        """
        days = np.array([*before], dtype=np.int64) // DAY_MS % 7
        day = start // DAY_MS % 7
        known = len(days) > 7 * WEEKS and np.count_nonzero(days[1:] == day) >= WEEKS
        if self.length_ms != DAY_MS or not known:
            return np.zeros_like(days), 0
        return days, day

    def known(self, pane: int) -> Floats:
        """The share of predictions that have their truth by the end of each bin, shape (bins,).

        From the stints before that of a pane but for the last of them: it may not be closed yet.
        """
        starts = sorted(start for start in self.found if start < self.start_of(pane))
        zeros = np.zeros(len(self.ends), dtype=np.int64)
        risk = sum((self.found[start].risk for start in starts[:-1]), zeros)
        came = sum((self.found[start].came for start in starts[:-1]), zeros)
        return known_of(came, risk)

    def save(self) -> Iterator[tuple[int, bytes | None]]:
        """What changed since the last call, by start; None: it is gone."""
        for start in sorted(self.changed):
            stint = self.found.get(start)
            yield start, None if stint is None else stint.to_bytes()
        self.changed = set()

    def load(self, start: int, raw: bytes) -> None:
        """Take up what `save` gave. Raises ValueError on anything else."""
        self.found[start] = Stint.from_bytes(raw, len(self.ends))


def known_of(came: Ints, risk: Ints) -> Floats:
    """The share whose truth has come by the end of each bin, from counts of those; shape (n,)."""
    lost = np.asarray(came / np.maximum(risk, 1), dtype=np.float64)
    known: Floats = 1.0 - np.cumprod(1.0 - lost, dtype=np.float64)
    return known


def _sparse(counts: Ints) -> list[tuple[int, int]]:
    return [(place, int(counts[place])) for place in np.flatnonzero(counts).tolist()]


def _dense(cells: Sequence[tuple[int, int]], bins: int) -> Ints:
    found = np.zeros(bins, dtype=np.int64)
    for place, n in cells:
        found[min(place, bins - 1)] += n
    return found
