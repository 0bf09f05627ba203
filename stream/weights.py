"""Weights: outcomes of samples of different rates, as one tally.

An outcome that is known of one prediction in 2**k stands for 2**k of them (Horvitz and Thompson
1952). How sure a figure is follows from the effective number of outcomes (Kish 1965): the square of
the sum of their weights over the sum of their squares, their own number where all weigh the same.
"""

import dataclasses
from collections.abc import Mapping
from typing import Self

from stream.tallies import NAMES, Tally


@dataclasses.dataclass(slots=True)
class Weighted(Tally):
    """Sums over outcomes times their weights.

    plain: the same sums without weights; squared: with the squares of the weights.
    """

    plain: Tally = dataclasses.field(default_factory=Tally)
    squared: Tally = dataclasses.field(default_factory=Tally)

    @classmethod
    def of(cls, strata: Mapping[int, Tally]) -> Self:
        """Tallies by the exponent of their weight; the lowest of them weighs 1."""
        found, least = cls(), min(strata)
        for exponent, tally in strata.items():
            found.plain.merge(tally)
            found.merge(_times(tally, 1 << exponent - least))
            found.breakdown.merge(tally.breakdown.times(1 << exponent - least))
            found.squared.merge(_times(tally, 1 << 2 * (exponent - least)))
        return found

    def counted(self) -> Tally:
        """The outcomes themselves, without weights."""
        return self.plain

    def worth(self, *counts: str) -> float:
        """How many outcomes of equal weight tell as much as one unit of weight, by these counts."""
        once, twice = (sum(getattr(t, name) for name in counts) for t in (self, self.squared))
        return once / twice if once > 0 and twice > 0 else 1.0

    def sound(self) -> bool:
        """Whether no more was taken back than there was, with any weights."""
        return Tally.sound(self) and self.plain.sound() and self.squared.sound()


def weighted(strata: Mapping[int, Tally]) -> Tally:
    """Tallies by the exponent of their weight as one: a plain one where there is one weight."""
    some = {exponent: tally for exponent, tally in strata.items() if tally != Tally()}
    if len(some) > 1:
        return Weighted.of(some)
    return next(iter(some.values()), Tally())


def _times(tally: Tally, weight: int) -> Tally:
    found = Tally()
    for name in NAMES:
        setattr(found, name, weight * getattr(tally, name))
    return found
