"""Contracts: the schemas of the events and the AsyncAPI document, as pages for people."""

from collections.abc import Iterator
from typing import Any

import schemas
from stream.events import REASONS

WORDS = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
    "null": "null", "object": "object", "array": "list",
}  # fmt: skip
Rows = list[tuple[str, ...]]


def topics() -> Rows:
    """Topic, who sends, who reads, messages and what it is for, of every channel."""
    document = schemas.asyncapi()
    prefix = document["components"]["parameters"]["prefix"]["default"]
    rows: Rows = []
    for name, channel in document["channels"].items():
        told = ", ".join(f"`{message}`" for message in channel["messages"])
        ways = " and ".join(_ways(document, name))
        full = channel["address"].format(prefix=prefix)
        rows.append((f"`{full}`", ways, told, channel["description"]))
    return rows


def _ways(document: dict[str, Any], channel: str) -> list[str]:
    where = {"$ref": f"#/channels/{channel}"}
    found = {o["action"] for o in document["operations"].values() if o["channel"] == where}
    return [f"{action}s" for action in ("receive", "send") if action in found]


def reasons() -> Rows:
    """Reason and meaning of every kind of dead letter."""
    return [(f"`{reason}`", meaning) for reason, meaning in REASONS.items()]


def contracts() -> Iterator[tuple[str, str, Rows]]:
    """Name, description and properties of every contract, and of its parts."""
    parts: dict[str, tuple[str, Rows]] = {}
    for name in schemas.NAMES:
        root = schemas.load(name)
        if "properties" in root:
            yield name, root["description"], _properties(root, root)
            parts |= {
                part: (inner["description"], _properties(inner, root))
                for part, inner in root.get("$defs", {}).items()
            }
        else:
            yield name, root["description"], []
            for part, inner in root["$defs"].items():
                yield f"{name}: {part}", inner["description"], _properties(inner, root)
    for part, (about, rows) in parts.items():
        yield f"part: {part}", about, rows


def _properties(schema: dict[str, Any], root: dict[str, Any]) -> Rows:
    rows: Rows = []
    needed = schema.get("required", ())
    for name, one in schema["properties"].items():
        about = one.get("description") or root["$defs"][_part(one)]["description"]
        rows.append((f"`{name}`", _type(one), "yes" if name in needed else "", about))
        for inner in _lists(one):
            rows += [(f"`{name}.{n.strip('`')}`", *more) for n, *more in _properties(inner, root)]
    return rows


def _lists(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What stands written out below a property: an object's properties, or its items'."""
    for one in (schema, schema.get("items", {})):
        if "properties" in one:
            yield one


def _part(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"part `{_part(schema)}`"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return (
            " or ".join(f"`{one}`" for one in schema["enum"]) if len(schema["enum"]) < 8 else "text"
        )
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[keyword])))
    kind = schema.get("type", [])
    words = [WORDS[one] for one in ([kind] if isinstance(kind, str) else kind)]
    if "items" in schema and kind == "array":
        return f"list of {_type(schema['items'])}"
    return " or ".join(words)
