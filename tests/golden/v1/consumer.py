"""A consumer of version 1, as somebody wrote it when there was no other. Never edit it.

It knows every property of then, takes what is always there for granted, and passes over the rest.
"""

from typing import Literal

import msgspec

Number = float | int | str | None


class Effect(msgspec.Struct, frozen=True):
    name: str
    value: float
    floor: float | None
    unit: str


class Reading(msgspec.Struct, frozen=True):
    check: str
    subject: str
    role: Literal["input", "output", "quality", "detector", "data"]
    statistic: float | None
    p_value: float | None
    level: float | None
    effect: Effect | None
    n: int
    n_reference: int | None
    verdict: Literal["ok", "moved", "small", "insignificant", "not-enough-data", "no-reference"]
    reason: str
    details: dict[str, Number | list[Number]]


class Window(msgspec.Struct, frozen=True):
    start: str
    end: str
    panes: int
    revision: int


class Verdict(msgspec.Struct, frozen=True):
    inputs: bool | None
    outputs: bool | None
    quality: bool | None
    kind: str
    meaning: str
    action: str


class Evaluation(msgspec.Struct, frozen=True):
    id: str
    type: Literal["driftline.evaluation.v1"]
    time: str
    schema: Literal[1]
    model: str
    version: str
    reference_id: str | None
    subject: Literal["inputs", "quality", "detectors"]
    window: Window
    rows: int
    readings: list[Reading]
    verdict: Verdict
    notes: list[str]


class Sureness(msgspec.Struct, frozen=True):
    p_value: float | None
    level: float | None
    effect: Effect | None
    n: int


class Alert(msgspec.Struct, frozen=True):
    id: str
    type: Literal["driftline.alert.v1"]
    time: str
    schema: Literal[1]
    model: str
    version: str
    cause: str
    state: Literal["pending", "firing", "resolved"]
    previous: str
    reason: str
    since: str
    severity: Literal["page", "notice"]
    summary: str
    how_sure: Sureness
    meaning: str
    action: str
    owner: str | None
    window: Window
    reading: Reading
    verdict: Verdict
    evaluation_id: str


class OffsetRange(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    first: int
    last: int


class Data(msgspec.Struct, frozen=True):
    start: str
    end: str
    offsets: list[OffsetRange]


class RetrainRequest(msgspec.Struct, frozen=True):
    id: str
    type: Literal["driftline.retrain-request.v1"]
    time: str
    schema: Literal[1]
    model: str
    version: str
    reason: str
    evidence: list[Reading]
    alert_ids: list[str]
    verdict: Verdict
    data: Data
    labelled_rows: int
    priority: Literal["high", "normal"]
    deadline: str
    idempotency_key: str
    owner: str | None
