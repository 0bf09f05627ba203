"""Version 1 for ever: what was sent and published once is read with the same meaning as then."""

import ast
import base64
import copy
import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

import schemas
from stream import events
from stream.events.outputs import Output
from tests.blocks import rows_of
from tests.conftest import ROOT
from tests.contracts import breaks
from tests.golden import v1
from tests.golden.v1 import consumer
from tests.intakes import Sent, taken_in
from tests.test_schemas import INPUTS, OUTPUTS, VALIDATORS, structs

CONSUMERS = {
    "evaluation.v1": consumer.Evaluation,
    "alert.v1": consumer.Alert,
    "retrain-request.v1": consumer.RetrainRequest,
}
SENT = [(name, case) for name in INPUTS for case in v1.cases(name.removesuffix(".v1"))]
MADE = [(name, case) for name in OUTPUTS for case in v1.cases(name.removesuffix(".v1"))]
OPEN_SETS = frozenset({"driftline-reason"})
PAGE = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
LATER: dict[str, Any] = {"added_later": {"list": [1, None, {"a": "b"}]}, "also_later": None}


def label(value: object) -> str:
    return value["about"] if isinstance(value, dict) else str(value)


def same(one: object, other: object) -> bool:
    """Equal in type as well: 1 is not 1.0 and 0.0 is not -0.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def decoded(name: str, value: bytes) -> Any:
    return msgspec.to_builtins(INPUTS[name][0](value, None, -1, events.Limits()))


def grown(document: Any) -> Any:
    """A document of later: every object in it knows more. `details` is a table of figures."""
    if isinstance(document, dict):
        inner = {k: v if k == "details" else grown(v) for k, v in document.items()}
        return {**LATER, **inner}
    return [grown(x) for x in document] if isinstance(document, list) else document


def of_then(now: Any, then: Any) -> Any:
    """What is published now without what was added, at any depth."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: of_then(value, then[key]) for key, value in now.items() if key in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [of_then(*both) for both in zip(now, then, strict=True)]
    return now


# -- what was sent


@pytest.mark.parametrize(("name", "case"), SENT, ids=label)
def test_an_event_of_then_means_now_what_it_meant_then(name: str, case: dict[str, Any]) -> None:
    now = decoded(name, case["text"].encode())
    assert same({key: now[key] for key in case["decoded"]}, case["decoded"])


@pytest.mark.parametrize(("name", "case"), SENT, ids=label)
def test_an_event_of_then_is_valid_by_the_contract_of_now(name: str, case: dict[str, Any]) -> None:
    VALIDATORS[name].validate(json.loads(case["text"]))


@pytest.mark.parametrize(("name", "case"), SENT, ids=label)
def test_a_newer_sender_is_understood(name: str, case: dict[str, Any]) -> None:
    document = LATER | json.loads(case["text"])
    again = decoded(name, json.dumps(document).encode())
    assert same(again, decoded(name, case["text"].encode()))


def test_every_kind_of_control_event_is_kept() -> None:
    kept = {case["decoded"]["type"] for case in v1.cases("control")}
    assert kept == {kind.type for kind in typing.get_args(events.Control)}


@pytest.mark.parametrize("case", v1.cases("arrow"), ids=lambda c: f"{c['topic']}: {c['about']}")
def test_an_arrow_message_of_then_means_now_what_it_meant_then(case: dict[str, Any]) -> None:
    header = ("content-type", b"application/vnd.apache.arrow.stream")
    found = taken_in(case["topic"], [Sent(base64.b64decode(case["stream"]), [header])])
    assert found.reasons == {}
    rows = [row for batch in found.batches for block in batch.blocks for row in rows_of(block)]
    for row, then in zip(sorted(rows, key=lambda r: r["ids"]), case["rows"], strict=True):
        assert same({key: row[key] for key in then}, then)


# -- what was published


@pytest.mark.parametrize(("name", "case"), MADE, ids=label)
def test_an_event_published_then_is_published_the_same_now(name: str, case: dict[str, Any]) -> None:
    event = typing.cast(Output, msgspec.json.decode(case["text"], type=OUTPUTS[name]))
    document = json.loads(case["text"])
    now = json.loads(events.encode(event))
    assert same({key: now[key] for key in document}, document)
    headers = {key: value.decode() for key, value in events.headers(event)}
    assert {key: headers[key] for key in case["headers"]} == case["headers"]


@pytest.mark.parametrize(("name", "case"), MADE, ids=label)
def test_an_event_published_then_is_valid_now(name: str, case: dict[str, Any]) -> None:
    VALIDATORS[name].validate(json.loads(case["text"]))


@pytest.mark.parametrize("case", v1.cases("ids"), ids=lambda case: str(case["parts"]))
def test_an_id_stays_the_same(case: dict[str, Any]) -> None:
    assert events.event_id(*case["parts"]) == case["id"]


@pytest.mark.parametrize(("name", "case"), MADE, ids=label)
def test_an_old_consumer_passes_over_what_it_does_not_know(name: str, case: dict[str, Any]) -> None:
    old = msgspec.json.decode(case["text"], type=CONSUMERS[name])
    newer = json.dumps(grown(json.loads(case["text"])))
    assert msgspec.json.decode(newer, type=CONSUMERS[name]) == old
    assert same(json.loads(msgspec.json.encode(old)), json.loads(case["text"]))
    validator = type(VALIDATORS[name])(
        v1.schema(name), format_checker=VALIDATORS[name].format_checker
    )
    validator.validate(json.loads(newer))


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_old_consumer_reads_whatever_is_published_now(name: str) -> None:
    @given(structs(OUTPUTS[name]))
    @settings(max_examples=40)
    def check(event: Any) -> None:
        document = json.loads(events.encode(event))
        old = msgspec.json.decode(json.dumps(grown(document)), type=CONSUMERS[name])
        known = json.loads(msgspec.json.encode(old))
        assert same(of_then(document, known), known)

    check()


# -- contracts


@pytest.mark.parametrize("name", schemas.NAMES)
def test_no_contract_has_changed_incompatibly(name: str) -> None:
    old, new = v1.schema(name), schemas.load(name)
    published = name not in INPUTS
    assert breaks(old, new, published=published, open_sets=OPEN_SETS) == []
    if "$defs" in old and not published:
        for part, schema in old["$defs"].items():
            assert breaks({**schema, "$defs": old["$defs"]},
                          {**new["$defs"][part], "$defs": new["$defs"]},
                          published=published, open_sets=OPEN_SETS) == []  # fmt: skip


Change = Callable[[dict[str, Any]], object]


def at(path: str, **keywords: object) -> Change:
    """A change of the schema at a path of properties."""

    def change(schema: dict[str, Any]) -> None:
        for part in path.split("/") if path else []:
            schema = schema["items"] if part == "[]" else schema["properties"][part]
        schema.update(keywords)

    return change


def gone(name: str) -> Change:
    def change(schema: dict[str, Any]) -> None:
        del schema["properties"][name]

    return change


def added(name: str, schema: dict[str, Any], *, required: bool = False) -> Change:
    def change(root: dict[str, Any]) -> None:
        root["properties"][name] = schema
        root["required"] = [*root["required"], *([name] if required else [])]

    return change


def not_required(name: str) -> Change:
    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [one for one in schema["required"] if one != name]

    return change


BREAKING: list[tuple[str, str, Change]] = [
    ("a property goes", "prediction.v1", gone("weight")),
    ("a property goes", "alert.v1", gone("owner")),
    ("an input is required that was not", "prediction.v1", added("region", {}, required=True)),
    ("an input is required that was not", "ground-truth.v1", at("", required=["label"])),
    ("records of before have it not", "alert.v1", added("runbook", {}, required=True)),
    ("an output may be left out", "alert.v1", not_required("owner")),
    ("an input takes fewer types", "prediction.v1", at("score", type="number")),
    ("an input takes fewer types", "ground-truth.v1", at("label", type=["string", "null"])),
    ("an input takes only whole numbers", "prediction.v1", at("weight", type=["integer", "null"])),
    ("an output has another type", "alert.v1", at("version", type="integer")),
    ("an output may be null", "alert.v1", at("evaluation_id", type=["string", "null"])),
    ("an output's set grows", "alert.v1", at("state", enum=["pending", "firing", "resolved", "x"])),
    ("an output is of no set", "alert.v1", lambda s: s["properties"]["severity"].pop("enum")),
    ("an output has no form", "alert.v1", lambda s: s["properties"]["time"].pop("pattern")),
    ("an output has another form", "alert.v1", at("id", format="uri")),
    ("an output may be smaller", "retrain-request.v1", at("labelled_rows", minimum=-1)),
    ("an input's bound rises", "ground-truth.v1", at("revision", minimum=1)),
    ("an input's bound falls", "ground-truth.v1", at("revision", maximum=10)),
    ("an input must be longer", "prediction.v1", at("model", minLength=3)),
    ("an input has a form", "prediction.v1", at("model", pattern="^[a-z]+$")),
    ("an input's vectors change", "prediction.v1",
     lambda s: s["properties"]["features"]["additionalProperties"].update(type="number")),
    ("an input refuses unknown properties", "prediction.v1", at("", additionalProperties=False)),
    ("inside a list", "retrain-request.v1",
     lambda s: s["properties"]["data"]["properties"]["offsets"]["items"]["properties"].pop("last")),
    ("inside a definition", "alert.v1", lambda s: s["$defs"]["reading"]["properties"].pop("n")),
    ("a time is only text", "prediction.v1", lambda s: s["properties"]["time"]["oneOf"].pop()),
    ("another version under the same name", "alert.v1", at("schema", const=2)),
    ("another type under the same name", "alert.v1", at("type", const="driftline.alert.v2")),
    ("a condition", "ground-truth.v1", lambda s: s["else"].update(required=["label", "source"])),
    ("a keyword without a rule", "alert.v1", at("summary", contentEncoding="base64")),
]  # fmt: skip
HARMLESS: list[tuple[str, str, Change]] = [
    ("nothing", "alert.v1", at("")),
    ("words", "alert.v1", at("state", description="Another description.", title="State")),
    ("a new optional input", "prediction.v1", added("region", {"type": "string"})),
    ("a new output", "alert.v1", added("runbook", {"type": ["string", "null"]})),
    ("an input takes more types", "prediction.v1", at("client", type=["string", "number", "null"])),
    ("an input is required no more", "prediction.v1", not_required("features")),
    ("an input's bound widens", "ground-truth.v1", at("revision", minimum=-1, maximum=2**60)),
    ("an output is never null", "alert.v1", at("owner", type="string")),
    ("an output's set shrinks", "alert.v1", at("state", enum=["pending", "firing"])),
    ("a new reason for dead letters", "dead-letter.v1",
     lambda s: s["properties"]["driftline-reason"]["enum"].append("of-later")),
    ("a time may also be a list", "prediction.v1",
     lambda s: s["properties"]["time"]["oneOf"].append({"type": "array"})),
]  # fmt: skip


def findings(name: str, change: Change) -> list[str]:
    old = v1.schema(name)
    new = copy.deepcopy(old)
    change(new)
    return breaks(old, new, published=name not in INPUTS, open_sets=OPEN_SETS)


@pytest.mark.parametrize(("about", "name", "change"), BREAKING, ids=[c[0] for c in BREAKING])
def test_a_breaking_change_is_found(about: str, name: str, change: Change) -> None:
    assert findings(name, change), about


@pytest.mark.parametrize(("about", "name", "change"), HARMLESS, ids=[c[0] for c in HARMLESS])
def test_a_harmless_change_is_none(about: str, name: str, change: Change) -> None:
    assert findings(name, change) == [], about


@pytest.mark.parametrize("name", schemas.NAMES)
def test_a_contract_says_its_version(name: str) -> None:
    title, _, version = name.rpartition(".v")
    document = schemas.load(name)
    assert document["$id"] == f"urn:driftline:schema:{name}"
    if name in OUTPUTS:
        assert document["properties"]["type"]["const"] == f"driftline.{title}.v{version}"
        assert document["properties"]["schema"]["const"] == int(version)


# -- reasons


def raised(path: Path) -> Iterator[str]:
    """The reasons that a module gives, where they are written out."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Rejected":
            yield from (str(x.value) for x in node.args[:1] if isinstance(x, ast.Constant))


def test_every_reason_that_is_given_is_listed() -> None:
    found = {r for p in ("agents", "stream") for f in (ROOT / p).rglob("*.py") for r in raised(f)}
    assert len(found) > 15
    assert found <= set(events.REASONS)


def test_no_reason_of_then_is_gone() -> None:
    then = v1.schema("dead-letter.v1")["properties"]["driftline-reason"]["enum"]
    assert set(then) <= set(events.REASONS)


def test_the_page_names_every_set_that_may_grow() -> None:
    for name in OPEN_SETS:
        assert f"`{name}`" in PAGE
