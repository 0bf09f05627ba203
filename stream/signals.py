"""Signals: what a ledger partition tells the watch of a model.

One message carries ordered values for the online detectors, the partition's watermarks, and the
names of the shares it has sealed. Messages of a (partition, model) are numbered without holes.
"""

import dataclasses
import zlib
from typing import Any, Literal

import msgspec
import numpy as np

from stream.columns import Floats, Hashes, Ints
from stream.envelopes import newer
from stream.panes import BEFORE_ALL

MAGIC = b"DLs1"
QUIET = b"DLs2"  # the same, with `quiet`: a release that does not know it refuses it
UNLABELLED = b"DLs4"  # the same, with `label_quiet`; no single bit makes one of another

Kind = Literal["inputs", "quality", "answers"]
Quiet = tuple[int, int]
LabelQuiet = tuple[int, int, tuple[int, ...]]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ShareName:
    """One sealed share: revision 0, or a later addition to it."""

    kind: Kind
    pane: int
    revision: int
    partition: int
    reference: str
    rows: int

    def field(self, model_key: str) -> str:
        """Where the share is kept in its partition's state."""
        return f"{self.kind}/{model_key}/{self.pane}/{self.revision}"


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """Values of one signal, shape (n,) each: event time in ms, id hash, value."""

    times_ms: Ints
    ids: Hashes
    values: Floats

    def __len__(self) -> int:
        return len(self.times_ms)

    def take(self, rows: Any) -> "Series":
        """The rows of an index, mask or slice."""
        return Series(self.times_ms[rows], self.ids[rows], self.values[rows])


@dataclasses.dataclass(frozen=True, slots=True)
class Signals:
    """One message. Watermarks in epoch ms; `BEFORE_ALL` where nothing was seen.

    active: references and the event time from which each counts. control: events as they came.
    quiet: a newest event time, and up to when nothing newer is known; see `stream.fronts`.
    label_quiet: the same of the truth of the model, and panes with truth that are not sealed yet.
    """

    model: str
    version: str
    partition: int
    partitions: int
    sequence: int
    watermark_ms: int = BEFORE_ALL
    label_watermark_ms: int = BEFORE_ALL
    active: tuple[tuple[int, str], ...] = ()
    sealed: tuple[ShareName, ...] = ()
    series: dict[str, Series] = dataclasses.field(default_factory=dict)
    control: tuple[bytes, ...] = ()
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    quiet: Quiet | None = None
    label_quiet: LabelQuiet | None = None


def concatenate(parts: list[Series]) -> Series:
    """Several runs of one signal as one."""
    return Series(
        np.concatenate([p.times_ms for p in parts]),
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.values for p in parts]),
    )


def encode_signals(signals: Signals) -> bytes:
    """Bytes of a message; little-endian arrays behind a msgpack header, with a checksum."""
    fields = {f.name: getattr(signals, f.name) for f in dataclasses.fields(signals)}
    fields["sealed"] = [dataclasses.astuple(name) for name in signals.sealed]
    fields["series"] = {
        name: [s.times_ms.astype("<i8").tobytes(), s.ids.tobytes(), s.values.tobytes()]
        for name, s in signals.series.items()
    }
    if signals.quiet is None:
        del fields["quiet"]
    magic = MAGIC if signals.quiet is None else QUIET
    if signals.label_quiet is None:
        del fields["label_quiet"]
    else:
        magic = UNLABELLED
    body = msgspec.msgpack.encode(fields)
    return magic + zlib.crc32(body).to_bytes(4, "big") + body


def decode_signals(raw: bytes) -> Signals:
    """The message of `encode_signals`. Raises ValueError on truncated or foreign bytes, and
    stream.envelopes.Newer on a message of a later release.
    """
    sound = zlib.crc32(raw[8:]) == int.from_bytes(raw[4:8], "big")
    if sound and raw[:3] == MAGIC[:3] and raw[3:4] > UNLABELLED[3:]:
        raise newer(f"a signals message of format {raw[:4]!r}")
    if raw[:4] not in (MAGIC, QUIET, UNLABELLED) or not sound:
        raise ValueError("not a signals message of this version, or damaged")
    try:
        fields = msgspec.msgpack.decode(raw[8:], type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError(f"not a signals message: {error}") from error
    fields["sealed"] = tuple(ShareName(*name) for name in fields["sealed"])
    fields["series"] = {name: _series(*arrays) for name, arrays in fields["series"].items()}
    fields["control"] = tuple(fields["control"])
    fields["active"] = tuple((since, ref) for since, ref in fields["active"])
    if fields.get("quiet") is not None:
        fields["quiet"] = tuple(fields["quiet"])
    if fields.get("label_quiet") is not None:
        newest_ms, reached_ms, panes = fields["label_quiet"]
        fields["label_quiet"] = newest_ms, reached_ms, tuple(panes)
    return Signals(**fields)


def _series(times: bytes, ids: bytes, values: bytes) -> Series:
    return Series(
        np.frombuffer(times, dtype="<i8"),
        np.frombuffer(ids, dtype=np.uint64),
        np.frombuffer(values, dtype=np.float64),
    )
