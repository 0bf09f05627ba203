"""The wire form of a batch: reading one loops over columns and never over values."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from stream.batches.blocks import Batch, Block, ControlRow, Kind, Mark
from stream.batches.packing import Reader, pack, packed_size
from stream.columns import Codes, Column, Floats, Ints

Role = Literal[
    "feature",
    "prediction",
    "score",
    "probability",
    "weight",
    "segment",
    "control_group",
    "label",
]
Named = tuple[Role, str, Column]


Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class _ColumnHead(msgspec.Struct, array_like=True):
    role: Role
    name: str
    words: tuple[str, ...] | None  # None: no value is a word, and it has no codes
    numbers: bool  # False: every number is NaN and none is written


class _BlockHead(msgspec.Struct, array_like=True):
    kind: Kind
    model: str
    version: str | None
    rows: Count
    columns: list[_ColumnHead]


class _BatchHead(msgspec.Struct, array_like=True):
    topic: str
    partition: int
    topic_id: str
    first: int
    last: int
    record_ms: int
    control: list[ControlRow]
    blocks: list[_BlockHead]
    partitions: int
    marks: tuple[Mark, ...]


_FLOATS = ("score", "weight")
_COLUMNS = ("prediction", "control_group", "label")
Arrays = list[npt.NDArray[np.generic]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_BatchHead)


def encode_batch(batch: Batch) -> bytes:
    """The batch as one message."""
    return pack(*_parts(batch))


def encoded_size(batch: Batch) -> int:
    """How many bytes `encode_batch` would make; no array is made to know it."""
    heads = [_block_head(block, _named(block)) for block in batch.blocks]
    return packed_size(_header(batch, heads), [n for head in heads for n in _sizes(head)])


def most_size(batch: Batch) -> int:
    """No less than `encoded_size`, from the numbers of rows, columns and characters alone."""
    size = 400 + sum(3 * len(row[2]) for row in batch.control) + 8 * len(batch.topic)
    for block in batch.blocks:
        named = _named(block)
        texts = sum(len(w) for _, _, c in named for w in c.words) + sum(len(n) for _, n, _ in named)
        words = sum(len(c.words) for _, _, c in named)
        codes = 4 * sum(c.codes is not None for _, _, c in named)
        size += len(block) * (48 + 8 * len(named) + codes) + 30 * (len(named) + 1)
        size += 4 * (texts + len(block.model) + len(block.version or "")) + 6 * words
    return size


def decode_batch(value: bytes) -> Batch:
    """The batch of a message, as read-only views of it; ValueError on anything else."""
    reader = Reader(value)
    try:
        h = _decoder.decode(reader.header)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as failure:
        raise ValueError(f"not a batch: {failure}") from failure
    blocks = [_read_block(head, reader) for head in h.blocks]
    reader.finish()
    source = (h.topic, h.partition, h.topic_id, h.first, h.last, h.record_ms)
    return Batch(*source, blocks, h.control, h.partitions, h.marks)


def _parts(batch: Batch) -> tuple[bytes, Arrays]:
    arrays: Arrays = []
    heads = [_write_block(block, arrays) for block in batch.blocks]
    return _header(batch, heads), arrays


def _header(b: Batch, heads: list[_BlockHead]) -> bytes:
    source = (b.topic, b.partition, b.topic_id, b.first, b.last, b.record_ms)
    return _encoder.encode(_BatchHead(*source, b.control, heads, b.partitions, b.marks))


def _block_head(block: Block, named: list[Named]) -> _BlockHead:
    heads = [_column_head(*each) for each in named]
    return _BlockHead(block.kind, block.model, block.version, len(block), heads)


def _sizes(head: _BlockHead) -> list[int]:
    """Bytes of the arrays of a block, see `_write_block`."""
    whole = 8 * (6 if head.kind == "truth" else 4)
    numbers = 8 * sum(column.numbers for column in head.columns)
    width = np.dtype(_codes_type(head.columns)).itemsize
    codes = width * sum(column.words is not None for column in head.columns)
    return [size * head.rows for size in (whole, numbers, codes)]


def _write_block(block: Block, arrays: Arrays) -> _BlockHead:
    named = _named(block)
    head = _block_head(block, named)
    heads = head.columns
    arrays.append(_whole_numbers(block))
    numbers = [c.numbers for (_, _, c), head in zip(named, heads, strict=True) if head.numbers]
    if numbers:
        arrays.append(np.array(numbers, dtype="<f8"))
    codes = [c.codes for _, _, c in named if c.codes is not None]
    if codes:
        arrays.append(np.array(codes, dtype=_codes_type(heads)))
    return head


def _named(b: Block) -> list[Named]:
    """All columns of a block, in the order they are written."""
    found: list[Named] = [("feature", name, c) for name, c in b.features.items()]
    found += [("segment", name, c) for name, c in (b.segments or {}).items()]
    if b.probabilities is not None:
        classes, p = b.probabilities
        found += [("probability", name, Column(p[:, i])) for i, name in enumerate(classes)]
    single: list[tuple[Role, Column | Floats | None]] = [
        ("prediction", b.prediction),
        ("score", b.score),
        ("weight", b.weight),
        ("control_group", b.control_group),
        ("label", b.label),
    ]
    for role, values in single:
        if values is not None:
            found.append((role, "", values if isinstance(values, Column) else Column(values)))
    return found


def _column_head(role: Role, name: str, column: Column) -> _ColumnHead:
    if column.codes is None:
        return _ColumnHead(role, name, None, True)
    return _ColumnHead(role, name, column.words, not bool(np.isnan(column.numbers).all()))


def _whole_numbers(b: Block) -> Ints:
    rows = [b.offsets, b.record_ms, b.times_ms, b.ids.view(np.int64)]
    if b.kind == "truth":
        assert b.revision is not None
        assert b.retracted is not None
        rows += [b.revision, b.retracted.astype(np.int64)]
    return np.array(rows, dtype="<i8")


def _codes_type(heads: Iterable[_ColumnHead]) -> str:
    """The smallest integer that holds the codes of all columns of a block."""
    most = max((len(head.words) for head in heads if head.words is not None), default=0)
    return "<i1" if most <= 2**7 else "<i2" if most <= 2**15 else "<i4"


def _read_block(head: _BlockHead, reader: Reader) -> Block:
    n, truth = head.rows, head.kind == "truth"
    whole = cast(Ints, reader.array("<i8", 6 if truth else 4, n))
    block = Block(
        head.kind,
        head.model,
        head.version,
        whole[0],
        whole[1],
        whole[2],
        whole[3].view(np.uint64),
        revision=whole[4] if truth else None,
        retracted=whole[5].astype(np.bool_) if truth else None,
    )
    return dataclasses.replace(block, **_read_columns(head, reader))


def _read_columns(head: _BlockHead, reader: Reader) -> dict[str, Any]:
    """The columns of a block as keyword arguments of `Block`."""
    read = _columns_of(head.columns, head.rows, reader)
    found: dict[str, Any] = {}
    for role, field in (("feature", "features"), ("segment", "segments")):
        named = {h.name: c for h, c in read if h.role == role}
        if named:
            found[field] = named
    classes = [(h.name, c.numbers) for h, c in read if h.role == "probability"]
    if classes:
        found["probabilities"] = (tuple(k for k, _ in classes), np.array([p for _, p in classes]).T)
    for h, c in read:
        if h.role in _FLOATS:
            found[h.role] = c.numbers
        elif h.role in _COLUMNS:
            found[h.role] = c
    return found


def _columns_of(
    heads: Sequence[_ColumnHead], n: int, reader: Reader
) -> list[tuple[_ColumnHead, Column]]:
    numbers = cast(Floats, reader.array("<f8", sum(h.numbers for h in heads), n))
    worded = sum(h.words is not None for h in heads)
    codes = cast(Codes, reader.array(_codes_type(heads), worded, n)).astype(np.int32, copy=False)
    nothing = np.full(n, np.nan)
    next_numbers, next_codes = iter(numbers), iter(codes)
    return [
        (
            h,
            Column(
                next(next_numbers) if h.numbers else nothing,
                None if h.words is None else next(next_codes),
                h.words or (),
            ),
        )
        for h in heads
    ]
