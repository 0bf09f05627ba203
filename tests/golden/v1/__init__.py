"""Version 1 of the events, from when it was fixed.

schemas/: its contracts. consumer.py: a consumer written against them. The other files: events as
they were on the wire, with what they mean.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def cases(name: str) -> list[dict[str, Any]]:
    """The events of one kind: about, text, and decoded (inputs) or headers (outputs)."""
    found: list[dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    return found


def schema(name: str) -> dict[str, Any]:
    """The contract as it was, such as alert.v1."""
    path = HERE / "schemas" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
