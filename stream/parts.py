"""Parts: a reference that comes in several control events, put together again."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import msgspec

from stream import calibrations, segments
from stream.references import Event, Reference, seal, unseal

MAX_PARTS = 10_000
MAX_INCOMPLETE = 8  # references being received at once; the oldest goes first


class Parts:
    """Collects the events of `Reference.to_parts`: in any order, twice or more, several at once."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[int, dict[str, Any]]] = {}

    def add(self, event: Mapping[str, Any]) -> Reference | None:
        """The reference that this event completes, or None while parts are missing.

        Raises ValueError where a part is malformed, or the whole is not what its id says.
        """
        try:
            e = msgspec.convert(event, Event)
        except msgspec.ValidationError as error:
            raise ValueError(f"reference: {error}") from None
        if not (1 <= e.parts <= MAX_PARTS and 0 <= e.part < e.parts):
            raise ValueError(f"reference: part {e.part} of {e.parts} (at most {MAX_PARTS})")
        key = f"{e.model}\0{e.version}\0{e.reference_id}\0{e.parts}"
        parts = self._seen.setdefault(key, {})
        parts[e.part] = dict(event)
        if len(parts) < e.parts:
            self._forget_oldest()
            return None
        del self._seen[key]
        return _whole([parts[i] for i in range(e.parts)], e.reference_id)

    def _forget_oldest(self) -> None:
        while len(self._seen) > MAX_INCOMPLETE:
            del self._seen[next(iter(self._seen))]

    def __len__(self) -> int:
        """How many references are incomplete."""
        return len(self._seen)

    def to_bytes(self) -> bytes:
        """The parts so far, in a checked envelope."""
        return seal({k: list(parts.values()) for k, parts in self._seen.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises ValueError where the bytes are not whole."""
        found = cls()
        for key, events in unseal(data).items():
            found._seen[key] = {e.get("part", 0): e for e in events}
        return found


def _whole(events: list[dict[str, Any]], claimed: str) -> Reference:
    features = _united(events, "features")
    given = calibrations.whole(events) | segments.whole(events)
    given |= {name: own for name in ("weights", "wholes") if (own := _united(events, name))}
    reference = Reference.from_document(events[0] | {"features": features} | given)
    raw = any("values" in d for d in [*features.values(), *events[0].get("outputs", {}).values()])
    if claimed and not raw and reference.id != claimed:
        raise ValueError(f"reference {claimed}: its content has the id {reference.id}")
    return reference


def _united(events: Iterable[Mapping[str, Any]], section: str) -> dict[str, Any]:
    """A section that the events of a reference share out among them."""
    found: dict[str, Any] = {}
    for event in events:
        found |= event.get(section) or {}
    return found
