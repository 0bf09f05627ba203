"""What goes into a batch comes out of it, in one piece, in the right place and in order."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.batches import Batch, Block, batches_of, decode_batch, encode_batch, encoded_size, wire
from stream.batches.gathering import spread
from stream.batches.packing import pack
from stream.batches.tables import RUN
from stream.columns import Column, column_of
from stream.events import Prediction, Truth
from stream.hashes import id_hash

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
NAMES = st.sampled_from(["age", "größe", "v", "v[0]", "", "🚗"])
MODELS = st.sampled_from(["claims", "premium"])
IDS = st.sampled_from([f"p{i}" for i in range(20)])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | NUMBERS | st.booleans() | WORDS
VALUES = SCALARS | st.lists(NUMBERS, max_size=3)
MS = st.integers(0, 2**47)
predictions = st.builds(
    Prediction, IDS, MODELS, st.sampled_from(["1", "2"]), MS,
    st.dictionaries(NAMES, VALUES, max_size=3), SCALARS, st.none() | NUMBERS,
    st.none() | st.dictionaries(NAMES, NUMBERS, max_size=2),
    st.none() | st.dictionaries(NAMES, WORDS, max_size=2),
    st.none() | NUMBERS, st.none(), st.none() | st.booleans(),
)  # fmt: skip
truths = st.builds(Truth, IDS, MODELS, MS, SCALARS, st.none() | WORDS, st.none(),
                   st.integers(0, 2**53), st.booleans())  # fmt: skip
rows = st.lists(
    st.tuples(st.integers(0, 30), st.integers(-1, 2**47), predictions | truths), max_size=12
).map(lambda found: sorted(found, key=lambda r: r[0]))
controls = st.lists(st.tuples(st.integers(0, 30), MS, st.binary(max_size=20)), max_size=2).map(
    lambda found: sorted(found, key=lambda c: c[0])
)


def split(rows: Any, controls: Any = (), n: int = 1, size: int = 10**6, **more: Any) -> Any:
    return batches_of("driftline.predictions", "topic-id", 3, rows, controls, n, size, **more)


def value_at(column: Column, i: int) -> object:
    if column.codes is not None and column.codes[i] >= 0:
        return column.words[column.codes[i]]
    x = float(column.numbers[i])
    return None if x != x else x


def plain(value: object) -> object:
    """A value as a column keeps it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def number_at(numbers: Any, i: int) -> float | None:
    return None if numbers is None or np.isnan(numbers[i]) else float(numbers[i])


def rows_of(block: Block) -> list[tuple[Any, ...]]:
    """The rows of a block, written in full."""
    found: list[tuple[Any, ...]] = []
    for i in range(len(block)):
        head = (int(block.offsets[i]), int(block.record_ms[i]), int(block.ids[i]), block.kind,
                block.model, block.version, int(block.times_ms[i]))  # fmt: skip
        rest = truth_at(block, i) if block.kind == "truth" else prediction_at(block, i)
        found.append((*head, *rest))
    return found


def truth_at(b: Block, i: int) -> tuple[Any, ...]:
    assert b.label is not None
    assert b.revision is not None
    assert b.retracted is not None
    return (value_at(b.label, i), int(b.revision[i]), bool(b.retracted[i]))


def prediction_at(b: Block, i: int) -> tuple[Any, ...]:
    assert b.prediction is not None
    classes, p = b.probabilities or ((), np.empty((len(b), 0)))
    return (
        {n: value_at(c, i) for n, c in b.features.items()},
        value_at(b.prediction, i),
        number_at(b.score, i),
        dict(zip(classes, p[i].tolist(), strict=True)),
        {n: value_at(c, i) for n, c in (b.segments or {}).items()},
        number_at(b.weight, i),
        None if b.control_group is None else value_at(b.control_group, i),
    )


def expected(offset: int, record_ms: int, e: Prediction | Truth) -> tuple[Any, ...]:
    kind = "truth" if isinstance(e, Truth) else "prediction"
    hashed = id_hash(e.model, e.prediction_id)
    head = (offset, record_ms, hashed, kind, e.model, e.version, e.time)
    if isinstance(e, Truth):
        return (*head, plain(e.label), e.revision, e.retracted)
    features = {n: plain(v) for n, v in spread(e.features).items()}
    groups = (e.probabilities or {}, e.segments or {})
    answer, control = plain(e.prediction), plain(e.control_group)
    return (*head, features, answer, e.score, *groups, e.weight, control)


def in_order(found: list[tuple[Any, ...]]) -> list[str]:
    return sorted(map(repr, found))


@given(rows, controls, st.integers(1, 4), st.sampled_from([0, 900, 3_000, 10**6]))
@settings(max_examples=200)
def test_every_row_arrives_once_in_its_partition(
    rows: Any, controls: Any, n: int, size: int
) -> None:
    found = split(rows, controls, n, size)
    for partition, batches in found.items():
        read = [decode_batch(encode_batch(b)) for b in batches]
        mine = [r for r in rows if id_hash(r[2].model, r[2].prediction_id) % n == partition]
        arrived = [row for b in read for block in b.blocks for row in rows_of(block)]
        assert in_order(arrived) == in_order([expected(*r) for r in mine])
        assert [c for b in read for c in b.control] == controls
    hashes = {id_hash(r[2].model, r[2].prediction_id) % n for r in rows}
    assert set(found) == (set(range(n)) if controls else hashes)


@given(rows, controls, st.sampled_from([0, 900, 3_000]))
def test_batches_fit_and_never_split_an_offset(rows: Any, controls: Any, size: int) -> None:
    for batches in split(rows, controls, 2, size, covered=(0, 40)).values():
        ends = [-1] + [b.last for b in batches]
        assert [b.first - 1 for b in batches] == ends[:-1]
        assert ends[-1] == 40
        for b in batches:
            inside = {int(o) for block in b.blocks for o in block.offsets} | {
                c[0] for c in b.control
            }
            assert all(b.first <= o <= b.last for o in inside)
            assert len(encode_batch(b)) <= size or len(inside) == 1
            times = [int(t) for k in b.blocks for t in k.record_ms] + [c[1] for c in b.control]
            assert b.record_ms == max(times)


@given(rows)
def test_rows_of_a_block_are_in_order_of_offset(rows: Any) -> None:
    for batches in split(list(reversed(rows)), n=2).values():
        for block in batches[0].blocks:
            assert (np.diff(block.offsets) >= 0).all()


@given(rows, controls)
def test_the_size_is_known_beforehand_and_bytes_are_stable(rows: Any, controls: Any) -> None:
    for batches in split(rows, controls, 2).values():
        for b in batches:
            value = encode_batch(b)
            assert encoded_size(b) == len(value)
            assert encode_batch(decode_batch(value)) == value


def numbers_only(count: int, models: int = 1) -> list[tuple[int, int, Prediction]]:
    features: Any = {f"f{i}": float(i) for i in range(20)}
    return [
        (i, 1_000 + i, Prediction(f"p{i}", f"m{i % models}", "1", i, features, 0.5))
        for i in range(count)
    ]


def test_one_message_carries_many_models() -> None:
    (batch,) = split(numbers_only(100, models=50))[0]
    assert sorted(b.model for b in batch.blocks) == sorted(f"m{i}" for i in range(50))
    read = decode_batch(encode_batch(batch))
    assert [len(b) for b in read.blocks] == [2] * 50


def test_without_rows_there_is_no_batch() -> None:
    assert split([]) == {}


def test_what_is_rejected_is_still_covered() -> None:
    (batch,) = split(numbers_only(3), covered=(-2, 9))[0]
    assert (batch.first, batch.last) == (-2, 9)
    (batch,) = split(numbers_only(3))[0]
    assert (batch.first, batch.last) == (0, 2)


def test_marks_and_the_number_of_source_partitions_travel_too() -> None:
    (batch,) = split(numbers_only(3))[0]
    told = dataclasses.replace(batch, partitions=7, marks=(("truth", "m", "", 5, -1),))
    assert decode_batch(encode_batch(told)).marks == told.marks
    assert decode_batch(encode_batch(told)).partitions == 7


def test_a_column_without_words_has_no_codes() -> None:
    (batch,) = split(numbers_only(3))[0]
    read = decode_batch(encode_batch(batch)).blocks[0]
    assert all(c.codes is None for c in read.features.values())
    assert read.score is None
    assert not read.features["f0"].numbers.flags.writeable


@pytest.mark.parametrize("count", [3, 127, 128, 129, 32_767, 32_768, 32_769])
def test_words_of_any_number(count: int) -> None:
    words = [f"w{i}" for i in range(count)]
    event = Prediction("p", "m", "1", 0, {})
    rows = [
        (i, 0, Prediction("p", "m", "1", 0, {"w": w}, event.prediction))
        for i, w in enumerate(words)
    ]
    (batch,) = split(rows, size=2**30)[0]
    column = decode_batch(encode_batch(batch)).blocks[0].features["w"]
    assert column.names() == words
    assert column.codes is not None
    assert column.codes.dtype == np.int32


def test_a_block_of_no_rows() -> None:
    none = np.empty(0, dtype=np.int64)
    empty = Block("prediction", "m", "1", none, none, none, none.view(np.uint64),
                  {"x": column_of([]), "w": Column(np.empty(0), np.empty(0, np.int32), ("a",))},
                  column_of([]))  # fmt: skip
    batch = Batch("t", 0, "id", 5, 9, -1, [empty])
    read = decode_batch(encode_batch(batch))
    assert (len(read.blocks[0]), list(read.blocks[0].features)) == (0, ["x", "w"])


# -- bytes that are no batch


def whole() -> bytes:
    rows: list[Any] = [*numbers_only(5), (6, 0, Truth("p0", "m0", 7, "yes"))]
    (batch,) = split(rows, [(7, 0, b"{}")])[0]
    return encode_batch(batch)


@pytest.mark.parametrize("value", [b"", b"DLB1", b"{}" * 20, bytes(64), b"ARROW1\0\0" * 9])
def test_foreign_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a batch|damaged"):
        decode_batch(value)


def test_truncated_batches_are_refused() -> None:
    value = whole()
    for length in range(len(value)):
        with pytest.raises(ValueError, match="batch"):
            decode_batch(value[:length])
    with pytest.raises(ValueError, match="batch"):
        decode_batch(value + b"\0")


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_flipped_bit_is_found(place: int, bit: int) -> None:
    value = bytearray(whole())
    value[place % len(value)] ^= 1 << bit
    with pytest.raises(ValueError, match="batch"):
        decode_batch(bytes(value))


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1))
def test_bytes_with_a_right_checksum_are_refused_too(body: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="batch"):
        decode_batch(pack(body, []))


def test_arrays_that_are_missing_are_refused() -> None:
    (batch,) = split(numbers_only(5))[0]
    header, arrays = wire._parts(batch)
    for wrong in (arrays[:-1], [*arrays, arrays[0]], []):
        with pytest.raises(ValueError, match="batch"):
            decode_batch(pack(header, wrong))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 4), st.booleans())
def test_tables_are_divided_like_their_rows(sizes: list[int], partitions: int, alone: bool) -> None:
    """Blocks of one record each; those of models that are not joined stay whole."""
    blocks = []
    for offset, size in enumerate(sizes):
        ids = np.random.default_rng(offset).integers(0, 2**64, size, dtype=np.uint64)
        words = Column(np.full(size, np.nan), (np.arange(size) % 3).astype(np.int32), tuple("abc"))
        own = np.full(size, offset, np.int64)
        numbers = Column(np.arange(size).astype(np.float64))
        columns = {"x": numbers, "w": words}
        blocks.append(Block("prediction", "m", "1", own, own, own, ids, columns, prediction=words))
    split = batches_of("t", "", 0, blocks, (), partitions, 10**6, joined=lambda _: not alone)
    found = []
    for partition, batches in split.items():
        for block in (block for batch in batches for block in batch.blocks):
            assert (np.diff(block.offsets) >= 0).all()
            places = block.offsets // RUN if alone else block.ids
            assert (places.astype(np.uint64) % np.uint64(partitions) == partition).all()
            named = zip(block.features["w"].names(), block.prediction.names(), strict=True)  # type: ignore[union-attr]
            told = zip(block.offsets, block.ids, block.features["x"].numbers, named, strict=True)
            found += [(int(o), int(i), float(x), *w) for o, i, x, w in told]
    expected = [
        (int(o), int(i), float(x), "abc"[int(x) % 3], "abc"[int(x) % 3])
        for b in blocks
        for o, i, x in zip(b.offsets, b.ids, b.features["x"].numbers, strict=True)
    ]
    assert sorted(found) == sorted(expected)
    assert all(len(batch.blocks) == 1 for batches in split.values() for batch in batches)


@given(st.integers(1, 200), st.integers(0, 3), st.text(max_size=9), st.data())
def test_the_bound_on_a_batchs_size_holds(
    rows: int, words: int, name: str, data: st.DataObject
) -> None:
    size = np.arange(rows)
    known = tuple(data.draw(st.text(max_size=5)) + str(i) for i in range(words))
    codes = (size % words).astype(np.int32) if words else None
    columns = {
        name: Column(size.astype(np.float64), codes, known),
        "x": Column(size.astype(np.float64)),
    }
    block = Block("prediction", name, "1", size, size, size, size.astype(np.uint64), columns)
    batch = Batch(name, 0, "id", 0, 1, 2, [block, block], [(0, 1, name.encode())])
    assert encoded_size(batch) <= wire.most_size(batch)
