"""An insurance portfolio: who is insured, month after month, and how risky they turn out to be.

Generated from shapes that were measured on a published example (36 months of 1,500 policies): age
creeps up by 0.1 years a month, emergency braking spreads from 40% to 94% of the cars, mileage
falls from 81 to 63; and of what makes a risk, the driver's part fades away while the car's stays.
"""

import dataclasses

import numpy as np

from stream.columns import Floats, Ints

FEATURES = ("training", "age", "emergency_braking", "braking_distance", "power", "miles")
UNITS = {"age": "years", "braking_distance": "m", "power": "hp", "miles": "thousand miles"}
GROUPS = ("high", "medium", "low")  # by number, as in the published files
ROWS = 1_500
MONTHS = 36
SEED = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Policies:
    """n policies. features: shape (n, 6) in the order of FEATURES; groups: shape (n,), 0..2."""

    features: Floats
    groups: Ints

    def __len__(self) -> int:
        return len(self.groups)

    def feature(self, name: str) -> Floats:
        """One feature of all policies: shape (n,)."""
        return self.features[:, FEATURES.index(name)]


def generate(months: int, seed: int) -> tuple[Policies, list[Policies]]:
    """The policies of the reference (month 0), and those of months 1, 2, ..."""
    return policies(0, seed), [policies(month, seed) for month in range(1, months + 1)]


def policies(month: int, seed: int) -> Policies:
    """ROWS policies of one month, the same whichever other months are generated."""
    random = np.random.default_rng([seed, month])
    columns = {
        "training": (random.random(ROWS) < 0.2).astype(float),
        "age": 16 + 21.3 * random.weibull(1.53, ROWS) + 0.1 * month,
        "emergency_braking": (random.random(ROWS) < min(0.4 + 0.015 * month, 1)).astype(float),
        "braking_distance": random.normal(40, 4.9, ROWS),
        "power": np.maximum(random.gamma(21.6, 7.53, ROWS) - 28, 25),
        "miles": np.maximum(18.8 + random.gamma(5.95, 10.45, ROWS) - 0.5 * month, 5),
    }
    risk = _risk(columns, month) + random.normal(0, 0.45, ROWS)
    groups = np.where(risk > 3, 0, np.where(risk > 1, 1, 2)).astype(np.int64)
    return Policies(np.column_stack([columns[name] for name in FEATURES]), groups)


def _risk(columns: dict[str, Floats], month: int) -> Floats:
    """The risk, without its noise. The driver's weight is 1 in the reference and falls to 0.1."""
    weight = max(1 - 0.025 * month, 0)
    driver = 0.175 * np.abs(columns["age"] - 35) - 4.06 * columns["training"]
    car = 0.198 * columns["braking_distance"] + 0.0158 * columns["power"]
    use = 0.0235 * columns["miles"] - columns["emergency_braking"]
    return np.asarray(weight * driver + car + use - 10.27)
