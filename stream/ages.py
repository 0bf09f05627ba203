"""Ages: of how many predictions the truth has come, and how old they were by then.

A cohort is all predictions of one pane, or of several once they are old (`FINE`); so the size of
what is kept depends on the horizon alone. Delays are counted in bins of panes (`stream.delays`).
"""

import dataclasses
import math
from bisect import bisect_left

import msgspec
import numpy as np

from stream.cohorts import Cohorts
from stream.columns import Bools, Floats, Ints
from stream.delays import Delays, ends_of, kaplan_meier
from stream.panes import BEFORE_ALL
from stream.settings import ModelSettings
from stream.signals import ShareName

FINE = 48  # panes that are kept one by one
MOST = 100  # cohorts within the horizon beside these


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    width: int
    since_ms: int
    ripe_ms: int | None
    coarse_ms: int
    oldest_ms: int
    late: list[tuple[int, int, int, int]]
    cohorts: list[tuple[int, int, int, list[tuple[int, int]]]]


@dataclasses.dataclass(slots=True)
class Cohort:
    """panes: how many it is of. gone: predictions of panes whose names are forgotten.

    came: predictions whose truth came, by bin of delay, shape (bins,).
    """

    panes: int
    came: Ints
    gone: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Census:
    """What is known at a time of all cohorts, in order; shape (n,) where they are arrays.

    made, labelled: predictions, and those whose truth has come. seen: panes of age up to which all
    of a cohort has been watched. complete: whether no more truth has to be waited for.
    """

    starts: list[int]
    made: Ints
    labelled: Ints
    seen: Ints
    complete: Bools
    delays: Delays

    def within(self, start: int, end: int) -> slice:
        """The places of the cohorts that start within [start, end)."""
        return slice(bisect_left(self.starts, start), bisect_left(self.starts, end))

    def at(self, start: int) -> int | None:
        """The place of a cohort."""
        place = bisect_left(self.starts, start)
        known = place < len(self.starts) and self.starts[place] == start
        return place if known else None


class Ages:
    """One model version. since_ms: cohorts that began before it are not known.

    rows: predictions by pane, as far as their names are remembered; no part of the state. late:
    shares that were named after their pane was counted. ripe_ms: when the first cohorts were
    complete. coarse_ms: up to where cohorts are of several panes. oldest_ms: what is older was
    dropped. begun: what an earlier process saved is passed over. newest: for the service's gauges.
    """

    def __init__(self, settings: ModelSettings, since_ms: int = BEFORE_ALL) -> None:
        self.pane_ms = settings.pane_s * 1000
        horizon = -(-settings.horizon_s // settings.pane_s) + 1
        self.width = -(-horizon // MOST)
        self.whole_ms = self.width * self.pane_ms
        self.horizon_ms = horizon * self.pane_ms
        self.keep_ms = self.horizon_ms + max(settings.windows_s) * 1000
        self.ends = ends_of(horizon)
        self.since_ms = since_ms
        self.ripe_ms: int | None = None if since_ms == BEFORE_ALL else since_ms
        self.coarse_ms = self.oldest_ms = BEFORE_ALL
        self.cohorts: dict[int, Cohort] = {}
        self.rows: dict[int, int] = {}
        self.late: set[ShareName] = set()
        self.touched = self.begun = False
        self._last: tuple[int, Census] | None = None
        self.newest: Census | None = None

    def name(self, pane: int, rows: int) -> None:
        """Note how many predictions a pane has."""
        self.rows[pane] = rows
        self._last = None

    def start_of(self, pane: int) -> int:
        """The cohort that the predictions of a pane are of."""
        start = pane - pane % self.whole_ms
        return start if start + self.whole_ms <= self.coarse_ms else pane

    def cohort(self, pane: int) -> Cohort:
        """The cohort of a pane, begun if it is new."""
        start = self.start_of(pane)
        if start not in self.cohorts:
            zeros = np.zeros(len(self.ends), dtype=np.int64)
            self.cohorts[start] = Cohort(self._panes(start), zeros)
        return self.cohorts[start]

    def end_of(self, start: int) -> int:
        """Where a cohort ends, by its start."""
        return start + self._panes(start) * self.pane_ms

    def _panes(self, start: int) -> int:
        return self.width if start + self.whole_ms <= self.coarse_ms else 1

    def add(self, pane: int, outcomes: Cohorts) -> None:
        """Count outcomes that became known in a pane of label time; those taken back as well."""
        self._last = None
        for exponent, earlier, made, tally in outcomes.parts():
            if tally.n and self.knows(made):
                first = pane if earlier is None else earlier
                self._count(made, max(0, (first - made) // self.pane_ms), tally.n << exponent)
        self.touched = True

    def knows(self, pane: int) -> bool:
        """Whether the predictions of a pane are counted."""
        return pane >= self.since_ms and self.start_of(pane) + self.whole_ms > self.oldest_ms

    def _count(self, made: int, delay: int, rows: int) -> None:
        place = int(np.searchsorted(self.ends, delay, side="right"))
        self.cohort(made).came[min(place, len(self.ends) - 1)] += rows

    def forget_name(self, pane: int) -> None:
        """Keep a pane's predictions as a number: what they were counted by is forgotten."""
        rows = self.rows.pop(pane, 0)
        if rows and self.knows(pane):
            self.cohort(pane).gone += rows
            self.touched = True

    def oldest_at(self, end_ms: int) -> int:
        """Up to where cohorts are dropped by `age`."""
        return max(self.oldest_ms, end_ms - self.keep_ms)

    def age(self, end_ms: int) -> None:
        """Put old cohorts together, and drop those that nothing can be learned of any more."""
        self._last = None
        coarse_ms = end_ms - FINE * self.pane_ms
        self.coarse_ms = max(self.coarse_ms, coarse_ms - coarse_ms % self.whole_ms)
        self.oldest_ms = self.oldest_at(end_ms)
        fine = [pane for pane, cohort in self.cohorts.items() if cohort.panes < self.width]
        for pane in fine:
            if pane - pane % self.whole_ms + self.whole_ms <= self.coarse_ms:
                found = self.cohorts.pop(pane)
                into = self.cohort(pane)
                into.came += found.came
                into.gone += found.gone
        for start in [s for s in self.cohorts if s + self.whole_ms <= self.oldest_ms]:
            del self.cohorts[start]
        self.touched = True

    def census(self, end_ms: int, settings: ModelSettings) -> Census:
        """What is known at a time, which `age` was told of."""
        if self._last is None or self._last[0] != end_ms:
            self.newest = self._census(end_ms, settings)
            self._last = end_ms, self.newest
        return self._last[1]

    def _census(self, end_ms: int, settings: ModelSettings) -> Census:
        starts, rows, came, seen = self._counts(end_ms)
        labelled = np.minimum(came.sum(axis=1), rows)
        share = settings.complete_coverage
        early = np.where(self.ends <= seen[:, None] // 2, came, 0).sum(axis=1)
        complete = (labelled >= share * rows) | ((labelled > 0) & (early >= share * labelled))
        age_ms = 1000 * (settings.complete_age_s or settings.horizon_s)
        complete |= seen * self.pane_ms >= age_ms + self.pane_ms
        delays = self._delays(came, rows, seen)
        return Census(starts, rows, labelled, seen, complete, delays)

    def _counts(self, end_ms: int) -> tuple[list[int], Ints, Ints, Ints]:
        """Of all cohorts: starts, predictions, truth by bin, shape (n, bins), and panes of age."""
        made = self._made(end_ms)
        starts = sorted(made)
        zeros = np.zeros(len(self.ends), dtype=np.int64)
        found = [self.cohorts[s].came if s in self.cohorts else zeros for s in starts]
        came = np.maximum(0, np.array(found, dtype=np.int64).reshape(-1, len(self.ends)))
        rows = np.array([made[start] for start in starts], dtype=np.int64)
        return starts, rows, came, (end_ms - self._youngest(starts)) // self.pane_ms

    def _youngest(self, starts: list[int]) -> Ints:
        """The newest panes of cohorts, shape (n,)."""
        panes = np.array([self._panes(start) for start in starts], dtype=np.int64)
        return np.array(starts, dtype=np.int64) + (panes - 1) * self.pane_ms

    def passed(self, end_ms: int, panes: int) -> tuple[Ints, Ints]:
        """What cohorts did at ages whose ends they reached in the panes before a time.

        By bin, shape (bins,) each: predictions without truth when they came to it, and those whose
        truth came within it.
        """
        _, rows, came, seen = self._counts(end_ms)
        now = (self.ends <= seen[:, None]) & (self.ends > seen[:, None] - panes)
        earlier = came.cumsum(axis=1) - came
        risk = np.maximum(rows[:, None] - earlier, came)
        return np.where(now, risk, 0).sum(axis=0), np.where(now, came, 0).sum(axis=0)

    def due(self, known: Floats, since_ms: int, until_ms: int) -> float:
        """How many predictions get their truth between two times, if all goes on as before.

        known: the share that has it by the end of each bin, shape (bins,). Cohorts count as if all
        of them were old, so that it does not matter which of them have been put together.
        """
        rows: dict[int, int] = {}
        for start, n in self._made(until_ms).items():
            whole = start - start % self.whole_ms
            rows[whole] = rows.get(whole, 0) + n
        youngest = np.array(sorted(rows), dtype=np.int64) + self.whole_ms - self.pane_ms
        ends, shares = np.append(0, self.ends), np.append(0.0, known)
        ages = (np.maximum(0.0, (at - youngest) / self.pane_ms) for at in (since_ms, until_ms))
        before, after = (np.interp(age, ends, shares) for age in ages)
        made = np.array([rows[start] for start in sorted(rows)], dtype=np.int64)
        return math.fsum((made * (after - before)).tolist())  # those of none change no bit of it

    def _made(self, end_ms: int) -> dict[int, int]:
        """Predictions by cohort, of the panes that end by a time."""
        found = {start: cohort.gone for start, cohort in self.cohorts.items() if cohort.gone}
        for pane, rows in self.rows.items():
            if pane < end_ms and self.knows(pane):
                start = self.start_of(pane)
                found[start] = found.get(start, 0) + rows
        return found

    def _delays(self, came: Ints, rows: Ints, seen: Ints) -> Delays:
        """Of each cohort what all of it is old enough for."""
        watched = self.ends <= seen[:, None]
        came = np.where(watched, came, 0)
        bins = watched.sum(axis=1)
        gone = np.zeros(len(self.ends), dtype=np.int64)
        left = np.maximum(0, rows - came.sum(axis=1))
        np.add.at(gone, bins[bins > 0] - 1, left[bins > 0])
        return kaplan_meier(self.ends, came.sum(axis=0), gone)

    def ripen(self, end_ms: int, census: Census, settings: ModelSettings) -> None:
        """Note when truth that takes its time has begun to come with the quick one."""
        rows = int(census.made[census.complete].sum())
        old = [s for s in census.starts if end_ms - s > 1000 * settings.horizon_s]
        if self.ripe_ms is None and (rows >= settings.minimum_rows or old):
            self.ripe_ms = end_ms
            self.touched = True

    def to_bytes(self) -> bytes:
        """All that cannot be made again from the names of shares."""
        self.touched = False
        late = [(n.pane, n.revision, n.partition, n.rows) for n in sorted(self.late)]
        cohorts = [
            (start, c.panes, c.gone, [(i, int(c.came[i])) for i in np.flatnonzero(c.came).tolist()])
            for start, c in sorted(self.cohorts.items())
        ]
        times = (self.since_ms, self.ripe_ms, self.coarse_ms, self.oldest_ms)
        return msgspec.msgpack.encode(_Packed(self.width, *times, late, cohorts))

    def load(self, raw: bytes) -> bool:
        """Take up `to_bytes`; False where that was of another horizon, and is of no use.

        Raises ValueError on anything else.
        """
        try:
            packed = msgspec.msgpack.decode(raw, type=_Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"damaged ages of cohorts: {error}") from error
        if packed.width != self.width:
            return False
        self.since_ms, self.ripe_ms = packed.since_ms, packed.ripe_ms
        self.coarse_ms, self.oldest_ms = packed.coarse_ms, packed.oldest_ms
        self.late = {ShareName("quality", p, r, at, "", n) for p, r, at, n in packed.late}
        for start, panes, gone, cells in packed.cohorts:
            came = np.zeros(len(self.ends), dtype=np.int64)
            for place, rows in cells:
                came[min(place, len(came) - 1)] += rows
            self.cohorts[start] = Cohort(panes, came, gone)
        self.touched = False
        return True
