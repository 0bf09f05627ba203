"""Tallies: outcomes as whole numbers, which merge without rounding.

Any order, split, retraction and merge of the same outcomes gives the same tally, to the last bit.
"""

import dataclasses
import operator
from typing import Self

import numpy as np

from stream import sums
from stream.breakdowns import Breakdown
from stream.columns import Bools, Floats, Ints
from stream.outcomes import Outcomes

FEW = 8  # up to so many outcomes, plain Python is quicker than arrays
MOST_ERROR = 2.0**250  # larger errors are cut there, so that their fourth powers are floats


@dataclasses.dataclass(slots=True)
class Tally:
    """Counts and exact sums over outcomes. Sums are in units of 2**-1074 (`stream.sums`).

    n: outcomes. judged: those with an answer and a label. hits: right ones. scored: those with a
    probability of the label. unclassed: labels that are no class. sure_*: confidence, by right
    and wrong. numbers: those with an error that is a number. cut: errors beyond MOST_ERROR.
    breakdown: the outcomes by class, score and confidence.
    """

    n: int = 0
    judged: int = 0
    hits: int = 0
    scored: int = 0
    unclassed: int = 0
    numbers: int = 0
    fractional: int = 0
    cut: int = 0
    sure_hits: int = 0
    sure_misses: int = 0
    loss: int = 0
    loss_squares: int = 0
    brier: int = 0
    brier_squares: int = 0
    hit_confidence: int = 0
    hit_confidence_squares: int = 0
    miss_confidence: int = 0
    miss_confidence_squares: int = 0
    errors: int = 0
    absolutes: int = 0
    squares: int = 0
    fourths: int = 0
    breakdown: Breakdown = dataclasses.field(default_factory=Breakdown)

    def update(self, found: Outcomes) -> None:
        """Take outcomes in; those of sign -1 are taken back."""
        self.n += int(found.signs.sum())
        if found.hit is not None and len(found) <= FEW:
            self._judge_few(found.hit.tolist(), found)
        elif found.hit is not None:
            self._judge(found.hit, found)
        if found.error is not None:
            self._measure(found.error, found)
        self.breakdown.update(found)

    def merge(self, other: "Tally") -> None:
        """Add another tally. Field by field: a window adds up hundreds, and a loop takes thrice."""
        self.n += other.n
        self.judged += other.judged
        self.hits += other.hits
        self.scored += other.scored
        self.unclassed += other.unclassed
        self.numbers += other.numbers
        self.fractional += other.fractional
        self.cut += other.cut
        self.sure_hits += other.sure_hits
        self.sure_misses += other.sure_misses
        self.loss += other.loss
        self.loss_squares += other.loss_squares
        self.brier += other.brier
        self.brier_squares += other.brier_squares
        self.hit_confidence += other.hit_confidence
        self.hit_confidence_squares += other.hit_confidence_squares
        self.miss_confidence += other.miss_confidence
        self.miss_confidence_squares += other.miss_confidence_squares
        self.errors += other.errors
        self.absolutes += other.absolutes
        self.squares += other.squares
        self.fourths += other.fourths
        self.breakdown.merge(other.breakdown)

    def counted(self) -> "Tally":
        """The outcomes themselves, each of them once."""
        return self

    def worth(self, *counts: str) -> float:
        """How many outcomes one of these counts stands for: see `stream.weights`."""
        del counts
        return 1.0

    def sound(self) -> bool:
        """Whether no more was taken back than there was."""
        return self.n >= 0 and 0 <= self.hits <= self.judged

    def to_bytes(self) -> bytes:
        """Compact bytes, equal for equal tallies; without a breakdown those of earlier releases."""
        numbers = [getattr(self, name) for name in NAMES]
        return sums.encode(numbers, self.breakdown.to_bytes() if self.breakdown else b"")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """The tally of `to_bytes`. Raises ValueError on anything else."""
        numbers, more = sums.decode(raw, len(NAMES))
        found = cls(**dict(zip(NAMES, numbers, strict=True)))  # type: ignore[arg-type]
        if more:
            found.breakdown = Breakdown.from_bytes(more)
        return found

    def _judge(self, hit: Floats, found: Outcomes) -> None:
        signs = found.signs
        right = hit == 1
        self.judged += _count(signs, right | (hit == 0))
        self.hits += _count(signs, right)
        if found.loss is None or found.brier is None or found.confidence is None:
            return
        known = ~np.isnan(found.loss)
        self.scored += _count(signs, known)
        if found.unclassed is not None:
            self.unclassed += int((signs * found.unclassed).sum())
        self.loss, self.loss_squares = _add(
            self.loss, self.loss_squares, found.loss[known], signs[known]
        )
        self.brier, self.brier_squares = _add(
            self.brier, self.brier_squares, found.brier[known], signs[known]
        )
        self._trust(right, ~np.isnan(found.confidence) & ~np.isnan(hit), found.confidence, signs)

    def _judge_few(self, hits: list[float], found: Outcomes) -> None:
        """The same as `_judge`: truth that is late is of many cohorts, a few outcomes of each."""
        signs = found.signs.tolist()
        for hit, sign in zip(hits, signs, strict=True):
            self.judged += sign if hit == hit else 0
            self.hits += sign if hit == 1 else 0
        if found.loss is None or found.brier is None or found.confidence is None:
            return
        if found.unclassed is not None:
            self.unclassed += sum(map(operator.mul, signs, found.unclassed.tolist()))
        columns = found.loss.tolist(), found.brier.tolist(), found.confidence.tolist()
        for sign, hit, loss, brier, sure in zip(signs, hits, *columns, strict=True):
            if loss == loss:
                self.scored += sign
                self.loss += sign * sums.units(loss)
                self.loss_squares += sign * sums.units(loss * loss)
                self.brier += sign * sums.units(brier)
                self.brier_squares += sign * sums.units(brier * brier)
            if sure == sure and hit == hit:
                self._trust_one(hit == 1, sign, sure)

    def _trust_one(self, right: bool, sign: int, confidence: float) -> None:
        total, squares = sign * sums.units(confidence), sign * sums.units(confidence * confidence)
        if right:
            self.sure_hits += sign
            self.hit_confidence += total
            self.hit_confidence_squares += squares
        else:
            self.sure_misses += sign
            self.miss_confidence += total
            self.miss_confidence_squares += squares

    def _trust(self, right: Bools, sure: Bools, confidence: Floats, signs: Ints) -> None:
        for rows, count, total in (
            (sure & right, "sure_hits", "hit_confidence"),
            (sure & ~right, "sure_misses", "miss_confidence"),
        ):
            squares = f"{total}_squares"
            added = _add(
                getattr(self, total), getattr(self, squares), confidence[rows], signs[rows]
            )
            setattr(self, count, getattr(self, count) + _count(signs, rows))
            setattr(self, total, added[0])
            setattr(self, squares, added[1])

    def _measure(self, error: Floats, found: Outcomes) -> None:
        known = ~np.isnan(error)
        signs = found.signs[known]
        size = np.minimum(np.abs(error[known]), MOST_ERROR)
        self.numbers += int(signs.sum())
        self.cut += _count(signs, np.abs(error[known]) > MOST_ERROR)
        if found.fractional is not None:
            self.fractional += int((found.signs * found.fractional).sum())
        self.errors += sums.exact_sum(np.copysign(size, error[known]) * signs)
        self.absolutes += sums.exact_sum(size * signs)
        self.squares, self.fourths = _add(self.squares, self.fourths, size * size, signs)
        if found.value is not None:
            label = np.clip(found.value[known], -MOST_ERROR, MOST_ERROR)
            self.breakdown.measure(label, np.copysign(size, error[known]), signs)


NAMES = tuple(field.name for field in dataclasses.fields(Tally) if field.name != "breakdown")


def _count(signs: Ints, rows: Bools) -> int:
    return int(signs[rows].sum())


def _add(total: int, squares: int, x: Floats, signs: Ints) -> tuple[int, int]:
    signed = x * signs
    return total + sums.exact_sum(signed), squares + sums.exact_sum(signed * x)
