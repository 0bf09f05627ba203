"""Snapshots: the state of a library's object as bytes, without pickle.

A snapshot is `MAGIC`, a blake2b checksum, then a msgpack document: the library, its version, the
class, the parameters it was made with and its state. Checksum, library, version, class and
parameters are checked, in this order, before anything is restored. State is a tree of plain
values and tagged nodes; objects are made only of the classes that the caller lists.
"""

import dataclasses
import hashlib
import random
from collections import deque
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import msgspec
import numpy as np

MAGIC = b"dls1"
DIGEST_BYTES = 16
MAX_BYTES = 8 * 2**20
MAX_DEPTH = 12

_Node = Any  # None, bool, int, float, str, bytes, or [tag, ...]


class Corrupt(ValueError):
    """The bytes are no snapshot, or a damaged one."""


class StateMismatch(ValueError):
    """A sound snapshot of another library version, class or parameters: rebuild the state."""


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """What a state belongs to: a library, its version, a class and its parameters."""

    library: str
    version: str
    kind: str
    parameters: dict[str, Any]


class _Document(msgspec.Struct, frozen=True, array_like=True):
    identity: Identity
    state: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Allowed:
    """What may be restored. objects: classes whose `__dict__` is their state.

    native: classes of compiled code, with `__getstate__` to bytes and `__getnewargs__`.
    """

    objects: Mapping[str, type]
    native: Mapping[str, type]


def dump(obj: object, identity: Identity, allowed: Allowed) -> bytes:
    """The snapshot of an object. Raises TypeError where its state is of a kind not listed."""
    body = msgspec.msgpack.encode(_Document(identity, _Encoder(allowed).encode(obj)))
    if len(body) > MAX_BYTES:
        raise TypeError(f"the state takes {len(body)} bytes: must be at most {MAX_BYTES}")
    return MAGIC + _digest(body) + body


def load(data: bytes, identity: Identity, fresh: object, allowed: Allowed) -> Any:
    """The object of a snapshot, ready to continue.

    fresh: a new object of the same class and parameters; the restored one must have its shape.
    Raises Corrupt or StateMismatch, and nothing else, whatever the bytes.
    """
    document = _open(data)
    for field in Identity.__struct_fields__:
        was, now = getattr(document.identity, field), getattr(identity, field)
        if was != now:
            raise StateMismatch(f"the snapshot's {field} is {was!r}, here it is {now!r}")
    obj = _decode(document.state, allowed)
    _check_shape(obj, fresh, identity.kind)
    return obj


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()


def _open(data: bytes) -> _Document:
    head = len(MAGIC) + DIGEST_BYTES
    if len(data) <= head or not data.startswith(MAGIC):
        raise Corrupt(f"{len(data)} bytes that are no snapshot of format {MAGIC.decode()}")
    if len(data) > head + MAX_BYTES:
        raise Corrupt(f"{len(data)} bytes: must be at most {head + MAX_BYTES}")
    if _digest(data[head:]) != data[len(MAGIC) : head]:
        raise Corrupt("the checksum does not match")
    try:
        return msgspec.msgpack.decode(data[head:], type=_Document)
    except (msgspec.MsgspecError, RecursionError, ValueError) as e:
        raise Corrupt(f"no snapshot document: {e}") from e


class _Encoder:
    """Walks an object's state. No part may be met twice: aliases would come back as copies."""

    def __init__(self, allowed: Allowed) -> None:
        self._objects = {kind: name for name, kind in allowed.objects.items()}
        self._native = {kind: name for name, kind in allowed.native.items()}
        self._seen: dict[int, object] = {}

    def encode(self, value: Any, depth: int = 0, owner: object = None) -> _Node:
        if isinstance(value, np.generic):
            return value.item()
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return value
        if depth > MAX_DEPTH:
            raise TypeError(f"state nested deeper than {MAX_DEPTH}")
        if getattr(value, "__self__", None) is owner is not None:
            return ["method", value.__name__]
        if id(value) in self._seen:
            raise TypeError(f"one {type(value).__name__} is held in two places")
        self._seen[id(value)] = value
        return self._encode_part(value, depth)

    def _encode_part(self, value: Any, depth: int) -> _Node:
        kind = type(value)
        if kind in self._native:
            state = bytes(value.__getstate__())
            return ["native", self._native[kind], list(value.__getnewargs__()), state]
        if kind in self._objects:
            held = {k: self.encode(v, depth + 1, value) for k, v in vars(value).items()}
            return ["object", self._objects[kind], held]
        if kind is random.Random:
            return _encode_random(value)
        if kind is deque:
            return ["deque", value.maxlen, _encode_row(list(value))]
        raise TypeError(f"a {kind.__name__} in the state: not a kind that snapshots know")


def _encode_row(values: list[Any]) -> _Node:
    if all(type(v) is float for v in values):
        return np.array(values, dtype="<f8").tobytes()
    if not all(type(v) is float or type(v) is int for v in values):
        raise TypeError("a deque in the state holds other things than numbers")
    return values


def _encode_random(rng: random.Random) -> _Node:
    version, words, gauss = rng.getstate()
    return ["random", version, np.array(words, dtype="<u4").tobytes(), gauss]


def _decode(node: _Node, allowed: Allowed, owner: object = None, depth: int = 0) -> Any:
    if not isinstance(node, list):
        return node
    if depth > MAX_DEPTH:
        raise Corrupt(f"state nested deeper than {MAX_DEPTH}")
    match node:
        case ["method", str(name)] if callable(getattr(type(owner), name, None)):
            return getattr(owner, name)
        case ["object", str(name), dict(held)] if name in allowed.objects:
            return _decode_object(allowed.objects[name], held, allowed, depth)
        case ["native", str(name), list(arguments), bytes(state)] if name in allowed.native:
            return _guarded(lambda: _decode_native(allowed.native[name], arguments, state))
        case ["random", int(version), bytes(words), None | float() as gauss]:
            return _guarded(lambda: _decode_random(version, words, gauss))
        case ["deque", None | int() as length, bytes() | list() as row]:
            return _guarded(lambda: deque(_decode_row(row), length))
    raise Corrupt(f"a node {str(node)[:60]} that is not allowed")


def _decode_object(kind: Any, held: dict[Any, Any], allowed: Allowed, depth: int) -> Any:
    obj = kind.__new__(kind)
    for name, node in held.items():
        if not isinstance(name, str):
            raise Corrupt(f"an attribute of {kind.__name__} is named {name!r}")
        obj.__dict__[name] = _decode(node, allowed, obj, depth + 1)
    return obj


def _decode_native(kind: type, arguments: list[Any], state: bytes) -> Any:
    obj: Any = kind(*arguments)
    obj.__setstate__(state)
    if bytes(obj.__getstate__()) != state:
        raise ValueError(f"not the state of a {kind.__name__}")
    return obj


def _decode_random(version: int, words: bytes, gauss: float | None) -> random.Random:
    rng = random.Random(0)
    rng.setstate((version, tuple(np.frombuffer(words, dtype="<u4").tolist()), gauss))
    return rng


def _decode_row(row: bytes | list[Any]) -> list[Any]:
    return np.frombuffer(row, dtype="<f8").tolist() if isinstance(row, bytes) else row


def _guarded(make: Callable[[], Any]) -> Any:
    """Compiled code panics on garbage with a BaseException of its own: it becomes Corrupt."""
    try:
        return make()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as e:  # noqa: BLE001
        raise Corrupt(f"the state cannot be restored: {type(e).__name__}: {e}") from None


def _check_shape(found: Any, fresh: Any, where: str) -> None:
    """The same classes and attribute names, at any depth; numbers and None stand for each other."""
    plain = (type(None), bool, int, float)
    if isinstance(fresh, plain) and isinstance(found, plain):
        return
    if type(found) is not type(fresh):
        raise Corrupt(f"{where} is a {type(found).__name__}, not a {type(fresh).__name__}")
    if isinstance(found, MethodType):
        same = found.__name__ == fresh.__name__
    elif isinstance(found, deque):
        same = found.maxlen == fresh.maxlen and all(isinstance(v, int | float) for v in found)
    else:
        same = getattr(found, "__dict__", {}).keys() == getattr(fresh, "__dict__", {}).keys()
    if not same:
        raise Corrupt(f"{where} is not what a new {type(fresh).__name__} looks like")
    for name, part in getattr(found, "__dict__", {}).items():
        if not isinstance(found, MethodType):
            _check_shape(part, vars(fresh)[name], f"{where}.{name}")
