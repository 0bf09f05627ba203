"""Whatever producers send: dead letters for what cannot be used, and the stream goes on."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

import schemas
from agents.chunks import TP
from agents.intake import Intake
from agents.producers import Message
from stream.batches import decode_batch
from stream.stamps import stamp
from tests.keepers import House
from tests.servers import Kafka
from tests.workers import HOUR_MS, HOURLY, START_MS, Deploy, Deployment, Read, prediction, truth

MANY = {f"f{i}": float(i) for i in range(10_000)}
PLAIN = json.dumps(prediction(0, START_MS, {"x": 1.0})).encode()


def edited(**fields: Any) -> bytes:
    return json.dumps(prediction(0, START_MS, {"x": 1.0}) | fields).encode()


BAD_PREDICTIONS: list[tuple[str, bytes | None]] = [
    ("not-json", b"no JSON at all"),
    ("not-json", PLAIN[:-1]),
    ("not-json", PLAIN.replace(b"1.0", b"NaN")),
    ("not-json", PLAIN.replace(b"1.0", b"-Infinity")),
    ("not-utf8", PLAIN.replace(b'"m"', b'"\xff"')),
    ("empty-value", None),
    ("empty-value", b""),
    ("wrong-type", b"[]"),
    ("wrong-type", edited(prediction_id=7)),
    ("wrong-type", edited(features={"x": {"y": 1}})),
    ("missing-field", b"{}"),
    ("number-out-of-range", PLAIN.replace(b"1.0", b"1e999")),
    ("number-out-of-range", PLAIN.replace(b"1.0", b"9" * 400)),
    ("too-many-features", edited(features=MANY)),
    ("time-in-future", edited(time="2999-01-01T00:00:00Z")),
    ("time-out-of-range", edited(time=10**15)),
    ("time-without-zone", edited(time="2025-01-01T00:00:00")),
    ("time-in-seconds", edited(time=int(time.time()))),
    ("too-large", b" " * 1_048_300),  # as large as Kafka's topics allow by default
    ("empty-id", edited(model="")),
    ("bad-name", edited(version="\0")),
]
BAD_OTHERS: list[tuple[str, str, bytes]] = [
    ("ground-truth", "missing-field", json.dumps(truth(0, START_MS, None)).encode()),
    ("ground-truth", "number-out-of-range", json.dumps(truth(0, 0, 1, revision=2**60)).encode()),
    ("control", "unknown-type", b'{"type": "coffee", "model": "m", "time": 0}'),
    ("control", "too-deep", b"[" * 5_000 + b"]" * 5_000),
]


def send_all(d: Deployment) -> Counter[str]:
    """Bad records among good ones; how often each reason is to be found."""
    for i, (_, value) in enumerate(BAD_PREDICTIONS):
        d.send("predictions", [prediction(i, START_MS + i, {"x": float(i)})])
        d.send(
            "predictions",
            [value],
            key=None if i % 2 else b"key \xff",
            headers=[("trace", b"\0\xff")],
        )
    for topic, _, value in BAD_OTHERS:
        d.send(topic, [value])
    d.send("predictions", [PLAIN], headers=[("Content-Type", "text/csv; charset=utf-8")])
    return Counter(
        [reason for reason, _ in BAD_PREDICTIONS]
        + [reason for _, reason, _ in BAD_OTHERS]
        + ["unknown-content-type"]
    )


def test_bad_records_become_dead_letters_and_the_stream_goes_on(deploy: Deploy) -> None:
    d = deploy()
    d.start(http=True)
    expected = send_all(d)
    d.close_time("m", START_MS + HOUR_MS)
    d.until(lambda: len(d.read("dead-letters")) >= expected.total() and d.evaluations())
    letters = d.read("dead-letters")
    assert Counter(x.headers["driftline-reason"].decode() for x in letters) == expected
    originals = {(r.topic, r.partition, r.offset): r for t in SENT for r in d.read(t)}
    for letter in letters:
        check_letter(d, letter, originals)
    assert [e["rows"] for e in d.evaluations()] == [len(BAD_PREDICTIONS)]
    check_counters(d.counters(), expected)


SENT = ("predictions", "ground-truth", "control")
LETTERS = jsonschema.Draft202012Validator(schemas.load("dead-letter.v1"))


def check_letter(
    d: Deployment, letter: Read, originals: Mapping[tuple[str, int, int], Read]
) -> None:
    told = {k: v.decode() for k, v in letter.headers.items() if k.startswith("driftline-")}
    LETTERS.validate(told)
    topic = told["driftline-topic"].removeprefix(f"{d.name}.")
    original = originals[topic, int(told["driftline-partition"]), int(told["driftline-offset"])]
    assert (letter.key, letter.value) == (original.key, original.value)
    assert original.headers.items() <= letter.headers.items()
    assert told["driftline-timestamp"] == str(original.timestamp_ms)


def check_counters(found: Mapping[str, float], expected: Mapping[str, int]) -> None:
    for reason, count in expected.items():
        assert found[f'driftline_dead_letters_total{{reason="{reason}"}}'] == count
    events = {
        topic: found[f'driftline_events_total{{outcome="rejected",topic="{topic}"}}']
        for topic in SENT
    }
    assert events == {"predictions": len(BAD_PREDICTIONS) + 1, "ground-truth": 2, "control": 2}
    accepted = 'driftline_events_total{outcome="accepted",topic="predictions"}'
    assert found[accepted] == len(BAD_PREDICTIONS)


def test_a_record_as_large_as_may_be_is_taken_in(deploy_real: Deploy) -> None:
    d = deploy_real()
    d.start()
    large = prediction(0, START_MS, {"x": 1.0, "text": "ä" * 150_000})
    wide = prediction(1, START_MS, {f"feature-{i}": float(i) for i in range(2_000)})
    d.send("predictions", [large, wide, prediction(2, START_MS, {"x": 2.0})])
    d.close_time("m", START_MS + HOUR_MS)
    d.until(d.evaluations)
    assert [e["rows"] for e in d.evaluations()] == [3]
    assert d.read("dead-letters") == []


def test_an_unknown_model_is_refused_where_the_settings_say_so(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    refuse = {"unknown_models": "refuse"}
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, HOURLY, intake=refuse) as d:
        d.start()
        d.send("predictions", [prediction(0, START_MS, {"x": 1.0}, model="stranger")])
        d.send("ground-truth", [truth(0, START_MS, 1, model="stranger")])
        d.send("predictions", [prediction(1, START_MS, {"x": 1.0})])
        d.control("watermark", "stranger", START_MS + HOUR_MS)
        d.close_time("m", START_MS + HOUR_MS)
        d.until(lambda: len(d.read("dead-letters")) == 3 and d.evaluations())
        reasons = {letter.headers["driftline-reason"] for letter in d.read("dead-letters")}
        assert reasons == {b"unknown-model"}
        assert [(e["model"], e["rows"]) for e in d.evaluations()] == [("m", 1)]


QUIET = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = 1
"""


def test_source_partitions_without_records_hold_nobody_back(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, QUIET) as d:
        d.start()
        for hour in range(2):
            rows = [prediction(hour, START_MS + hour * HOUR_MS, {"x": 1.0})]
            d.send("predictions", rows, partition=0)
            time.sleep(1.2)
        end = [prediction(9, START_MS + 2 * HOUR_MS + 90_000, {"x": 1.0})]
        d.send("predictions", end, partition=0)
        d.until(lambda: len(d.evaluations()) == 2)
        assert [e["rows"] for e in d.evaluations()] == [1, 2]  # collected so far


def test_idleness_is_told_as_of_the_look_before_and_only_where_nothing_came(
    mock_kafka: Kafka, redis_url: str, namespace: str
) -> None:
    asyncio.run(_tell(House(redis_url, mock_kafka.bootstrap, namespace)))


async def _tell(house: House) -> None:
    told: list[Message] = []

    async def deliver(messages: Sequence[Message]) -> None:
        told.extend(messages)

    house.context.producer.deliver = deliver  # type: ignore[method-assign]
    intake = Intake(house.context)
    busy, quiet, unread = (TP("p", number) for number in range(3))
    for tp in (busy, quiet, unread):
        intake.assigned(tp)
    before = int(time.time() * 1000)
    await intake.tell_idle({busy, quiet})
    assert told == []
    intake.taken[busy] = 17
    await asyncio.sleep(0.01)
    await intake.tell_idle({busy, quiet, unread})
    batches = [decode_batch(m.value or b"") for m in told]
    assert {(b.partition, b.first, b.last) for b in batches} == {(1, -1, -1)}
    assert all(before <= b.record_ms < int(time.time() * 1000) - 5 for b in batches)
    assert [m.partition for m in told] == [0, 1, 2, 3]
    told.clear()
    intake.revoked(quiet)
    await intake.tell_idle({busy, unread})
    assert {decode_batch(m.value or b"").partition for m in told} == {0, 2}
    await house.close()


def test_a_model_falls_silent_though_nobody_says_anything(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Kafka has no news of any source partition, and that is news."""
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, QUIET) as d:
        d.start()
        for hour in range(10):
            at_ms = START_MS + hour * HOUR_MS
            d.send("predictions", [prediction(hour, at_ms, {"x": 1.0})], timestamp_ms=at_ms)
        d.until(lambda: [e for e in d.evaluations() if e["rows"] == 0])
        d.until(lambda: d.read("alerts"))
        (silent,) = [e for e in d.events("evaluations") if e["verdict"]["kind"] == "silence"]
        (alert,) = d.events("alerts")
    assert silent["window"]["start"] == stamp(START_MS + 10 * HOUR_MS)
    assert (alert["cause"], alert["state"]) == ("data:rows", "firing")
