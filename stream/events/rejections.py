"""Rejections: why a record cannot be used, as codes that stay the same."""

import dataclasses

import msgspec

REASONS: dict[str, str] = {
    "empty-value": "the record has no value (null or no bytes)",
    "too-large": "the value is longer than max_bytes",
    "not-utf8": "the value is not UTF-8 text",
    "not-json": "the value is not one JSON document",
    "too-deep": "objects or lists are nested too deeply",
    "wrong-type": "a field has a type or a value that the schema does not allow",
    "missing-field": "a required field is missing",
    "unknown-type": "the type of a control event is none that is known",
    "number-out-of-range": "a number is beyond what a float64 can hold, or not what a field allows",
    "time-without-zone": "a time has no zone; write Z or an offset",
    "time-not-rfc3339": "a time is text but not RFC 3339",
    "time-in-seconds": "a time given as a number is in seconds; write milliseconds",
    "time-out-of-range": "a time is before 1970 or after 9999",
    "time-in-future": "the time is further ahead of the record's own time than max_ahead_s",
    "empty-id": "an id, a model or a version is an empty string",
    "name-too-long": "an id or a name is longer than max_name_chars",
    "bad-name": "an id or a name holds a NUL character, or a feature has an empty name",
    "too-many-features": "more features (each element of a vector is one) than max_features",
    "too-many-segments": "more segments than max_segments",
    "vector-too-long": "a vector feature is longer than max_vector",
    "unknown-model": "the model is not registered, and the settings refuse such",
    "unknown-content-type": "the content-type header names something that is not taken in there",
    "not-arrow": "the value is not one complete, uncompressed Arrow IPC stream",
    "too-many-rows": "an Arrow message has more rows than one message may have",
    "bad-reference": "the parts of a reference do not make one",
    "bad-recalibration": "what a recalibration says of scores contradicts itself",
    "duplicate": "the id was seen with other content",
    "not-a-batch": "a record of the internal log is damaged, or was written by somebody else",
    "not-a-signal": "a record of the signals is damaged, or was written by somebody else",
    "sink-refused": "a bridge's sink refused the event for ever, or was away for too long",
}


class Rejected(Exception):
    """A record that cannot be used. `reason`: a key of REASONS; `detail`: what exactly."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one record may hold. max_ahead_ms: against the record's own (Kafka) timestamp."""

    max_bytes: int = 1_048_576
    max_features: int = 2_000
    max_vector: int = 1_024
    max_segments: int = 64
    max_name_chars: int = 256
    max_ahead_ms: int = 3_600_000
    max_depth: int = 32


_WORDS = (
    ("missing required field", "missing-field"),
    ("Invalid RFC3339", "time-not-rfc3339"),
    ("out of range", "number-out-of-range"),
    ("` >= ", "number-out-of-range"),
    ("` <= ", "number-out-of-range"),
    ("- at `$.type`", "unknown-type"),
)
_anything = msgspec.json.Decoder()


def rejection(value: bytes, failure: Exception) -> Rejected:
    """Why msgspec refused these bytes, as one of our reasons. Slow, and only for bad records."""
    if isinstance(failure, msgspec.ValidationError):
        failure = _malformed(value) or failure
    detail = str(failure)
    if isinstance(failure, RecursionError):
        return Rejected("too-deep", "nested too deeply to be read")
    if isinstance(failure, msgspec.ValidationError):
        found = (reason for words, reason in _WORDS if words in detail)
        return Rejected(next(found, "wrong-type"), detail)
    if b"\\ud" in value.lower():
        detail += " (or a surrogate \\uD800 to \\uDFFF without its other half)"
    return Rejected("not-json", detail)


def _malformed(value: bytes) -> Exception | None:
    """What is wrong with a text behind its first wrong type, where typed decoding stopped."""
    try:
        _anything.decode(value)
    except (msgspec.ValidationError, ValueError) as failure:  # a number, which is JSON all the same
        return failure if type(failure) is msgspec.DecodeError else None
    except RecursionError as failure:
        return failure
    return None
