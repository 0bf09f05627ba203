"""Shapes: what one prediction had, as a typed decoder for those that follow.

Models send the same features again and again, and the same fields beside them. A decoder that knows
their names and kinds reads a record in half the time of one that takes any, and what it accepts
needs no look at its types.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from stream.events import FeatureValue, Prediction, Scalar
from stream.events.decode import Time

Kind = Literal["number", "word", "any"]
Names = tuple[str, ...]
Decode = Callable[[bytes], Any]
MOST_SHAPES = 64  # remembered; past it all are forgotten and the usual ones learned again
_TYPES: dict[Kind, Any] = {
    "number": float | None,
    "word": str | None,
    "any": float | str | bool | None,
}
GROUPS = {"probabilities", "segments"}
_OPTIONAL: dict[str, Any] = {
    "prediction": Scalar,
    "score": float | None,
    "probabilities": dict[str, float] | None,
    "segments": dict[str, str] | None,
    "weight": float | None,
    "request_id": str | None,
    "control_group": bool | None,
    "client": str | None,
}


class _Truth(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """`Truth` as it is on the wire, without any key that is not known."""

    prediction_id: str
    model: str
    time: Time
    label: Scalar = None
    version: str | None = None
    source: str | None = None
    revision: int = 0
    retracted: bool = False


decode_plain_truth: Decode = msgspec.json.Decoder(_Truth).decode
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Names of features in the order of their keys, and the kind of each. None is a list.

    fields: which of the optional fields there are beside them, in the order of `Prediction`; both
    of GROUPS or none.
    decode: reads records of exactly these features and of no other fields; the result has the
    attributes of `Prediction`, as far as they are among them, with the features as a struct in this
    order. Raises what msgspec raises for all others.
    """

    names: Names
    kinds: tuple[Kind, ...]
    fields: Names
    decode: Decode

    @property
    def numeric(self) -> bool:
        """Whether every feature is a number or missing."""
        return all(kind == "number" for kind in self.kinds)

    @property
    def grouped(self) -> bool:
        """Whether there may be probabilities or segments."""
        return "segments" in self.fields


class Shapes:
    """Shapes by names: kinds only widen and fields only join, so that each name settles."""

    def __init__(self) -> None:
        self._known: dict[Names, Shape] = {}

    def learn(self, value: bytes, event: Prediction) -> Shape | None:
        """The shape of a prediction and of those before it with the same names.

        value: what it was decoded from. None where a feature is a list, or its name one that JSON
        has to escape.
        """
        names = tuple(event.features)
        if any(isinstance(value, list) for value in event.features.values()):
            return None
        if names not in self._known and not all(map(_is_plain, names)):
            return None
        known, kinds, fields = self._known.get(names), _kinds(event.features), _fields(value)
        if known is not None:
            kinds = tuple(map(_wider, known.kinds, kinds))
            fields = tuple(name for name in _OPTIONAL if name in known.fields or name in fields)
        if known is None or (kinds, fields) != (known.kinds, known.fields):
            if len(self._known) >= MOST_SHAPES:
                self._known.clear()
            known = Shape(names, kinds, fields, _decoder(names, kinds, fields))
            self._known[names] = known
        return known


def _is_plain(name: str) -> bool:
    """Whether msgspec takes it as the name of a field."""
    return msgspec.json.encode(name) == f'"{name}"'.encode()


def _kinds(features: Mapping[str, FeatureValue]) -> tuple[Kind, ...]:
    return tuple(map(_kind, features.values()))


def _kind(value: FeatureValue) -> Kind:
    if isinstance(value, bool):
        return "any"
    return "word" if isinstance(value, str) else "number"  # what is missing is mostly a number


def _fields(value: bytes) -> Names:
    keys = set(_keys(value))  # also of what is null
    if keys & GROUPS:
        keys |= GROUPS
    return tuple(name for name in _OPTIONAL if name in keys)


def _wider(one: Kind, other: Kind) -> Kind:
    return one if one == other else "any"


def _decoder(names: Names, kinds: tuple[Kind, ...], fields: Names) -> Decode:
    own: list[Any] = [
        (f"f{i}", _TYPES[kind], msgspec.field(name=name))
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    features = msgspec.defstruct("Features", own, forbid_unknown_fields=True, gc=False)
    needed: list[Any] = [
        ("prediction_id", str),
        ("model", str),
        ("version", str),
        ("time", Time),
        ("features", features),
    ]
    given: list[Any] = [(name, _OPTIONAL[name], None) for name in fields]
    wire = msgspec.defstruct("Wire", needed + given, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(wire).decode
