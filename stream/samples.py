"""Samples: bounded raw rows of a pane for which no reference is known yet.

The rows with the smallest id hashes are kept (bottom-k sampling): which ones depends on the set of
rows alone, so samples of partitions merge in any order to the same result.
"""

import dataclasses

import numpy as np

from stream.answers import confidence
from stream.batches import Batch, Block, decode_batch, encode_batch
from stream.batches.blocks import rows_of
from stream.references import Reference
from stream.shares import Share, Source


@dataclasses.dataclass(slots=True)
class Sample:
    """At most `limit` rows of one pane. seen: how many there were."""

    limit: int
    seen: int = 0
    blocks: list[Block] = dataclasses.field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(len(block) for block in self.blocks)

    def update(self, block: Block) -> None:
        """Take in the rows of a block."""
        self.seen += len(block)
        self.blocks.append(block)
        if self.rows > 2 * self.limit:
            self.trim()

    def merge(self, other: "Sample") -> None:
        """Take in another sample."""
        self.seen += other.seen
        self.blocks += other.blocks
        if self.rows > 2 * self.limit:
            self.trim()

    def trim(self) -> None:
        """Keep the `limit` rows with the smallest id hashes."""
        if self.rows <= self.limit:
            return
        ids = np.concatenate([block.ids for block in self.blocks])
        highest = np.partition(ids, self.limit - 1)[self.limit - 1]
        kept = (rows_of(block, block.ids <= highest) for block in self.blocks)
        self.blocks = [block for block in kept if len(block)]

    def counted(self, reference: Reference, positive: str) -> Share:
        """The kept rows, counted against a reference."""
        share = Share(reference)
        for block in self.blocks:
            count_rows(share, block, positive)
        return share

    def to_bytes(self) -> bytes:
        """Bytes of the sample: its size, then its rows as a batch."""
        self.trim()
        batch = Batch("", self.limit, "", self.seen, self.seen, 0, self.blocks)
        return encode_batch(batch)

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Sample":
        """The sample of `to_bytes`. Raises ValueError on anything else."""
        batch = decode_batch(raw)
        return cls(batch.partition, batch.first, batch.blocks)


def count_rows(share: Share, block: Block, positive: str, source: Source | None = None) -> None:
    """Add the rows of a prediction block to a share, with what the model answered."""
    sure = confidence(block, positive)
    share.update(block.features, block.prediction, sure, block.times_ms, source, block.offsets)
