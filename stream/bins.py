"""Bins: what was said to be how likely, in tenths, and how often it came true.

Probabilities are added up in units of 2**-32, as whole numbers: exact, and no mean is off by more
than 2**-33.
"""

import dataclasses

import numpy as np

from stream.columns import Floats, Ints

BINS = 10  # of equal width; each holds its lower end, the last one 1 too
UNITS = 1 << 32
FEW = 16  # up to so many rows, plain Python is quicker than arrays
MOST_ROWS = 1 << 20  # at once: their sum is exact in floats
POSITIVE, ANSWER = 0, 1  # what the probability was given to: of the positive class, of the answer
Packed = list[tuple[int, int, int, int]]


def bin_codes(kind: int, p: Floats, true: Ints) -> Ints:
    """Of each row, shape (n,), the number of its kind, bin and truth; -1 where p is NaN."""
    some = ~np.isnan(p)
    place = np.minimum(np.where(some, p, 0.0) * BINS, BINS - 1).astype(np.int64)
    return np.where(some, (place + kind * BINS) * 2 + true, -1)


@dataclasses.dataclass(slots=True)
class Bins:
    """Of each kind and bin: rows, those that came true, the sum of probabilities in UNITS."""

    found: dict[int, tuple[int, int, int]] = dataclasses.field(default_factory=dict)

    def update(self, codes: Ints, p: Floats, signs: Ints) -> None:
        """Take in rows of `bin_codes`, shape (n,); those of sign -1 are taken back."""
        if len(codes) <= FEW:
            for code, x, sign in zip(codes.tolist(), p.tolist(), signs.tolist(), strict=True):
                if code >= 0:
                    self._add(code >> 1, sign, sign * (code & 1), sign * round(x * UNITS))
            return
        for at in range(0, len(codes), MOST_ROWS):
            rows = slice(at, at + MOST_ROWS)
            self._update(codes[rows], p[rows], signs[rows])

    def _update(self, codes: Ints, p: Floats, signs: Ints) -> None:
        known = codes >= 0
        if not known.all():
            codes, p, signs = codes[known], p[known], signs[known]
        counts = np.bincount(codes, signs, 4 * BINS)
        sums = np.bincount(codes >> 1, np.rint(p * UNITS) * signs, 2 * BINS)
        true = counts[1::2]
        some = zip((counts[::2] + true).tolist(), true.tolist(), sums.tolist(), strict=True)
        for i, row in enumerate(some):
            if any(row):
                self._add(i, *map(int, row))

    def _add(self, i: int, n: int, true: int, total: int) -> None:
        known = self.found.get(i, (0, 0, 0))
        left = known[0] + n, known[1] + true, known[2] + total
        if any(left):
            self.found[i] = left
        else:
            self.found.pop(i, None)

    def merge(self, other: "Bins") -> None:
        """Add another one's counts."""
        for i, counts in other.found.items():
            self._add(i, *counts)

    def times(self, weight: int) -> "Bins":
        """So many of each."""
        return Bins(
            {i: (n * weight, t * weight, s * weight) for i, (n, t, s) in self.found.items()}
        )

    def sound(self) -> bool:
        """Whether no more was taken back than there was."""
        return all(0 <= t <= n and 0 <= s <= n * UNITS for n, t, s in self.found.values())

    def of(self, kind: int) -> list[tuple[int, int, float]]:
        """Bins with rows, in order: rows, those that came true, the mean of their probabilities."""
        some = sorted((i, f) for i, f in self.found.items() if i // BINS == kind and f[0] > 0)
        return [(n, true, total / (n * UNITS)) for _, (n, true, total) in some]

    def last(self, kind: int) -> tuple[int, int]:
        """Rows of the highest bin, and those that came true."""
        return self.found.get(kind * BINS + BINS - 1, (0, 0, 0))[:2]

    def pack(self) -> Packed:
        """For msgpack; equal for equal counts."""
        return [(i, *counts) for i, counts in sorted(self.found.items())]

    @classmethod
    def unpack(cls, packed: Packed) -> "Bins":
        """What was packed. Raises ValueError on impossible bins."""
        if any(not 0 <= i < 2 * BINS for i, *_ in packed):
            raise ValueError("damaged bins: of another kind")
        return cls({i: (n, true, total) for i, n, true, total in packed})
