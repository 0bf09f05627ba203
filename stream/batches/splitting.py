"""Splitting: decoded events into batches, each row to the partition its identity belongs to."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from stream.batches.blocks import Batch, Block, ControlRow, rows_of
from stream.batches.gathering import Hashed, blocks_of
from stream.batches.tables import always, divided
from stream.batches.wire import encoded_size, most_size
from stream.events import Prediction, Truth
from stream.hashes import id_hash

# source offset, record time (ms), event; or many rows of one record, as columns
Row = tuple[int, int, Prediction | Truth] | Block


@dataclasses.dataclass(frozen=True, slots=True)
class _Slice:
    """What one partition of the internal log gets of the source offsets `first` to `last`."""

    first: int
    last: int
    rows: Sequence[Hashed]
    controls: Sequence[ControlRow]
    blocks: Sequence[Block] = ()  # each ascending in source offset

    def offsets(self) -> list[int]:
        """The offsets that hold anything, ascending."""
        found = {r[0] for r in self.rows} | {c[0] for c in self.controls}
        return sorted(found.union(*(np.unique(b.offsets).tolist() for b in self.blocks)))

    def ends(self) -> tuple[int, int]:
        """The first and the last of them."""
        offsets = self.offsets()
        return offsets[0], offsets[-1]


def batches_of(  # noqa: PLR0913 - where from, what, and how it is split
    topic: str,
    topic_id: str,
    partition: int,
    rows: Sequence[Row],
    controls: Sequence[ControlRow],
    partitions: int,
    max_bytes: int,
    covered: tuple[int, int] | None = None,
    *,
    joined: Callable[[str], bool] = always,
) -> dict[int, list[Batch]]:
    """Batches for each partition of the internal log that gets any, in order of source offset.

    A row goes to partition id_hash % partitions, a control event to all. The batches of one
    partition cover the offsets `covered` (first and last; by default its own) without a hole.
    A batch has at most `max_bytes`, unless one source offset alone needs more: none is split.

    joined: whether the rows of a model are to meet others of their ids. Blocks of those that are
    not may go anywhere: all rows of a record go together, by its offset.
    """
    source = Batch(topic, partition, topic_id, 0, 0, -1, [])
    parts = _by_partition(rows, partitions)
    tables = divided([row for row in rows if isinstance(row, Block)], partitions, joined)
    found: dict[int, list[Batch]] = {}
    for p in range(partitions) if controls else sorted(parts.keys() | tables.keys()):
        own = sorted(parts.get(p, []), key=lambda r: r[0])
        part = _Slice(0, 0, own, controls, tables.get(p, ()))
        first, last = covered or part.ends()
        found[p] = _fitting(source, dataclasses.replace(part, first=first, last=last), max_bytes)
    return found


def _by_partition(rows: Sequence[Row], partitions: int) -> dict[int, list[Hashed]]:
    parts: dict[int, list[Hashed]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Block):
            continue
        offset, record_ms, event = row
        hashed = id_hash(event.model, event.prediction_id)
        parts[hashed % partitions].append((offset, record_ms, event, hashed))
    return parts


def _fitting(source: Batch, part: _Slice, max_bytes: int) -> list[Batch]:
    """One batch, or as many as it takes: halved between two offsets until each fits."""
    batch = _batch(source, part)
    if most_size(batch) <= max_bytes:  # nearly always, and at no cost
        return [batch]
    offsets = part.offsets()
    if len(offsets) == 1 or encoded_size(batch) <= max_bytes:
        return [batch]
    middle = offsets[len(offsets) // 2]
    low = _Slice(
        part.first,
        middle - 1,
        [r for r in part.rows if r[0] < middle],
        [c for c in part.controls if c[0] < middle],
        [b for block in part.blocks if len(b := rows_of(block, block.offsets < middle))],
    )
    high = _Slice(
        middle,
        part.last,
        [r for r in part.rows if r[0] >= middle],
        [c for c in part.controls if c[0] >= middle],
        [b for block in part.blocks if len(b := rows_of(block, block.offsets >= middle))],
    )
    return _fitting(source, low, max_bytes) + _fitting(source, high, max_bytes)


def _batch(source: Batch, part: _Slice) -> Batch:
    times = [r[1] for r in part.rows] + [c[1] for c in part.controls]
    times += [int(b.record_ms.max()) for b in part.blocks]
    return dataclasses.replace(
        source,
        first=part.first,
        last=part.last,
        record_ms=max(times),
        blocks=[*blocks_of(part.rows), *part.blocks],
        control=list(part.controls),
    )
