"""Wholes: a vector's numbers taken together, counted so that what is between them is seen too.

Each vector is looked at along DIRECTIONS fixed mixtures of its numbers, drawn by chance once, when
the reference is made. Numbers are whitened by the reference's correlations before they are mixed,
so a tie between two of them that comes loose shows as much as a shift does. A mixture has mean 0
and deviation 1 in the reference; as an angle of so many radians it falls into one of CELLS eighths
of a turn, and rows of each eighth are counted. Such counts are random Fourier features (Rahimi and
Recht 2007): what two samples' counts differ by is their maximum mean discrepancy, with a kernel of
the whitened vectors (`stream.discrepancies`).

All of it is whole numbers: a value in steps of a deviation, a mixture in parts of a turn. So the
same rows give the same counts, in any order, on any machine.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
import xxhash
from scipy import linalg

from stream.columns import Bools, Column, Floats, Ints
from stream.discrepancies import CELLS, Moments, moments_of, waves
from stream.features import FeatureReference
from stream.vectors import element

DIRECTIONS = 64
MOST_NUMBERS = 1_000  # of a vector that is looked at as a whole
LEAST_ROWS = 30  # whole vectors of a reference
STEPS = 64  # of a value in a deviation
FARTHEST = 16  # deviations; what lies further out counts as so far
TURN = 1 << 24  # parts of a turn
LARGEST = 1 << 20  # parts of a turn for a step: with it all sums are exact as floats
SHRUNK = 0.1  # of the correlations: without it numbers that follow from others would be all
LEARNT_ROWS = 1 << 14  # from which correlations and moments are learnt
BLOCK_ROWS = 1 << 14
UTF8 = ("utf-8", "surrogatepass")  # a name from outside may hold half a pair
ALONE = 1 << 18  # products in one multiplication: of more, OpenBLAS makes several threads
_CELL_BITS = (TURN // CELLS).bit_length() - 1
MISSING = np.iinfo(np.int16).min


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    turns: list[list[int]]
    breadth: float
    moments: tuple[float, float, float, float]
    counts: list[int]


@dataclasses.dataclass(frozen=True, eq=False)
class Whole:
    """How a vector of `size` numbers is looked at, and what the reference looked like.

    means, sds: shape (size,), of its numbers. turns: shape (size, DIRECTIONS), parts of a turn for
    a step of each. breadth: as how many independent numbers it is, at most size. moments: of rows
    that know nothing of each other. counts: shape (DIRECTIONS * CELLS,), the reference's rows.
    """

    means: Floats
    sds: Floats
    turns: Ints
    breadth: float
    moments: Moments
    counts: Ints

    @property
    def size(self) -> int:
        """How many numbers the vector has."""
        return len(self.means)

    @functools.cached_property
    def _mixture(self) -> Floats:
        return self.turns.astype(np.float64)

    def steps(self, columns: Iterable[Column]) -> "Steps":
        """Values in steps from the mean, shape (rows, size); MISSING where there is no number.

        columns: of each number, looked at one after the other.
        """
        return _steps(columns, self.means, self.sds)

    def places(self, steps: "Steps") -> Ints:
        """Of rows that lack nothing, where each is counted, shape (rows, DIRECTIONS)."""
        block = max(1, ALONE // self.turns.size)
        found = np.empty((len(steps), DIRECTIONS), dtype=np.int64)
        for at in range(0, len(steps), block):
            found[at : at + block] = steps[at : at + block].astype(np.float64) @ self._mixture
        found &= TURN - 1  # as good as %, and faster
        found >>= _CELL_BITS
        found += np.arange(DIRECTIONS) * CELLS
        return found

    def tabulated(self, steps: "Steps", number: Ints, panes: int) -> Ints:
        """Rows of each pane and place, shape (panes, DIRECTIONS * CELLS).

        number: shape (rows,), of each row's pane. Rows that lack a number, or a pane, are left out.
        """
        width = DIRECTIONS * CELLS
        found = np.zeros(panes * width, dtype=np.int64)
        for at in range(0, len(steps), BLOCK_ROWS):
            some, own = steps[at : at + BLOCK_ROWS], number[at : at + BLOCK_ROWS]
            used = (some != MISSING).all(axis=1) & (own >= 0)
            places = self.places(some[used]) + own[used, None] * width
            found += np.bincount(places.ravel(), minlength=len(found))
        return found.reshape(panes, width)

    def counts_of(self, columns: Iterable[Column]) -> Ints:
        """Rows of each place, shape (DIRECTIONS * CELLS,); rows that lack a number are left out."""
        steps = self.steps(columns)
        places = self.places(steps[(steps != MISSING).all(axis=1)])
        return np.bincount(places.ravel(), minlength=len(self.counts))

    def document(self) -> dict[str, Any]:
        """Plain values for JSON; `from_document` reads them back to the bit."""
        return {
            "turns": self.turns.tolist(),
            "breadth": self.breadth,
            "moments": list(dataclasses.astuple(self.moments)),
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_document(cls, name: str, document: object, means: Floats, sds: Floats) -> Self:
        """Raises ValueError, saying what is wrong. means, sds: of the vector's numbers."""
        try:
            d = msgspec.convert(document, _Document)
            turns, counts = np.array(d.turns, dtype=np.int64), np.array(d.counts, dtype=np.int64)
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            raise ValueError(f"whole of {name!r}: {error}") from None
        shape = len(means), DIRECTIONS
        moments = Moments(*d.moments)
        rules = [
            (turns.shape == shape, f"has turns of shape {turns.shape}, must have {shape}"),
            (counts.shape == (DIRECTIONS * CELLS,), f"has {len(counts)} counts"),
            (bool((counts >= 0).all()), "has a count below 0"),
            (int(np.abs(turns).max(initial=0)) <= LARGEST, "has a turn that is too large"),
            (0 < d.breadth <= len(means) and moments.sound(), "has moments that cannot be"),
        ]
        for ok, wrong in rules:
            if not ok:
                raise ValueError(f"whole of {name!r} {wrong}")
        return cls(means, sds, turns, d.breadth, moments, counts)


Steps = np.ndarray[tuple[int, ...], np.dtype[np.int16]]


def _steps(columns: Iterable[Column], means: Floats, sds: Floats) -> Steps:
    found: Steps = np.zeros((0, len(means)), dtype=np.int16)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, column in enumerate(columns):
            found = found if i else np.empty((len(column), len(means)), dtype=np.int16)
            apart = (column.numbers - means[i]) * (STEPS / sds[i] if sds[i] > 0 else 0.0)
            near = np.clip(np.rint(apart), -STEPS * FARTHEST, STEPS * FARTHEST)
            lacks = ~np.isfinite(column.numbers) | _worded(column)
            found[:, i] = np.where(lacks, MISSING, np.nan_to_num(near))
    return found


def _worded(column: Column) -> Bools | np.bool_:
    return np.False_ if column.codes is None else column.codes >= 0


def learnt(name: str, columns: Iterable[Column], means: Floats, sds: Floats) -> Whole | None:
    """How a vector is to be looked at, and what its reference's rows look like.

    columns: each of shape (rows,), one for each number. None where it has too many numbers, or
    too few whole rows. Directions are drawn by chance that its name and size are the seed of.
    """
    if len(means) > MOST_NUMBERS:
        return None
    steps = _steps(columns, means, sds)
    whole = steps[(steps != MISSING).all(axis=1)]
    if len(whole) < LEAST_ROWS:
        return None
    some = whole[np.linspace(0, len(whole) - 1, min(len(whole), LEARNT_ROWS)).astype(np.int64)]
    mixtures, breadth = _mixtures(name, some / STEPS)
    turns = np.rint(np.clip(mixtures * (TURN / STEPS / 2 / np.pi), -LARGEST, LARGEST))
    empty = np.zeros(DIRECTIONS * CELLS, dtype=np.int64)
    found = Whole(means, sds, turns.astype(np.int64), breadth, Moments(1.0, 1.0, 1.0, 1.0), empty)
    moments = moments_of(_rows_of(found.places(some)))
    if moments is None:
        return None
    counts = found.tabulated(steps, np.zeros(len(steps), dtype=np.int64), 1)[0]
    return dataclasses.replace(found, moments=moments, counts=counts)


def _rows_of(places: Ints) -> Floats:
    """Each row's waves, shape (rows, 2 * DIRECTIONS)."""
    found = np.zeros((len(places), DIRECTIONS * CELLS), dtype=np.int64)
    np.put_along_axis(found, places, 1, axis=1)
    return waves(found)


def _mixtures(name: str, values: Floats) -> tuple[Floats, float]:
    """What each number counts in each direction, shape (size, DIRECTIONS), and the breadth.

    values: shape (rows, size), in deviations.
    """
    size = values.shape[1]
    products = np.cov(values, rowvar=False).reshape(size, size)
    spread = np.sqrt(np.diag(products))
    spread[spread == 0] = 1.0
    alike = products / np.outer(spread, spread)
    shrunk = (1 - SHRUNK) * alike + SHRUNK * np.eye(size)
    seed = xxhash.xxh3_64_intdigest(f"{name}\0{size}".encode(*UTF8))
    drawn = np.random.default_rng(seed).standard_normal((size, DIRECTIONS))
    mixed = linalg.solve_triangular(linalg.cholesky(shrunk, lower=True), drawn, trans=1, lower=True)
    variance = (mixed * (alike @ mixed)).sum(axis=0)
    breadth = float(np.clip(variance.mean(), 1e-3, size))
    return mixed / np.sqrt(np.maximum(variance, 1e-12)), breadth


Elements = Mapping[str, Sequence[str]]


def _frame(own: Sequence[str], features: Mapping[str, FeatureReference]) -> tuple[Floats, Floats]:
    """Means and deviations of a vector's numbers, shape (size,) each."""
    found = [features[name] for name in own]
    return np.array([f.mean for f in found]), np.array([f.sd for f in found])


def all_learnt(
    elements: Elements, features: Mapping[str, FeatureReference], columns: Mapping[str, Column]
) -> dict[str, Whole]:
    """The wholes of vectors that can have one. elements: the names of each vector's numbers."""
    found: dict[str, Whole] = {}
    for name, own in elements.items():
        whole = learnt(name, (columns[n] for n in own), *_frame(own, features))
        found |= {name: whole} if whole is not None else {}
    return found


# in a reference's events


def part(found: Mapping[str, Whole], features: Collection[str]) -> dict[str, Any]:
    """What goes with some features in one event: with the first of a vector's numbers its whole."""
    own = {name: w.document() for name, w in found.items() if element(name, 0) in features}
    return {"wholes": own} if found else {}


def read(
    documents: Mapping[str, object],
    elements: Elements,
    features: Mapping[str, FeatureReference],
) -> dict[str, Whole]:
    """Wholes by vector. Raises ValueError, saying what is wrong."""
    for name in sorted(documents.keys() - elements.keys()):
        raise ValueError(f"whole of {name!r}: the reference has no such vector")
    return {
        name: Whole.from_document(name, document, *_frame(elements[name], features))
        for name, document in documents.items()
    }
