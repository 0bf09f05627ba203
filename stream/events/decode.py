"""Bytes from anywhere to a struct, or `Rejected`: nothing else comes out, whatever comes in.

Meanings that JSON leaves open: every number is a float64 (1 is 1.0; an integer too long for 64 bits
is rounded as any other, past 1.8e308 it is refused); of duplicate keys the last one wins; unknown
keys are passed over. One msgspec typed decode does the work; the checks after it are what types
cannot say.
"""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from stream.events.inputs import (
    Control,
    FeatureValue,
    Prediction,
    Recalibration,
    ReferencePart,
    Scalar,
    Truth,
)
from stream.events.rejections import Limits, Rejected, rejection
from stream.events.times import FIRST_MS, LAST_MS, milliseconds

Time = int | float | datetime.datetime


class _Prediction(msgspec.Struct, gc=False):
    """`Prediction` as it is on the wire, in the same order of fields."""

    prediction_id: str
    model: str
    version: str
    time: Time
    features: dict[str, FeatureValue]
    prediction: Scalar = None
    score: float | None = None
    probabilities: dict[str, float] | None = None
    segments: dict[str, str] | None = None
    weight: float | None = None
    request_id: str | None = None
    control_group: bool | None = None
    client: str | None = None


class _Truth(msgspec.Struct, gc=False):
    """`Truth` as it is on the wire."""

    prediction_id: str
    model: str
    time: Time
    label: Scalar = None
    version: str | None = None
    source: str | None = None
    revision: int = 0
    retracted: bool = False


_predictions = msgspec.json.Decoder(_Prediction)
_truths = msgspec.json.Decoder(_Truth)
_anything = msgspec.json.Decoder()
_times = msgspec.json.Decoder(datetime.datetime)
FAILURES = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
YEAR_MS = 366 * 86_400_000
MAX_REVISION = 2**53
LEFT_BRACKET = ord("[")
NO_LIMIT_MS = LAST_MS
SPANS = ("learnt_from", "learnt_until", "active_from")  # of a recalibration, which is a plan


def decode_prediction(
    value: bytes | None, key: bytes | None, record_ms: int, limits: Limits
) -> Prediction:
    """One prediction. record_ms: the record's timestamp, negative where it has none."""
    del key  # producers may use any, or none
    checked = _present(value, limits)
    try:
        w = _predictions.decode(checked)
    except FAILURES as failure:
        raise rejection(checked, failure) from None
    _check_unknown(checked, limits.max_depth)
    check_names((w.prediction_id, w.model, w.version), limits)
    _check_features(w.features, limits)
    if LEFT_BRACKET in checked:  # without one there is no list, and nothing to look for
        _check_vectors(w.features, limits)
    if w.probabilities is not None or w.segments is not None:
        check_groups(w.probabilities or {}, w.segments or {}, limits)
    return Prediction(
        w.prediction_id,
        w.model,
        w.version,
        _time(w.time, record_ms, limits.max_ahead_ms),
        w.features,
        w.prediction,
        w.score,
        w.probabilities,
        w.segments,
        w.weight,
        w.request_id,
        w.control_group,
        w.client,
    )


def decode_truth(value: bytes | None, key: bytes | None, record_ms: int, limits: Limits) -> Truth:
    """One truth; its label may be left out or null only where it is retracted."""
    del key  # producers may use any, or none
    checked = _present(value, limits)
    try:
        w = _truths.decode(checked)
    except FAILURES as failure:
        raise rejection(checked, failure) from None
    _check_unknown(checked, limits.max_depth)
    check_names((w.prediction_id, w.model), limits)
    if w.version is not None:
        check_names((w.version,), limits)
    if w.label is None and not w.retracted:
        raise Rejected("missing-field", "label: null only where retracted is true")
    if not 0 <= w.revision <= MAX_REVISION:
        raise Rejected("number-out-of-range", f"revision: not between 0 and {MAX_REVISION}")
    ms = _time(w.time, record_ms, limits.max_ahead_ms)
    return Truth(
        w.prediction_id, w.model, ms, w.label, w.version, w.source, w.revision, w.retracted
    )


def decode_control(
    value: bytes | None, key: bytes | None, record_ms: int, limits: Limits
) -> Control:
    """One control event, told apart by its `type`."""
    del key  # producers may use any, or none
    checked = _present(value, limits)
    try:
        document = _anything.decode(checked)
    except FAILURES as failure:
        raise rejection(checked, failure) from None
    if not isinstance(document, dict):
        raise Rejected("wrong-type", "Expected `object`")
    _check_depth(document, limits.max_depth)
    planned = document.get("type") == Recalibration.type
    for name in ("time", *(SPANS if planned else ("active_from",))):
        if document.get(name) is not None:
            ahead_ms = NO_LIMIT_MS if planned and name != "time" else limits.max_ahead_ms
            document[name] = _any_time(document[name], record_ms, ahead_ms)
    try:
        event: Control = msgspec.convert(document, Control)
    except FAILURES as failure:
        raise rejection(checked, failure) from None
    check_names(_names_of(event), limits)
    if isinstance(event, ReferencePart) and event.part >= event.parts:
        raise Rejected("number-out-of-range", f"part {event.part} (from 0) of {event.parts}")
    return event


def _present(value: bytes | None, limits: Limits) -> bytes:
    if not value:
        raise Rejected("empty-value", "null" if value is None else "no bytes")
    if len(value) > limits.max_bytes:
        raise Rejected("too-large", f"{len(value)} bytes, at most {limits.max_bytes}")
    if not value.isascii():  # msgspec does not look into what it passes over
        try:
            value.decode()
        except UnicodeDecodeError as bad:
            raise Rejected("not-utf8", f"byte {bad.start}") from None
    return value


def check_names(names: tuple[str, ...], limits: Limits) -> None:
    """Raises Rejected where an id, a model or a version cannot be one."""
    for name in names:
        if not name:
            raise Rejected("empty-id", "an id, a model or a version is empty")
        if len(name) > limits.max_name_chars:
            raise Rejected("name-too-long", f"{len(name)} characters: {name[:40]!r}...")
        if "\x00" in name:
            raise Rejected("bad-name", f"NUL in {name[:40]!r}")


def _check_features(features: Mapping[str, FeatureValue], limits: Limits) -> None:
    if not features:
        return
    count = len(features)
    if count > limits.max_features:
        raise Rejected("too-many-features", f"{count}, at most {limits.max_features}")
    longest = max(map(len, features))
    if longest > limits.max_name_chars:
        raise Rejected("name-too-long", f"a feature's name has {longest} characters")
    if "" in features:
        raise Rejected("bad-name", "a feature has an empty name")


def _check_vectors(features: Mapping[str, FeatureValue], limits: Limits) -> None:
    lengths = [len(v) if isinstance(v, list) else 1 for v in features.values()]
    if max(lengths, default=0) > limits.max_vector:
        raise Rejected("vector-too-long", f"{max(lengths)}, at most {limits.max_vector}")
    if sum(lengths) > limits.max_features:
        raise Rejected("too-many-features", f"{sum(lengths)}, at most {limits.max_features}")


def check_groups(
    probabilities: Mapping[str, float], segments: Mapping[str, str], limits: Limits
) -> None:
    """Raises Rejected where there are too many of them, or a name is too long."""
    if len(probabilities) > limits.max_features:
        raise Rejected("too-many-features", f"{len(probabilities)} probabilities")
    if len(segments) > limits.max_segments:
        raise Rejected("too-many-segments", f"{len(segments)}, at most {limits.max_segments}")
    for field, names in (("probabilities", probabilities), ("segments", segments)):
        if any(len(name) > limits.max_name_chars for name in names):
            raise Rejected("name-too-long", f"in {field}")


def _names_of(event: Control) -> tuple[str, ...]:
    needed = [getattr(event, field, None) for field in ("model", "version", "request_id")]
    optional = [getattr(event, field, None) for field in ("reference_id", "new_version")]
    return tuple([n for n in needed if n is not None] + [n for n in optional if n])


def _check_unknown(value: bytes, most: int) -> None:
    """Raises Rejected where what was passed over is nested too deeply, however much we could read.

    Only a text of many brackets can be; it is read once more.
    """
    if value.count(b"{") + value.count(b"[") <= most:
        return
    try:
        document = _anything.decode(value)
    except RecursionError:
        raise Rejected("too-deep", f"more than {most} levels") from None
    except FAILURES:  # a number that nobody can hold, passed over
        return
    _check_depth(document, most)


def _check_depth(document: Any, most: int) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > most:
            raise Rejected("too-deep", f"more than {most} levels")
        inner = (v.values() if isinstance(v, dict) else v for v in level)
        level = [x for values in inner for x in values if isinstance(x, dict | list)]


def _time(time: Time, record_ms: int, ahead_ms: int) -> int:
    """A time as milliseconds, checked against the calendar and the record's own time."""
    if isinstance(time, int | float):
        ms = _whole(time)
        if record_ms >= 0 and abs(ms * 1000 - record_ms) < YEAR_MS < record_ms:
            raise Rejected("time-in-seconds", f"{ms} read as milliseconds is in January 1970")
    elif time.tzinfo is None:
        raise Rejected("time-without-zone", time.isoformat())
    else:
        ms = milliseconds(time)
    if not FIRST_MS <= ms <= LAST_MS:
        raise Rejected("time-out-of-range", "not in the years 1970 to 9999")
    if 0 <= record_ms < ms - ahead_ms:
        raise Rejected(
            "time-in-future", f"{ms - record_ms} ms ahead of the record, at most {ahead_ms}"
        )
    return ms


def _whole(time: int | float) -> int:
    """JSON knows one kind of number: 1.7e12 is a time, what has a fraction is not."""
    if isinstance(time, float) and not time.is_integer():
        raise Rejected("wrong-type", f"time: {time!r} is not a whole number of milliseconds")
    return int(time)


def _any_time(time: object, record_ms: int, ahead_ms: int) -> int:
    if isinstance(time, str):
        try:
            return _time(_times.decode(msgspec.json.encode(time)), record_ms, ahead_ms)
        except msgspec.MsgspecError:
            raise Rejected("time-not-rfc3339", repr(time[:40])) from None
    if isinstance(time, int | float) and not isinstance(time, bool):
        return _time(time, record_ms, ahead_ms)
    raise Rejected("wrong-type", f"time: expected text or a number, got {type(time).__name__}")
