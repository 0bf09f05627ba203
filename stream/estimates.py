"""Estimates: how good a window's answers are by their scores, before any labels are there.

The estimate of the reference's own rows is what it is compared with. It is as good as the scores:
what changes for the same inputs is not in them (`stream.blindness`).
"""

import dataclasses
import math

from scipy import special

from stream import figures, judgements
from stream.events import Detail, Effect, Judged, Measured, Reading
from stream.expectations import Expected
from stream.gradings import inflation_of
from stream.intervals import Figure, Inflation
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.verdicts import weighed

ESTIMATED = "estimated-accuracy"
ACCURACY = "accuracy"
PROPER = "positive"  # whose probability scores are, where they say more than an accuracy


def estimated(
    reference: Reference,
    share: Share,
    settings: ModelSettings,
    level: float,
    window_s: int,
    learnt: Learnt | None = None,
) -> list[Reading]:
    """The estimate of a window's accuracy, where the reference knows what scores mean.

    level: of this reading alone. learnt: what live scores mean; the reference's own rows keep the
    meaning that its labels gave them.
    """
    live = _live(reference, share, settings, learnt)
    if live is None or reference.odds is None:
        return []
    inflation = inflation_of(reference, settings, ESTIMATED, window_s, live.n)
    known, of = reference.odds.expected, reference.odds.of
    return [_Estimate(live, known, settings, level, inflation, of, learnt).reading()]


def measured(
    reference: Reference, share: Share, settings: ModelSettings, learnt: Learnt | None = None
) -> Measured | None:
    """The same to be told of a segment, and not judged; None without rows that have scores."""
    live = _live(reference, share, settings, learnt)
    figure = live.figures().get(ACCURACY) if live is not None else None
    if figure is None or reference.odds is None:
        return None
    known = reference.odds.expected.moments[0]
    return Measured(
        value=figure.value, low=figure.low, high=figure.high, n=figure.n, reference=known
    )


def _live(
    reference: Reference, share: Share, settings: ModelSettings, learnt: Learnt | None
) -> Expected | None:
    """A window's rows, and what their scores mean."""
    live = share.expected()
    if live is None or reference.odds is None or not judgements.estimated(reference, settings):
        return None
    return live if learnt is None else dataclasses.replace(live, curve=learnt.over(reference.odds))


@dataclasses.dataclass(frozen=True, slots=True)
class _Estimate:
    """A window's rows and the reference's: by the same curve, where none was learnt since."""

    live: Expected
    known: Expected
    settings: ModelSettings
    level: float
    inflation: Inflation | None
    of: str
    learnt: Learnt | None = None

    def reading(self) -> Reading:
        """The estimate in words."""
        found = self.live.figures()
        figure, was = found.get(ACCURACY), self.known.moments[0]
        n, p = self.live.n, self._p_value()
        fall = was - figure.value if figure else 0.0
        verdict = self._verdict(fall, p)
        floor = self.settings.estimate_floor
        effect = Effect(name="worse by", value=fall, floor=floor, unit="share")
        return Reading(
            check=ESTIMATED,
            subject=ESTIMATED,
            role="quality",
            statistic=figure.value if figure else None,
            p_value=p,
            level=self._level(),
            effect=effect if figure else None,
            n=n,
            n_reference=self.known.n,
            verdict=verdict,
            reason=self._reason(figure, was, verdict, p),
            details=self._details(found, was),
        )

    def _p_value(self) -> float | None:
        """Of an estimate so low or lower, were the window's rows as the reference's: normal."""
        if self.live.n == 0 or self.known.n == 0:
            return None
        (now, spread), (was, usual) = self.live.moments, self.known.moments
        n, known = self.live.n, self.known.n if self.inflation is None else math.inf
        spread = max(spread, usual)  # few sure answers: the reference's own spread is no excuse
        # of one curve the error is in both
        doubt = 0.0 if self.learnt is None else self.live.doubt + self.known.doubt
        deviation = math.sqrt(spread / n + spread / known + doubt)
        if deviation == 0:
            return 1.0
        return float(special.ndtr((now - was) / deviation))

    def _level(self) -> float:
        return self.level if self.inflation is None else self.inflation.level(self.level)

    def _verdict(self, fall: float, p: float | None) -> Judged:
        if p is None or self.live.n < self.settings.minimum_rows:
            return "not-enough-data"
        large = fall > 0 and fall >= self.settings.estimate_floor
        return weighed(p, self._level(), large=large)

    def _reason(self, figure: Figure | None, was: float, verdict: Judged, p: float | None) -> str:
        if figure is None:
            return "no predictions with scores to estimate the accuracy from"
        values, ends = figures.pair(was, figure.value), figures.pair(figure.low, figure.high)
        said = (
            f"estimated accuracy {' -> '.join(dict.fromkeys(values))} by the scores of "
            f"{figure.n:,} predictions (95% interval {ends[0]} to {ends[1]}), no labels needed"
        )
        if self.learnt is not None:
            said += f"; calibrated by {self.learnt.words}"
        if verdict == "moved" and p is not None:
            chance = p if self.inflation is None else self.inflation.p_value(p)
            often = figures.months(chance * self.settings.evaluations_a_month)
            said += f"; chance does as much {often}"
        return said

    def _details(self, found: dict[str, Figure], was: float) -> dict[str, Detail]:
        told: dict[str, Detail] = {
            "reference": was,
            "calibrated_by": self.learnt.words if self.learnt else "the reference's labels",
        }
        if ACCURACY in found:
            told |= {"low": found[ACCURACY].low, "high": found[ACCURACY].high}
        if self.of == PROPER:
            told |= {name: figure.value for name, figure in found.items() if name != ACCURACY}
        if self.inflation is not None:
            told["variance_inflation"] = self.inflation.times
        return told
