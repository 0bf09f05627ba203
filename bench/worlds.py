"""Worlds: rows of models in which nothing changes, or one number does, for `decisions`."""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import signal

Values = npt.NDArray[np.float64]
HOURS_A_DAY = 24
PHI = 0.9
COMMON = 0.5  # correlation of the features that resemble each other
FEW_ROWS = 20  # an hour, of many features: a month of them takes half as long, and is as telling
CATEGORIES = 200
ALIKE = 200.0  # of Dirichlet's law: shares of an hour vary as those of so many rows by chance


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """How a model's rows come about. draw: of a generator, hours and rows an hour, one feature.

    common: correlation of all features; each is drawn on its own otherwise. named: whether values
    are names of categories, and no amounts.
    """

    draw: Callable[[np.random.Generator, int, int], Values]
    features: int = 1
    rows: int = 200
    common: float = 0.0
    named: bool = False


def _normal(random: np.random.Generator, hours: int, rows: int) -> Values:
    return random.normal(size=hours * rows)


def _lognormal(random: np.random.Generator, hours: int, rows: int) -> Values:
    return np.exp(_normal(random, hours, rows))


def _autoregressive(random: np.random.Generator, hours: int, rows: int) -> Values:
    """Deviation 1; each row is .9 of the one before it, and something new."""
    before = 200
    new = random.normal(size=hours * rows + before) * np.sqrt(1 - PHI**2)
    found: Values = signal.lfilter([1.0], [1.0, -PHI], new)[before:]
    return found


def _seasonal(random: np.random.Generator, hours: int, rows: int) -> Values:
    """Mean and spread follow the hour of the day."""
    wave = np.repeat(np.sin(2 * np.pi * np.arange(hours) / HOURS_A_DAY), rows)
    return wave + _normal(random, hours, rows) * (1 + wave / 2)


def _heavy(random: np.random.Generator, hours: int, rows: int) -> Values:
    """Student's t of 2 degrees: its variance is infinite."""
    return random.standard_t(2, size=hours * rows)


def _zipf() -> Values:
    """Shares of categories: the k-th most frequent has 1/k of the first one's."""
    found = 1 / np.arange(1, CATEGORIES + 1)
    shares: Values = found / found.sum()
    return shares


def _names(random: np.random.Generator, hours: int, rows: int) -> Values:
    up_to = np.cumsum(_zipf())
    up_to[-1] = 1.0
    return np.searchsorted(up_to, random.random(hours * rows), "right").astype(np.float64)


def _restless(random: np.random.Generator, hours: int, rows: int) -> Values:
    """Each hour has shares of its own: an hour's counts vary twice as much as by chance alone."""
    shares = random.dirichlet(_zipf() * ALIKE, size=hours)
    counts = random.multinomial(rows, shares)
    return np.repeat(np.tile(np.arange(CATEGORIES), hours), counts.ravel()).astype(np.float64)


WORLDS: dict[str, World] = {
    "i.i.d. normal": World(_normal),
    "lognormal": World(_lognormal),
    "AR(1) .9": World(_autoregressive),
    "daily season": World(_seasonal),
    "heavy tails (t2)": World(_heavy),
    "100 features": World(_normal, features=100, rows=FEW_ROWS),
    "100 features, correlated": World(_normal, features=100, rows=FEW_ROWS, common=COMMON),
    "200 categories": World(_names, named=True),
    "200 categories, overdispersed": World(_restless, named=True),
}


def columns(world: World, random: np.random.Generator, hours: int) -> list[Values]:
    """The rows of so many hours, a column a feature, shape (hours * rows,) each."""
    if not world.common:
        return [world.draw(random, hours, world.rows) for _ in range(world.features)]
    shared = world.draw(random, hours, world.rows) * np.sqrt(world.common)
    own = np.sqrt(1 - world.common)
    return [shared + own * world.draw(random, hours, world.rows) for _ in range(world.features)]
