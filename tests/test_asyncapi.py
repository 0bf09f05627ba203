"""The AsyncAPI document is valid, says what the code does, and events on the wire keep to it."""

import re
import typing
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
import referencing
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing.jsonschema import DRAFT202012

import schemas
from agents.arrows import MEDIA_TYPE
from agents.reading import SOURCES
from agents.settings import TOPICS, Settings
from agents.topics import config_of
from stream import events
from stream.events.outputs import Output
from tests import specifications, tales
from tests.brokers import Unavailable
from tests.intakes import Sent, taken_in
from tests.test_schemas import FORMATS, INPUTS, OUTPUTS, VALIDATORS, decode, structs

DOCUMENT = schemas.asyncapi()
CHANNELS: dict[str, Any] = DOCUMENT["channels"]
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
OPERATIONS: dict[str, Any] = DOCUMENT["operations"]
INTERNAL = ("events", "signals")
PUBLISHED = ("alerts", "retrain-requests", "evaluations", "dead-letters")
# RFC 3986: what a reference may hold, percent-encoded where it needs to be
REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-F]{2})+")
BASE = "urn:driftline:asyncapi:v1"
FILES = [(f"./{name}.json", schemas.load(name)) for name in schemas.NAMES]
REGISTRY: Any = referencing.Registry().with_resources(
    (uri, DRAFT202012.create_resource(found)) for uri, found in [*FILES, (BASE, DOCUMENT)]
)


def resolve(reference: str) -> Any:
    resolver = REGISTRY.resolver(BASE)
    if reference.startswith("./"):  # beside the document, and named by an address of its own
        name, _, pointer = reference.partition("#")
        resolver = REGISTRY.resolver(name)
        reference = f"#{pointer}"
    return resolver.lookup(reference).contents


def resolved(node: Any) -> Any:
    return resolve(node["$ref"]) if "$ref" in node else node


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document that is no example."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key != "examples":
                yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


def check(schema: dict[str, Any], value: object) -> None:
    """A value against a schema of the document, references and all."""
    for node in nodes(schema):  # those of files are checked by their own validators
        assert not node.get("$ref", "").startswith("./")
    root = {"$id": BASE, "components": DOCUMENT["components"], "allOf": [schema]}
    jsonschema.Draft202012Validator(root, format_checker=FORMATS).validate(value)


def payload_validator(message: dict[str, Any]) -> Any:
    name, _, pointer = message["payload"]["$ref"].removeprefix("./").partition("#")
    root = schemas.load(name.removesuffix(".json"))
    schema = {"$defs": root.get("$defs", {}), **resolve(message["payload"]["$ref"])}
    kind = jsonschema.Draft202012Validator
    return kind(schema if pointer else root, format_checker=FORMATS)


# -- the document


def test_the_document_is_valid() -> None:
    try:
        schema = specifications.asyncapi_schema(DOCUMENT["asyncapi"])
    except Unavailable as why:
        pytest.skip(str(why))
    validator = jsonschema.Draft7Validator(schema)
    assert [e.message for e in validator.iter_errors(DOCUMENT)] == []
    assert not validator.is_valid(DOCUMENT | {"operations": {"sendAlerts": {"action": "shout"}}})


def test_every_reference_leads_somewhere() -> None:
    found = [node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node]
    assert len(found) > 50
    for reference in found:
        assert resolve(reference) is not None, reference


def test_every_part_is_used() -> None:
    found = {node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node}
    for kind, parts in DOCUMENT["components"].items():
        assert {f"#/components/{kind}/{name}" for name in parts} <= found


def test_every_schema_is_a_message() -> None:
    found = {node["$ref"].partition("#")[0] for node in nodes(DOCUMENT) if "$ref" in node}
    assert {f"./{name}.json" for name in schemas.NAMES} <= found


def test_every_control_event_is_a_message() -> None:
    tags = {kind.type for kind in typing.get_args(events.Control)}
    assert set(CHANNELS["control"]["messages"]) == tags
    for tag in tags:
        assert MESSAGES[tag]["payload"] == {"$ref": f"./control.v1.json#/$defs/{tag}"}


def test_the_channels_are_the_topics() -> None:
    assert tuple(CHANNELS) == TOPICS
    for name, channel in CHANNELS.items():
        prefix = resolved(channel["parameters"]["prefix"])["default"]
        assert channel["address"].format(prefix=prefix) == Settings().topics.name(name)


@pytest.mark.parametrize("name", TOPICS)
def test_a_channel_is_made_as_it_says(name: str) -> None:
    kafka = CHANNELS[name]["bindings"]["kafka"]
    topics = Settings().topics
    assert kafka["partitions"] == topics.partitions
    assert kafka["replicas"] == topics.replication_factor
    told = {
        key: ",".join(value) if isinstance(value, list) else str(value)
        for key, value in kafka["topicConfiguration"].items()
    }
    made = config_of(Settings(), name)
    made.pop("max.message.bytes", None)  # follows the limits of the settings
    assert told == made


def test_the_operations_are_those_of_the_code() -> None:
    received: set[str] = set()
    sent: set[str] = set()
    for operation in OPERATIONS.values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        (received if operation["action"] == "receive" else sent).add(channel)
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"#/channels/{channel}/messages/")
    assert received == {*SOURCES, *INTERNAL}
    assert sent == {*PUBLISHED, *INTERNAL, "control"}


def test_a_retrain_request_is_answered_on_the_control_channel() -> None:
    reply = OPERATIONS["sendRetrainRequests"]["reply"]
    names = {message["$ref"].rpartition("/")[2] for message in reply["messages"]}
    answers = {k.type for k in typing.get_args(events.Control) if issubclass(k, events.Retraining)}
    assert names == answers
    assert reply["channel"]["$ref"] == "#/channels/control"


def test_the_group_is_the_one_of_the_settings() -> None:
    for operation in OPERATIONS.values():
        if operation["action"] == "receive":
            group = operation["bindings"]["kafka"]["groupId"]
            assert group["default"] == Settings().kafka.group_id


@pytest.mark.parametrize(
    ("kind", "ok"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("text/json", True),
        ("application/vnd.insurer.quote+json", True),
        ("", True),
        ("application/cloudevents+json", False),
        ("application/xml", False),
        ("application/jsonl", False),
    ],
)
def test_a_content_type_is_taken_in_or_not_as_it_says(kind: str, ok: bool) -> None:
    schema = DOCUMENT["components"]["schemas"]["inputHeaders"]
    valid = jsonschema.Draft202012Validator(schema).is_valid({"content-type": kind})
    assert valid == ok
    value = msgspec.json.encode(schemas.load("prediction.v1")["examples"][0])
    found = taken_in("predictions", [Sent(value, [("Content-Type", kind.encode())])])
    assert found.rows == ([0] if ok else [])
    assert found.reasons == ({} if ok else {0: "unknown-content-type"})


def test_arrow_is_told_by_its_content_type() -> None:
    for name in ("prediction-batch", "ground-truth-batch"):
        assert MESSAGES[name]["contentType"] == MEDIA_TYPE
        check(MESSAGES[name]["headers"], {"content-type": MEDIA_TYPE})


# -- examples


@pytest.mark.parametrize("name", MESSAGES)
def test_the_examples_of_a_message_are_valid(name: str) -> None:
    message = MESSAGES[name]
    for example in message.get("examples", []):
        if "$ref" in message.get("payload", {}):
            payload_validator(message).validate(example["payload"])
        headers = message["headers"]
        if headers == {"$ref": "./dead-letter.v1.json"}:
            VALIDATORS["dead-letter.v1"].validate(example["headers"])
        else:
            check(headers, example.get("headers", {}))


def test_every_contract_has_an_example() -> None:
    lacking = {name for name, message in MESSAGES.items() if not message.get("examples")}
    assert lacking == {"batch", "signals"}


@pytest.mark.parametrize("name", MESSAGES)
def test_an_input_example_is_taken_in(name: str) -> None:
    message = MESSAGES[name]
    schema = message["payload"].get("$ref", "")[2:].partition(".json")[0]
    if schema in INPUTS:
        for example in message["examples"]:
            assert decode(schema, example["payload"]).model


# -- events on the wire


def wire(event: Output) -> tuple[dict[str, str], dict[str, Any]]:
    headers = events.headers(event)
    names = [name for name, _ in headers]
    assert len(set(names)) == len(names)
    assert names == [name.lower() for name in names]
    return {name: value.decode() for name, value in headers}, msgspec.json.decode(
        events.encode(event)
    )


def check_on_the_wire(name: str, event: Output) -> None:
    message = MESSAGES[name.removesuffix(".v1")]
    headers, payload = wire(event)
    check(message["headers"], headers)
    payload_validator(message).validate(payload)
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_id"] == payload["id"]
    assert headers["ce_type"] == payload["type"]
    assert headers["ce_time"] == payload["time"]
    assert headers["content-type"] == message["contentType"]
    assert REFERENCE.fullmatch(headers["ce_source"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_any_event_on_the_wire_keeps_to_the_document(name: str) -> None:
    @given(structs(OUTPUTS[name]))
    @settings(max_examples=40)
    def any_event(event: Any) -> None:
        check_on_the_wire(name, event)

    any_event()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(min_size=1))
def test_a_source_is_a_reference_and_tells_models_apart(model: str, other: str) -> None:
    example = schemas.load("alert.v1")["examples"][0]
    event = msgspec.convert(example | {"model": model, "version": "1/2"}, events.Alert)
    source = wire(event)[0]["ce_source"]
    assert REFERENCE.fullmatch(source)
    assert source.count("/") == 3
    assert source.isascii()
    swapped = msgspec.convert(example | {"model": f"{model}/1", "version": "2"}, events.Alert)
    assert wire(swapped)[0]["ce_source"] != source


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_event_with_other_headers_is_noticed(name: str) -> None:
    event = typing.cast(Output, msgspec.convert(schemas.load(name)["examples"][0], OUTPUTS[name]))
    headers, _ = wire(event)
    schema = MESSAGES[name.removesuffix(".v1")]["headers"]
    for wrong in (
        {**headers, "ce_type": "another"},
        {**headers, "ce_specversion": "0.3"},
        {key: value for key, value in headers.items() if key != "ce_id"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(schema, wrong)


# -- events of a story


@pytest.fixture(scope="module", params=[True, False], ids=["reference", "no reference"])
def story(request: pytest.FixtureRequest) -> list[Any]:
    """All that a small story publishes, with a reference and with one that it makes itself."""
    pipeline = tales.play(tales.tale(), tales.SETTINGS, tales.Way(), known=request.param)
    return [message for message in pipeline.published if message.topic not in INTERNAL]


def test_a_story_keeps_to_the_document(story: list[Any]) -> None:
    topics = {message.topic for message in story}
    assert {"evaluations", "alerts"} <= topics <= set(CHANNELS)
    validators = {topic: validators_of(topic) for topic in topics}
    for message in story:
        payload = msgspec.json.decode(message.value)
        fitting = [v for v in validators[message.topic].values() if v.is_valid(payload)]
        assert len(fitting) == 1, message.value[:500]
        assert message.key.decode() == payload["model"]


def validators_of(topic: str) -> dict[str, Any]:
    return {
        name: payload_validator(MESSAGES[name])
        for name in CHANNELS[topic]["messages"]
        if "$ref" in MESSAGES[name]["payload"]
    }


def test_a_story_travels_with_its_headers(story: list[Any]) -> None:
    for message in story:
        if message.topic in ("alerts", "retrain-requests", "evaluations"):
            (name,) = CHANNELS[message.topic]["messages"]
            headers = {key: value.decode() for key, value in message.headers}
            check(MESSAGES[name]["headers"], headers)
            assert headers["ce_id"] == msgspec.json.decode(message.value)["id"]


def test_a_story_repeats_no_id(story: list[Any]) -> None:
    ids = [dict(message.headers)["ce_id"] for message in story if message.topic != "control"]
    assert len(set(ids)) == len(ids) > 10


def test_dead_letters_travel_with_their_headers() -> None:
    sent = [Sent(b"{", [("traceparent", b"00-1"), ("content-type", None)], b"key"), Sent(None)]
    for topic in SOURCES:
        found = taken_in(topic, sent)
        assert len(found.letters) == len(sent)
        for letter, one in zip(found.letters, sent, strict=True):
            headers = {key: value.decode() for key, value in letter.headers}
            VALIDATORS["dead-letter.v1"].validate(headers)
            assert headers["driftline-topic"] == Settings().topics.name(topic)
            assert (letter.key, letter.value) == (one.key, one.value)
            assert {name for name, _ in one.headers} <= set(headers)
