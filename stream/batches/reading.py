"""Reading: the raw records of a chunk into blocks, many at once.

Records that look alike are decoded by a decoder of their shape and checked as columns. On any
doubt a record is decoded alone, by `stream.events`: all reasons are given there, so that neither
what is accepted nor what is said against the rest depends on the way it took.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from stream.batches.blocks import Block
from stream.batches.gathering import Hashed, blocks_of, truths_of
from stream.batches.merging import merged
from stream.batches.runs import Run
from stream.batches.shapes import Shape, Shapes, decode_plain_truth
from stream.batches.vetting import grouped, has_groups, stated, vetted, wires_of
from stream.columns import Bools, Ints
from stream.events import Limits, Prediction, Rejected, Truth, decode_prediction, decode_truth
from stream.hashes import id_hash, id_hashes

TRIES = 8  # records of which one must be good for a shape to be learned
PASSES = 4  # shapes that are tried on one chunk
FEW = 64  # records that are not worth another pass
TOGETHER = 512  # decoded records that stay in the processor's cache until they are columns
Strict = Callable[[bytes | None, bytes | None, int, Limits], Prediction | Truth]
Key = tuple[Hashable, ...]  # model, version, and where there are any, classes and segments


@dataclasses.dataclass(frozen=True, slots=True)
class Raw:
    """n raw records of one source partition, ascending in offset. record_ms: their timestamps."""

    offsets: Ints
    record_ms: Ints
    values: Sequence[bytes | None]

    def take(self, places: Ints) -> "Raw":
        """Some of them."""
        if len(places) == len(self.values):
            return self
        some = [self.values[i] for i in places.tolist()]
        return Raw(self.offsets[places], self.record_ms[places], some)


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """What came of a chunk. rejected: by source offset, ascending."""

    blocks: list[Block]
    rejected: dict[int, Rejected]


def read_predictions(raw: Raw, shapes: Shapes, limits: Limits) -> Read:
    """Blocks of the predictions that can be used. shapes: of earlier chunks."""
    blocks: list[Block] = []
    for _ in range(PASSES):
        shape = _shape(raw, shapes, limits)
        if shape is None:
            break
        found, rest = _predictions(raw, shape, limits)
        blocks += found
        before, raw = len(raw.values), raw.take(rest)
        if len(rest) < FEW or len(rest) > before * 7 // 8:
            break
    return _with_the_rest(blocks, raw, decode_prediction, limits)


def read_truths(raw: Raw, limits: Limits) -> Read:
    """Blocks of the truths that can be used."""
    blocks, rest = _truths(raw, limits)
    return _with_the_rest(blocks, raw.take(rest), decode_truth, limits)


def _shape(raw: Raw, shapes: Shapes, limits: Limits) -> Shape | None:
    """That of the first good record; the order of its keys is that of the most, mostly."""
    for value, record_ms in zip(raw.values[:TRIES], raw.record_ms.tolist(), strict=False):
        try:
            return shapes.learn(value or b"", decode_prediction(value, None, record_ms, limits))
        except Rejected:
            continue
    return None


def _predictions(raw: Raw, shape: Shape, limits: Limits) -> tuple[list[Block], Ints]:
    """Blocks of those of a shape, and the places of the others."""
    run, places = _run(raw, shape, limits)
    some = raw.take(places)
    times, fit = vetted(run.ids, run.models, run.versions, run.times, some.record_ms, limits)
    named = shape.grouped and has_groups(run.given)
    fit &= not named or grouped(run.given, limits)
    groups = None if named else _one_group(run.models, run.versions, fit)
    if groups is None:
        groups = _groups(zip(*_kinds(run), strict=True), fit)
    blocks = run.blocks(groups, some.offsets, some.record_ms, times)
    return blocks, _others(len(raw.values), places[fit])


def _run(raw: Raw, shape: Shape, limits: Limits) -> tuple[Run, Ints]:
    """Those of a shape, and their places."""
    run, places = Run(shape), []
    for start in range(0, len(raw.values), TOGETHER):
        wires = wires_of(raw.values[start : start + TOGETHER], shape.decode, limits)
        known = _known(wires)
        run.add(_some(wires, known))
        places.append(start + known)
    return run, np.concatenate(places) if places else np.array([], dtype=np.int64)


def _kinds(run: Run) -> Iterator[Sequence[Hashable]]:
    yield from (run.models, run.versions)
    if run.shape.grouped:
        for name in ("probabilities", "segments"):
            yield [tuple(each or ()) for each in run.given[name]]


def _truths(raw: Raw, limits: Limits) -> tuple[list[Block], Ints]:
    wires = wires_of(raw.values, decode_plain_truth, limits)
    places = _known(wires)
    rows, some = _some(wires, places), raw.take(places)
    ids, models = [row.prediction_id for row in rows], [row.model for row in rows]
    versions, times = [row.version for row in rows], [row.time for row in rows]
    times_ms, fit = vetted(ids, models, versions, times, some.record_ms, limits)
    fit &= stated(rows)
    groups = _one_group(models, versions, fit)
    blocks = []
    for own in _groups(zip(models, versions, strict=True), fit) if groups is None else groups:
        same = _some(rows, own)
        hashes = id_hashes(same[0].model, [row.prediction_id for row in same])
        where = some.offsets[own], some.record_ms[own], times_ms[own]
        blocks.append(truths_of(same, (same[0].model, same[0].version, *where, hashes)))
    return blocks, _others(len(wires), places[fit])


def _known(wires: Sequence[Any]) -> Ints:
    return np.flatnonzero(np.fromiter((w is not None for w in wires), np.bool_, len(wires)))


def _some(rows: Sequence[Any], places: Ints) -> Sequence[Any]:
    return rows if len(places) == len(rows) else [rows[i] for i in places.tolist()]


def _others(n: int, places: Ints) -> Ints:
    rest = np.ones(n, dtype=np.bool_)
    rest[places] = False
    return np.flatnonzero(rest)


def _groups(kinds: Iterable[Key], fit: Bools) -> list[Ints]:
    """Places of the rows that fit, together where they are of one kind."""
    found: defaultdict[Key, list[int]] = defaultdict(list)
    for i, (kind, good) in enumerate(zip(kinds, fit.tolist(), strict=True)):
        if good:
            found[kind].append(i)
    return [np.array(places) for places in found.values()]


def _one_group(
    models: Sequence[str], versions: Sequence[str | None], fit: Bools
) -> list[Ints] | None:
    """The same where all are of one model version; None where they are not."""
    if len(set(models)) > 1 or len(set(versions)) > 1:
        return None
    return [np.flatnonzero(fit)] if fit.any() else []


def _with_the_rest(blocks: list[Block], raw: Raw, decode: Strict, limits: Limits) -> Read:
    """The same, with what is decoded alone."""
    events: list[Hashed] = []
    rejected: dict[int, Rejected] = {}
    where = zip(raw.offsets.tolist(), raw.record_ms.tolist(), raw.values, strict=True)
    for offset, record_ms, value in where:
        try:
            event = decode(value, None, record_ms, limits)
        except Rejected as reason:
            rejected[offset] = reason
        else:
            hashed = id_hash(event.model, event.prediction_id)
            events.append((offset, record_ms, event, hashed))
    return Read(merged([*blocks, *blocks_of(events)]), rejected)
