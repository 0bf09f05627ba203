"""Standings: where each group of a protected attribute stands, by its own rows alone.

Answers are read from the counts of a window's inputs, what came true from the tallies of outcomes:
both are exact, and merge in any order.
"""

import dataclasses
from collections.abc import Callable, Collection

from stream.bins import BINS, POSITIVE, UNITS
from stream.classes import Counts, counts_of
from stream.contrasts import Group
from stream.gradings import times_of
from stream.intervals import moments
from stream.references import Reference
from stream.segments import Key
from stream.settings import ModelSettings
from stream.shares import Share
from stream.sums import to_float
from stream.tallies import Tally

ANSWER = "prediction"
Of = Callable[[Counts], tuple[int, int]]
RATES: dict[str, Of] = {
    "true_positive_rate": lambda c: (c.hits, c.hits + c.missed),
    "false_positive_rate": lambda c: (c.called, c.called + c.others),
}


def positive_of(names: Collection[str], positive: str) -> str | None:
    """The class that counts: `positive`, else the last of two by name; None of others.

    >>> positive_of(["no", "yes"], "1"), positive_of(["a", "b", "c"], "1")
    ('yes', None)
    """
    if positive in names:
        return positive
    return max(names) if len(names) == 2 else None


def selected(whole: Reference, share: Share, key: Key, positive: str) -> tuple[int, int] | None:
    """How many answers of a segment are positive, and how many there are; None: not known.

    share: of all rows. A class that the segment's reference has none of is counted with whatever
    else it has none of: that is it where the whole met nothing new, and nothing else is missing.
    """
    known, mine = whole.outputs.get(ANSWER), whole.segments[key].outputs.get(ANSWER)
    if known is None or mine is None or "number" in (known.kind, mine.kind):
        return None
    name = positive_of(known.names, positive)
    if name is None:
        return None
    counts = share.segment(key).counts(ANSWER, "output")
    answers = int(counts.sum()) - int(counts[mine.missing_at])
    if name in mine.names:
        return int(counts[mine.names.index(name)]), answers
    other, new = int(counts[mine.cells]), int(share.counts(ANSWER, "output")[known.cells])
    if other and (new or {*known.names} - {*mine.names} != {name}):
        return None
    return other, answers


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One group: a value of a segment's name, with the reference of its own rows."""

    name: str
    own: Reference
    settings: ModelSettings
    window_s: int

    def selection(self, found: tuple[int, int] | None) -> Group | None:
        """The share of its answers that are positive, of the numbers of `selected`."""
        if found is None or found[1] < self.settings.minimum_rows:
            return None
        hits, n = found
        return Group(self.name, hits / n, n, n / self._inflation("output", ANSWER, n))

    def rate(self, tally: Tally, of: Of, positive: str) -> Group | None:
        """A share of its labelled rows of one class; None without such rows."""
        known = counts_of(tally) if self._enough(tally) else {}
        if not known:
            return None
        others = tally.breakdown.confusion.n
        hits, n = of(known.get(positive, Counts(0, 0, 0, others)))
        size = n * tally.worth("judged") / self._of_quality(tally)
        return Group(self.name, hits / n, n, size) if n > 0 else None

    def calibration(self, tally: Tally) -> Group | None:
        """Its mean score less its share of positives: 0 where scores mean what they say."""
        bins = tally.breakdown.bins
        known = [counts for i, counts in bins.found.items() if i // BINS == POSITIVE]
        n, true, total = (sum(column) for column in zip(*known, strict=True)) if known else (0,) * 3
        if n <= 0 or n != tally.scored or not bins.sound() or not self._enough(tally):
            return None
        gap = (total / UNITS - true) / n
        spread = max(to_float(tally.brier, n) - gap * gap, 0.0)
        size = n * tally.worth("scored") / self._of_quality(tally)
        return Group(self.name, gap, n, variance=spread / max(size - 1, 1.0))

    def accuracy(self, tally: Tally) -> Group | None:
        """Its share of right answers."""
        if not self._enough(tally):
            return None
        n, size = tally.judged, tally.judged * tally.worth("judged")
        return Group(self.name, tally.hits / n, n, size / self._of_quality(tally))

    def error(self, tally: Tally) -> Group | None:
        """Its mean absolute error, of answers that are numbers."""
        n = tally.counted().numbers
        if not tally.sound() or n < self.settings.minimum_rows:
            return None
        worth, times = tally.worth("numbers"), self._inflation("quality", "mae", n)
        found = moments(tally.numbers, tally.absolutes, tally.squares, worth)
        return Group(self.name, found.mean, n, variance=found.variance * times)

    def _enough(self, tally: Tally) -> bool:
        return tally.sound() and tally.counted().judged >= self.settings.minimum_rows

    def _of_quality(self, tally: Tally) -> float:
        return self._inflation("quality", "accuracy", tally.counted().judged)

    def _inflation(self, role: str, name: str, rows: int) -> float:
        """How much more it varies than independent rows would make it; 1: not known."""
        return times_of(self.own, self.settings, name, role, self.window_s, rows) or 1.0
