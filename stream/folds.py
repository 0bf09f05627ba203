"""Folds: what is measured of each number of a vector, as one measure of the vector.

A vector is one hypothesis among the others, however many numbers it has: its p-value is that of
the number that changed most, times how many were tested (Bonferroni). Where numbers are calibrated
together, the law is already that of the largest of all, and nothing is multiplied.
"""

import dataclasses
import math
from collections.abc import Sequence

from stream.events import Detail
from stream.judgements import Chance, Inflated
from stream.measures import Measure
from stream.references import Reference

MOST_NAMED = 20  # numbers of a vector named in a reading
Judgement = tuple[Measure, Chance | None, Inflated | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What one reading is made of. elements: of a vector; of size numbers, measured or not."""

    measure: Measure
    chance: Chance | None = None
    fewer: Inflated | None = None
    elements: Sequence[Judgement] = ()
    size: int = 0

    def told(self, m: Measure, level: float | None) -> Measure:
        """The measure in its last words: how many numbers of a vector moved at its level."""
        if not self.elements:
            return m
        moved = [one[0] for one in self.elements if self._moved(one, level)]
        found: dict[str, Detail] = {
            "numbers": self.size,
            "numbers_moved": len(moved),
            "most": self.elements[0][0].comparison.called,
            "moved": [one.comparison.called for one in moved[:MOST_NAMED]],
        }
        if m.p_value is None:
            what = f"{m.about} ({self.size} numbers)"
        elif moved:
            what = f"{m.about}: {len(moved)} of {self.size} numbers moved, most {m.what}"
        else:
            what = f"{m.about} ({self.size} numbers), most {m.what}"
        return dataclasses.replace(m, what=what, details=m.details | found)

    def _moved(self, one: Judgement, level: float | None) -> bool:
        m, chance, _ = one
        if chance is not None:
            return chance.sure and _matters(m)
        p = _p_value(one)
        return p is not None and p * len(self.elements) <= (level or 0.0) and _matters(m)


def folded(found: Sequence[Judgement], reference: Reference) -> list[Unit]:
    """A unit for each measure that is of no vector, and for each check of each vector.

    A vector stands where the first of its numbers stood.
    """
    groups: dict[tuple[object, ...], list[Judgement]] = {}
    for place, (m, chance, fewer) in enumerate(found):
        c = m.comparison
        vector = reference.vectors.unit(c.feature.name, c.role)
        key = (
            (vector, m.check, chance is None)
            if vector != c.feature.name and not m.about
            else (place,)
        )
        groups.setdefault(key, []).append((m, chance, fewer))
    return [
        _vector(str(key[0]), members, reference) if len(key) > 1 else Unit(*members[0])
        for key, members in groups.items()
    ]


def _vector(name: str, members: Sequence[Judgement], reference: Reference) -> Unit:
    ranked = sorted(members, key=_strength, reverse=True)
    worst, chance, fewer = ranked[0]
    tested = 1 if chance else sum(m.p_value is not None for m, _, _ in ranked)
    whole = dataclasses.replace(worst, p_value=_times(worst.p_value, tested), about=name)
    if fewer is not None:
        fewer = dataclasses.replace(fewer, p_value=min(1.0, fewer.p_value * tested))
    return Unit(whole, chance, fewer, ranked, reference.vectors.size(name))


def _times(p: float | None, tested: int) -> float | None:
    return None if p is None else min(1.0, p * tested)


def _p_value(one: Judgement) -> float | None:
    """Where rows resemble each other, that of so many fewer."""
    m, _, fewer = one
    return m.p_value if fewer is None else fewer.p_value


def _strength(one: Judgement) -> tuple[bool, bool, float, float]:
    """What changed so much that it matters comes first, and of that what is least by chance."""
    m, chance, _ = one
    p = _p_value(one)
    if p is None or m.effect is None:
        return False, False, -math.inf, 0.0
    evidence = -p if chance is None else chance.evidence
    return True, _matters(m), evidence, m.effect.value


def _matters(m: Measure) -> bool:
    return m.effect is not None and m.effect.value >= (m.effect.floor or 0.0)
