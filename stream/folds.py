"""Folds: what is measured of each number of a vector, as one measure of the vector.

A vector is one hypothesis among the others, however many numbers it has: its p-value is that of
the number that changed most, times how many were tested (Bonferroni). Where numbers are calibrated
together, the law is already that of the largest of all, and nothing is multiplied.
"""

import dataclasses
import math
from collections.abc import Sequence

from stream.judgements import Chance
from stream.measures import Detail, Measure
from stream.references import Reference

MOST_NAMED = 20  # numbers of a vector named in a reading
Judged = tuple[Measure, Chance | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What one reading is made of. elements: of a vector; of size numbers, measured or not."""

    measure: Measure
    chance: Chance | None = None
    elements: Sequence[Judged] = ()
    size: int = 0

    def told(self, m: Measure, level: float | None) -> Measure:
        """The measure in its last words: how many numbers of a vector moved at its level."""
        if not self.elements:
            return m
        moved = [one for one, c in self.elements if self._moved(one, c, level)]
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

    def _moved(self, m: Measure, chance: Chance | None, level: float | None) -> bool:
        if chance is None:
            sure = m.p_value is not None and m.p_value * len(self.elements) <= (level or 0.0)
        else:
            sure = chance.sure
        return sure and _matters(m)


def folded(found: Sequence[Judged], reference: Reference) -> list[Unit]:
    """A unit for each measure that is of no vector, and for each check of each vector.

    A vector stands where the first of its numbers stood.
    """
    groups: dict[tuple[object, ...], list[Judged]] = {}
    for place, (m, chance) in enumerate(found):
        c = m.comparison
        vector = reference.vectors.unit(c.feature.name, c.role)
        key = (vector, m.check, chance is None) if vector != c.feature.name else (place,)
        groups.setdefault(key, []).append((m, chance))
    return [
        _vector(str(key[0]), members, reference) if len(key) > 1 else Unit(*members[0])
        for key, members in groups.items()
    ]


def _vector(name: str, members: Sequence[Judged], reference: Reference) -> Unit:
    ranked = sorted(members, key=_strength, reverse=True)
    worst, chance = ranked[0]
    p = worst.p_value
    if p is not None and chance is None:
        p = min(1.0, p * sum(m.p_value is not None for m, _ in ranked))
    return Unit(
        dataclasses.replace(worst, p_value=p, about=name),
        chance,
        ranked,
        reference.vectors.size(name),
    )


def _strength(one: Judged) -> tuple[bool, bool, float, float]:
    """What changed so much that it matters comes first, and of that what is least by chance."""
    m, chance = one
    if m.p_value is None or m.effect is None:
        return False, False, -math.inf, 0.0
    evidence = -m.p_value if chance is None else chance.evidence
    return True, _matters(m), evidence, m.effect.value


def _matters(m: Measure) -> bool:
    return m.effect is not None and m.effect.value >= (m.effect.floor or 0.0)
