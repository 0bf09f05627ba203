"""Messages: bytes from anywhere to one checked record batch, or `Rejected`.

Arrow trusts what it reads: a stream may claim sizes and positions that are not there. So buffers
may not be compressed (a megabyte could claim to be a terabyte), the rows are counted before they
are read, and everything is validated in full before a value is looked at.
"""

import struct
from collections.abc import Callable

import pyarrow as pa
from pyarrow import ipc

from stream.events import Limits, Rejected

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # a stream without it was cut off
MAX_ROWS = 100_000
MAX_PACKED_BYTES = 1_800_000  # as columns of float64: what a message of the internal log holds
DICTIONARY, RECORDS = 2, 3  # MessageHeader in Arrow's Message.fbs
FAILURES = (pa.ArrowException, ValueError, OSError, TypeError, struct.error, IndexError)


def written(batch: pa.RecordBatch) -> bytes:
    """A record batch as the value of a message."""
    out = pa.BufferOutputStream()
    with ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    value: bytes = out.getvalue().to_pybytes()
    return value


def batch_of(value: bytes | None, limits: Limits) -> pa.RecordBatch:
    """All rows of a message, at least one, valid through and through. Raises Rejected."""
    if not value:
        raise Rejected("empty-value", "null" if value is None else "no bytes")
    if len(value) > limits.max_bytes:
        raise Rejected("too-large", f"{len(value)} bytes, at most {limits.max_bytes}")
    try:
        return _read(value)
    except FAILURES as failure:
        raise Rejected("not-arrow", str(failure)[:200]) from None
    except MemoryError:
        raise Rejected("not-arrow", "it claims more than fits in memory") from None


def _read(value: bytes) -> pa.RecordBatch:
    if not value.endswith(END):
        raise Rejected("not-arrow", "no end-of-stream marker: cut off, or not an IPC stream")
    rows = _count(value)
    if rows == 0:
        raise Rejected("empty-value", "no rows")
    if rows > MAX_ROWS:
        raise Rejected("too-many-rows", f"{rows}, at most {MAX_ROWS}")
    source = pa.BufferReader(value)
    batches = list(ipc.open_stream(source))
    if source.tell() != len(value):
        raise Rejected("not-arrow", f"{len(value) - source.tell()} bytes after the end")
    for batch in batches:
        batch.validate(full=True)
    return joined(batches)


def joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema as one."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    (batch,) = table.to_batches()
    return batch


def _count(value: bytes) -> int:
    """How many rows the messages of a stream claim; raises Rejected where one is compressed."""
    rows = 0
    for message in ipc.MessageReader.open_stream(pa.BufferReader(value)):
        kind, found = _header(message.metadata.to_pybytes())
        if kind == RECORDS:
            rows += max(0, found)
    return rows


def _header(raw: bytes) -> tuple[int, int]:
    """Kind and number of rows of one message (Message.fbs; the rows of a schema are 0)."""
    message = _table(raw, _follow(raw, 0))
    kind = raw[message(1)]
    if kind not in (DICTIONARY, RECORDS):
        return kind, 0
    header = _table(raw, _follow(raw, message(2)))
    if kind == DICTIONARY:
        header = _table(raw, _follow(raw, header(1)))
    if header(3):
        raise Rejected("not-arrow", "its buffers are compressed; let Kafka compress instead")
    length = header(0)
    return kind, struct.unpack_from("<q", raw, length)[0] if length else 0


def _follow(raw: bytes, at: int) -> int:
    """Where the offset at a place of a flatbuffer leads."""
    return at + int(struct.unpack_from("<I", raw, at)[0])


def _table(raw: bytes, at: int) -> Callable[[int], int]:
    """Where field i of a flatbuffer's table lies; 0 where it is left out."""
    names = at - struct.unpack_from("<i", raw, at)[0]
    size = struct.unpack_from("<H", raw, names)[0]

    def field(number: int) -> int:
        entry = 4 + 2 * number
        offset = struct.unpack_from("<H", raw, names + entry)[0] if entry < size else 0
        return at + int(offset) if offset else 0

    return field
