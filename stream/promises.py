"""Promises: whether a new version keeps what the request for it asked, metric by metric.

Kept: the whole 95% interval lies within what was promised, and the change against the old version
is for the better. Broken: the interval lies wholly beyond the promise, or the change is for the
worse. All else is within chance of both, and is said to be not known.

One broken promise is enough, so that of several all intervals hold together (Bonferroni). All must
be kept, so that there each has its own. And the old version's window was not drawn: it asked since
it was bad, which chance had a part in. So a change for the better has to be one beside the worst
of as many windows as there are for one false alarm (Bonferroni once more).
"""

import dataclasses
import math
from typing import Literal

from stream import figures, intervals
from stream.differences import changed, valued
from stream.events import Kept, Promised, Segment
from stream.intervals import TAIL, Z95, Figure, Inflation, less, wilson
from stream.quality import Metric, root_mean_square
from stream.segments import called
from stream.settings import ModelSettings
from stream.tallies import Tally
from stream.trials import ALL, Claim

RANKS: tuple[Kept, ...] = ("worked", "not-known", "did-not")
BETTER = "better than before, but not as promised"
NO_BETTER = "not as promised, and no better than before beyond chance"
CHOSEN = "better than before by no more than chance does to the worst of many windows"
Ends = tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Promise:
    """One metric that a request was about. tally: of the new version's outcomes, None: not counted.

    level: of the windows that could have asked. several: promises of which one that is broken
    speaks for all. inflation: how much more than independent outcomes these vary, where that is
    known.
    """

    claim: Claim
    metric: Metric
    tally: Tally | None
    settings: ModelSettings
    level: float
    several: int
    inflation: Inflation | None = None

    def held(self) -> Promised:
        """What became of it, with its figures."""
        now, limit, claim = self._now(), self._limit(), self.claim
        verdict, why = self._verdict(now, limit)
        name, value = claim.segment
        return Promised(
            metric=claim.metric,
            segment=None if claim.segment == ALL else Segment(name=name, value=value),
            verdict=verdict,
            reason=self._sentence(now, limit, why),
            before=valued(_old(claim)),
            now=valued(now) if now else None,
            change=changed(less(now, _old(claim))) if now else None,
            promised=limit,
            promised_by=None if limit is None else self._by(),
        )

    def _by(self) -> Literal["objective", "reference"]:
        return "reference" if self.claim.objective is None else "objective"

    def _now(self, tail: float = TAIL) -> Figure | None:
        """Its value. tail: chance beyond each end of the interval."""
        if self.tally is None or not self.tally.sound():
            return None
        found = self.metric.get(self.tally)
        if found is None or (self.inflation is None and tail == TAIL):
            return found
        inflation = self.inflation or Inflation(1.0)
        return intervals.widened(found, inflation.stretch(tail), most=self.metric.most)

    def _before(self, tail: float) -> Figure:
        """What it was; a share with Wilson's interval, which is another one so far out."""
        claim, inflation = self.claim, self.inflation or Inflation(1.0)
        stretch = Inflation(1.0, inflation.freedom).stretch(tail)
        if self.metric.moments is None:
            return wilson(claim.value, claim.n / inflation.times, Z95 * stretch).figure
        return intervals.widened(_old(claim), stretch, most=self.metric.most)

    def _change(self, now: Figure, tail: float) -> Ends:
        return _ends(less(self._sized(now), self._sized(self._before(tail))), self._sign)

    def _limit(self) -> float | None:
        """The worst value that keeps the promise: the objective; else the reference's own, less
        what begins to matter.
        """
        claim, floor = self.claim, self.settings.effect_floor_quality
        if claim.objective is not None or claim.reference is None:
            return claim.objective
        if self.metric.direction == "zero":
            error = root_mean_square(self.tally) if self.tally is not None else None
            return abs(claim.reference) + floor * (error.value if error else 0.0)
        scale = 1.0 if self.metric.most == 1.0 else abs(claim.reference)
        worse = floor * scale
        return claim.reference + (worse if self.metric.direction == "lower" else -worse)

    def _verdict(self, now: Figure | None, limit: float | None) -> tuple[Kept, str]:
        least = self.settings.minimum_rows
        if now is None:
            return "not-known", "it could not be measured"
        if now.n < least:
            return "not-known", f"{least:,} labelled predictions are needed"
        bound = math.inf if limit is None else self._sign * limit
        return self._failed(bound) or self._succeeded(now, bound)

    def _failed(self, bound: float) -> tuple[Kept, str] | None:
        """Whether it is broken, by intervals that hold for all promises together."""
        tail = TAIL / self.several
        now = self._now(tail)
        assert now is not None
        change = self._change(now, tail)
        if change[0] > 0.0:
            return "did-not", "worse than before"
        if self._badness(now)[0] > bound:
            return "did-not", BETTER if change[1] < 0.0 else NO_BETTER
        return None

    def _succeeded(self, now: Figure, bound: float) -> tuple[Kept, str]:
        if self._badness(now)[1] > bound:
            return "not-known", "within chance of it"
        tail = TAIL * self.level
        beside = self._now(tail)
        assert beside is not None
        if self._change(beside, tail)[1] < 0.0:
            return "worked", ""
        plain = self._change(now, TAIL)[1] < 0.0
        return "not-known", CHOSEN if plain else "no better than before beyond chance"

    @property
    def _sign(self) -> float:
        return -1.0 if self.metric.direction == "higher" else 1.0

    def _sized(self, figure: Figure) -> Figure:
        """A figure as it is compared: of a mean error, its size."""
        if self.metric.direction != "zero":
            return figure
        ends = abs(figure.low), abs(figure.high)
        least = 0.0 if figure.low <= 0.0 <= figure.high else min(ends)
        return Figure(abs(figure.value), figure.n, least, max(ends))

    def _badness(self, figure: Figure) -> Ends:
        return _ends(self._sized(figure), self._sign)

    def _sentence(self, now: Figure | None, limit: float | None, why: str) -> str:
        claim, words = self.claim, self.metric.words
        of = "" if claim.segment == ALL else f" of {called(claim.segment)}"
        if now is None:
            return f"{words}{of} {figures.number(claim.value)} before; {why}"
        values, ends = figures.pair(claim.value, now.value), figures.pair(now.low, now.high)
        said = (
            f"{words}{of} {' -> '.join(values)} on {now.n:,} labelled predictions "
            f"(95% interval {ends[0]} to {ends[1]})"
        )
        if limit is not None:
            word = "least" if self.metric.direction == "higher" else "most"
            said += f", at {word} {figures.number(limit)} was promised"
        return f"{said}: {why}" if why else said


def _old(claim: Claim) -> Figure:
    return Figure(claim.value, claim.n, claim.low, claim.high)


def _ends(figure: Figure, sign: float) -> Ends:
    """The ends of an interval where larger is worse."""
    low, high = sorted((sign * figure.low, sign * figure.high))
    return low, high


def overall(held: list[Promised]) -> Kept:
    """Of a whole request: it worked where every metric did, and did not where one did not."""
    return max((one.verdict for one in held), key=RANKS.index, default="not-known")
