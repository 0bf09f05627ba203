"""Whatever comes in is a struct or a rejection with its reason; whatever goes out is plain JSON."""

import datetime
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from stream import events
from stream.events import Limits, Rejected

RECORD_MS = 1_772_442_900_000  # 2026-03-02T09:15:00Z
LIMITS = Limits()
Decode = Callable[..., Any]
DECODERS: dict[str, Decode] = {
    "prediction.v1": events.decode_prediction,
    "ground-truth.v1": events.decode_truth,
    "control.v1": events.decode_control,
}
PREDICTION = {
    "prediction_id": "p1",
    "model": "claims",
    "version": "7",
    "time": "2026-03-02T09:14:07.250Z",
    "features": {"age": 41},
}
TRUTH = {"prediction_id": "p1", "model": "claims", "time": RECORD_MS, "label": "claim"}
REFERENCE = {"type": "reference", "model": "m", "version": "1", "time": RECORD_MS, "features": {}}
REQUEST = {"type": "retraining-started", "model": "m", "version": "1", "time": RECORD_MS}


def prediction(value: bytes | None, limits: Limits = LIMITS) -> events.Prediction:
    return events.decode_prediction(value, None, RECORD_MS, limits)


def of(document: object, **changes: object) -> bytes:
    assert isinstance(document, dict)
    return json.dumps(document | changes).encode()


def raw(field: str, text: str) -> bytes:
    """PREDICTION with a field written as it stands."""
    return of(PREDICTION, **{field: "HERE"}).replace(b'"HERE"', text.encode())


def reason(decode: Decode, value: bytes | None, **limits: int) -> str:
    with pytest.raises(Rejected) as caught:
        decode(value, None, RECORD_MS, Limits(**limits))
    assert caught.value.reason in events.REASONS
    assert caught.value.detail
    caught.value.detail.encode()  # it goes into a header
    return caught.value.reason


def digits(count: int) -> str:
    return "9" * count


BAD_BYTES: list[tuple[str, bytes | None, str]] = [
    ("null", None, "empty-value"),
    ("nothing", b"", "empty-value"),
    ("a space", b" ", "not-json"),
    ("words", b"hello", "not-json"),
    ("half a document", of(PREDICTION)[:-1], "not-json"),
    ("trailing garbage", of(PREDICTION) + b"x", "not-json"),
    ("two documents", of(PREDICTION) * 2, "not-json"),
    ("a byte order mark", b"\xef\xbb\xbf" + of(PREDICTION), "not-json"),
    ("utf-16", of(PREDICTION).decode().encode("utf-16"), "not-utf8"),
    ("latin-1", '{"model": "münchen"}'.encode("latin-1"), "not-utf8"),
    ("utf-8 of a surrogate", b'{"model": "\xed\xa0\x80"}', "not-utf8"),
    ("deep objects", b'{"a":' * 100_000, "too-deep"),
    ("a deep unknown field", raw("zzz", "[" * 90_000 + "]" * 90_000), "too-deep"),
    ("a list", b"[]", "wrong-type"),
    ("null as text", b"null", "wrong-type"),
    ("a number", b"17", "wrong-type"),
    ("no fields", b"{}", "missing-field"),
    ("too large", of(PREDICTION, client="x" * 2_000_000), "too-large"),
]
BAD_PREDICTIONS: list[tuple[str, bytes, str]] = [
    ("NaN", raw("score", "NaN"), "not-json"),
    ("infinity", raw("score", "-Infinity"), "not-json"),
    ("lone surrogate", raw("client", '"\\ud800"'), "not-json"),
    ("lone surrogate and more", raw("client", '"\\ud800abc"'), "not-json"),
    ("lone surrogate and a letter", raw("client", '"\\ud800\\u0041"'), "not-json"),
    ("wrong order of surrogates", raw("client", '"\\udc00\\ud800"'), "not-json"),
    ("lone surrogate in a name", raw("features", '{"\\udc00": 1}'), "not-json"),
    ("leading zero", raw("score", "01"), "not-json"),
    ("1e999", raw("score", "1e999"), "number-out-of-range"),
    ("1e999 in features", raw("features", '{"a": 1e999}'), "number-out-of-range"),
    ("an endless integer", raw("features", f'{{"a": {digits(400)}}}'), "number-out-of-range"),
    ("an endless unread integer", raw("prediction_id", digits(5000)), "number-out-of-range"),
    ("an id that is a number", raw("prediction_id", "7"), "wrong-type"),
    ("null version", raw("version", "null"), "wrong-type"),
    ("features as a list", raw("features", "[1, 2]"), "wrong-type"),
    ("null features", raw("features", "null"), "wrong-type"),
    ("an object as a feature", raw("features", '{"a": {}}'), "wrong-type"),
    ("words in a vector", raw("features", '{"a": [1, "x"]}'), "wrong-type"),
    ("truth values in a vector", raw("features", '{"a": [true]}'), "wrong-type"),
    ("null in a vector", raw("features", '{"a": [null]}'), "wrong-type"),
    ("a vector of vectors", raw("features", '{"a": [[1]]}'), "wrong-type"),
    ("a truth value as score", raw("score", "true"), "wrong-type"),
    ("a word as score", raw("score", '"0.5"'), "wrong-type"),
    ("a number as control group", raw("control_group", "1"), "wrong-type"),
    ("a number as segment", raw("segments", '{"region": 1}'), "wrong-type"),
    ("a word as probability", raw("probabilities", '{"yes": "high"}'), "wrong-type"),
    ("empty id", of(PREDICTION, prediction_id=""), "empty-id"),
    ("empty model", of(PREDICTION, model=""), "empty-id"),
    ("long model", of(PREDICTION, model="m" * 257), "name-too-long"),
    ("long id", of(PREDICTION, prediction_id="ü" * 257), "name-too-long"),
    ("NUL in an id", of(PREDICTION, prediction_id="a\0b"), "bad-name"),
    ("feature without a name", of(PREDICTION, features={"": 1}), "bad-name"),
    ("feature with a long name", of(PREDICTION, features={"f" * 257: 1}), "name-too-long"),
    ("segment with a long name", of(PREDICTION, segments={"f" * 257: ""}), "name-too-long"),
    ("10,000 features", of(PREDICTION, features={f"f{i}": i for i in range(10_000)}),
     "too-many-features"),
    ("10,000 classes", of(PREDICTION, probabilities={f"f{i}": i for i in range(10_000)}),
     "too-many-features"),
    ("65 segments", of(PREDICTION, segments={f"s{i}": "" for i in range(65)}),
     "too-many-segments"),
    ("long vector", of(PREDICTION, features={"v": [0] * 1025}), "vector-too-long"),
    ("many vectors", of(PREDICTION, features={"v": [0] * 1000, "w": [0] * 1000, "x": 1}),
     "too-many-features"),
]  # fmt: skip
BAD_TIMES = [
    ("true", "wrong-type"),
    ("null", "wrong-type"),
    ("{}", "wrong-type"),
    ("1772442847250.5", "wrong-type"),
    ("1772442847.25", "wrong-type"),
    ("1772442847", "time-in-seconds"),
    ("1772442847.0", "time-in-seconds"),
    ("1e999", "number-out-of-range"),
    (digits(5000), "number-out-of-range"),
    (digits(400), "time-out-of-range"),
    ("1e300", "time-out-of-range"),
    ("-1", "time-out-of-range"),
    ("253402300800000", "time-out-of-range"),
    ('"1969-12-31T23:59:59.999Z"', "time-out-of-range"),
    ('"0001-01-01T00:00:00+23:59"', "time-out-of-range"),
    ('"9999-12-31T23:59:59-23:59"', "time-out-of-range"),
    ('"9999-12-31T23:59:59Z"', "time-in-future"),
    ('"2026-03-02T10:15:00.001Z"', "time-in-future"),
    (str(RECORD_MS + 3_600_001), "time-in-future"),
    ('"2026-03-02T09:14:07"', "time-without-zone"),
    ('"2026-03-02"', "time-not-rfc3339"),
    ('"2026-02-30T00:00:00Z"', "time-not-rfc3339"),
    ('"2026-03-02T24:00:00Z"', "time-not-rfc3339"),
    ('"10000-01-01T00:00:00Z"', "time-not-rfc3339"),
    ('"2016-12-31T23:59:60Z"', "time-not-rfc3339"),
    ('"1772442847250"', "time-not-rfc3339"),
    ('"yesterday"', "time-not-rfc3339"),
    ('""', "time-not-rfc3339"),
]
GOOD_TIMES = [
    ('"2026-03-02T09:14:07.25Z"', 1_772_442_847_250),
    ('"2026-03-02T09:14:07.250999z"', 1_772_442_847_250),
    ('"2026-03-02t09:14:07Z"', 1_772_442_847_000),
    ('"2026-03-02 09:14:07Z"', 1_772_442_847_000),
    ('"2026-03-02T10:44:07+01:30"', 1_772_442_847_000),
    ('"2026-03-01T23:14:07.000-10:00"', 1_772_442_847_000),
    ('"1970-01-01T00:00:00Z"', 0),
    ("0", 0),
    ("1772442847250", 1_772_442_847_250),
    ("1772442847250.0", 1_772_442_847_250),
    ("1.77244284725e12", 1_772_442_847_250),
    (str(RECORD_MS + 3_600_000), RECORD_MS + 3_600_000),
]


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(
    ("value", "expected"), [b[1:] for b in BAD_BYTES], ids=[b[0] for b in BAD_BYTES]
)
def test_bytes_that_are_no_event(name: str, value: bytes | None, expected: str) -> None:
    assert reason(DECODERS[name], value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [b[1:] for b in BAD_PREDICTIONS], ids=[b[0] for b in BAD_PREDICTIONS]
)
def test_predictions_that_break_the_contract(value: bytes, expected: str) -> None:
    assert reason(events.decode_prediction, value) == expected


@pytest.mark.parametrize("field", ["prediction_id", "model", "version", "time", "features"])
def test_a_prediction_needs_its_required_fields(field: str) -> None:
    document = {k: v for k, v in PREDICTION.items() if k != field}
    assert reason(events.decode_prediction, of(document)) == "missing-field"


@pytest.mark.parametrize(("text", "expected"), BAD_TIMES)
def test_times_that_are_none(text: str, expected: str) -> None:
    assert reason(events.decode_prediction, raw("time", text)) == expected
    control = of(REFERENCE, time="HERE").replace(b'"HERE"', text.encode())
    assert reason(events.decode_control, control) == expected


@pytest.mark.parametrize(("text", "expected"), GOOD_TIMES)
def test_times_in_all_their_forms(text: str, expected: int) -> None:
    assert prediction(raw("time", text)).time == expected
    control = of(REFERENCE, time="HERE").replace(b'"HERE"', text.encode())
    assert events.decode_control(control, None, RECORD_MS, LIMITS).time == expected


def test_a_record_without_a_time_of_its_own_has_no_future() -> None:
    value = of(PREDICTION, time="9999-12-31T23:59:59Z")
    assert events.decode_prediction(value, None, -1, LIMITS).time > RECORD_MS


def test_every_number_is_a_float() -> None:
    value = raw("features", f'{{"a": 1, "b": {2**64}, "c": -0.0, "d": 1e-999}}')
    features = prediction(value).features
    assert features == {"a": 1.0, "b": 2.0**64, "c": 0.0, "d": 0.0}
    assert {type(v) for v in features.values()} == {float}


def test_truth_values_are_no_numbers() -> None:
    features = prediction(of(PREDICTION, features={"a": True, "b": 1})).features
    assert features["a"] is True
    assert type(features["b"]) is float


def test_the_last_of_duplicate_keys_wins() -> None:
    doubled = raw("features", '{"a": 1, "a": 2}').replace(b'"model"', b'"model": "x", "model"')
    found = prediction(doubled)
    assert (found.model, found.features) == ("claims", {"a": 2.0})


def test_unknown_fields_are_passed_over() -> None:
    assert prediction(of(PREDICTION, id=7, type=None, schema="x", new={"a": [1]})) == prediction(
        of(PREDICTION)
    )


@pytest.mark.parametrize("key", [None, b"", b"\xff\x00", b"p1"])
def test_any_key_will_do(key: bytes | None) -> None:
    assert events.decode_prediction(of(PREDICTION), key, RECORD_MS, LIMITS).prediction_id == "p1"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_bytes": 50}, "too-large"),
        ({"max_features": 0}, "too-many-features"),
        ({"max_segments": 0}, "too-many-segments"),
        ({"max_name_chars": 5}, "name-too-long"),
        ({"max_ahead_ms": -60_000}, "time-in-future"),
    ],
)
def test_limits_are_settings(limits: dict[str, int], expected: str) -> None:
    value = of(PREDICTION, segments={"site": "north"})
    assert reason(events.decode_prediction, value, **limits) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label": None}, "missing-field"),
        ({"label": [1]}, "wrong-type"),
        ({"label": {"a": 1}}, "wrong-type"),
        ({"revision": -1}, "number-out-of-range"),
        ({"revision": 2**70}, "number-out-of-range"),
        ({"revision": 1.5}, "wrong-type"),
        ({"revision": None}, "wrong-type"),
        ({"retracted": 1}, "wrong-type"),
        ({"version": ""}, "empty-id"),
        ({"model": "a\0"}, "bad-name"),
    ],
)
def test_truths_that_break_the_contract(changes: dict[str, Any], expected: str) -> None:
    assert reason(events.decode_truth, of(TRUTH, **changes)) == expected


def test_a_retracted_truth_needs_no_label() -> None:
    document = {k: v for k, v in TRUTH.items() if k != "label"}
    assert reason(events.decode_truth, of(document)) == "missing-field"
    found = events.decode_truth(of(document, retracted=True), None, RECORD_MS, LIMITS)
    assert (found.label, found.retracted) == (None, True)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (REFERENCE | {"type": "refrence"}, "unknown-type"),
        (REFERENCE | {"type": None}, "unknown-type"),
        ({"model": "m", "time": 0}, "missing-field"),
        (REFERENCE | {"part": 3, "parts": 3}, "number-out-of-range"),
        (REFERENCE | {"part": -1}, "number-out-of-range"),
        (REFERENCE | {"parts": 10_001}, "number-out-of-range"),
        (REFERENCE | {"features": {"age": [1, 2]}}, "wrong-type"),
        (REFERENCE | {"features": {"age": {"values": {"a": {"b": {}}}}}}, "too-deep"),
        (REFERENCE | {"active_from": "soon"}, "time-not-rfc3339"),
        (REFERENCE | {"quality": {"accuracy": "high"}}, "wrong-type"),
        (REQUEST, "missing-field"),
        (REQUEST | {"request_id": ""}, "empty-id"),
        (REQUEST | {"request_id": "r", "new_version": "v" * 300}, "name-too-long"),
    ],
)
def test_control_events_that_break_the_contract(document: object, expected: str) -> None:
    assert reason(events.decode_control, of(document), max_depth=5) == expected


def test_control_events_are_told_apart() -> None:
    examples = schemas.load("control.v1")["examples"]
    found = [events.decode_control(of(e), None, -1, LIMITS) for e in examples]
    assert [f.type for f in found] == [e["type"] for e in examples]
    assert all(isinstance(f, events.Retraining) for f in found if "retraining" in f.type)


# -- anything at all

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
EXAMPLES = [(name, of(e)) for name in DECODERS for e in schemas.load(name)["examples"]]
FIELDS = sorted({key for _, value in EXAMPLES for key in json.loads(value)})


def never_raises(name: str, value: bytes) -> None:
    """Both a struct that can go on and a rejection will do."""
    try:
        event = DECODERS[name](value, None, RECORD_MS, LIMITS)
    except Rejected as rejected:
        events.REASONS[rejected.reason]
        rejected.detail.encode()
    else:
        msgspec.json.encode(event)
        assert 0 <= event.time <= RECORD_MS + LIMITS.max_ahead_ms


@given(st.sampled_from(sorted(DECODERS)), st.binary(max_size=200))
def test_random_bytes_never_raise(name: str, value: bytes) -> None:
    never_raises(name, value)


@given(st.sampled_from(sorted(DECODERS)), VALUES)
def test_random_json_never_raises(name: str, value: object) -> None:
    never_raises(name, json.dumps(value).encode())


@given(st.sampled_from(EXAMPLES), st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3))
@settings(max_examples=300)
def test_random_values_in_valid_events_never_raise(
    example: tuple[str, bytes], changes: dict[str, object]
) -> None:
    name, value = example
    never_raises(name, of(json.loads(value), **changes))


@given(
    st.sampled_from(EXAMPLES),
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 2), st.binary(max_size=4)), max_size=4
    ),
)
@settings(max_examples=500)
def test_damaged_events_never_raise(
    example: tuple[str, bytes], damages: list[tuple[int, int, bytes]]
) -> None:
    name, value = example
    for place, removed, added in damages:
        at = place % (len(value) + 1)
        value = value[:at] + added + value[at + removed :]
    never_raises(name, value)


# -- times and ids


@given(st.integers(0, events.times.LAST_MS))
def test_a_time_written_is_the_time_read(ms: int) -> None:
    written = events.rfc3339(ms)
    moment = datetime.datetime.fromisoformat(written)
    assert events.milliseconds(moment) == ms
    assert len(written) == 24


@pytest.mark.parametrize("ms", [-1, 253_402_300_800_000])
def test_a_time_that_cannot_be_written(ms: int) -> None:
    with pytest.raises(ValueError, match="1970 to 9999"):
        events.rfc3339(ms)


def test_an_id_is_its_identity_and_nothing_else() -> None:
    assert events.event_id("alert", "m", 1) == "a73e9f12-30fc-50f5-b449-19261a3d1d5c"
    different = [("a", "b"), ("a,b",), ("a", "b", ""), ("ab",), ("a", 1), ("a", "1"), ()]
    assert len({events.event_id(*parts) for parts in different}) == len(different)


def test_headers_are_cloudevents() -> None:
    example = schemas.load("alert.v1")["examples"][0] | {"model": "a/b ü", "version": "1"}
    event = msgspec.convert(example, events.Alert)
    assert dict(events.headers(event)) == {
        "ce_specversion": b"1.0",
        "ce_id": event.id.encode(),
        "ce_type": b"driftline.alert.v1",
        "ce_source": b"/driftline/a%2Fb%20%C3%BC/1",
        "ce_time": event.time.encode(),
        "content-type": b"application/json",
    }
