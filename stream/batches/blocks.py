"""Blocks and batches: decoded rows as columns.

A batch holds what one range of offsets of one source partition has for one partition of the
internal log. Its rows lie in blocks: one for each model, version and set of columns, in order of
source offset.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np

from stream.columns import Bools, Column, Floats, Hashes, Ints

ControlRow = tuple[int, int, bytes]  # source offset, record time (ms), the event's JSON
Kind = Literal["prediction", "truth"]
# kind, model, version ("" of truth), newest event time and newest record time (ms)
Mark = tuple[Kind, str, str, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """n rows of one model version, ascending in source offset. Arrays of shape (n,), read-only.

    offsets: source offsets. record_ms, times_ms: Kafka's and the event's own time.
    ids: `stream.hashes.id_hash`. version None (truths only): all versions.
    Predictions: features (a vector `v` is `v[0]`, `v[1]`, ...) and prediction; score,
    probabilities (classes, shape (n, k)), weight, segments, control_group only where any row has
    one; NaN is missing. Truths: label, revision, retracted.
    """

    kind: Kind
    model: str
    version: str | None
    offsets: Ints
    record_ms: Ints
    times_ms: Ints
    ids: Hashes
    features: Mapping[str, Column] = dataclasses.field(default_factory=dict)
    prediction: Column | None = None
    score: Floats | None = None
    probabilities: tuple[tuple[str, ...], Floats] | None = None
    weight: Floats | None = None
    segments: Mapping[str, Column] | None = None
    control_group: Column | None = None
    label: Column | None = None
    revision: Ints | None = None
    retracted: Bools | None = None

    def __len__(self) -> int:
        return len(self.offsets)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Source offsets `first` to `last` (both included, also what was rejected or is elsewhere).

    record_ms: the newest record time among its rows and control events, -1 where it has none.
    partitions: how many the source topic has. marks: the newest event and record time of each
    model (version) in these offsets, also of rows that went elsewhere: every partition of the
    internal log learns from every chunk how far event time has come.
    """

    topic: str
    partition: int
    topic_id: str
    first: int
    last: int
    record_ms: int
    blocks: list[Block]
    control: list[ControlRow] = dataclasses.field(default_factory=list)
    partitions: int = 1
    marks: tuple[Mark, ...] = ()


def rows_of(block: Block, rows: np.ndarray | slice) -> Block:
    """The rows of a block that an index, mask or slice names; a slice makes views."""
    if not isinstance(rows, slice) and rows.dtype == np.bool_ and rows.all():
        return block
    probabilities = block.probabilities
    return dataclasses.replace(
        block,
        offsets=block.offsets[rows],
        record_ms=block.record_ms[rows],
        times_ms=block.times_ms[rows],
        ids=block.ids[rows],
        features={name: column.take(rows) for name, column in block.features.items()},
        prediction=None if block.prediction is None else block.prediction.take(rows),
        score=None if block.score is None else block.score[rows],
        probabilities=None if probabilities is None else (probabilities[0], probabilities[1][rows]),
        weight=None if block.weight is None else block.weight[rows],
        segments=None
        if block.segments is None
        else {name: column.take(rows) for name, column in block.segments.items()},
        control_group=None if block.control_group is None else block.control_group.take(rows),
        label=None if block.label is None else block.label.take(rows),
        revision=None if block.revision is None else block.revision[rows],
        retracted=None if block.retracted is None else block.retracted[rows],
    )
