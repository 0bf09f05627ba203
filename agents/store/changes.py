"""What a checkpoint changes, and its form in Redis: chunks small enough for short scripts."""

import dataclasses
import math
import struct
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from stream.columns import Hashes

T = TypeVar("T")


class TooLarge(ValueError):
    """One value is larger than the limit; the message names it. A bug or a limit set too low."""


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep every script under 5 ms and every request bounded.

    chunk_bytes, chunk_ops: most of one redo chunk or outbox body (one value may exceed the bytes).
    request_bytes: most sent in one pipeline. value_bytes: most of one value (1 MiB takes a script
    4.5 ms to apply, measured): split what may grow larger over several fields.
    lookups: hashes in one script. fill: pending entries of a bucket on average; a bucket holds up
    to twice as many, and with more than 512 Redis would keep it unpacked. scan_bytes: of values
    that one look at the buckets reads. filter_bytes: most memory of a partition that knows which
    ids have no entry. claims: owners of a partition that are remembered, of
    those that made a checkpoint.
    """

    chunk_bytes: int = 256 * 1024
    chunk_ops: int = 250
    request_bytes: int = 4 * 1024 * 1024
    value_bytes: int = 1024 * 1024
    lookups: int = 250
    fill: int = 64
    scan_bytes: int = 256 * 1024
    filter_bytes: int = 64 * 1024 * 1024
    reference_bytes: int = 64 * 1024 * 1024
    outbox_bodies: int = 16
    orphans: int = 100
    claims: int = 1000

    @property
    def steps(self) -> int:
        """Buckets that one chunk may split or merge: as many as its entries ask for."""
        return 2 * self.chunk_ops // self.fill + 2

    def __post_init__(self) -> None:
        if not 1 <= self.fill <= 200:
            raise ValueError(f"fill = {self.fill}: 1 to 200 entries a bucket stay packed")
        if not 1 <= self.chunk_ops <= 3000:
            raise ValueError(f"chunk_ops = {self.chunk_ops}: 1 to 3000 fit Lua's stack")


class OutMessage(msgspec.Struct, frozen=True, array_like=True):
    """A message that is to be published. partition None: the producer's partitioner decides."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


@dataclasses.dataclass(slots=True)
class Changes:
    """The changes of one checkpoint, as absolute values. Pending keys are unsigned 64-bit."""

    puts: dict[str, bytes] = dataclasses.field(default_factory=dict)
    deletes: set[str] = dataclasses.field(default_factory=set)
    pending_puts: dict[int, bytes] = dataclasses.field(default_factory=dict)
    pending_deletes: set[int] = dataclasses.field(default_factory=set)
    outbox: list[OutMessage] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """One attempt at a checkpoint. The same object may be tried again until it is answered."""

    id: str
    owner: str
    seq: int
    next: int | None
    topic_id: str
    redo: tuple[bytes, ...]
    bodies: tuple[bytes, ...]
    counts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of what is written."""
        return sum(map(len, self.redo)) + sum(map(len, self.bodies))


def redo_of(changes: Changes, limits: Limits) -> tuple[bytes, ...]:
    """The redo record's chunks. Raises TooLarge, ValueError where a key is both put and deleted."""
    both = changes.puts.keys() & changes.deletes
    if both or changes.pending_puts.keys() & changes.pending_deletes:
        raise ValueError(f"a checkpoint puts and deletes the same key: {sorted(both)[:5]}")
    state = _chunks(
        b"s",
        [(field.encode(), value) for field, value in changes.puts.items()],
        [field.encode() for field in changes.deletes],
        limits,
    )
    alike, others = _by_size(changes.pending_puts, limits)
    pending = _chunks(
        b"p",
        [(h.to_bytes(8, "big"), changes.pending_puts[h]) for h in others],
        [h.to_bytes(8, "big") for h in sorted(changes.pending_deletes)],
        limits,
    )
    entries = (chunk for some in alike for chunk in _entries(some, changes.pending_puts, limits))
    return (*state, *entries, *pending)


def _by_size(puts: dict[int, bytes], limits: Limits) -> tuple[list[Hashes], list[int]]:
    """Hashes whose values are of one size, where those fill a chunk, and the other hashes."""
    if not puts:
        return [], []
    keys = np.fromiter(puts, np.uint64, len(puts))
    sizes = np.fromiter(map(len, puts.values()), np.int64, len(puts))
    many = [n for n in set(sizes.tolist()) if (sizes == n).sum() >= limits.chunk_ops]
    if len(many) == 1 and (sizes == many[0]).all():
        return [_neighbours(keys)], []
    return [_neighbours(keys[sizes == n]) for n in many], keys[~np.isin(sizes, many)].tolist()


def _neighbours(keys: Hashes) -> Hashes:
    """Hashes of one bucket one behind the other, however many buckets there are.

    A bucket is the low bits of a hash's first half (`buckets.lua`): so many of them, or one less.
    """
    low = (keys >> np.uint64(32)).astype(np.uint16)
    return keys[np.argsort(_MIRRORED[low], kind="stable")]


def _mirrored() -> npt.NDArray[np.uint16]:
    bits = np.unpackbits(np.arange(2**16, dtype=np.uint16).view(np.uint8), bitorder="little")
    return np.packbits(bits.reshape(-1, 16)[:, ::-1], bitorder="little").view(np.uint16)


_MIRRORED = _mirrored()
"""Every number of 16 bits, the lowest first: sorted by it, numbers that end alike are together."""


def _entries(keys: Hashes, puts: dict[int, bytes], limits: Limits) -> Iterator[bytes]:
    """Chunks of kind "e": so many hashes and values of one size, without a word between them."""
    raw = b"".join(map(puts.__getitem__, keys.tolist()))
    size = _checked("a pending entry", puts[int(keys[0])], limits)
    records = np.empty((len(keys), 8 + size), np.uint8)
    records[:, :8] = keys.astype(">u8").view(np.uint8).reshape(-1, 8)
    records[:, 8:] = np.frombuffer(raw, np.uint8).reshape(len(keys), size)
    together = max(1, min(limits.chunk_ops, limits.chunk_bytes // (8 + size)))
    for at in range(0, len(keys), together):
        some = records[at : at + together]
        yield struct.pack(">cII", b"e", len(some), size) + some.tobytes()


def bodies_of(
    outbox: list[OutMessage], limits: Limits
) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """The outbox's bodies and how many messages each holds, in order."""
    bodies, counts = [], []
    sized = ((_checked(message.topic, message.value, limits), message) for message in outbox)
    for group in grouped(sized, limits.chunk_bytes, limits.chunk_ops):
        bodies.append(msgspec.msgpack.encode(group))
        counts.append(len(group))
    return tuple(bodies), tuple(counts)


_BODY = msgspec.msgpack.Decoder(list[OutMessage])


def messages_of(body: bytes) -> list[OutMessage]:
    """The messages of one body."""
    return _BODY.decode(body)


def _chunks(
    kind: bytes, puts: list[tuple[bytes, bytes]], deletes: list[bytes], limits: Limits
) -> Iterator[bytes]:
    sized = ((len(key) + _checked(key, value, limits), (key, value)) for key, value in puts)
    for some in grouped(sized, limits.chunk_bytes, limits.chunk_ops):
        yield _packed(kind, [part for pair in some for part in pair], [])
    gone = ((len(key), key) for key in deletes)
    for keys in grouped(gone, limits.chunk_bytes, limits.chunk_ops):
        yield _packed(kind, [], keys)


def _packed(kind: bytes, puts: list[bytes], deletes: list[bytes]) -> bytes:
    """A chunk as apply.lua reads it (Redis's own msgpack knows no byte strings)."""
    header = struct.pack(">cII", kind, len(puts), len(deletes))
    parts = (part for item in (*puts, *deletes) for part in (len(item).to_bytes(4, "big"), item))
    return header + b"".join(parts)


def grouped(
    sized: Iterable[tuple[int, T]], most_bytes: int, most: float = math.inf
) -> Iterator[list[T]]:
    """Runs of items, each of so many bytes and items at most, or a single item."""
    group: list[T] = []
    total = 0
    for size, item in sized:
        if group and (total + size > most_bytes or len(group) >= most):
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group


def _checked(name: str | bytes, value: bytes, limits: Limits) -> int:
    if len(value) > limits.value_bytes:
        raise TooLarge(f"{name!r}: {len(value)} bytes, the limit is {limits.value_bytes}")
    return len(value)
