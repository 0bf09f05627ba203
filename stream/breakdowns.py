"""Breakdowns: outcomes by class, score and confidence, and how labels vary, as whole numbers."""

import dataclasses

import msgspec
import numpy as np

from stream import sums
from stream.bins import Bins
from stream.bins import Packed as PackedBins
from stream.columns import Floats, Ints
from stream.confusions import Confusion
from stream.confusions import Packed as PackedConfusion
from stream.outcomes import Outcomes
from stream.ovr import OneVsRest
from stream.ovr import Packed as PackedOneVsRest
from stream.scores import Scores

SUMS = 8


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    confusion: PackedConfusion
    bins: PackedBins
    scores: bytes
    sums: list[sums.Packed]
    ovr: PackedOneVsRest | None = None


@dataclasses.dataclass(slots=True)
class Breakdown:
    """What a tally knows of its outcomes besides its sums.

    scores: of the positive of two classes; ovr: of each of more. bins: of the positive one, and
    of the answers. valued: labels that are numbers, of those with an error; labels: their sum;
    label_powers: those of their squares, cubes and fourth powers; products: those of squared errors
    times labels, and times their squares. over: that of the squares of errors above 0. Sums are in
    units of 2**-1074.
    """

    confusion: Confusion = dataclasses.field(default_factory=Confusion)
    bins: Bins = dataclasses.field(default_factory=Bins)
    scores: Scores = dataclasses.field(default_factory=Scores)
    valued: int = 0
    labels: int = 0
    over: int = 0
    label_powers: tuple[int, int, int] = (0, 0, 0)
    products: tuple[int, int] = (0, 0)
    ovr: OneVsRest = dataclasses.field(default_factory=OneVsRest)

    def update(self, found: Outcomes) -> None:
        """Take outcomes in; those of sign -1 are taken back."""
        signs = found.signs
        if found.label is not None and found.answer is not None:
            self.confusion.update(found.names, found.label, found.answer, signs)
        if found.given is not None:
            self.ovr.update(found.given, signs)
        if found.answer_bin is None or found.confidence is None:
            return
        if found.positive is None or found.cell is None or found.positive_bin is None:
            self.bins.update(found.answer_bin, found.confidence, signs)
            return
        codes = np.concatenate([found.answer_bin, found.positive_bin])
        p = np.concatenate([found.confidence, found.positive])
        self.bins.update(codes, p, np.concatenate([signs, signs]))
        self.scores.add(found.cell, signs)

    def measure(self, label: Floats, error: Floats, signs: Ints) -> None:
        """Take in labels and errors, cut and without NaN, shape (n,)."""
        above, square, squares = np.maximum(error, 0.0), label * label, error * error * signs
        signed = label * signs
        self._count(
            int(signs.sum()),
            sums.exact_sum(signed),
            sums.exact_sum(above * above * signs),
            sums.exact_square_sum(label, signs),
            *(sums.exact_sum(signed * power) for power in (square, square * label)),
            *(sums.exact_sum(squares * power) for power in (label, square)),
        )

    def merge(self, other: "Breakdown") -> None:
        """Add another one."""
        self.confusion.merge(other.confusion)
        self.bins.merge(other.bins)
        self.scores.merge(other.scores)
        if other.valued or any(other.totals()):
            self._count(*other.totals())
        if other.ovr.found or other.ovr.crowded:
            self.ovr.merge(other.ovr)

    def times(self, weight: int) -> "Breakdown":
        """So many of each."""
        parts = (self.confusion.times(weight), self.bins.times(weight), self.scores.times(weight))
        found = Breakdown(*parts, ovr=self.ovr.times(weight))
        found._count(*(weight * x for x in self.totals()))
        return found

    def __bool__(self) -> bool:
        confusion = self.confusion.pairs or self.confusion.bar is not None
        ranks = self.scores or self.ovr
        return bool(confusion or self.bins.found or any(self.totals()) or ranks)

    def to_bytes(self) -> bytes:
        """Compact bytes, equal for equal breakdowns; without them those of earlier releases."""
        packed = [sums.pack(x) for x in self.totals()] if any(self.totals()) else []
        scores = self.scores.to_bytes() if self.scores else b""
        parts = (self.confusion.pack(), self.bins.pack(), scores, packed)
        more = (self.ovr.pack(),) if self.ovr else ()
        return msgspec.msgpack.encode((*parts, *more))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Breakdown":
        """The breakdown of `to_bytes`. Raises ValueError on anything else."""
        try:
            found = msgspec.msgpack.decode(raw, type=_Packed)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"no sums by class: {error}") from error
        parts = (Confusion.unpack(found.confusion), Bins.unpack(found.bins))
        made = cls(*parts, Scores.from_bytes(found.scores) if found.scores else Scores())
        if len(found.sums) not in (0, SUMS):
            raise ValueError(f"{len(found.sums)} sums of labels: must be {SUMS}")
        if found.sums:
            made._count(*map(sums.unpack, found.sums))
        if found.ovr is not None:
            made.ovr = OneVsRest.unpack(found.ovr)
        return made

    def totals(self) -> tuple[int, ...]:
        """All of them in one row."""
        return (self.valued, self.labels, self.over, *self.label_powers, *self.products)

    def _count(self, *more: int) -> None:
        """Add to the sums."""
        known = [a + b for a, b in zip(self.totals(), more, strict=True)]
        self.valued, self.labels, self.over = known[:3]
        self.label_powers = (known[3], known[4], known[5])
        self.products = (known[6], known[7])
