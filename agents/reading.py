"""Reading: what a chunk of raw records of a source topic holds, and what of it cannot be used."""

import dataclasses
import operator
from collections.abc import Iterator, Sequence

import numpy as np

from agents import arrows
from agents.chunks import Record
from agents.settings import Settings
from stream.batches.blocks import Block, ControlRow, Kind
from stream.batches.merging import merged
from stream.batches.reading import Raw, Read, read_predictions, read_truths
from stream.batches.shapes import Shapes
from stream.columns import Ints
from stream.events import Rejected, decode_control

NOT_JSON = b"application/cloudevents+json"  # an envelope around the event: the suffix misleads
KINDS: dict[str, Kind] = {"predictions": "prediction", "ground-truth": "truth"}
SOURCES = (*KINDS, "control")
HEADERS = operator.attrgetter("headers")


@dataclasses.dataclass(slots=True)
class Taken:
    """What came of a chunk: rows in blocks, control events, and refusals by source offset.

    tables: records with many rows each, which are read together.
    """

    rows: list[Block] = dataclasses.field(default_factory=list)
    controls: list[ControlRow] = dataclasses.field(default_factory=list)
    refused: dict[int, Rejected] = dataclasses.field(default_factory=dict)
    tables: list[Record] = dataclasses.field(default_factory=list)


class Reader:
    """Decodes records. What it remembers of earlier ones only makes it faster."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = settings.limits.decoding()
        self._shapes = Shapes()

    def read(self, topic: str, records: Sequence[Record]) -> Taken:
        """The records of one partition of one of SOURCES."""
        taken = Taken()
        if topic == "control" or any(map(HEADERS, records)):
            records = [record for record in records if self._is_json_row(topic, record, taken)]
        if taken.tables:
            self._tables(KINDS[topic], taken)
        if records:
            self._rows(topic, records, taken)
        return taken

    def _is_json_row(self, topic: str, record: Record, taken: Taken) -> bool:
        """Whether it is left to be read; anything but a row in JSON is taken or put aside."""
        try:
            if topic in KINDS and is_arrow(record):
                taken.tables.append(record)
                return False
            _check_type(record)
            if topic == "control":
                taken.controls.append(self._control(record))
        except Rejected as error:
            taken.refused[record.offset] = error
            return False
        return topic != "control"

    def _control(self, record: Record) -> ControlRow:
        event = decode_control(record.value, record.key, record.timestamp, self.limits)
        self._check_model(event.model)
        return record.offset, record.timestamp, record.value or b""

    def _tables(self, kind: Kind, taken: Taken) -> None:
        """All rows of each of the Arrow records, or none of them."""
        values = [(r.value, arrows.Place(r.offset, r.timestamp, self.limits)) for r in taken.tables]
        found = arrows.tables_in(kind, values, lambda block: self._check_model(block.model))
        taken.rows += found.blocks
        taken.refused |= found.refused

    def _rows(self, topic: str, records: Sequence[Record], taken: Taken) -> None:
        raw = Raw(
            _offsets(records),
            np.array([record.timestamp for record in records], dtype=np.int64),
            [record.value for record in records],
        )
        found = self._decoded(topic, raw)
        taken.refused |= found.rejected
        for block in found.blocks:
            try:
                self._check_model(block.model)
            except Rejected as error:
                taken.refused |= dict.fromkeys(block.offsets.tolist(), error)
            else:
                taken.rows.append(block)
        taken.rows = merged(taken.rows)

    def _decoded(self, topic: str, raw: Raw) -> Read:
        if topic == "predictions":
            return read_predictions(raw, self._shapes, self.limits)
        return read_truths(raw, self.limits)

    def _check_model(self, model: str) -> None:
        settings = self.settings
        if settings.intake.unknown_models == "refuse" and model not in settings.models:
            raise Rejected("unknown-model", f"{model!r} has no table in [models]")


def _offsets(records: Sequence[Record]) -> Ints:
    first, last = records[0].offset, records[-1].offset
    if last - first == len(records) - 1:  # they ascend, so none is missing
        return np.arange(first, last + 1)
    return np.array([record.offset for record in records], dtype=np.int64)


def is_arrow(record: Record) -> bool:
    """Whether a header says that the value is an Arrow stream."""
    return arrows.MEDIA_TYPE.encode() in _types(record)


def _types(record: Record) -> Iterator[bytes]:
    for name, value in record.headers:
        if name.lower() == "content-type":
            yield (value or b"").split(b";")[0].strip().lower()


def _check_type(record: Record) -> None:
    """Raises Rejected where a header says that the value is not JSON."""
    for kind in _types(record):
        json = kind in (b"", b"application/json", b"text/json") or kind.endswith(b"+json")
        if not json or kind == NOT_JSON:
            shown = kind[:100].decode("ascii", "replace")
            raise Rejected("unknown-content-type", f"content-type {shown!r} is not JSON")
