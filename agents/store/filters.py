"""Filters: which ids surely have no pending entry, so that Redis need not be asked for them.

Nearly every prediction is new, and Redis takes as long to say so as to keep it. A Bloom filter
(Bloom 1970) never overlooks an id that was added; of others, some in a hundred are asked for in
vain. Layers (Almeida et al. 2007) let it grow: two to eight bytes an id.
"""

import numpy as np

from stream.columns import Bools, Hashes

BITS = 16  # an id; with two of them set, 1.4% of others are taken for it when a layer is full
LEAST = 4_096  # ids of the smallest layer
SPREADS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_SIX, _LOW = np.uint64(6), np.uint64(63)


class Layer:
    """A Bloom filter for so many ids, rounded up to a power of two."""

    def __init__(self, ids: int) -> None:
        self.room = 1 << max(ids, LEAST, 2).bit_length() - 1
        self.room *= 1 if self.room >= ids else 2
        self.words = np.zeros(self.room * BITS // 64, np.uint64)
        self._shift = np.uint64(64 - (self.room * BITS - 1).bit_length())

    def _places(self, ids: Hashes) -> list[Hashes]:
        """Of two bits for each. Ids of one partition may agree in some bits: all are mixed."""
        return [ids * spread >> self._shift for spread in SPREADS]

    def add(self, ids: Hashes) -> None:
        """Take ids in."""
        for at in self._places(ids):
            np.bitwise_or.at(self.words, (at >> _SIX).astype(np.int64), np.uint64(1) << (at & _LOW))
        self.room -= len(ids)

    def may_hold(self, ids: Hashes) -> Bools:
        """A mask of those that may have been added."""
        found = np.ones(len(ids), np.bool_)
        for at in self._places(ids):
            found &= (self.words[at >> _SIX] >> (at & _LOW) & np.uint64(1)).astype(np.bool_)
        return found


class Filter:
    """Layers of at most so many bytes; beyond them it says of more and more ids that it may."""

    def __init__(self, ids: int, most_bytes: int) -> None:
        self.count = 0
        self._left = most_bytes
        self._layers: list[Layer] = []
        self._grow(ids)

    def _grow(self, ids: int) -> None:
        most = self._left * 8 // BITS
        if not self._layers or ids <= most:
            self._layers.append(Layer(min(ids, most // 2)))
            self._left -= self._layers[-1].words.nbytes

    def add(self, ids: Hashes) -> None:
        """Take ids in; the same ones again take room again."""
        self.count += len(ids)
        if self._layers[-1].room < len(ids):
            self._grow(max(4 * self.count, LEAST))
        self._layers[-1].add(ids)

    def may_hold(self, ids: Hashes) -> Bools:
        """A mask, shape (n,), of those that may have been added."""
        found = self._layers[-1].may_hold(ids)
        for layer in self._layers[:-1]:
            found |= layer.may_hold(ids)
        return found


class Known:
    """The ids that the pending store of one partition may hold, as its only writer knows them.

    What was there when the partition was claimed is read by and by, bucket after bucket: until all
    is seen, every id may be there. Entries that are removed stay known, so that when most are
    gone it begins anew beside the old. A bucket only ever gives entries to one that is made later,
    with a higher number, so reading upwards overlooks none; where buckets are merged, it begins
    again.
    """

    def __init__(self, pending: int, most_bytes: int) -> None:
        self._most = most_bytes
        self._whole: Filter | None = Filter(0, most_bytes) if pending == 0 else None
        self._growing: Filter | None = None if pending == 0 else Filter(pending, most_bytes)
        self.bucket = 0
        self._buckets = 0

    def reading(self) -> bool:
        """Whether there are buckets to be read, from `bucket` on."""
        return self._growing is not None

    def asked(self, ids: Hashes) -> Hashes:
        """Those of ids that may be there."""
        return ids if self._whole is None else ids[self._whole.may_hold(ids)]

    def put(self, ids: Hashes, pending: int) -> None:
        """Ids are about to be written. pending: how many entries there were."""
        for some in (self._whole, self._growing):
            if some is not None and len(ids):
                some.add(ids)
        if self._growing is None and self._whole and self._whole.count > 4 * (pending + LEAST):
            self._begin(pending + len(ids)).add(ids)

    def _begin(self, pending: int) -> Filter:
        self._growing, self.bucket, self._buckets = Filter(pending, self._most), 0, 0
        return self._growing

    def seen(self, ids: Hashes, after: int, buckets: int) -> None:
        """All ids of the buckets from `bucket` to `after` of so many, as one look saw them."""
        assert self._growing is not None
        if buckets < self._buckets:
            self._begin(self._growing.count)
            return
        self._growing.add(ids)
        self.bucket, self._buckets = after, buckets
        if after >= buckets:
            self._whole, self._growing = self._growing, None
