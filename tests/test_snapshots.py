"""stream.snapshots: what goes in comes out, and nothing else does."""

import random
from collections import deque
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river._river_rust.drift import AdaptiveWindowing

from stream import snapshots
from stream.snapshots import Allowed, Corrupt, Identity, StateMismatch, dump, load


class Box:
    """Holds attributes."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)

    def open(self) -> None:
        """A method to hold a bound copy of."""


ALLOWED = Allowed({"Box": Box}, {"AdaptiveWindowing": AdaptiveWindowing})
IDENTITY = Identity("library", "1.0", "Box", {"a": 1})
numbers = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
trees = st.recursive(
    numbers | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def there_and_back(box: Box, fresh: Box | None = None) -> Box:
    found = load(dump(box, IDENTITY, ALLOWED), IDENTITY, fresh or box, ALLOWED)
    assert isinstance(found, Box)
    return found


def seal(body: bytes) -> bytes:
    return snapshots.MAGIC + snapshots._digest(body) + body


def forged(state: Any) -> bytes:
    """A snapshot with a right checksum and right names around any state."""
    return seal(msgspec.msgpack.encode([["library", "1.0", "Box", {"a": 1}], state]))


def windowing() -> Any:
    made = AdaptiveWindowing(
        delta=0.002, clock=32, max_buckets=5, min_window_length=5, grace_period=10
    )
    for i in range(200):
        made.update(float(i % 3))
    return made


@given(st.dictionaries(st.text(), numbers | st.text() | st.binary()))
def test_plain_values_come_back(held: dict[str, Any]) -> None:
    assert vars(there_and_back(Box(**held))) == held


@given(st.lists(st.floats(allow_nan=False) | st.integers(-100, 100)), st.integers(0, 50))
def test_deques_come_back(values: list[float], length: int) -> None:
    found = vars(there_and_back(Box(d=deque(values, length), e=deque(values))))
    assert found["d"] == deque(values, length)
    assert found["d"].maxlen == length
    assert [type(v) for v in found["e"]] == [type(v) for v in values]


def test_generators_compiled_objects_methods_and_numpy_numbers_come_back() -> None:
    box = Box(rng=random.Random(3), w=windowing(), p=np.float64(0.5), inner=Box(x=1))
    box.__dict__["bound"] = box.open
    box.__dict__["rng"].gauss(0, 1)
    found = vars(there_and_back(box))
    assert found["rng"].getstate() == vars(box)["rng"].getstate()
    assert found["w"].get_total() == vars(box)["w"].get_total()
    assert found["p"] == 0.5
    assert found["bound"].__self__.inner.x == 1


def test_what_is_not_listed_is_refused_when_written() -> None:
    shared = Box(x=1)
    loop = Box()
    loop.__dict__["me"] = loop
    deep = Box()
    for _ in range(snapshots.MAX_DEPTH + 2):
        deep = Box(inner=deep)
    for held in (Box(x={1}), Box(x=lambda: 1), Box(x=deque("ab")), Box(a=shared, b=shared)):
        with pytest.raises(TypeError):
            dump(held, IDENTITY, ALLOWED)
    for held in (loop, deep, Box(x=b"0" * snapshots.MAX_BYTES)):
        with pytest.raises(TypeError, match=r"deeper|two places|at most"):
            dump(held, IDENTITY, ALLOWED)


@pytest.mark.parametrize(
    ("field", "identity"),
    [
        ("library", Identity("other", "1.0", "Box", {"a": 1})),
        ("version", Identity("library", "1.1", "Box", {"a": 1})),
        ("kind", Identity("library", "1.0", "Bag", {"a": 1})),
        ("parameters", Identity("library", "1.0", "Box", {"a": 2})),
    ],
)
def test_another_identity_is_a_mismatch_that_names_it(field: str, identity: Identity) -> None:
    data = dump(Box(), IDENTITY, ALLOWED)
    with pytest.raises(StateMismatch, match=f"snapshot's {field} is"):
        load(data, identity, Box(), ALLOWED)


@given(st.binary(max_size=200))
def test_any_bytes_are_corrupt(data: bytes) -> None:
    for bad in (data, snapshots.MAGIC + data, seal(data)):
        with pytest.raises(Corrupt):
            load(bad, IDENTITY, Box(), ALLOWED)


def test_too_many_bytes_are_corrupt_before_they_are_read() -> None:
    with pytest.raises(Corrupt, match="at most"):
        load(seal(b"0" * (snapshots.MAX_BYTES + 1)), IDENTITY, Box(), ALLOWED)


@settings(max_examples=300)
@given(trees)
def test_any_state_under_a_right_checksum_is_corrupt(state: Any) -> None:
    with pytest.raises(Corrupt):
        load(forged(state), IDENTITY, Box(x=1), ALLOWED)


@pytest.mark.parametrize(
    "state",
    [
        ["object", "Bag", {}],
        ["object", "Box", {1: 2}],
        ["object", "Box", {}],
        ["object", "Box", {"x": "word"}],
        ["object", "Box", {"x": ["method", "open"]}],
        ["object", "Box", {"x": ["method", "__dict__"]}],
        ["object", "Box", {"x": ["deque", -1, []]}],
        ["object", "Box", {"x": ["deque", None, b"1234567"]}],
        ["object", "Box", {"x": ["random", 3, b"1234", None]}],
        ["object", "Box", {"x": ["random", 9, b"", None]}],
        ["object", "Box", {"x": ["native", "AdaptiveWindowing", [], b""]}],
        ["object", "Box", {"x": ["native", "AdaptiveWindowing", [0.1, 1, 1, 1, 1], b"zz"]}],
        ["object", "Box", {"x": ["native", "AdaptiveWindowing", [0.1, -1, 1, 1, 1], b"zz"]}],
        ["object", "Box", {"x": ["native", "Box", [], b""]}],
    ],
)
def test_forged_states_are_corrupt_also_where_compiled_code_panics(state: Any) -> None:
    with pytest.raises(Corrupt):
        load(forged(state), IDENTITY, Box(x=1), ALLOWED)


def test_state_nested_for_ever_is_corrupt() -> None:
    node: Any = 1
    for _ in range(200):
        node = ["object", "Box", {"x": node}]
    with pytest.raises(Corrupt, match="deeper"):
        load(forged(node), IDENTITY, Box(x=1), ALLOWED)
    with pytest.raises(Corrupt):
        load(seal(b"\x91" * 100_000), IDENTITY, Box(x=1), ALLOWED)


@pytest.mark.parametrize(
    ("found", "fresh"),
    [
        (Box(x=deque([1], 2)), Box(x=deque([1], 3))),
        (Box(x=random.Random(1)), Box(x=deque())),
        (Box(x=Box(y=1)), Box(x=Box(z=1))),
        (Box(x=Box()), Box(x=1)),
        (Box(x=1, y=1), Box(x=1)),
    ],
)
def test_another_shape_than_a_new_object_is_corrupt(found: Box, fresh: Box) -> None:
    with pytest.raises(Corrupt):
        there_and_back(found, fresh)
