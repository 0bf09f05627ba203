"""Confusions: which answers were given to which labels, by the names of the classes.

At most MOST_CLASSES are told apart. Beyond, those whose names have the lowest hashes are, of all
that a count has met, and the rest is OTHER: so no order, split or merge of what is added changes a
count. A class that is only in what was taken back may, beyond the limit, take another's place.
"""

import dataclasses

import msgspec
import numpy as np
import xxhash

from stream.columns import Ints

MOST_CLASSES = 100
FEW = 8  # up to so many pairs, plain Python is quicker than arrays
FEW_CLASSES = 32  # their pairs are counted without a search
OTHER = "\0other"  # no name: names hold no NUL
Pair = tuple[str, str]


class Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A confusion for msgpack: (place of the label, place of the answer, how often)."""

    names: list[str]
    pairs: list[tuple[int, int, int]]
    bar: int | None = None


@dataclasses.dataclass(slots=True)
class Confusion:
    """Counts by (label, answer); none is 0. bar: classes of this hash or a higher one are OTHER."""

    pairs: dict[Pair, int] = dataclasses.field(default_factory=dict)
    bar: int | None = None

    def update(self, names: tuple[str, ...], label: Ints, answer: Ints, signs: Ints) -> None:
        """Take in pairs of places in names, shape (n,), where neither is -1; signs: 1 or -1."""
        if len(label) <= FEW:
            for i, j, sign in zip(label.tolist(), answer.tolist(), signs.tolist(), strict=True):
                if i >= 0 and j >= 0:
                    self._add((names[i], names[j]), sign)
            self._limit()
            return
        known, k = (label >= 0) & (answer >= 0), len(names)
        codes = label * k + answer
        if not known.all():
            codes, signs = codes[known], signs[known]
        if k <= FEW_CLASSES:
            counts = np.bincount(codes, signs, k * k)
            places = np.flatnonzero(counts)
            counts = counts[places]
        else:
            places, of = np.unique(codes, return_inverse=True)
            counts = np.bincount(of, signs, len(places))
        for pair, n in zip(places.tolist(), counts.tolist(), strict=True):
            self._add((names[pair // k], names[pair % k]), int(n))
        self._limit()

    def merge(self, other: "Confusion") -> None:
        """Add another one's counts."""
        if other.bar is not None and (self.bar is None or other.bar < self.bar):
            self.bar = other.bar
            self._again()
        for pair, n in other.pairs.items():
            self._add(pair, n)
        self._limit()

    def times(self, weight: int) -> "Confusion":
        """So many of each."""
        return Confusion({pair: n * weight for pair, n in self.pairs.items()}, self.bar)

    @property
    def names(self) -> list[str]:
        """The classes that are told apart, in order."""
        return sorted({name for pair in self.pairs for name in pair} - {OTHER})

    @property
    def n(self) -> int:
        """How many there are, less those taken back."""
        return sum(self.pairs.values())

    def sound(self) -> bool:
        """Whether no more was taken back than there was."""
        return all(n > 0 for n in self.pairs.values())

    def _add(self, pair: Pair, n: int) -> None:
        if self.bar is not None:
            pair = self._called(pair[0]), self._called(pair[1])
        left = self.pairs.get(pair, 0) + n
        if left:
            self.pairs[pair] = left
        else:
            self.pairs.pop(pair, None)

    def _called(self, name: str) -> str:
        return OTHER if self.bar is not None and _hash(name) >= self.bar else name

    def _limit(self) -> None:
        if len(self.pairs) * 2 <= MOST_CLASSES:
            return
        names = self.names
        if len(names) > MOST_CLASSES:
            self.bar = sorted(map(_hash, names))[MOST_CLASSES]
            self._again()

    def _again(self) -> None:
        """Count what there is once more, for the bar is another."""
        before, self.pairs = self.pairs, {}
        for pair, n in before.items():
            self._add(pair, n)

    def pack(self) -> Packed:
        """For msgpack; equal for equal counts."""
        names = sorted({name for pair in self.pairs for name in pair})
        at = {name: i for i, name in enumerate(names)}
        pairs = sorted((at[label], at[answer], n) for (label, answer), n in self.pairs.items())
        return Packed(names, pairs, self.bar)

    @classmethod
    def unpack(cls, packed: Packed) -> "Confusion":
        """What was packed. Raises ValueError on impossible places."""
        names = packed.names
        if any(not (0 <= i < len(names) and 0 <= j < len(names)) for i, j, _ in packed.pairs):
            raise ValueError(f"damaged confusion: places beyond {len(names)} names")
        return cls({(names[i], names[j]): n for i, j, n in packed.pairs}, packed.bar)


def _hash(name: str) -> int:
    return -1 if name == OTHER else xxhash.xxh3_64_intdigest(name.encode())
