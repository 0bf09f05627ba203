"""Segments: groups of rows, such as those of a site, each compared with a reference of its own.

A segment is a name and a value, as predictions give them. Which values are counted by name follows
from the reference alone, as with categories: counts merge in any order. All others are one.
"""

import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stream.settings import ModelSettings

if TYPE_CHECKING:
    from stream.references import Reference

Key = tuple[str, str]  # name and value
EDGES = 64  # of a number in the reference of a segment
WHOLE = 0.5  # of the budget, for the model as a whole; its segments share the rest
OWN = (
    "task",
    "rows",
    "outputs",
    "quality",
    "calibration",
    "odds",
)  # of a segment, beside its features


def called(key: Key) -> str:
    """A segment in words.

    >>> called(("site", "Lyon"))
    'site=Lyon'
    """
    return f"{key[0]}={key[1]}"


def cause_of(role: str, key: Key) -> str:
    """What the alerts of a segment are called by; no two segments share it.

    >>> cause_of("input", ("site", "a=b"))
    'segment-input:site=a%3Db'
    """
    name, value = (urllib.parse.quote(part, safe=" ") for part in key)
    return f"segment-{role}:{name}={value}"


def watched(reference: "Reference | None", settings: ModelSettings) -> "dict[Key, Reference]":
    """The segments of a reference that the settings name, in order."""
    known = reference.segments if reference is not None else {}
    return {key: own for key, own in known.items() if key[0] in settings.segments}


def part_of_whole(reference: "Reference | None", settings: ModelSettings) -> float:
    """The share of the budget that segments leave to the model as a whole."""
    return WHOLE if watched(reference, settings) else 1.0


def part_of_each(reference: "Reference", settings: ModelSettings) -> float:
    """The share of the budget that each segment has, whether it has rows or not."""
    return (1.0 - WHOLE) / max(1, len(watched(reference, settings)))


def document(reference: "Reference") -> dict[str, Any]:
    """The segments of a reference as plain values; nothing where it has none."""
    if not reference.dimensions:
        return {}
    told = [_told(key, own) for key, own in sorted(reference.segments.items())]
    dimensions = {name: f.document() for name, f in reference.dimensions.items()}
    return {"dimensions": dimensions, "segments": told}


def _told(key: Key, own: "Reference") -> dict[str, Any]:
    found = own.document()
    kept = {kind: found[kind] for kind in (*OWN, "features") if kind in found}
    return {"name": key[0], "value": key[1]} | kept


def groups(
    told: Sequence[Mapping[str, Any]], max_bytes: int, size: Callable[[object], int]
) -> Iterator[list[dict[str, Any]]]:
    """Segments as they stand in events of about so many bytes each: some features at a time."""
    group: list[dict[str, Any]] = []
    room = max_bytes
    for segment in told:
        key = {"name": segment["name"], "value": segment["value"]}
        piece = {**segment, "features": {}}
        room -= size(piece)
        group.append(piece)
        for name, feature in segment["features"].items():
            needed = size({name: feature})
            if needed > room:
                yield group
                piece, room = {**key, "features": {}}, max_bytes
                group = [piece]
            piece["features"][name] = feature
            room -= needed
    if group:
        yield group


def whole(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The segments that the events of a reference make up."""
    found: dict[Key, dict[str, Any]] = {}
    for piece in (piece for event in events for piece in event.get("segments") or ()):
        key = (piece.get("name", ""), piece.get("value", ""))
        known = found.get(key, {})
        features = known.get("features", {}) | piece.get("features", {})
        found[key] = known | piece | {"features": features}
    return {"segments": [*found.values()]} if found else {}


def read(
    told: Sequence[Mapping[str, Any]], dimensions: Mapping[str, Sequence[str]], make: Any
) -> "dict[Key, Reference]":
    """The references of segments by name and value, in order.

    dimensions: the values that are counted of each name. make: a reference of a document. Raises
    ValueError where a value has no reference, or more than one, or is not counted.
    """
    found: dict[Key, Reference] = {}
    for segment in told:
        key = (str(segment.get("name", "")), str(segment.get("value", "")))
        if key in found:
            raise ValueError(f"reference of segment {called(key)}: is there twice")
        try:
            found[key] = make(
                {kind: segment[kind] for kind in segment if kind in (*OWN, "features")}
            )
        except ValueError as error:
            raise ValueError(f"{called(key)}: {error}") from None
    known = {(name, value) for name, values in dimensions.items() for value in values}
    if known != found.keys():
        wrong = sorted(known ^ found.keys())[0]
        raise ValueError(
            f"reference of segment {called(wrong)}: there is none, or it is not counted"
        )
    return dict(sorted(found.items()))
