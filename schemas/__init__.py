"""The event contracts: JSON Schema documents, one file an event. Imports nothing of ours."""

import importlib.resources
import json
from typing import Any

NAMES = (
    "prediction.v1",
    "ground-truth.v1",
    "control.v1",
    "evaluation.v1",
    "alert.v1",
    "retrain-request.v1",
    "dead-letter.v1",
)


def load(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one event; KeyError where `name` is none of NAMES."""
    if name not in NAMES:
        raise KeyError(f"schema {name!r}: must be one of {', '.join(NAMES)}")
    text = importlib.resources.files("schemas").joinpath(f"{name}.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document: topics, operations, headers, and the schemas above by reference."""
    text = importlib.resources.files("schemas").joinpath("asyncapi.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
