"""Layers: two samples compared within each of many layers, and all of it added up.

So a sample of other layers is no sample of other rows: what is compared is alike in all but what is
asked for. Source: Mantel and Haenszel (1959). With the ages of what is watched as layers it is the
log-rank test (Mantel 1966; `scipy.stats.logrank`).
"""

import dataclasses

import numpy as np

from stream.columns import Floats, Ints


@dataclasses.dataclass(frozen=True, slots=True)
class Layered:
    """Hits of one sample, what chance lets expect of them, and their variance; scalars or (k,)."""

    observed: Floats
    expected: Floats
    variance: Floats

    @property
    def z(self) -> Floats:
        """How far out that is, in standard deviations; 0 where nothing could vary."""
        sure = self.variance > 0
        away = self.observed - self.expected
        return np.where(sure, away / np.sqrt(np.where(sure, self.variance, 1.0)), 0.0)


def layered(hits: Ints, rows: Ints, other_hits: Ints, other_rows: Ints) -> Layered:
    """Hits of a sample beside those of another one, shape (..., layers) each.

    >>> found = layered(np.array([8, 0]), np.array([10, 5]), np.array([2, 0]), np.array([10, 9]))
    >>> float(found.observed), float(found.expected), round(float(found.z), 3)
    (8.0, 5.0, 2.615)
    """
    n1, n0 = np.asarray(rows, dtype=np.float64), np.asarray(other_rows, dtype=np.float64)
    n, a = n1 + n0, np.asarray(hits + other_hits, dtype=np.float64)
    share = a / np.maximum(n, 1.0)
    variance = share * (1.0 - share) * n1 * n0 / np.maximum(n - 1.0, 1.0)
    observed = np.asarray(hits, dtype=np.float64)
    return Layered(observed.sum(axis=-1), (n1 * share).sum(axis=-1), variance.sum(axis=-1))
