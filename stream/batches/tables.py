"""Tables: blocks that arrive as blocks, divided among partitions without a loop over rows."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from stream.batches.blocks import Block, rows_of
from stream.columns import Column, Floats


def divided(blocks: Iterable[Block], partitions: int) -> dict[int, list[Block]]:
    """Each row in the partition id_hash % partitions, in its order."""
    found: dict[int, list[Block]] = defaultdict(list)
    for block in blocks:
        places = block.ids % np.uint64(partitions)
        for partition in np.unique(places).tolist():
            found[partition].append(tidy(rows_of(block, places == partition)))
    return found


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
    used, first = np.unique(column.codes, return_index=True)
    used = used[np.argsort(first)]
    used = used[used >= 0]
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
