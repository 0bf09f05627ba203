"""Minimums: how many rows a window needs, so that a change as large as its floor would be found.

Below them a window's silence says nothing. They follow from the effect floor, the level of the
check, how much rows resemble each other, and the power that is asked for.
"""

import math

import numpy as np
from scipy import special, stats

from stream import effects
from stream.columns import Ints
from stream.discrepancies import answer_of
from stream.features import FeatureReference
from stream.measures import Joint, Measure, unusable

SHARES = frozenset({"chi-square", "missing", "type"})


def rows_needed(m: Measure, level: float, inflation: float = 1.0) -> int | None:
    """Rows with which a change as large as the floor is significant as often as `power` says.

    level: of the check, were rows independent. inflation: of the variance, as they are not. None
    where no number follows: without a floor, or for a check that tests something else. At most
    the reference's rows: where more were needed, it is the reference that is too short.
    """
    settings = m.comparison.settings
    if settings.power == 0 or m.effect is None or not m.effect.floor or not 0 < level < 1:
        return None
    if m.check == "ks":
        gap = gap_of_floor(m.comparison.feature, m.effect.floor, m.effect.unit)
        rows = for_gap(gap, level, settings.power)
    elif m.comparison.joint is not None:
        rows = for_whole(m.comparison.joint, m.effect.floor, level, settings.power)
    elif m.check in SHARES:
        rows = for_share(_hardest(m), m.effect.floor, _freedom(m), level, settings.power)
    else:
        return None
    return max(in_window(rows * inflation, m.n_reference), settings.minimum_rows)


def for_gap(gap: float, level: float, power: float) -> float:
    """Rows of one sample, the other known, with which the K-S test finds a gap.

    The statistic is at least the difference at the gap's place, which varies by 1 / 2 sqrt(n) at
    most: so this is a lower bound of the power. Source: Massey (1950), with Kolmogorov's law.
    """
    if gap <= 0:
        return math.inf
    return float(((special.kolmogi(level) + max(special.ndtri(power), 0.0) / 2) / gap) ** 2)


def for_share(share: float, change: float, freedom: int, level: float, power: float) -> float:
    """The same of the chi-square test for a change of one category's share.

    share: of the category, about which the change is even. The other categories keep their
    proportions. Source: Cohen (1988), the non-central chi-square law.
    """
    critical = stats.chi2.isf(level, freedom)
    shift = float(special.chndtrinc(critical, freedom, 1 - power))
    return shift * share * (1 - share) / change**2


def for_whole(joint: Joint, shift: float, level: float, power: float) -> float:
    """The same of the discrepancy of a vector as a whole, for a shift along one line.

    Its statistic grows by the rows' answer to the shift, and varies the more, the larger it is.
    """
    moments, answer = joint.whole.moments, answer_of(joint.known, joint.whole.breadth)
    if shift <= 0 or answer <= 0:
        return math.inf
    beyond, against = moments.critical(level) - moments.first, max(special.ndtri(power), 0.0) ** 2
    middle = beyond + 2 * against * moments.second / moments.first
    spread = middle**2 - beyond**2 + 2 * against * moments.second
    return float((middle + math.sqrt(max(0.0, spread))) / (shift**2 * answer))


def for_mean(change: float, level: float, power: float) -> float:
    """The same of a one-sided test of a mean against a known value.

    change: in deviations of one row; of a share see `in_deviations`.
    """
    if change <= 0:
        return math.inf
    return float((max(special.ndtri(power) - special.ndtri(level), 0.0) / change) ** 2)


def in_deviations(before: float, after: float) -> float:
    """How far two shares are apart, in deviations of one row, as good as equal for both.

    Source: Cohen (1988), the arcsine transformation.
    """
    return 2 * abs(math.asin(math.sqrt(before)) - math.asin(math.sqrt(after)))


def in_window(rows: float, reference: float) -> int:
    """Rows of a window that count for so many, compared with a reference of so many."""
    least = rows / (1 - rows / reference) if rows < reference else math.inf
    return math.ceil(min(least, reference))


def gap_of_floor(f: FeatureReference, floor: float, unit: str | None) -> float:
    """The largest gap that a shift of all values by the floor makes."""
    if unit == effects.IN_ROWS:
        return floor
    return gap_of_shift(f, floor * f.sd if unit == effects.IN_SD else floor)


def gap_of_shift(f: FeatureReference, distance: float) -> float:
    """The largest gap of a shift whose Wasserstein distance is given.

    Where values lie further apart than the shift, so many of them go to the next one as make up
    the distance.
    """
    x, total = f.edges, int(f.counts[: f.cells].sum())
    if len(x) < 2 or total == 0:
        return 0.0
    up_to = np.cumsum(f.counts[: f.cells])[1::2] / total  # with each edge
    before = np.concatenate([[0.0], up_to[:-1]])
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = up_to[:-1] - np.interp(x[1:] - distance, x, before)
        moved = float((gaps * np.diff(x)).sum())
    if not 0 < moved < math.inf:
        return 0.0
    return float(min(1.0, gaps.max() * max(1.0, distance / moved)))


def _hardest(m: Measure) -> float:
    f, floor = m.comparison.feature, (m.effect.floor if m.effect else None) or 0.0
    counts = f.counts
    if m.check == "chi-square":
        return nearest_half(counts[: f.cells + 1], floor)
    odd = int(counts[-1]) if m.check == "type" else sum(unusable(f, counts).values())
    return nearest_half(np.array([odd]), floor, f.rows)


def nearest_half(counts: Ints, floor: float, rows: int | None = None) -> float:
    """The share, of those that may change, whose change is hardest to find.

    counts: shape (k,), of `rows`, which are all that are counted unless given.
    """
    shares = counts / max(1, int(counts.sum()) if rows is None else rows)
    middle = np.where(shares < 0.5, shares + floor / 2, shares - floor / 2)
    return float(np.clip(middle[np.abs(middle - 0.5).argmin()], 1e-6, 1 - 1e-6))


def _freedom(m: Measure) -> int:
    cells = m.details.get("cells", 2)
    return max(1, int(str(cells)) - 1)
