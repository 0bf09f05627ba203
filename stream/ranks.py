"""Two samples compared by the counts of their rank codes against common edges.

Code `2i` is the gap before edge i, `2i + 1` a value equal to edge i; k edges give 2k + 1 codes.
The two-sample Kolmogorov-Smirnov test on such codes is the test on the values, to the last bit,
where every point of the first sample is an edge. Otherwise its statistic is never overstated, and
understated by at most the mass of one gap (`resolution`).

Where a distance needs places, values inside a gap stand at its middle, and values beyond the
outermost edges at those edges: wrong by at most half a gap, and short beyond the edges.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from stream.columns import Floats, Ints

EXACT_ROWS = 10_000  # the size up to which scipy's "auto" is exact
GROUPS = 10  # tenths of the reference, for the measures that compare shares


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """The largest distance of two distribution functions, and how surprising it is.

    sign: 1 where the first sample's function is above (the second's values are larger), else -1.
    code: where the distance is reached. All as in `scipy.stats.ks_2samp`, whose location has this
    code. In a gap that is a live value which nobody kept; `place` names a point as far apart.
    """

    statistic: float
    p_value: float
    sign: int
    code: int


def ks_two_sample(first: Ints, second: Ints) -> Gap:
    """Two-sided two-sample Kolmogorov-Smirnov test of two vectors of counts, each shape (2k + 1,).

    Source: `scipy.stats.ks_2samp`, method "auto": the exact law up to 10,000 values a sample,
    beyond it Smirnov's limit. Raises ValueError where a sample is empty.
    """
    n, m = int(first.sum()), int(second.sum())
    if min(n, m) == 0:
        raise ValueError("ks_two_sample: a sample is empty")
    return _exact(first, second) if max(n, m) <= EXACT_ROWS else _asymptotic(first, second, n, m)


def _exact(first: Ints, second: Ints) -> Gap:
    codes = np.arange(len(first))
    with warnings.catch_warnings():  # scipy turns to the limit law where the exact one fails
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.ks_2samp(np.repeat(codes, first), np.repeat(codes, second))
    sign, code = int(found.statistic_sign), int(found.statistic_location)
    return Gap(float(found.statistic), float(found.pvalue), sign, code)


def _asymptotic(first: Ints, second: Ints, n: int, m: int) -> Gap:
    """The same steps as scipy's, in the same order, on sums instead of sorted values."""
    codes = np.concatenate([np.flatnonzero(first), np.flatnonzero(second)])
    apart = (np.cumsum(first) / n - np.cumsum(second) / m)[codes]
    lowest, highest = int(np.argmin(apart)), int(np.argmax(apart))
    below, above = float(np.clip(-apart[lowest], 0, 1)), float(apart[highest])
    down = below > above
    large, small = float(max(n, m)), float(min(n, m))
    statistic = below if down else above
    p = float(np.clip(stats.kstwo.sf(statistic, np.round(large * small / (large + small))), 0, 1))
    return Gap(statistic, p, -1 if down else 1, int(codes[lowest if down else highest]))


def place(edges: Floats, code: int) -> tuple[float, str]:
    """Where a code lies: an edge, and whether it is "at" it or "just below" it.

    From a value inside a gap up to the next edge neither distribution function changes, so the
    distance just below that edge is the one at the value.
    """
    inside = code % 2 == 0 and code < 2 * len(edges)
    return float(edges[min(code // 2, len(edges) - 1)]), "just below" if inside else "at"


def resolution(first: Ints) -> float:
    """Largest share of the first sample inside one gap: by so much a distance may be understated.

    0 where all of its values are edges.
    """
    return float(first[::2].max(initial=0) / max(1, int(first.sum())))


def positions(edges: Floats) -> Floats:
    """A value for each code, shape (2k + 1,): edges, middles of gaps, and the outermost edges."""
    found = np.repeat(edges, 2)
    found[1:-1:2] = edges[:-1] / 2 + edges[1:] / 2
    return np.concatenate([edges[:1], edges[:1], found[1:]])


def wasserstein(edges: Floats, first: Ints, second: Ints) -> float:
    """Mean distance a value must be moved to turn one sample into the other, in its own units.

    Equal to `scipy.stats.wasserstein_distance` (up to rounding) where all values are edges.
    """
    if len(edges) < 2:
        return 0.0
    apart = np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()
    widths = np.diff(positions(edges / 2))
    return float(min(2.0 * float(np.abs(apart[:-1]) @ widths), np.finfo(np.float64).max))


def quantile(edges: Floats, counts: Ints, q: float) -> float:
    """The q-quantile, linear between order statistics; `numpy.quantile` where all are edges.

    The values of a gap are taken to be spread evenly over it.
    """
    return quantiles(edges, counts, (q,))[0]


def quantiles(edges: Floats, counts: Ints, of: Sequence[float]) -> list[float]:
    """Several quantiles, for little more than the price of one."""
    up_to = np.cumsum(counts)
    n = int(up_to[-1])
    if n == 0 or len(edges) == 0:
        raise ValueError("quantile: no values")
    found = []
    for q in of:
        place = q * (n - 1)
        low = math.floor(place)
        a = _order_statistic(edges, counts, up_to, low)
        b = _order_statistic(edges, counts, up_to, min(low + 1, n - 1))
        share = place - low
        found.append(a * (1 - share) + b * share)
    return found


def _order_statistic(edges: Floats, counts: Ints, up_to: Ints, rank: int) -> float:
    code = int(np.searchsorted(up_to, rank, side="right"))
    right = float(edges[min(code // 2, len(edges) - 1)])
    if code % 2 or code in (0, 2 * len(edges)):
        return right
    left = float(edges[code // 2 - 1])
    inside = (rank - int(up_to[code - 1]) + 1) / (int(counts[code]) + 1)
    return left * (1 - inside) + right * inside


def grouped(first: Ints, second: Ints, groups: int = GROUPS) -> tuple[Ints, Ints]:
    """Both vectors summed over groups of codes that hold about equal shares of the first."""
    up_to = np.cumsum(first)
    middle = (up_to - first / 2) * groups / max(1, int(up_to[-1]))
    at = np.clip(middle.astype(np.int64), 0, groups - 1)
    return (
        np.bincount(at, first, groups).astype(np.int64),
        np.bincount(at, second, groups).astype(np.int64),
    )


def psi(first: Ints, second: Ints) -> float:
    """Population stability index of two vectors of counts of the same groups.

    Half a row is added to each group, so that an empty one does not make it infinite.
    """
    used = (first + second) > 0
    p = (first[used] + 0.5) / (first[used] + 0.5).sum()
    q = (second[used] + 0.5) / (second[used] + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())


def jensen_shannon(first: Ints, second: Ints) -> float:
    """Jensen-Shannon distance, 0 to 1 (`scipy.spatial.distance.jensenshannon`, base 2)."""
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    total = 0.0
    for share in (p, q):
        seen = share > 0
        total += float((share[seen] * np.log2(share[seen] / middle[seen])).sum())
    return math.sqrt(min(1.0, max(0.0, total / 2)))
