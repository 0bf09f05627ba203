"""Samples: bounded raw rows of a pane for which no reference is known yet.

The rows with the smallest id hashes are kept (bottom-k sampling): which ones depends on the set of
rows alone, so samples of partitions merge in any order to the same result.
"""

import dataclasses

import msgspec
import numpy as np

from stream.answers import confidence
from stream.batches import Batch, Block, decode_batch, encode_batch
from stream.batches.blocks import rows_of
from stream.odds import told
from stream.references import Reference
from stream.rows import gathered
from stream.shares import Share
from stream.sources import Source

MAX_BLOCKS = 64  # more of them are put together where their columns are alike


@dataclasses.dataclass(slots=True)
class Sample:
    """At most `limit` rows of one pane. seen: how many there were.

    sources: first and last source offset of all of them, by (topic, partition).
    """

    limit: int
    seen: int = 0
    blocks: list[Block] = dataclasses.field(default_factory=list)
    sources: dict[Source, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(len(block) for block in self.blocks)

    def update(self, block: Block, source: Source | None = None) -> None:
        """Take in the rows of a block."""
        self.seen += len(block)
        self.blocks.append(block)
        if source is not None:
            self._came_from(source, int(block.offsets.min()), int(block.offsets.max()))
        self._bound()

    def merge(self, other: "Sample") -> None:
        """Take in another sample."""
        self.seen += other.seen
        self.blocks += other.blocks
        for source, (first, last) in other.sources.items():
            self._came_from(source, first, last)
        self._bound()

    def _came_from(self, source: Source, first: int, last: int) -> None:
        known = self.sources.get(source, (first, last))
        self.sources[source] = (min(known[0], first), max(known[1], last))

    def _bound(self) -> None:
        if self.rows > 2 * self.limit:
            self.trim()
        if len(self.blocks) > MAX_BLOCKS:
            self.blocks = gathered(self.blocks)

    def trim(self) -> None:
        """Keep the `limit` rows with the smallest id hashes."""
        if self.rows <= self.limit:
            return
        ids = np.concatenate([block.ids for block in self.blocks])
        times = np.concatenate([block.times_ms for block in self.blocks])
        kept = np.zeros(len(ids), dtype=np.bool_)
        kept[np.lexsort((times, ids))[: self.limit]] = True
        ends = np.cumsum([len(block) for block in self.blocks])[:-1]
        masks = np.split(kept, ends)
        self.blocks = [
            rows_of(block, rows)
            for block, rows in zip(self.blocks, masks, strict=True)
            if rows.any()
        ]

    def counted(self, reference: Reference, positive: str) -> Share:
        """The kept rows, counted against a reference."""
        share = Share(reference)
        for block in self.blocks:
            count_rows(share, block, positive)
        share.sources = dict(self.sources)
        return share

    def to_bytes(self) -> bytes:
        """Bytes of the sample: its size and sources, then its rows as a batch."""
        self.trim()
        batch = Batch("", 0, "", 0, 0, 0, self.blocks)
        sources = [(*source, *offsets) for source, offsets in sorted(self.sources.items())]
        return msgspec.msgpack.encode((self.limit, self.seen, sources, encode_batch(batch)))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Sample":
        """The sample of `to_bytes`. Raises ValueError on anything else."""
        kind = tuple[int, int, list[tuple[str, int, int, int]], bytes]
        try:
            limit, seen, told, packed = msgspec.msgpack.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged sample: {error}") from error
        sources = {(topic, number): (first, last) for topic, number, first, last in told}
        return cls(limit, seen, decode_batch(packed).blocks, sources)


def count_rows(share: Share, block: Block, positive: str, source: Source | None = None) -> None:
    """Add the rows of a prediction block to a share, with what the model answered."""
    sure = confidence(block, positive)
    answers = (block.prediction, sure)
    share.update(block.features, *answers, block.times_ms, source, block.offsets, block.segments)
    given = told(block, positive, share.reference.odds.of) if share.reference.odds else None
    if given is not None:
        share.count_odds(*given, block.segments)
