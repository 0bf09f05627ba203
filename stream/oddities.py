"""Oddities: how unlikely a stint of labels is beside those before.

Two things must be out, or a stint is as usual. Chance: that so many rows of the same law differ so
much at equal age (`stream.layers`). And the way of this labelling: the logarithm of what came over
what was to come, forecast from the stints before (`stream.forecasts`), all of them, the strange
ones too. Logarithms, since speed and odds vary by factors: half is as far out as double.
"""

import dataclasses

import numpy as np
from scipy import special, stats

from stream.columns import Floats, Ints
from stream.forecasts import Forecast, forecast
from stream.layers import layered

BEYOND = 1.25  # times the largest deviation of the stints before
NOTHING = 1e-24  # a variance that is rounding


@dataclasses.dataclass(frozen=True, slots=True)
class Beside:
    """Hits and rows by layer of the stints before, shape (k, layers) each, and their kinds (k,).

    kind: of the newest. A kind is a weekday, where stints are days and enough of them are known.
    """

    hits: Ints
    rows: Ints
    kinds: Ints
    kind: int


@dataclasses.dataclass(frozen=True, slots=True)
class Oddity:
    """Of one stint. t: its distance from the forecast, z: from what chance does to its rows.

    away, widest: the distance as a logarithm, and the largest of those before. inflation: the
    variance of such distances over that of chance. expected, observed: hits.
    """

    t: float
    z: float
    p_value: float
    away: float
    widest: float
    inflation: float
    level: float
    expected: float
    observed: float

    @property
    def sure(self) -> bool:
        """Whether chance is out."""
        alike = self.t * self.z > 0.0
        return alike and self.p_value <= self.level and abs(self.away) > BEYOND * self.widest

    def one_of(self, several: int) -> "Oddity":
        """The same where it was chosen from several (Bonferroni)."""
        return dataclasses.replace(self, p_value=min(1.0, self.p_value * several))


@dataclasses.dataclass(frozen=True, slots=True)
class _Logarithms:
    """Of hits over those expected, or of their odds over the odds expected; shape (...).

    noise: their variance by chance, where as many come as expected. share: hits expected, of rows.
    """

    found: Floats
    noise: Floats
    share: Floats
    odds: bool

    def noise_at(self, level: Floats | float) -> Floats:
        """The variance by chance where the logarithm is at a level: fewer hits vary more."""
        if not self.odds:
            return np.asarray(self.noise * np.exp(-np.asarray(level)))
        share = special.expit(special.logit(self.share) + level)
        found: Floats = self.noise * self.share * (1 - self.share) / (share * (1 - share))
        return found


def oddity(hits: Ints, rows: Ints, before: Beside, level: float, *, odds: bool) -> Oddity:
    """Hits and rows of a stint by layer, shape (layers,) each, beside those before.

    odds: whether what varies are the odds of a hit; otherwise how many hits there are.
    """
    usual = before.hits.sum(axis=0), before.rows.sum(axis=0)
    chance = layered(hits, rows, *usual)
    newest = _logarithms(hits, rows, *usual, odds=odds)
    series = _logarithms(before.hits, before.rows, *usual, odds=odds)
    seen = forecast(series.found, before.kinds, before.kind)
    noise, usual_noise = _noises(newest, series, seen)
    spread = seen.spread + max(0.0, noise - usual_noise)
    variance = max(spread * (1.0 + seen.leverage), noise, NOTHING)
    away, z = float(newest.found) - seen.value, float(chance.z)
    t = away / variance**0.5
    p = 2.0 * max(float(stats.t.sf(abs(t), seen.free)), float(stats.norm.sf(abs(z))))
    return Oddity(
        t=t,
        z=z,
        p_value=p,
        away=away,
        widest=seen.widest,
        inflation=max(1.0, variance / max(noise, NOTHING)),
        level=level,
        expected=float(chance.expected),
        observed=float(chance.observed),
    )


def _noises(newest: _Logarithms, series: _Logarithms, seen: Forecast) -> tuple[float, float]:
    """What chance does to the newest where it is as forecast, and on average to those before.

    A line that one strange day holds may forecast what no day ever was: not further than those.
    """
    low, high = float(series.found.min()), float(series.found.max())
    fitted = np.append(series.found[0], seen.fitted).clip(low, high)
    noise = float(newest.noise_at(min(max(seen.value, low), high)))
    return noise, float(series.noise_at(fitted)[1:].mean())


def _logarithms(
    hits: Ints, rows: Ints, all_hits: Ints, all_rows: Ints, *, odds: bool
) -> _Logarithms:
    """Half a hit is added to either side, so that none is no infinity."""
    known = all_rows > 0
    share = all_hits / np.maximum(all_rows, 1)
    observed, of = (hits * known).sum(axis=-1), (rows * known).sum(axis=-1)
    expected = (rows * share).sum(axis=-1)
    found = np.log((observed + 0.5) / (expected + 0.5))
    slope = 1.0 / (expected + 0.5)
    if odds:
        found = found - np.log((of - observed + 0.5) / (of - expected + 0.5))
        slope = slope + 1.0 / (of - expected + 0.5)
    noise = (rows * share * (1.0 - share)).sum(axis=-1) * slope**2
    return _Logarithms(found, noise, (expected + 0.5) / (of + 1.0), odds)
