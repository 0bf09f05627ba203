"""Structs, schemas and examples say the same: whatever one allows, the others do."""

import datetime
import types
import typing
from typing import Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from stream import events
from stream.events.outputs import Output
from tests.golden import v1

FORMATS = jsonschema.FormatChecker(formats=["uuid"])
INPUTS: dict[str, tuple[Any, Any]] = {
    "prediction.v1": (events.decode_prediction, events.Prediction),
    "ground-truth.v1": (events.decode_truth, events.Truth),
    "control.v1": (events.decode_control, events.Control),
}
OUTPUTS: dict[str, type[msgspec.Struct]] = {
    "evaluation.v1": events.Evaluation,
    "alert.v1": events.Alert,
    "retrain-request.v1": events.RetrainRequest,
}
CONTROLS = {tag.type: tag for tag in typing.get_args(events.Control)}
EXAMPLES = [(name, e) for name in schemas.NAMES for e in schemas.load(name)["examples"]]
NO_RECORD_TIME = -1


def is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    moment = msgspec.convert(value, datetime.datetime)
    return moment.tzinfo is not None


FORMATS.checks("date-time", raises=msgspec.ValidationError)(is_time)


def validator(name: str) -> Any:
    kind = jsonschema.Draft202012Validator
    return kind(schemas.load(name), format_checker=FORMATS)


VALIDATORS = {name: validator(name) for name in schemas.NAMES}


def decode(name: str, document: object) -> Any:
    value = msgspec.json.encode(document)
    return INPUTS[name][0](value, None, NO_RECORD_TIME, events.Limits())


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_schema_is_valid_and_has_examples(name: str) -> None:
    document = schemas.load(name)
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$id"].endswith(name)
    assert len(document["examples"]) >= 2


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_is_valid(name: str, example: dict[str, Any]) -> None:
    VALIDATORS[name].validate(example)


def test_an_unknown_schema_is_named() -> None:
    with pytest.raises(KeyError, match=r"alert\.v1"):
        schemas.load("alert")


@pytest.mark.parametrize(("name", "example"), [(n, e) for n, e in EXAMPLES if n in INPUTS])
def test_an_input_example_survives_decoding(name: str, example: dict[str, Any]) -> None:
    event = decode(name, example)
    again = msgspec.to_builtins(event)
    VALIDATORS[name].validate(again)
    assert decode(name, again) == event


@pytest.mark.parametrize(("name", "example"), [(n, e) for n, e in EXAMPLES if n in OUTPUTS])
def test_an_output_example_is_its_struct_exactly(name: str, example: dict[str, Any]) -> None:
    event = msgspec.convert(example, OUTPUTS[name])
    assert msgspec.json.decode(events.encode(typing.cast(Output, event))) == example


def test_every_control_event_has_an_example() -> None:
    assert {e["type"] for n, e in EXAMPLES if n == "control.v1"} == set(CONTROLS)


@pytest.mark.parametrize("name", schemas.NAMES)
def test_every_property_is_described(name: str) -> None:
    def undescribed(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [p for i, s in enumerate(schema) for p in undescribed(s, f"{path}/{i}")]
        if not isinstance(schema, dict):
            return []
        found = [
            f"{path}/{key}"
            for key, s in schema.get("properties", {}).items()
            if "description" not in s and "$ref" not in s and not path.endswith(("if", "else"))
        ]
        inner = ((k, s) for k, s in schema.items() if k != "examples")
        return found + [p for k, s in inner for p in undescribed(s, f"{path}/{k}")]

    assert undescribed(schemas.load(name), "") == []


@pytest.mark.parametrize("name", schemas.NAMES)
def test_unknown_properties_are_allowed_everywhere(name: str) -> None:
    def closed(schema: Any) -> bool:
        if isinstance(schema, dict):
            return schema.get("additionalProperties") is False or any(map(closed, schema.values()))
        return isinstance(schema, list) and any(map(closed, schema))

    assert not closed(schemas.load(name))


def test_dead_letters_know_every_reason() -> None:
    known = schemas.load("dead-letter.v1")["properties"]["driftline-reason"]["enum"]
    assert known == list(events.REASONS)


# -- fields


NAMES_OF_JSON = {
    str: {"string"}, float: {"number"}, int: {"integer"}, bool: {"boolean"},
    type(None): {"null"}, dict: {"object"}, list: {"array"},
}  # fmt: skip


def json_types(kind: Any) -> set[str]:
    """What JSON may hold where a struct has this type."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        written = (k for k in typing.get_args(kind) if k is not msgspec.UnsetType)
        found = set().union(*map(json_types, written))
        return found - {"integer"} if "number" in found else found
    if origin is typing.Annotated:
        return json_types(typing.get_args(kind)[0])
    if origin is Literal:
        return {"string"}
    if origin is None and issubclass(kind, msgspec.Struct):
        return {"object"}
    return NAMES_OF_JSON[origin or kind]


def schema_types(schema: dict[str, Any], root: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        return schema_types(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema and "type" not in schema:
        return set().union(*(schema_types(s, root) for s in schema["anyOf"]))
    kind = schema["type"]
    return set(kind) if isinstance(kind, list) else {kind}


PAIRS = [
    ("prediction.v1", (), events.Prediction),
    ("ground-truth.v1", (), events.Truth),
    *(("control.v1", ("$defs", tag), kind) for tag, kind in CONTROLS.items()),
    *((name, (), kind) for name, kind in OUTPUTS.items()),
    *(
        (name, ("$defs", part), kind)
        for name in OUTPUTS
        for part, kind in (
            ("window", events.Window),
            ("reading", events.Reading),
            ("effect", events.Effect),
            ("verdict", events.Verdict),
        )
    ),
    ("alert.v1", ("properties", "how_sure"), events.Sureness),
    ("retrain-request.v1", ("properties", "data"), events.Data),
    ("retrain-request.v1", ("properties", "data", "properties", "offsets", "items"),
     events.OffsetRange),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "kind"), PAIRS)
def test_a_struct_has_the_fields_of_its_schema(
    name: str, path: tuple[str, ...], kind: type[msgspec.Struct]
) -> None:
    root = schemas.load(name)
    schema, then = root, v1.schema(name)
    for key in path:
        schema, then = schema[key], then.get(key, {})  # a control event may have come later
    known = schema["properties"]
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    assert set(known) - set(fields) <= ({"id", "type", "schema"} if name in INPUTS else set())
    assert [n for n in fields if n not in known] == []
    # what an output has from version 1 on is always there; records of then lack what came later
    required = then["properties"] if name in OUTPUTS else fields
    always = {n for n, f in fields.items() if n in required and (name in OUTPUTS or f.required)}
    assert set(schema["required"]) - {"type"} == always - {"type"}
    times = {"time", "active_from", "learnt_from", "learnt_until"} if name in INPUTS else set()
    for field in set(fields) - times:
        assert schema_types(known[field], root) == json_types(hints[field]), field


# -- generated events

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
IDS = WORDS.filter(bool)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
MILLISECONDS = st.integers(0, events.times.LAST_MS)
SCALARS = st.none() | NUMBERS | WORDS | st.booleans()
FEATURES = st.dictionaries(IDS, SCALARS | st.lists(NUMBERS, max_size=3), max_size=5)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


predictions = st.builds(
    events.Prediction, IDS, IDS, IDS, MILLISECONDS, FEATURES, SCALARS, maybe(NUMBERS),
    maybe(st.dictionaries(IDS, NUMBERS, max_size=3)),
    maybe(st.dictionaries(IDS, WORDS, max_size=3)),
    maybe(NUMBERS), maybe(WORDS), maybe(st.booleans()), maybe(WORDS),
)  # fmt: skip
truths = st.builds(
    events.Truth, IDS, IDS, MILLISECONDS, SCALARS, maybe(IDS), maybe(WORDS), st.integers(0, 2**53),
    st.booleans(),
).filter(lambda t: t.label is not None or t.retracted)  # fmt: skip
"""Structs of exactly what their types allow."""


@given(predictions)
def test_any_prediction_is_valid_and_comes_back(event: events.Prediction) -> None:
    document = msgspec.to_builtins(event)
    VALIDATORS["prediction.v1"].validate(document)
    assert decode("prediction.v1", document) == event


@given(truths)
def test_any_truth_is_valid_and_comes_back(event: events.Truth) -> None:
    document = msgspec.to_builtins(event)
    VALIDATORS["ground-truth.v1"].validate(document)
    assert decode("ground-truth.v1", document) == event


TIMES = MILLISECONDS.map(events.rfc3339)
UUIDS = st.uuids().map(str)
BY_FIELD = {"learnt_from": TIMES, "learnt_until": TIMES,
            "id": UUIDS, "evaluation_id": UUIDS, "time": TIMES, "since": TIMES, "start": TIMES,
            "end": TIMES, "deadline": TIMES, "model": IDS, "version": IDS,
            "idempotency_key": IDS, "alert_ids": st.lists(UUIDS, max_size=2)}  # fmt: skip


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Whatever a field of this type may hold."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, inner))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is list:
        return st.lists(values(inner[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(WORDS, values(inner[1]), max_size=2)
    if kind in PLAIN:
        return PLAIN[kind]
    return structs(kind)


PLAIN = {str: WORDS, float: NUMBERS, int: st.integers(0, 2**53), bool: st.booleans(),
         type(None): st.none(), msgspec.UnsetType: st.just(msgspec.UNSET)}  # fmt: skip


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fixed = {"type", "schema"} if kind in OUTPUTS.values() else set()
    hints = typing.get_type_hints(kind)
    fields = {n: BY_FIELD.get(n, values(h)) for n, h in hints.items() if n not in fixed}
    return st.builds(kind, **fields)


@pytest.mark.parametrize("name", OUTPUTS)
def test_any_output_is_valid_and_comes_back(name: str) -> None:
    kind = OUTPUTS[name]

    @given(structs(kind))
    @settings(max_examples=40)
    def check(event: Any) -> None:
        document = msgspec.json.decode(events.encode(event))
        VALIDATORS[name].validate(document)
        assert msgspec.json.decode(events.encode(event), type=kind) == event

    check()
