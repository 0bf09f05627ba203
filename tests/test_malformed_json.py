"""Malformed documents, wherever they are malformed, are rejected with one reason each; what JSON
leaves open has one meaning. The documents are made by `tests/malformed.py`."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream import events
from stream.events import Limits, Rejected
from tests import malformed
from tests.intakes import taken_in

LIMITS = Limits()
CASES = list(malformed.cases())
PREDICTION = b'{"prediction_id":"p","model":"m","version":"1","time":1,"features":{"a":1}}'
TRUTH = b'{"prediction_id":"p","model":"m","time":1,"label":"yes"}'
CONTROL = b'{"type":"reference","model":"m","version":"1","time":1,"features":{"a":{"values":[1]}}}'
GOOD = {"predictions": PREDICTION, "ground-truth": TRUTH, "control": CONTROL}
DECODERS: dict[str, Callable[..., Any]] = {
    "predictions": events.decode_prediction,
    "ground-truth": events.decode_truth,
    "control": events.decode_control,
}
UNKNOWN = b',"zzz":HERE}'
PLACES: dict[str, tuple[str, bytes]] = {
    "instead of a prediction": ("predictions", b"HERE"),
    "instead of a truth": ("ground-truth", b"HERE"),
    "instead of a control event": ("control", b"HERE"),
    "a prediction's id": ("predictions", PREDICTION.replace(b'"p"', b"HERE")),
    "a prediction's time": ("predictions", PREDICTION.replace(b'"time":1', b'"time":HERE')),
    "a prediction's features": ("predictions", PREDICTION.replace(b'{"a":1}', b"HERE")),
    "a feature": ("predictions", PREDICTION.replace(b'{"a":1}', b'{"b":0,"a":HERE}')),
    "a vector's element": ("predictions", PREDICTION.replace(b'{"a":1}', b'{"a":[0,HERE]}')),
    "an optional field of a prediction": ("predictions", PREDICTION[:-1] + b',"client":HERE}'),
    "an unknown field of a prediction": ("predictions", PREDICTION[:-1] + UNKNOWN),
    "a label": ("ground-truth", TRUTH.replace(b'"yes"', b"HERE")),
    "a revision": ("ground-truth", TRUTH[:-1] + b',"revision":HERE}'),
    "an unknown field of a truth": ("ground-truth", TRUTH[:-1] + UNKNOWN),
    "a control event's type": ("control", CONTROL.replace(b'"reference"', b"HERE")),
    "a control event's time": ("control", CONTROL.replace(b'"time":1', b'"time":HERE')),
    "values of a reference": ("control", CONTROL.replace(b"[1]", b"[0,HERE]")),
    "an unknown field of a control event": ("control", CONTROL[:-1] + UNKNOWN),
}
IN_LISTS = ("a vector's element", "values of a reference")  # where `1,5` is two numbers


def reason_for(kind: str, value: bytes) -> str:
    try:
        value.decode()
    except UnicodeDecodeError:
        return "not-utf8"
    return "too-deep" if kind == "deep" else "not-json"


def outcome(topic: str, value: bytes) -> object:
    """The event, or the reason against it; anything else fails the test."""
    try:
        return DECODERS[topic](value, None, -1, LIMITS)
    except Rejected as rejected:
        rejected.detail.encode()  # it goes into a header
        return rejected.reason


def parsed(value: bytes) -> Any:
    """The document by Python's parser, made strict; ValueError where it is none."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    document = json.loads(value.decode(), parse_constant=refuse)
    json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is no character
    return document


def is_json(value: bytes) -> bool:
    try:
        parsed(value)
    except (ValueError, RecursionError):
        return False
    return True


def test_there_are_many_of_every_kind() -> None:
    assert len(CASES) > 5 * 188  # as many as the public suite has that must be rejected
    for kind in malformed.KINDS:
        assert sum(one == kind for one, _ in CASES) >= 8, kind
    assert all(len(value) <= LIMITS.max_bytes for _, value in CASES)


@pytest.mark.parametrize("kind", malformed.KINDS)
def test_python_agrees_that_they_are_malformed(kind: str) -> None:
    assert [value for one, value in CASES if one == kind != "deep" and is_json(value)] == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", malformed.KINDS)
def test_a_malformed_document_is_rejected_with_its_reason(kind: str, place: str) -> None:
    topic, text = PLACES[place]
    for one, value in CASES:
        if one == kind and not (place in IN_LISTS and is_json(b"[%s]" % value)):
            document = text.replace(b"HERE", value)
            assert outcome(topic, document) == reason_for(kind, value), document[:200]


@pytest.mark.parametrize("topic", GOOD)
def test_a_malformed_key_is_rejected(topic: str) -> None:
    for kind, value in CASES:
        if kind in ("strings", "escapes", "surrogates", "encodings", "literals", "comments"):
            document = GOOD[topic][:-1] + b',"y":0,' + value + b":1}"
            assert outcome(topic, document) in ("not-json", "not-utf8"), document


@pytest.mark.parametrize("topic", GOOD)
def test_every_document_that_ends_too_early_is_rejected(topic: str) -> None:
    for length in range(1, len(GOOD[topic])):
        assert outcome(topic, GOOD[topic][:length]) == "not-json"


@pytest.mark.parametrize("topic", GOOD)
def test_intake_takes_what_is_good_and_gives_back_the_rest(topic: str) -> None:
    values = [value for _, value in CASES] + [b"", None]
    expected = {i: reason_for(kind, value) for i, (kind, value) in enumerate(CASES)}
    expected |= {len(CASES): "empty-value", len(CASES) + 1: "empty-value"}
    mixed = [*values, GOOD[topic]]
    found = taken_in(topic, mixed)
    assert found.reasons == expected
    assert [letter.value for letter in found.letters] == values  # byte for byte
    assert found.rows == [len(values)]
    assert found.acked == [len(mixed)]


@pytest.mark.parametrize("topic", GOOD)
def test_intake_survives_whatever_stands_in_a_field(topic: str) -> None:
    places = {place: text for place, (at, text) in PLACES.items() if at == topic}
    texts = [text for place, text in places.items() if place not in IN_LISTS and text != b"HERE"]
    documents = [t.replace(b"HERE", value) for t in texts for k, value in CASES if k != "deep"]
    found = taken_in(topic, documents)
    assert set(found.reasons) == set(range(len(documents)))
    assert found.rows == []


# -- what JSON leaves open

MEANINGS: list[tuple[str, str, object]] = [
    ("the same key twice", '{"a":1,"a":2}', {"a": 2.0}),
    ("the same key in another spelling", '{"a":1,"\\u0061":2}', {"a": 2.0}),
    ("the same key, of other types", '{"a":"x","b":1,"a":[1],"a":null}', {"a": None, "b": 1.0}),
    ("keys that look the same", '{"\\u00e9":1,"e\\u0301":2}', {"\xe9": 1.0, "e\u0301": 2.0}),
    ("an integer past 2^53", '{"a":9007199254740993}', {"a": 2.0**53}),
    ("an integer past 64 bits", '{"a":-99999999999999999999}', {"a": -1e20}),
    ("an integer of 300 digits", '{"a":1%s}' % ("0" * 300), {"a": 1e300}),
    ("an integer of 400 digits", '{"a":1%s}' % ("0" * 400), "number-out-of-range"),
    ("an integer of 9,000 digits", '{"a":-%s}' % ("9" * 9_000), "number-out-of-range"),
    ("a fraction of 9,000 digits", '{"a":0.%s}' % ("3" * 9_000), {"a": 1 / 3}),
    ("the largest float64", '{"a":1.7976931348623157e308}', {"a": 1.7976931348623157e308}),
    ("past the largest float64", '{"a":1.8e308}', "number-out-of-range"),
    ("a huge exponent", '{"a":1e999999999999}', "number-out-of-range"),
    ("a huge negative number", '{"a":-1E+9999}', "number-out-of-range"),
    ("nothing times a huge exponent", '{"a":0e999999999999}', {"a": 0.0}),
    ("a tiny exponent", '{"a":1e-999999999999}', {"a": 0.0}),
    ("a tiny negative number", '{"a":-1e-999}', {"a": -0.0}),
    ("the smallest float64", '{"a":5e-324}', {"a": 5e-324}),
    ("minus nothing", '{"a":-0}', {"a": 0.0}),
    ("minus nothing with a point", '{"a":-0.0}', {"a": -0.0}),
    ("digits that float64 has not", '{"a":0.1000000000000000055511151231257827}', {"a": 0.1}),
    ("NUL as an escape", '{"a":"\\u0000"}', {"a": "\0"}),
    ("a delete character", '{"a":"\x7f"}', {"a": "\x7f"}),
    ("line separators", '{"a":"\u2028\u2029"}', {"a": "\u2028\u2029"}),
    ("noncharacters", '{"a":"\uffff\\ufdd0\U0010ffff"}', {"a": "\uffff\ufdd0\U0010ffff"}),
    ("a byte order mark within", '{"a":"\ufeff"}', {"a": "\ufeff"}),
    ("a surrogate pair as escapes", '{"a":"\\uD83D\\ude97"}', {"a": "\U0001f697"}),
    ("an escaped slash", '{"a":"\\/"}', {"a": "/"}),
    ("an escape of an escape", '{"a":"\\\\ud800"}', {"a": "\\ud800"}),
    ("no name", '{"":1}', "bad-name"),
    ("a number as text", '{"a":"1"}', {"a": "1"}),
    ("truth values", '{"a":true,"b":false}', {"a": True, "b": False}),
    ("white space", '\t\r\n { \n"a" :\r 1\t} ', {"a": 1.0}),
    ("an object as a feature", '{"a":{}}', "wrong-type"),
    ("lists in lists", '{"a":%s}' % ("[" * 31 + "]" * 31), "wrong-type"),
]  # fmt: skip


@pytest.mark.parametrize(("about", "features", "meaning"), MEANINGS, ids=lambda x: str(x)[:40])
def test_what_json_leaves_open_has_one_meaning(about: str, features: str, meaning: object) -> None:
    document = PREDICTION.replace(b'{"a":1}', features.encode())
    found = outcome("predictions", document)
    shown = found.features if isinstance(found, events.Prediction) else found
    assert repr(shown) == repr(meaning), about


@pytest.mark.parametrize("topic", GOOD)
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_has_one_limit_everywhere(topic: str, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    for depth in (1, 10, 31, 32, 33, 100, 400, 900, 1_100, 5_000):
        inner = f"{opening * depth}1{closing * depth}".encode()
        found = outcome(topic, GOOD[topic][:-1] + b',"zzz":' + inner + b"}")
        assert (found == "too-deep") == (depth + 1 > LIMITS.max_depth), depth


@pytest.mark.parametrize("topic", GOOD)
def test_depth_does_not_depend_on_who_calls(topic: str) -> None:
    document = GOOD[topic][:-1] + b',"zzz":' + b"[" * 31 + b"]" * 31 + b"}"

    def called(levels: int) -> object:
        return called(levels - 1) if levels else outcome(topic, document)

    assert called(600) == called(0) != "too-deep"


@pytest.mark.parametrize(
    ("time", "meaning"),
    [
        ('"2016-12-31T23:59:60Z"', "time-not-rfc3339"),
        ('"2016-12-31T23:59:59.9999994Z"', 1_483_228_799_999),
        ('"2016-12-31T23:59:59.9999995Z"', 1_483_228_800_000),
        ('"2026-03-02T09:14:07.25Z"', 1_772_442_847_250),
        ("1772442847250.0", 1_772_442_847_250),
        ("1772442847250e0", 1_772_442_847_250),
        ("-0", 0),
        ('"1772442847250"', "time-not-rfc3339"),
    ],
)
def test_a_time_has_one_meaning(time: str, meaning: object) -> None:
    for topic, value in GOOD.items():
        found = outcome(topic, value.replace(b'"time":1', b'"time":' + time.encode()))
        assert getattr(found, "time", found) == meaning


# -- whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**400), 10**400) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(sorted(GOOD)), JSON, st.booleans())
def test_whatever_is_json_may_stand_in_an_unknown_field(
    topic: str, value: object, escaped: bool
) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode()
    assert outcome(topic, GOOD[topic][:-1] + b',"zzz":' + text + b"}") == outcome(
        topic, GOOD[topic]
    )


@pytest.mark.parametrize("topic", GOOD)
def test_a_number_that_nobody_can_hold_in_an_unknown_field(topic: str) -> None:
    found = outcome(topic, GOOD[topic][:-1] + b',"zzz":[1e999]}')
    if topic == "control":  # all of it is read, for its type may come last
        assert found == "number-out-of-range"
    else:
        assert found == outcome(topic, GOOD[topic])


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good document with a few of its bytes changed, gone, or doubled."""
    topic = draw(st.sampled_from(sorted(GOOD)))
    value = bytearray(GOOD[topic])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(value) - 1))
        piece = draw(st.binary(max_size=2) | st.sampled_from([b'"', b"{", b"}", b"[", b",", b"\\"]))
        value[at : at + draw(st.integers(0, 2))] = piece
    return topic, bytes(value)


@given(damaged())
@example(("predictions", PREDICTION + b"\x00"))
def test_damage_is_noticed_or_harmless(case: tuple[str, bytes]) -> None:
    topic, value = case
    found = outcome(topic, value)
    try:
        document = parsed(value)
    except (ValueError, RecursionError):
        assert isinstance(found, str)
        return
    if not isinstance(found, str):
        for field in ("prediction_id", "model", "version", "label"):
            if field in document and hasattr(found, field):
                assert getattr(found, field) == document[field]


@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=60))
def test_nothing_but_a_rejection_comes_of_anything(topic: str, value: bytes) -> None:
    assert isinstance(outcome(topic, value), str)
