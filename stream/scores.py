"""Scores: how often each probability was given, by what was answered and what was true.

A probability p lies in a cell of a fixed grid: the top bits of min(p, 1 - p) as a float, and on
which side of 1/2. So cells near 0 and 1 are narrow, and p -> 1 - p turns the grid round. Counts are
whole numbers: any order, split, taking back and merge gives the same ones.
"""

import dataclasses
import functools

import msgspec
import numpy as np
import numpy.typing as npt

from stream.columns import Floats, Ints

Codes = npt.NDArray[np.uint16]
Waiting = list[tuple[Codes, Ints]]
MANTISSA_BITS = 7  # of a cell: it is at most 2**-7 of min(p, 1 - p) wide
LEAST = 2.0**-24  # below it, and below it from 1, probabilities are told apart no more
SIDE = 24 - 1 << MANTISSA_BITS  # cells from LEAST to 1/2
CELLS = 2 * (SIDE + 1) + 1  # the first is [0, LEAST), the middle one is 1/2 alone
NO, YES, UNKNOWN = 0, 1, 2  # what an answer or a label is
KINDS = 3  # of each of them
MOST_WAITING = 1 << 17  # counts that wait to be added up
FEW = 16  # up to so many, plain Python is quicker than arrays
MANY = 1 << 12  # from so many on a table is quicker than a search
EXACT = 1 << 53  # whole numbers below it are added up exactly as floats
WIDTHS = ("<i1", "<i2", "<i4", "<i8")
_BASE = int(np.float64(LEAST).view(np.int64)) >> 52 - MANTISSA_BITS


def cells(p: Floats) -> Ints:
    """The cells of probabilities from 0 to 1, of any shape: from 0 to CELLS - 1, in their order."""
    near = np.minimum(p, 1.0 - p)
    bits = np.maximum(near, LEAST).view(np.int64) >> 52 - MANTISSA_BITS
    found: Ints = bits - (_BASE - 1)
    found[near < LEAST] = 0
    return np.where(p > 0.5, CELLS - 1 - found, found)


def codes(p: Floats, answer: Ints | int, label: Ints) -> Ints:
    """One number for each cell, answer and label, of the shape of p."""
    return cells(p) * KINDS**2 + answer * KINDS + label


@functools.cache
def middles() -> Floats:
    """A probability from the middle of each cell, shape (CELLS,)."""
    edges = np.arange(_BASE, _BASE + SIDE + 1) << 52 - MANTISSA_BITS
    edges = edges.astype(np.int64).view(np.float64)
    low = np.concatenate([[0.0], (edges[:-1] + edges[1:]) / 2])
    found: Floats = np.concatenate([low, [0.5], 1.0 - low[::-1]])
    found.flags.writeable = False
    return found


_NO_CODES, _NO_COUNTS = np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.int64)  # never written


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    codes: bytes
    width: int
    counts: bytes


@dataclasses.dataclass(slots=True, eq=False)
class Scores:
    """Counts of (cell, answer, label), of which few differ from 0.

    answer, label: NO, YES (the class that the probability was given to) or UNKNOWN.
    """

    _codes: Codes = dataclasses.field(default_factory=lambda: _NO_CODES)
    _counts: Ints = dataclasses.field(default_factory=lambda: _NO_COUNTS)
    _waiting: Waiting | None = None  # nearly all are settled: a list takes room
    _many: int = 0

    def update(
        self,
        p: Floats,
        answer: Ints | None = None,
        label: Ints | None = None,
        signs: Ints | None = None,
    ) -> None:
        """Take in probabilities, shape (n,), without NaN; those of sign -1 are taken back.

        answer, label: shape (n,) each; None: not known of any.
        """
        known = (np.full(len(p), UNKNOWN) if kind is None else kind for kind in (answer, label))
        counts = np.ones(len(p), dtype=np.int64) if signs is None else signs
        self.add(codes(p, *known), counts)

    def add(self, found: Ints | Codes, counts: Ints) -> None:
        """Take in rows of `codes`, shape (n,), so many times each; of those that are not -1."""
        known = found >= 0
        if not known.all():
            found, counts = found[known], counts[known]
        self._wait(found.astype(np.uint16), counts)

    def merge(self, other: "Scores") -> None:
        """Add another one's counts."""
        self._wait(other._codes, other._counts)
        for part in other._waiting or ():
            self._wait(*part)

    def times(self, weight: int) -> "Scores":
        """So many of each."""
        self._settle()
        return Scores(self._codes, self._counts * weight)

    def __bool__(self) -> bool:
        return len(self._settled()[0]) > 0

    @property
    def n(self) -> int:
        """How many there are, less those taken back."""
        return int(self._settled()[1].sum())

    def sound(self) -> bool:
        """Whether no more was taken back than there was."""
        return bool((self._settled()[1] > 0).all())

    def table(self) -> Ints:
        """The counts, shape (CELLS, 3, 3): by cell, answer and label."""
        found = np.zeros(CELLS * KINDS**2, dtype=np.int64)
        codes, counts = self._settled()
        found[codes] = counts
        return found.reshape(CELLS, KINDS, KINDS)

    def by_label(self) -> tuple[Ints, Ints]:
        """Of each cell, how many were true and how many were not, shape (CELLS,) each."""
        codes, counts = self._settled()
        found = np.zeros((KINDS, CELLS), dtype=np.int64)
        np.add.at(found, (codes % KINDS, codes // KINDS**2), counts)
        return found[YES], found[NO]

    def to_bytes(self) -> bytes:
        """Compact bytes, equal for equal counts: 3 for most codes that there are."""
        codes, counts = self._settled()
        most = int(np.abs(counts).max(initial=0))
        width = next(w for w in WIDTHS if most <= np.iinfo(w).max)
        packed = counts.astype(width)
        return msgspec.msgpack.encode(
            _Packed(codes.astype("<u2").tobytes(), packed.itemsize, packed.tobytes())
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Scores":
        """The counts of `to_bytes`. Raises ValueError on anything else."""
        try:
            packed = msgspec.msgpack.decode(raw, type=_Packed)
            codes = np.frombuffer(packed.codes, dtype="<u2").astype(np.uint16)
            counts = np.frombuffer(packed.counts, dtype=f"<i{packed.width}").astype(np.int64)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise ValueError(f"damaged scores: {error}") from error
        if len(codes) != len(counts) or (codes >= CELLS * KINDS**2).any():
            raise ValueError(f"damaged scores: {len(codes)} codes, {len(counts)} counts")
        if (codes[1:] <= codes[:-1]).any():
            raise ValueError("damaged scores: codes out of order")
        return cls(codes, counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scores):
            return NotImplemented
        (codes, counts), (codes_2, counts_2) = self._settled(), other._settled()
        return np.array_equal(codes, codes_2) and np.array_equal(counts, counts_2)

    __hash__ = None  # type: ignore[assignment]

    def _wait(self, codes: Codes, counts: Ints) -> None:
        """Counts are added up when they are asked for, or there are many: that takes a sort."""
        if len(codes):
            if self._waiting is None:
                self._waiting = []
            self._waiting.append((codes, counts))
            self._many += len(codes)
            if self._many > MOST_WAITING:
                self._settle()

    def _settled(self) -> tuple[Codes, Ints]:
        self._settle()
        return self._codes, self._counts

    def _settle(self) -> None:
        if self._waiting is None:
            return
        parts = [(self._codes, self._counts), *self._waiting]
        codes = np.concatenate([part[0] for part in parts])
        counts = np.concatenate([part[1] for part in parts])
        many = len(codes) > MANY and int(np.abs(counts).max()) < EXACT // len(codes)
        self._codes, self._counts = (_counted if many else _sorted)(codes, counts)
        self._waiting, self._many = None, 0


def _counted(codes: Codes, counts: Ints) -> tuple[Codes, Ints]:
    """Counts of equal codes added up, by a table of all codes."""
    table = np.bincount(codes, counts)
    found = np.flatnonzero(table)
    return found.astype(np.uint16), table[found].astype(np.int64)


def _sorted(codes: Codes, counts: Ints) -> tuple[Codes, Ints]:
    """The same by a search."""
    if len(codes) <= FEW:
        return _few(codes.tolist(), counts.tolist())
    order = codes.argsort(kind="stable")
    codes = codes[order]
    starts = np.concatenate([[0], (codes[1:] != codes[:-1]).nonzero()[0] + 1])
    codes, counts = codes[starts], np.add.reduceat(counts[order], starts)
    left = counts != 0
    return (codes, counts) if left.all() else (codes[left], counts[left])


def _few(codes: list[int], counts: list[int]) -> tuple[Codes, Ints]:
    found: dict[int, int] = {}
    for code, n in zip(codes, counts, strict=True):
        found[code] = found.get(code, 0) + n
    left = sorted(code for code, n in found.items() if n)
    known = [found[code] for code in left]
    return np.array(left, dtype=np.uint16), np.array(known, dtype=np.int64)
