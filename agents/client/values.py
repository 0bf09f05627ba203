"""Values: what a call gives as the JSON that is sent, or BadEvent."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

PLAIN = frozenset({float, int, str, bool, type(None), list, tuple})


class BadEvent(ValueError):
    """A value that Driftline would not take. reason: a key of `stream.events.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def renumbered(detail: str, first: int) -> str:
    """A row of one message as the row of the call."""
    return re.sub(r"\brow (\d+)", lambda row: f"row {int(row[1]) + first}", detail)


def encoded(document: dict[str, Any]) -> bytes:
    """As JSON, without fields that are None. NaN is null there; an infinity is refused."""
    try:
        value = _encoder.encode({k: x for k, x in document.items() if x is not None})
    except BadEvent:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadEvent("wrong-type", str(error)) from None
    if b"null" in value:
        _check_finite(document, "")
    return value


def _check_finite(value: Any, name: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_finite(inner, name)
    elif isinstance(value, float) and math.isinf(value):
        raise BadEvent("number-out-of-range", f"{name} is infinite")


def features_of(features: Mapping[str, Any]) -> dict[str, Any]:
    """As a dictionary of what JSON knows. Raises BadEvent: msgspec would make words of others."""
    return {k: v if type(v) in PLAIN else plain(v) for k, v in dict(features).items()}


def plain(value: Any) -> Any:
    """Numpy's scalars and arrays, and decimals, as what JSON knows. Raises BadEvent."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Decimal):
        return float(value)
    for name in ("tolist", "item"):
        if hasattr(value, name):
            found = getattr(value, name)()
            _check_finite(found, "a value")
            return found
    raise BadEvent("wrong-type", f"{type(value).__name__} cannot be a value")


def _hook(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else plain(value)


_encoder = msgspec.json.Encoder(enc_hook=_hook)
