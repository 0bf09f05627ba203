"""Marks: what every partition of the internal log is told of every chunk of a source partition."""

import dataclasses
from collections.abc import Mapping, Sequence

from stream.batches import Batch, Row
from stream.batches.blocks import Mark
from stream.events import Truth


def marks_of(rows: Sequence[Row]) -> tuple[Mark, ...]:
    """The newest event time and record time of each model version, and of each model's truth."""
    newest: dict[tuple[str, str, str], tuple[int, int]] = {}
    for _, record_ms, event in rows:
        if isinstance(event, Truth):
            key = ("truth", event.model, "")
        else:
            key = ("prediction", event.model, event.version)
        times = newest.get(key, (event.time, record_ms))
        newest[key] = (max(times[0], event.time), max(times[1], record_ms))
    return tuple((*key, *times) for key, times in newest.items())  # type: ignore[misc]


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
