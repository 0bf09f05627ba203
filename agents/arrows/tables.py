"""Tables: the columns of messages as blocks, one for each model, version and set of columns.

The same rows as JSON make the same blocks, value for value. No loop goes over rows. Messages of one
schema are read as one: what a column costs before its first value is paid once.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyarrow import types

from agents.arrows import values
from agents.arrows.groups import features_of, is_list, optional_group
from agents.arrows.messages import MAX_PACKED_BYTES, batch_of, joined
from agents.arrows.values import refuse
from stream.batches import Batch, Block, encoded_size
from stream.batches.blocks import Kind, rows_of
from stream.columns import Column, Floats, Ints
from stream.events import Limits, Rejected
from stream.events.decode import MAX_REVISION
from stream.hashes import Texts, text_hashes

REQUIRED: dict[Kind, tuple[str, ...]] = {
    "prediction": ("prediction_id", "model", "version", "time", "features"),
    "truth": ("prediction_id", "model", "time", "label"),
}
Columns = Mapping[str, pa.Array]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies: its source offset and its record's time (ms, negative: none)."""

    offset: int
    record_ms: int
    limits: Limits


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A message that has what every one of its kind must have. size: bytes of its value."""

    batch: pa.RecordBatch
    place: Place
    size: int

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @property
    def is_plain(self) -> bool:
        """Whether no feature is a list, whose length would depend on what else is read."""
        schema = self.batch.schema
        kinds = (schema.field(i).type for i in schema.get_all_field_indices("features"))
        return not any(
            is_list(kind.field(i).type) for kind in kinds for i in range(kind.num_fields)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where each row comes from. offsets, record_ms: shape (n,)."""

    offsets: Ints
    record_ms: Ints
    limits: Limits

    def __len__(self) -> int:
        return len(self.offsets)


def rows_in(kind: Kind, value: bytes | None, place: Place) -> list[Block]:
    """The predictions or truths of one message, by model, version and columns. Raises Rejected."""
    return blocks_of(kind, [message_of(kind, value, place)])


def message_of(kind: Kind, value: bytes | None, place: Place) -> Message:
    """A message whose columns are still to be looked into. Raises Rejected."""
    with _readable():
        batch = batch_of(value, place.limits)
        names = batch.schema.names
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise Rejected("wrong-type", f"two columns are named {doubled[0]!r}")
        for name in REQUIRED[kind]:
            if name not in names:
                raise Rejected("missing-field", f"there is no column {name!r}")
        _check_claimed(batch)
        return Message(batch, place, len(value or b""))


def blocks_of(kind: Kind, messages: Sequence[Message]) -> list[Block]:
    """The rows of messages of one schema, by model, version and columns.

    Raises Rejected: a message has to be refused. Of several it is not said which, nor whether each
    of them alone would be.
    """
    read = _predictions if kind == "prediction" else _truths
    with _readable():
        batch = joined([message.batch for message in messages])
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        found = read(columns, _origin(messages))
    _check_packed(found, messages)
    return found


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """What Arrow itself cannot read is refused."""
    try:
        yield
    except pa.ArrowException as failure:
        raise Rejected("wrong-type", f"Arrow cannot read a column: {failure}") from None
    except UnicodeError as failure:  # Arrow holds values to UTF-8, but not the schema's names
        raise Rejected("not-utf8", f"a name in the schema: {failure}") from None


def _origin(messages: Sequence[Message]) -> Origin:
    rows = [len(message) for message in messages]
    offsets, record_ms = (
        np.array([getattr(message.place, name) for message in messages], dtype=np.int64)
        for name in ("offset", "record_ms")
    )
    limits = messages[0].place.limits
    return Origin(np.repeat(offsets, rows), np.repeat(record_ms, rows), limits)


def _predictions(columns: Columns, place: Origin) -> list[Block]:
    ids, times_ms = _common(columns, place)
    features, vectors = features_of(columns["features"], place.limits)
    probabilities = optional_group(columns, "probabilities", place.limits)
    segments = optional_group(columns, "segments", place.limits)
    for name in ("request_id", "client"):
        if name in columns:
            values.text(columns[name], name)
    whole = _block(
        "prediction",
        place,
        times_ms,
        features=features,
        prediction=_answer(columns, "prediction", len(ids)),
        score=_floats(columns, "score"),
        weight=_floats(columns, "weight"),
        control_group=_flags(columns),
        probabilities=None if probabilities is None else probabilities.matrix(),
        segments=None if segments is None else segments.columns,
    )
    model = values.names(columns["model"], "model", place.limits)
    version = values.names(columns["version"], "version", place.limits)
    given = [group.there for group in (probabilities, segments) if group is not None]
    shapes = [model.codes, version.codes, *given, *(v.lengths for v in vectors)]
    found = []
    for rows in _alike([shape for shape in shapes if shape is not None]):
        block = _named(_part(whole, rows), ids, rows, model, version)
        if probabilities is not None and not probabilities.there[rows[0]]:
            block = dataclasses.replace(block, probabilities=None)
        if segments is not None and not segments.there[rows[0]]:
            block = dataclasses.replace(block, segments=None)
        if vectors:
            spread = {v.name: v.spread(rows) for v in vectors}
            block = dataclasses.replace(block, features=_in_place(block.features, spread))
        found.append(block)
    return found


def _truths(columns: Columns, place: Origin) -> list[Block]:
    ids, times_ms = _common(columns, place)
    n = len(ids)
    retracted, revision = np.zeros(n, np.bool_), np.zeros(n, np.int64)
    if "retracted" in columns:
        retracted = values.truth_values(columns["retracted"], "retracted")
    if "revision" in columns:
        revision = values.whole(columns["revision"], "revision")
        wrong = (revision < 0) | (revision > MAX_REVISION)
        refuse("number-out-of-range", "revision", wrong, f"is not between 0 and {MAX_REVISION}")
    if "source" in columns:
        values.text(columns["source"], "source")
    label = _answer(columns, "label", n)
    missing = np.isnan(label.numbers) & ~retracted
    if label.codes is not None:
        missing &= label.codes < 0
    refuse("missing-field", "label", missing, "is null and not retracted")
    whole = _block("truth", place, times_ms, label=label, revision=revision, retracted=retracted)
    model = values.names(columns["model"], "model", place.limits)
    nothing = pa.nulls(n)
    version = values.names(columns.get("version", nothing), "version", place.limits, optional=True)
    shapes = [shape for shape in (model.codes, version.codes) if shape is not None]
    return [_named(_part(whole, rows), ids, rows, model, version) for rows in _alike(shapes)]


def _common(columns: Columns, place: Origin) -> tuple[Texts, Ints]:
    ids = values.ids(columns["prediction_id"], "prediction_id", place.limits)
    return ids, values.times(columns["time"], place.record_ms, place.limits)


def _check_claimed(batch: pa.RecordBatch) -> None:
    """Before anything is made of it: a column of nulls takes no bytes in Arrow, and some here."""
    width = sum(max(1, column.type.num_fields) for column in batch.columns)
    if (size := batch.num_rows * 8 * width) > 4 * MAX_PACKED_BYTES:
        raise Rejected("too-many-rows", f"{batch.num_rows} of {width} columns: {size} bytes")


def _check_packed(blocks: Sequence[Block], messages: Sequence[Message]) -> None:
    """All rows of a message for one partition must fit in one message of the internal log."""
    width = 48 + 8 * (max(len(b.features) for b in blocks) + 8)
    most = max(len(m) * width + len(blocks) * m.size for m in messages)
    if most < MAX_PACKED_BYTES:
        return  # certainly: names and words are no longer than the value
    if len(messages) > 1:
        raise Rejected("too-many-rows", "perhaps: each message is to be looked at alone")
    size = encoded_size(Batch("", 0, "", 0, 0, 0, list(blocks)))
    if size > MAX_PACKED_BYTES:
        rows = sum(map(len, blocks))
        raise Rejected("too-many-rows", f"{rows} rows: {size} bytes, at most {MAX_PACKED_BYTES}")


def _block(kind: Kind, place: Origin, times_ms: Ints, **more: object) -> Block:
    """A block of all rows, which belong to no model yet."""
    return Block(
        kind,
        "",
        None,
        place.offsets,
        place.record_ms,
        times_ms,
        np.zeros(len(place), np.uint64),
        **more,  # type: ignore[arg-type]
    )


def _named(block: Block, ids: Texts, rows: Ints, model: Column, version: Column) -> Block:
    """The block of these rows with its model, its version and the hashes of its ids."""
    own = ids if len(rows) == len(ids) else ids.take(rows)
    name = _word(model, rows)
    assert name is not None
    return dataclasses.replace(
        block, model=name, version=_word(version, rows), ids=text_hashes(name, own)
    )


def _part(whole: Block, rows: Ints) -> Block:
    return whole if len(rows) == len(whole) else rows_of(whole, rows)


def _word(column: Column, rows: Ints) -> str | None:
    code = -1 if column.codes is None else int(column.codes[rows[0]])
    return None if code < 0 else column.words[code]


def _alike(shapes: Sequence[np.ndarray]) -> Iterator[Ints]:
    """Rows that agree in all shapes, ascending; the groups in the order they begin."""
    keys = np.zeros(len(shapes[0]), np.int64)
    for shape in shapes:
        if (shape != shape[0]).any():
            _, own = np.unique(shape, return_inverse=True)
            _, keys = np.unique(keys * (own.max() + 1) + own, return_inverse=True)
    if not keys.any():
        yield np.arange(len(keys))
        return
    _, first = np.unique(keys, return_index=True)
    for key in keys[np.sort(first)]:
        yield np.flatnonzero(keys == key)


def _in_place(
    features: Mapping[str, Column], spread: Mapping[str, Mapping[str, Column]]
) -> dict[str, Column]:
    """Features in their order, with each vector's elements where the vector was."""
    found: dict[str, Column] = {}
    for name, column in features.items():
        found |= spread.get(name, {name: column})
    return found


def _answer(columns: Columns, name: str, rows: int) -> Column:
    if name not in columns:
        return Column(np.full(rows, np.nan))
    return values.bounded(values.column(columns[name], name), name)


def _floats(columns: Columns, name: str) -> Floats | None:
    if name not in columns:
        return None
    array = columns[name]
    if not (values.is_number(array.type) or types.is_null(array.type)):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected a number")
    return values.finite(values.column(array, name).numbers, name)


def _flags(columns: Columns) -> Column | None:
    if "control_group" not in columns:
        return None
    array = columns["control_group"]
    if not (types.is_boolean(array.type) or types.is_null(array.type)):
        raise Rejected("wrong-type", f"control_group: {array.type}, expected bool")
    return values.column(array, "control_group")
