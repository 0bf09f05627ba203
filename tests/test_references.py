import random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.columns import column_of
from stream.events import Limits, decode_control
from stream.parts import Parts
from stream.references import Reference

RNG = np.random.default_rng(1)
FEATURES = {
    "age": column_of(RNG.normal(40, 12, 500)),
    "miles": column_of(RNG.lognormal(3, 2, 3_000)[:500]),
    "brakes": column_of([0, 1] * 250),
    "colour": column_of(["red", "green", None, "blue", True] * 100),
    "nothing": column_of([None] * 500),
}


def reference() -> Reference:
    return Reference.build(
        "m",
        "1",
        FEATURES,
        prediction=column_of(["a", "b"] * 250),
        confidence=RNG.uniform(0.5, 1, 500),
        quality={"accuracy": 0.9},
    )


def test_bytes_give_the_same_reference() -> None:
    r = reference()
    again = Reference.from_bytes(r.to_bytes())
    assert again.id == r.id
    assert again.document() == r.document()
    assert len(r.id) == 32


def test_kinds_and_task_are_guessed_and_can_be_overridden() -> None:
    r = reference()
    kinds = {n: f.kind for n, f in r.features.items()}
    assert kinds == {
        "age": "number",
        "miles": "number",
        "brakes": "category",
        "colour": "category",
        "nothing": "number",
    }
    assert (r.task, r.outputs["prediction"].kind) == ("classification", "category")
    other = Reference.build("m", "1", FEATURES, numeric={"brakes"}, categorical={"age"})
    assert other.features["brakes"].kind == "number"
    assert other.features["age"].kind == "category"


def test_the_id_depends_on_model_version_and_content() -> None:
    ids = {
        Reference.build(m, v, f).id
        for m in "ab"
        for v in "12"
        for f in (FEATURES, {"age": FEATURES["age"]})
    }
    assert len(ids) == 8


@given(st.integers(1, 200_000), st.randoms())
def test_parts_come_in_any_order_and_more_than_once(size: int, order: random.Random) -> None:
    r = reference()
    events = [msgspec.json.decode(msgspec.json.encode(e)) for e in r.to_parts(size, time=5)]
    shuffled = events[1:] * 2
    order.shuffle(shuffled)
    parts = Parts()
    for event in shuffled:
        assert parts.add(event) is None
        parts = Parts.from_bytes(parts.to_bytes())
    whole = parts.add(events[0])
    assert whole is not None
    assert whole.id == r.id
    assert len(parts) == 0


def test_a_changed_part_is_refused() -> None:
    (event,) = reference().to_parts(10_000_000)
    event["quality"] = {"accuracy": 0.1}
    with pytest.raises(ValueError, match="its content has the id"):
        Parts().add(event)


def test_raw_values_are_summarised() -> None:
    event = {
        "model": "m",
        "version": "1",
        "features": {"age": {"values": [1.5, 2.5, None]}, "c": {"values": ["x", "y"]}},
    }
    r = Parts().add(event)
    assert r is not None
    assert r.features["age"].edges.tolist() == [1.5, 2.5]
    assert r.features["age"].missing == 1
    assert r.features["c"].names == ("x", "y")
    assert r.rows == 3


def test_raw_outputs_have_the_kinds_of_their_task() -> None:
    outputs = {"prediction": {"values": [1, 2]}, "confidence": {"values": [0, 1]}}
    event = {"model": "m", "version": "1", "outputs": outputs}
    kinds = {}
    for task in ("auto", "classification", "regression"):
        r = Parts().add(event | {"task": task})
        assert r is not None
        kinds[task] = (r.task, r.outputs["prediction"].kind, r.outputs["confidence"].kind)
    assert kinds == {
        "auto": ("classification", "category", "number"),
        "classification": ("classification", "category", "number"),
        "regression": ("regression", "number", "number"),
    }


def test_parts_pass_through_the_decoder() -> None:
    r = reference()
    parts = Parts()
    found = None
    for event in r.to_parts(2_000, time=0):
        decoded = decode_control(msgspec.json.encode(event), None, 0, Limits())
        found = parts.add(msgspec.to_builtins(decoded))
    assert found is not None
    assert found.id == r.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": 1},
        {"part": 3, "parts": 2},
        {"parts": 10**9},
        {"features": {"x": {"kind": "number", "counts": [1], "edges": [1.0]}}},
        {"features": {"x": {"kind": "number", "counts": [0] * 8, "edges": [2.0, 1.0]}}},
        {"features": {"x": {"kind": "category", "counts": [1, -1, 0], "names": ["a"]}}},
        {"features": {"x": {"kind": "category", "counts": [2**70, 1, 0], "names": ["a"]}}},
        {"features": {"x": {"values": "text"}}},
        {"features": {"x": {"values": [[1]]}}},
        {"features": {"x": {"values": [1], "kind": []}}},
        {"features": {"x": {"values": [10**400]}}},
        {"features": {"x": 1}},
    ],
)
def test_a_malformed_part_is_a_value_error(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="reference"):
        Parts().add({"model": "m", "version": "1"} | wrong)


def test_incomplete_references_are_bounded() -> None:
    parts = Parts()
    for i in range(50):
        parts.add({"model": "m", "version": str(i), "part": 0, "parts": 2})
    assert len(parts) == 8


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error(data: bytes) -> None:
    for read in (Reference.from_bytes, Parts.from_bytes):
        with pytest.raises(ValueError, match="reference"):
            read(data)


def test_truncated_or_changed_bytes_are_a_value_error() -> None:
    data = reference().to_bytes()
    for wrong in (data[:-1], data[:100], data[:500] + b"x" + data[501:]):
        with pytest.raises(ValueError, match="reference"):
            Reference.from_bytes(wrong)
