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
from stream.scores import Scores


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    confusion: PackedConfusion
    bins: PackedBins
    scores: bytes
    sums: list[sums.Packed]


@dataclasses.dataclass(slots=True)
class Breakdown:
    """What a tally knows of its outcomes besides its sums.

    scores: of the positive of two classes. bins: of that class, and of the answers. labels,
    label_squares: sums of labels that are numbers, of those with an error. over: that of the
    squares of errors above 0. In units of 2**-1074 (`stream.sums`).
    """

    confusion: Confusion = dataclasses.field(default_factory=Confusion)
    bins: Bins = dataclasses.field(default_factory=Bins)
    scores: Scores = dataclasses.field(default_factory=Scores)
    labels: int = 0
    label_squares: int = 0
    over: int = 0

    def update(self, found: Outcomes) -> None:
        """Take outcomes in; those of sign -1 are taken back."""
        signs = found.signs
        if found.label is not None and found.answer is not None:
            self.confusion.update(found.names, found.label, found.answer, signs)
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
        above = np.maximum(error, 0.0)
        self.labels += sums.exact_sum(label * signs)
        self.label_squares += sums.exact_sum(label * label * signs)
        self.over += sums.exact_sum(above * above * signs)

    def merge(self, other: "Breakdown") -> None:
        """Add another one."""
        self.confusion.merge(other.confusion)
        self.bins.merge(other.bins)
        self.scores.merge(other.scores)
        self.labels += other.labels
        self.label_squares += other.label_squares
        self.over += other.over

    def times(self, weight: int) -> "Breakdown":
        """So many of each."""
        parts = (self.confusion.times(weight), self.bins.times(weight), self.scores.times(weight))
        return Breakdown(*parts, *(weight * x for x in self._sums()))

    def __bool__(self) -> bool:
        confusion = self.confusion.pairs or self.confusion.bar is not None
        return bool(confusion or self.bins.found or any(self._sums()) or self.scores)

    def to_bytes(self) -> bytes:
        """Compact bytes, equal for equal breakdowns."""
        packed = [sums.pack(x) for x in self._sums()]
        parts = (self.confusion.pack(), self.bins.pack(), self.scores.to_bytes(), packed)
        return msgspec.msgpack.encode(_Packed(*parts))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Breakdown":
        """The breakdown of `to_bytes`. Raises ValueError on anything else."""
        try:
            found = msgspec.msgpack.decode(raw, type=_Packed)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"no sums by class: {error}") from error
        parts = (Confusion.unpack(found.confusion), Bins.unpack(found.bins))
        if len(found.sums) != 3:
            raise ValueError(f"{len(found.sums)} sums of labels: must be 3")
        return cls(*parts, Scores.from_bytes(found.scores), *map(sums.unpack, found.sums))

    def _sums(self) -> tuple[int, int, int]:
        return self.labels, self.label_squares, self.over
