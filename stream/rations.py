"""Rations: of a hot model's values a sample, the same however they come.

Of what costs a detector too much it gets a share, whatever the traffic: those whose id hash says
so. It remembers nothing, so the same values are taken after a restart, or read again, or elsewhere.

A second of event time is hot where the second before it had more values than `per_s`. Of a hot
second the values with the `per_s` lowest id hashes are taken, once all of it is known; of any other
all, as they come. So a batch that bears one time is taken whole, and what stays above the limit
is not.
"""

import bisect
import dataclasses

import numpy as np

from stream.panes import BEFORE_ALL
from stream.signals import Series

SECOND_MS = 1_000
_SHIFT, _BITS = np.uint64(16), np.uint64(2**32 - 1)


def shared(run: Series, share: float) -> Series:
    """The share of a run by the middle bits of its id hashes.

    The outer ones choose what is joined (`stream.thinning`), and what a hot second leaves.
    """
    if share >= 1.0:
        return run
    return run.take((run.ids >> _SHIFT & _BITS) < np.uint64(share * 2**32))


@dataclasses.dataclass(slots=True)
class Ration:
    """second: the newest of which there were values, in s; count: how many so far; before: how
    many the second before it had. left_out: of all that was offered.
    """

    per_s: int
    second: int = BEFORE_ALL
    count: int = 0
    before: int = 0
    left_out: int = 0
    _steps: list[tuple[int, int]] = dataclasses.field(default_factory=list)

    def limit_ms(self, run: Series, until_ms: int) -> int:
        """How far a run may be fed: to the beginning of the last second where that is hot.

        run: in order of time, all that is to be fed before until_ms; nothing earlier is missing.
        """
        second = until_ms // SECOND_MS
        start_ms = second * SECOND_MS
        if self.second == second:
            hot = self.before > self.per_s
        else:
            ends = np.searchsorted(run.times_ms, [start_ms - SECOND_MS, start_ms])
            known = self.count if self.second == second - 1 else 0
            hot = known + int(ends[1] - ends[0]) > self.per_s
        return start_ms if hot else until_ms

    def take(self, run: Series) -> Series:
        """What is to be fed of a run in order of time, which ends where `limit_ms` says."""
        self._steps = [(BEFORE_ALL, self.left_out)]
        seconds, firsts, counts = np.unique(
            run.times_ms // SECOND_MS, return_index=True, return_counts=True
        )
        taken = np.ones(len(run), dtype=bool)
        told = zip(seconds.tolist(), firsts.tolist(), counts.tolist(), strict=True)
        for second, first, count in told:
            self._enter(second)
            self.count += count
            if self.before > self.per_s and count > self.per_s:
                lowest = np.argsort(run.ids[first : first + count], kind="stable")
                taken[first + lowest[self.per_s :]] = False
                self.left_out += count - self.per_s
                self._steps.append((second, self.left_out))
        return run if taken.all() else run.take(taken)

    def left_out_at(self, time_ms: int) -> int:
        """The same up to a value of the run that was taken last, by its time."""
        later = bisect.bisect_right(self._steps, (time_ms // SECOND_MS + 1, -1))
        return self._steps[later - 1][1] if later else self.left_out

    def _enter(self, second: int) -> None:
        if second != self.second:
            self.before = self.count if second == self.second + 1 else 0
            self.second, self.count = second, 0

    def dump(self) -> tuple[int, int, int, int]:
        """The state as plain values."""
        return (self.second, self.count, self.before, self.left_out)

    def load(self, state: tuple[int, int, int, int]) -> None:
        """Take up what `dump` gave."""
        self.second, self.count, self.before, self.left_out = state
