"""A chunk read at once is what its records are one by one: rows and refusals, bit for bit."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.batches import Block, batches_of, encode_batch
from stream.batches import reading as module
from stream.batches.gathering import blocks_of
from stream.batches.reading import Raw, Read, read_predictions, read_truths
from stream.batches.shapes import Shapes
from stream.events import Limits, Rejected, decode_prediction, decode_truth
from stream.hashes import id_hash
from tests import malformed
from tests.test_batches import rows_of

NOW_MS = 1_772_442_900_000
LIMITS = Limits(max_bytes=2_000, max_features=6, max_vector=3, max_segments=2, max_name_chars=9)
TORN = [value for _, value in malformed.cases() if len(value) < 3_000][::5]
names = st.sampled_from(["age", "größe", "v", "v[0]", "", "🚗", 'q"\\', "long name!"])
ids = st.sampled_from(["a", "b", "é", "", "\0", "x" * 9, "x" * 10])
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
scalars = st.none() | numbers | st.booleans() | st.sampled_from(["", "yes", "1.5", "\0"])
values = st.one_of(numbers, numbers, scalars, st.lists(numbers, max_size=4))
TIMES: list[Any] = [
    *(NOW_MS / 1000, NOW_MS // 1000, float(NOW_MS), NOW_MS + 0.5, -1, 2**63, -(2**70)),
    *("2026-03-02T09:15:00Z", "2026-03-02T09:15:00.123456+05:30", "2026-03-02T09:15:00"),
    *("1970-01-20T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", "", None, True),
]
times = st.integers(NOW_MS - 10**6, NOW_MS + 10**7) | st.just(NOW_MS) | st.sampled_from(TIMES)
usual = {
    "prediction_id": ids,
    "model": st.sampled_from(["m", "m", "m", "n", ""]),
    "version": st.sampled_from(["1", "1", "1", "2", "\0"]),
    "time": times,
}
extras = {
    "score": st.none() | numbers,
    "prediction": scalars,
    "probabilities": st.none() | st.dictionaries(names, numbers, max_size=3),
    "segments": st.none() | st.dictionaries(names, st.sampled_from(["", "a", "\0"]), max_size=3),
    "weight": st.none() | numbers,
    "control_group": st.none() | st.booleans(),
    "client": st.none() | st.just("c"),
    "else": st.recursive(st.none() | numbers, st.lists, max_leaves=3),
}
features = st.one_of(
    st.fixed_dictionaries({"age": values, "v": numbers}),
    st.fixed_dictionaries({"v": numbers, "age": numbers}),
    st.fixed_dictionaries({"age": numbers, "v": numbers}),
    st.dictionaries(names, values, max_size=8),
)
predictions = st.fixed_dictionaries(usual | {"features": features}, optional=extras)
truths = st.fixed_dictionaries(
    {name: usual[name] for name in ("prediction_id", "model", "time")},
    optional={
        "label": scalars,
        "version": st.none() | usual["version"],
        "source": st.none() | st.just("s"),
        "revision": st.integers(-1, 2**53 + 1) | st.sampled_from([2**64, 1.0, 1.5]),
        "retracted": st.booleans() | st.none(),
        "else": extras["else"],
    },
)


def written(event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def chunks(events: st.SearchStrategy[Any]) -> st.SearchStrategy[list[bytes | None]]:
    """Records of all kinds: good ones mostly, cut ones, torn ones, and what is no JSON at all."""
    good = events.map(written)
    cut = st.builds(lambda raw, at: raw[: at % len(raw)], good, st.integers(0, 10_000))
    torn = st.builds(
        lambda raw, at, junk: raw[: at % len(raw)] + junk + raw[at % len(raw) :],
        good,
        st.integers(0, 10_000),
        st.sampled_from(TORN) | st.binary(max_size=3),
    )
    odd = st.sampled_from([None, b"", b"null", b"{}", b"[]", b" " * 3_000, b"[" * 400])
    return st.lists(st.one_of(good, good, good, good, cut, torn, odd), max_size=14)


def raw_of(values: list[bytes | None], record_ms: int = NOW_MS) -> Raw:
    n = len(values)
    return Raw(np.arange(n) * 3 + 5, np.full(n, record_ms, dtype=np.int64), values)


def alone(raw: Raw, decode: Callable[..., Any]) -> tuple[list[Block], dict[int, Rejected]]:
    """The same, record by record."""
    events, refused = [], {}
    for offset, ms, value in zip(
        raw.offsets.tolist(), raw.record_ms.tolist(), raw.values, strict=True
    ):
        try:
            event = decode(value, None, ms, LIMITS)
            events.append((offset, ms, event, id_hash(event.model, event.prediction_id)))
        except Rejected as error:
            refused[offset] = error
    return blocks_of(events), refused


def told(blocks: list[Block]) -> list[str]:
    """Every row to the last bit, whatever the order of its features."""
    rows = [row for block in blocks for row in rows_of(block)]
    return sorted(
        repr([sorted(x.items()) if isinstance(x, dict) else x for x in row]) for row in rows
    )


def assert_same(found: Read, raw: Raw, decode: Callable[..., Any]) -> None:
    blocks, refused = alone(raw, decode)
    assert told(found.blocks) == told(blocks)
    said = {offset: (error.reason, error.detail) for offset, error in found.rejected.items()}
    assert said == {offset: (error.reason, error.detail) for offset, error in refused.items()}
    assert all((np.diff(block.offsets) > 0).all() for block in found.blocks)


@given(
    st.lists(chunks(predictions), max_size=3), st.sampled_from([NOW_MS, -1, 5]), st.integers(0, 3)
)
@settings(max_examples=150)
def test_predictions_are_the_same_read_at_once_or_alone(
    parts: list[list[bytes | None]], record_ms: int, few: int
) -> None:
    shapes = Shapes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", few)
        patch.setattr(module, "TOGETHER", 1 + few)
        for values in parts:
            raw = raw_of(values, record_ms)
            assert_same(read_predictions(raw, shapes, LIMITS), raw, decode_prediction)


@given(chunks(truths), st.sampled_from([NOW_MS, -1, 5]))
@settings(max_examples=100)
def test_truths_are_the_same_read_at_once_or_alone(
    values: list[bytes | None], record_ms: int
) -> None:
    raw = raw_of(values, record_ms)
    assert_same(read_truths(raw, LIMITS), raw, decode_truth)


@given(chunks(predictions), st.integers(1, 3), st.sampled_from([600, 10**6]))
@settings(max_examples=60)
def test_the_internal_log_gets_the_same_bytes_but_for_the_order_of_blocks(
    values: list[bytes | None], partitions: int, size: int
) -> None:
    raw = raw_of(values)
    found = read_predictions(raw, Shapes(), LIMITS)
    split = batches_of("t", "", 0, found.blocks, (), partitions, size, covered=(0, 99))
    rows = [row for some in split.values() for batch in some for row in told(batch.blocks)]
    assert sorted(rows) == told(found.blocks)
    for partition, some in split.items():
        assert [batch.first for batch in some] == [0, *(batch.last + 1 for batch in some[:-1])]
        for batch in some:
            assert len(encode_batch(batch)) <= size or len(set(told_offsets(batch.blocks))) == 1
            ids = np.concatenate([block.ids for block in batch.blocks])
            assert (ids % np.uint64(partitions) == partition).all()


def told_offsets(blocks: list[Block]) -> list[int]:
    return [int(offset) for block in blocks for offset in block.offsets]


def test_most_records_of_a_model_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise all of the above would hold as well, and nothing be gained."""
    strictly: list[bytes | None] = []

    def counted(value: bytes | None, *rest: Any) -> Any:
        strictly.append(value)
        return decode_prediction(value, *rest)

    monkeypatch.setattr(module, "decode_prediction", counted)
    kinds: list[Callable[[int], Any]] = [
        lambda i: {"x": i, "word": f"w{i % 3}", "none": None},
        lambda i: {"word": f"w{i % 3}", "x": -i / 3, "none": "now" if i % 50 == 0 else None},
        lambda i: {f"f{k}": math.sin(i + k) for k in range(5)},
    ]
    event = {"model": "m", "version": "1", "time": NOW_MS, "score": 0.5, "prediction": 1}
    values: list[bytes | None] = [
        written(event | {"prediction_id": str(i), "features": kinds[i % 3](i)}) for i in range(900)
    ]
    found = read_predictions(raw_of(values), Shapes(), LIMITS)
    assert sum(map(len, found.blocks)) == 900
    assert len(found.blocks) == 2
    assert len(strictly) < 90
