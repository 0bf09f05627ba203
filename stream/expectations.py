"""Expectations: how good answers are by expectation, if scores mean what their calibration says.

Confidence-based performance estimation (NannyML): each row is right with the probability that its
score stands for, so a window's confusion matrix is a sum of probabilities. It cannot see a change
of what is true for the same inputs: then the scores themselves mean something else.
"""

import dataclasses
import math

import numpy as np
from scipy.optimize import isotonic_regression

from stream import curves
from stream.columns import Floats, Ints
from stream.intervals import Z95, Figure


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """What scores mean. chance, shape (cells,): of the positive class, rising from cell to cell.

    weight, shape (cells,): outcomes that it was learnt from there, those of a plateau together.
    """

    chance: Floats
    weight: Floats

    @classmethod
    def learnt(cls, places: Floats, labelled: Ints, positive: Ints) -> "Curve":
        """Isotonic regression of outcomes by cell; cells without any lie on the line between.

        places, shape (cells,), strictly rising: the score that a cell stands for. labelled,
        positive: outcomes, and how many of them are of the positive class; at least one.
        """
        some = labelled > 0
        weights = labelled[some].astype(np.float64)
        found = isotonic_regression(positive[some] / weights, weights=weights)
        sizes = np.repeat(np.add.reduceat(weights, found.blocks[:-1]), np.diff(found.blocks))
        known = places[some]
        return cls(np.interp(places, known, found.x), np.interp(places, known, sizes))


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """A window's rows by cell of their score, and what the scores mean.

    negative, positive, shape (cells,): rows by what was answered.
    """

    curve: Curve
    negative: Ints
    positive: Ints

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.negative.sum() + self.positive.sum())

    @property
    def moments(self) -> tuple[float, float]:
        """Mean chance that an answer is right, and the variance of that chance over rows."""
        p, n = self.curve.chance, max(1, self.n)
        mean = self._right() / n
        squares = float((self.positive * p**2).sum() + (self.negative * (1 - p) ** 2).sum())
        return mean, max(0.0, squares / n - mean * mean)

    def _right(self) -> float:
        p = self.curve.chance
        return float((self.positive * p).sum() + (self.negative * (1 - p)).sum())

    @property
    def doubt(self) -> float:
        """The variance of the mean chance, for the curve was learnt from so many outcomes."""
        p, n = self.curve.chance, max(1, self.n)
        pull = (self.positive - self.negative).astype(np.float64)
        return self._of_plateaus(pull, p * (1 - p)) / (n * n)

    def figures(self) -> dict[str, Figure]:
        """Metric to its expectation; where a denominator is 0, there is none."""
        p = self.curve.chance
        hits, misses = float((self.positive * p).sum()), float((self.negative * p).sum())
        said, n = int(self.positive.sum()), self.n
        quiet = float((self.negative * (1 - p)).sum())
        known: dict[str, tuple[float, float]] = {
            "accuracy": (hits + quiet, n),
            "precision": (hits, said),
            "recall": (hits, hits + misses),
            "specificity": (quiet, n - hits - misses),
            "f1": (2 * hits, said + hits + misses),
        }
        found = {name: top / of for name, (top, of) in known.items() if of > 0}
        told = {name: self._figure(name, x, known[name][1]) for name, x in found.items()}
        area = self.auroc()
        return told if area is None else told | {"auroc": Figure(area, n, area, area)}

    def _figure(self, name: str, value: float, of: float) -> Figure:
        """With the interval in which the realised value lies in 95 of 100 windows.

        Truth falls by chance, independently (Poisson binomial), and the curve was learnt from
        so many outcomes. Of ratios to first order: by how much one positive more would change it.
        """
        up, down = {
            "accuracy": (1.0, -1.0),
            "precision": (1.0, 0.0),
            "recall": (1 - value, -value),
            "specificity": (value, value - 1),
            "f1": (2 - value, -value),
        }[name]
        p = self.curve.chance
        spread = p * (1 - p)
        by_truth = float((spread * (self.positive * up**2 + self.negative * down**2)).sum())
        pull = self.positive * up + self.negative * down
        by_curve = self._of_plateaus(pull, spread)
        half = Z95 * math.sqrt(by_truth + by_curve) / of
        return Figure(value, self.n, max(0.0, value - half), min(1.0, value + half))

    def _of_plateaus(self, pull: Floats, spread: Floats) -> float:
        """Cells of a plateau share one error, for they were learnt together."""
        ends = np.flatnonzero(np.diff(self.curve.chance, prepend=-1.0))
        pulls = np.add.reduceat(pull, ends)
        return float((pulls**2 * (spread / np.maximum(self.curve.weight, 1.0))[ends]).sum())

    def auroc(self) -> float | None:
        """The expected area under the ROC curve; rows of a cell count as ties."""
        rows = self.negative + self.positive
        ups = rows * self.curve.chance
        downs = rows - ups
        return curves.area(ups, downs) if ups.sum() * downs.sum() > 0 else None
