"""Tables: blocks that arrive as blocks, divided among partitions without a loop over rows."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from stream.batches.blocks import Block, rows_of
from stream.batches.joining import gathered
from stream.columns import Column, Floats, Hashes

RUN = 8  # records after each other that stay together, so that blocks are long


def always(_: str) -> bool:
    """Every model's rows are to meet others of their ids."""
    return True


def divided(
    blocks: Iterable[Block], partitions: int, joined: Callable[[str], bool] = always
) -> dict[int, list[Block]]:
    """Each row in the partition id_hash % partitions, in its order; blocks alike as one.

    Rows of models that are not joined go by their source offset, so that those of RUN records stay
    together; never by where a chunk begins, which may be elsewhere the next time.
    """
    found: dict[int, list[Block]] = defaultdict(list)
    for block in gathered(list(blocks)):
        numbers = block.ids if joined(block.model) else (block.offsets // RUN).astype(np.uint64)
        for partition, part in _parts(block, numbers, partitions):
            found[partition].append(tidy(part))
    return found


def _parts(block: Block, numbers: Hashes, partitions: int) -> Iterator[tuple[int, Block]]:
    """One copy in order of partition, and a view of it for each."""
    if partitions == 1:
        yield 0, block
        return
    kind = np.uint8 if partitions <= 256 else np.uint32
    places = (numbers % np.uint64(partitions)).astype(kind)
    if (places == places[0]).all():
        yield int(places[0]), block
        return
    ordered = rows_of(block, np.argsort(places, kind="stable"))
    ends = np.cumsum(np.bincount(places, minlength=partitions)).tolist()
    for partition, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        if end > start:
            yield partition, rows_of(ordered, slice(start, end))


def tidy(block: Block) -> Block:
    """The same rows as if they had come one by one: only words that occur, in order of use."""
    return dataclasses.replace(
        block,
        features={name: in_order(column) for name, column in block.features.items()},
        segments=None
        if block.segments is None
        else {name: in_order(column) for name, column in block.segments.items()},
        prediction=_in_order(block.prediction),
        label=_in_order(block.label),
        control_group=_unless_missing(_in_order(block.control_group)),
        score=_unless_nothing(block.score),
        weight=_unless_nothing(block.weight),
    )


def in_order(column: Column) -> Column:
    """Only the words that occur, in order of their first use; no codes where none does."""
    if column.codes is None:
        return column
    n, size = len(column), len(column.words)
    first = np.full(size + 1, n)
    first[column.codes[::-1]] = np.arange(n - 1, -1, -1)  # the last one written is the first row
    used = np.argsort(first[:size], kind="stable")[: int((first[:size] < n).sum())]
    if len(used) == 0:
        return Column(column.numbers)
    if len(used) == len(column.words) and (used[:-1] < used[1:]).all():
        return column
    places = np.full(len(column.words) + 1, -1, dtype=np.int32)  # the last one is that of -1
    places[used] = np.arange(len(used), dtype=np.int32)
    words = tuple(column.words[code] for code in used.tolist())
    return Column(column.numbers, places[column.codes], words)


def _in_order(column: Column | None) -> Column | None:
    return None if column is None else in_order(column)


def _unless_missing(column: Column | None) -> Column | None:
    return None if column is None or column.codes is None else column


def _unless_nothing(values: Floats | None) -> Floats | None:
    return None if values is None or np.isnan(values).all() else values
