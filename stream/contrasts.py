"""Contrasts: how far apart groups are, as the largest difference or the smallest ratio of two.

The largest of many differences is large by chance too. So the intervals of all pairs hold together
at 95% (Bonferroni), and from them follows one for the largest. A pair's own is made of its groups'
intervals, by the method of variance estimates recovery (Zou and Donner 2008).
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from scipy import special

from stream.intervals import Z95, Figure, less, wilson


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """A share, or with a variance of its own a mean, of one group.

    n: rows that it is of. size: of a share, how many independent ones tell as much.
    """

    name: str
    value: float
    n: int
    size: float = 0.0
    variance: float | None = None

    def figure(self, z: float = Z95) -> Figure:
        """With an interval of so many deviations: Wilson's of a share, normal of a mean."""
        if self.variance is None:
            return dataclasses.replace(wilson(self.value, self.size, z).figure, n=self.n)
        half = z * math.sqrt(self.variance)
        return Figure(self.value, self.n, self.value - half, self.value + half)


@dataclasses.dataclass(frozen=True, slots=True)
class Contrast:
    """The value with its 95% interval, and the groups that are that far apart."""

    value: float
    low: float
    high: float
    lowest: Group
    highest: Group


def difference(groups: Sequence[Group], families: int = 1) -> Contrast | None:
    """The largest difference of two groups; None where there are not two.

    families: of how many such contrasts the worst is looked for (`worst`).
    """
    found = [
        Contrast(b.value - a.value, *_apart(fa, fb), a, b)
        for a, b, fa, fb in _pairs(groups, families)
    ]
    return _joined(found, max) if found else None


def ratio(groups: Sequence[Group]) -> Contrast | None:
    """The smallest ratio of two shares; None where there are not two, or all are 0."""
    found = [
        Contrast(a.value / b.value, *_times(fa, fb), a, b)
        for a, b, fa, fb in _pairs(groups, 1)
        if b.value > 0
    ]
    return _joined(found, min) if found else None


def worst(contrasts: Sequence[Contrast]) -> Contrast:
    """The largest of several differences, each made for so many families."""
    return _joined(contrasts, max)


def _pairs(groups: Sequence[Group], families: int) -> Iterator[tuple[Group, Group, Figure, Figure]]:
    """Every two groups, the lower one first, with intervals that hold for all of them together."""
    order = sorted(groups, key=lambda g: (g.value, g.name))
    several = max(1, math.comb(len(order), 2) * families)
    z = -float(special.ndtri((1 - 0.95) / 2 / several))
    known = [(group, group.figure(z)) for group in order]
    for (a, fa), (b, fb) in itertools.combinations(known, 2):
        yield a, b, fa, fb


def _apart(a: Figure, b: Figure) -> tuple[float, float]:
    """The interval of how far b is from a, which is no higher, to whichever side."""
    found = less(b, a)
    return max(found.low, 0.0), max(found.high, -found.low)


def _times(a: Figure, b: Figure) -> tuple[float, float]:
    """The interval of the ratio of a to b, which is no lower and above 0, or its inverse if less.

    On the scale of logarithms; where a is 0, of the ends alone.
    """
    if a.value <= 0 or a.low <= 0 or b.low <= 0:
        return 0.0, min(a.high / b.low, 1.0) if b.low > 0 else 1.0
    gap = math.log(a.value / b.value)
    low = gap - math.hypot(math.log(a.value / a.low), math.log(b.high / b.value))
    high = gap + math.hypot(math.log(a.high / a.value), math.log(b.value / b.low))
    return math.exp(min(low, -high)), math.exp(min(high, 0.0))


def _joined(found: Sequence[Contrast], of: Callable[[Iterable[float]], float]) -> Contrast:
    """The largest, or the smallest: each end follows from those of all."""
    value = of(one.value for one in found)
    first = next(one for one in found if one.value == value)
    low, high = of(one.low for one in found), of(one.high for one in found)
    return dataclasses.replace(first, low=min(low, value), high=max(high, value))
