"""Marks: what every partition of the internal log is told of every chunk of a source partition."""

import dataclasses
from collections.abc import Mapping, Sequence

from stream.batches import Batch, Row
from stream.batches.blocks import Block, Kind, Mark
from stream.events import Prediction, Truth

Told = tuple[Kind, str, str]  # kind, model, version


def marks_of(rows: Sequence[Row]) -> tuple[Mark, ...]:
    """The newest event time and record time of each model version, and of each model's truth."""
    newest: dict[Told, tuple[int, int]] = {}
    for row in rows:
        key, own = _of_block(row) if isinstance(row, Block) else _of_event(*row)
        times = newest.get(key, own)
        newest[key] = (max(times[0], own[0]), max(times[1], own[1]))
    return tuple((*key, *times) for key, times in newest.items())


def _of_event(_: int, record_ms: int, event: Prediction | Truth) -> tuple[Told, tuple[int, int]]:
    times = (event.time, record_ms)
    if isinstance(event, Truth):
        return ("truth", event.model, ""), times
    return ("prediction", event.model, event.version), times


def _of_block(block: Block) -> tuple[Told, tuple[int, int]]:
    times = (int(block.times_ms.max()), int(block.record_ms.max()))
    version = "" if block.kind == "truth" else block.version or ""
    return (block.kind, block.model, version), times


def told_to_all(
    batches: Mapping[int, Sequence[Batch]],
    empty: Batch,
    marks: tuple[Mark, ...],
    partitions: int,
    source_partitions: int,
) -> dict[int, list[Batch]]:
    """Batches for every partition of the internal log; the last one of each carries the marks.

    empty: what a partition without rows is told: the offsets and record time of the chunk.
    """
    found: dict[int, list[Batch]] = {}
    for partition in range(partitions):
        own = list(batches.get(partition, [])) or [empty]
        own[-1] = dataclasses.replace(
            own[-1],
            last=max(own[-1].last, empty.last),
            record_ms=max(own[-1].record_ms, empty.record_ms),
            marks=marks,
        )
        found[partition] = [
            dataclasses.replace(batch, partitions=source_partitions) for batch in own
        ]
    return found
