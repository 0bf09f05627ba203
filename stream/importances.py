"""Importances: how much a change of each feature weighs, and which changes explain the most.

A reference may give weights, such as the importances that its training found. Only what they are to
each other counts.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from stream import effects
from stream.events import Reading
from stream.vectors import vector_of

UNMEASURED = 0.5  # severity where no effect was measured: as one that just matters
Ranked = TypeVar("Ranked")


def checked(weights: Mapping[str, float], units: Collection[str]) -> dict[str, float]:
    """Weights as they were given. Raises ValueError where one is of no feature, or no weight.

    units: features and vectors, as they are judged.
    """
    for name, weight in weights.items():
        if name not in units:
            raise ValueError(f"weight of {name!r}: the reference has no such feature")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight of {name!r} = {weight!r}: must be a number of 0 or more")
    return {name: float(weight) for name, weight in weights.items()}


def part(weights: Mapping[str, float], features: Collection[str]) -> dict[str, Any]:
    """What of the weights goes with some features in one event of a reference."""
    names = {*features} | {vector_of(name) for name in features}
    own = {name: weight for name, weight in weights.items() if name in names}
    return {"weights": own} if weights else {}


def weight_of(weights: Mapping[str, float], name: str) -> float:
    """The weight of a feature; what has none weighs as much as the others do in the mean.

    >>> weight_of({"age": 3.0, "miles": 1.0}, "age"), weight_of({"age": 3.0, "miles": 1.0}, "power")
    (3.0, 2.0)
    """
    usual = sum(weights.values()) / len(weights) if weights else 1.0
    return weights.get(name, usual)


def explains(reading: Reading, weights: Mapping[str, float]) -> float:
    """How much of what happened a reading explains: its severity, 0 to 1, times its weight.

    weights: by feature; an output or a metric has none.
    """
    severity = effects.severity(reading.effect) if reading.effect else UNMEASURED
    of_a_feature = reading.role in ("input", "data")
    return severity * (weight_of(weights, reading.subject) if of_a_feature else 1.0)


def ranked(
    found: Sequence[Ranked], key: Callable[[Ranked], tuple[bool, float, str]]
) -> list[tuple[Ranked, float]]:
    """What explains most first, with its share of all of it; shares add up to 1.

    key: whether it is new (new ones come first), how much it explains, and its name, for ties.
    Where nothing weighs anything, all have the same share.
    """
    order = sorted(found, key=lambda one: (not key(one)[0], -key(one)[1], key(one)[2]))
    total = sum(key(one)[1] for one in order)
    return [(one, key(one)[1] / total if total > 0 else 1 / len(order)) for one in order]
