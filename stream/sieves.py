"""Sieves: which of many ids surely are not in a dictionary, without a look at each.

One byte for every pattern of the lowest bits: of a dictionary of 20,000 ids, two in a hundred
others are taken for one of them, and looked up. Looking up all takes ten times as long.
"""

import numpy as np
import numpy.typing as npt

from stream.columns import Bools, Hashes

SLOTS = 1 << 20  # bytes, a power of two
_LOW = np.uint64(SLOTS - 1)


class Sieve:
    """What has passed leaves a mark; nothing takes one away but `clear`."""

    def __init__(self) -> None:
        self._marks: npt.NDArray[np.bool_] | None = None  # made when the first id comes

    def add(self, ids: Hashes) -> None:
        """Mark ids, shape (n,)."""
        if self._marks is None:
            self._marks = np.zeros(SLOTS, np.bool_)
        self._marks[ids & _LOW] = True

    def add_one(self, key: int) -> None:
        """Mark one id."""
        if self._marks is None:
            self._marks = np.zeros(SLOTS, np.bool_)
        self._marks[key & (SLOTS - 1)] = True

    def may_hold(self, ids: Hashes) -> Bools:
        """A mask, shape (n,), of those that may have been marked."""
        if self._marks is None:
            return np.zeros(len(ids), np.bool_)
        found: Bools = self._marks[ids & _LOW]
        return found

    def clear(self) -> None:
        """Forget all."""
        self._marks = None
