"""The client of model services: on both brokers, with Kafka away, and held to intake's rules."""

import contextlib
import datetime
import os
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from agents import arrows
from agents.client import BadEvent, Failure, Full, NotDelivered, Producer
from agents.embedded import free_port
from stream.events import REASONS, Limits, decode_prediction, decode_truth
from tests.servers import Kafka
from tests.test_producers import read

NOW_MS = 1_735_689_600_000


@pytest.fixture
def client(broker: Kafka, namespace: str) -> Iterator[Producer]:
    topics = (f"{namespace}.predictions", f"{namespace}.ground-truth")
    broker.create_topics(*topics)
    made = Producer(broker.bootstrap, "m", "1", prefix=namespace, client="shop")
    yield made
    made.close()


@pytest.fixture
def nowhere() -> Iterator[Producer]:
    """A producer to a broker that is not there."""
    made = Producer(f"127.0.0.1:{free_port()}", "m", "1", delivery_s=1.0)
    yield made
    with contextlib.suppress(NotDelivered):
        made.close(0.0)


@pytest.fixture(scope="module")
def unsent() -> Iterator[Producer]:
    """The same for tests that send nothing."""
    with Producer(f"127.0.0.1:{free_port()}", "m", "1") as made:
        yield made


class Kept:
    """A queue whose messages stay here."""

    def __init__(self) -> None:
        self.messages: list[Failure] = []

    def send(self, what: Failure, _: object) -> None:
        self.messages.append(what)


def value_of(send: Callable[[Producer], object]) -> bytes:
    """The value of the one message that a call sends."""
    kept = Kept()
    client = Producer(f"127.0.0.1:{free_port()}", "m", "1")
    client.close()
    client._queue = cast(Any, kept)
    send(client)
    (message,) = kept.messages
    return message.value


def taken(broker: Kafka, client: Producer, topic: str) -> list[Any]:
    """Key, value, headers of all records of a topic."""
    client.flush()
    return [r for part in read(broker.bootstrap, f"{client.prefix}.{topic}") for r in part]


def test_predictions_and_truth_arrive_as_json(broker: Kafka, client: Producer) -> None:
    client.predict("a", {"x": 1, "w": "b", "n": None, "v": [1.0, 2.0]}, prediction="yes",
                   score=0.5, time=NOW_MS, segments={"s": "t"}, request_id="r")  # fmt: skip
    client.truth("a", True, time=NOW_MS, version="1", revision=2)
    ((key, value, headers),) = taken(broker, client, "predictions")
    assert (key, headers) == (b"a", [("content-type", b"application/json")])
    event = decode_prediction(value, None, -1, Limits())
    assert (event.prediction_id, event.model, event.version, event.time) == ("a", "m", "1", NOW_MS)
    assert event.features == {"x": 1.0, "w": "b", "n": None, "v": [1.0, 2.0]}
    assert (event.prediction, event.score, event.client) == ("yes", 0.5, "shop")
    ((_, value, _),) = taken(broker, client, "ground-truth")
    truth = decode_truth(value, None, -1, Limits())
    assert (truth.label, truth.version, truth.revision) == (True, "1", 2)


def test_batches_arrive_as_arrow_and_none_is_lost(broker: Kafka, client: Producer) -> None:
    n = 25_000
    ids = [str(i) for i in range(n)]
    x = np.arange(n) / 7
    messages = client.predict_batch(ids, {"x": x, "w": ["a", "b"] * (n // 2)}, score=x / n,
                                    prediction=x > 5, time=NOW_MS)  # fmt: skip
    assert messages >= 3
    assert client.truth_batch(ids, x.astype(np.float32), time=NOW_MS) >= 3
    place = arrows.Place(0, -1, Limits())
    records = taken(broker, client, "predictions")
    assert {(key, *headers) for key, _, headers in records} == {
        (None, ("content-type", arrows.MEDIA_TYPE.encode()))
    }
    blocks = [b for _, v, _ in records for b in arrows.rows_in("prediction", v, place)]
    found = np.sort(np.concatenate([b.features["x"].numbers for b in blocks]))
    assert np.array_equal(found, x)
    blocks = [b for _, v, _ in taken(broker, client, "ground-truth")
              for b in arrows.rows_in("truth", v, place)]  # fmt: skip
    assert sum(map(len, blocks)) == n


def test_threads_may_share_one(broker: Kafka, client: Producer) -> None:
    def work(number: int) -> None:
        for i in range(500):
            client.predict(f"{number}-{i}", {"x": i})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key for key, _, _ in taken(broker, client, "predictions")}) == 4_000


def test_a_full_queue_makes_the_caller_wait(broker: Kafka, namespace: str) -> None:
    broker.create_topics(f"{namespace}.predictions")
    with Producer(broker.bootstrap, "m", "1", prefix=namespace, queue_messages=20) as client:
        for i in range(300):
            client.predict(str(i), {})
        assert len(taken(broker, client, "predictions")) == 300


def test_or_raises() -> None:
    where = f"127.0.0.1:{free_port()}"
    client = Producer(where, "m", "1", when_full="raise", queue_messages=5, delivery_s=1.0)
    for i in range(5):
        client.predict(str(i), {})
    with pytest.raises(Full):
        client.predict("5", {})
    with pytest.raises(NotDelivered) as failed:
        client.close()
    assert failed.value.count == 5


def test_what_is_not_delivered_is_told_and_raised(nowhere: Producer) -> None:
    told: list[Failure] = []
    nowhere._queue.on_failure = told.append
    nowhere.predict("a", {"x": 1})
    nowhere.truth_batch(["a", "b"], [1.0, 2.0])
    with pytest.raises(NotDelivered, match="2 messages were not delivered") as failed:
        nowhere.flush(20)
    assert [(f.topic, f.key, f.rows) for f in sorted(told, key=lambda f: f.rows)] == [
        ("driftline.predictions", b"a", 1), ("driftline.ground-truth", None, 2),
    ]  # fmt: skip
    assert {f.value for f in failed.value.failures} == {f.value for f in told}
    assert "MSG_TIMED_OUT" in told[0].error
    nowhere.flush()  # each is raised once


def test_a_flush_that_ends_early_says_what_waits(nowhere: Producer) -> None:
    nowhere.predict("a", {})
    with pytest.raises(NotDelivered, match="1 are still waiting") as failed:
        nowhere.flush(0.05)
    assert (failed.value.count, failed.value.waiting) == (0, 1)


def test_a_callback_that_fails_harms_nobody(nowhere: Producer) -> None:
    def broken(_: Failure) -> None:
        raise OSError

    nowhere._queue.on_failure = broken
    nowhere.predict("a", {})
    with pytest.raises(NotDelivered):
        nowhere.flush(20)


def test_an_error_of_the_block_is_not_hidden() -> None:
    def work() -> None:
        with Producer(f"127.0.0.1:{free_port()}", "m", "1", delivery_s=0.2) as client:
            client.predict("a", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


NAN, INF = float("nan"), float("inf")
BERLIN = datetime.timezone(datetime.timedelta(hours=1))


@pytest.mark.parametrize(
    ("reason", "words", "call"),
    [
        ("empty-id", None, {"prediction_id": ""}),
        ("wrong-type", "prediction_id", {"prediction_id": 7}),
        ("number-out-of-range", "features.x is infinite", {"features": {"x": INF}}),
        ("number-out-of-range", "features.v is infinite", {"features": {"v": [1.0, -INF]}}),
        ("number-out-of-range", "infinite", {"features": {"x": np.float32(INF)}}),
        ("number-out-of-range", "score is infinite", {"score": INF}),
        ("wrong-type", "probabilities", {"probabilities": {"yes": NAN}}),
        ("wrong-type", "object", {"features": {"x": object()}}),
        ("wrong-type", None, {"features": {"x": {"nested": 1}}}),
        ("wrong-type", "Path cannot be", {"features": {"x": Path()}}),
        ("time-without-zone", None, {"time": datetime.datetime(2025, 1, 1)}),
        ("time-in-seconds", None, {"time": int(time.time())}),
        ("time-in-future", None, {"time": 4_000_000_000_000}),
        ("time-not-rfc3339", None, {"time": "yesterday"}),
        ("too-many-features", None, {"features": {str(i): 1 for i in range(2_001)}}),
        ("too-large", None, {"features": {"x": "a" * 2**21}}),
    ],
)
def test_a_bad_prediction_is_said_at_once(
    unsent: Producer, reason: str, words: str | None, call: dict[str, Any]
) -> None:
    arguments = {"prediction_id": "a", "features": {"x": 1.0}} | call
    with pytest.raises(BadEvent, match=words) as refused:
        unsent.predict(**arguments)
    assert refused.value.reason == reason in REASONS
    unsent.flush(0)


def test_a_truth_without_label_is_said_at_once(unsent: Producer) -> None:
    with pytest.raises(BadEvent, match="label"):
        unsent.truth("a", None)
    with pytest.raises(BadEvent, match="label"):
        unsent.truth_batch(["a", "b"], [1.0, NAN])


@pytest.mark.parametrize(
    ("reason", "words", "call"),
    [
        ("wrong-type", "features.x: 1 values for 2", {"features": {"x": [1.0]}}),
        ("wrong-type", "score: 3 values for 2", {"score": [1.0, 2.0, 3.0]}),
        ("wrong-type", "features: int, expected a mapping", {"features": 7}),
        ("wrong-type", "features.x", {"features": {"x": [1.0, "a"]}}),
        ("missing-field", "prediction_id: row 1", {"prediction_ids": ["a", None]}),
        ("empty-id", "prediction_id: row 1", {"prediction_ids": ["a", ""]}),
        ("number-out-of-range", "score: row 0", {"score": [INF, 1.0]}),
        ("wrong-type", "no zone", {"time": datetime.datetime(2025, 1, 1)}),
        ("time-in-seconds", "row 0", {"time": int(time.time())}),
        ("wrong-type", "whole numbers", {"time": np.array([0.5, 1.5])}),
    ],
)
def test_a_bad_batch_is_said_before_anything_is_sent(
    unsent: Producer, reason: str, words: str | None, call: dict[str, Any]
) -> None:
    arguments = {"prediction_ids": ["a", "b"], "features": {"x": [1.0, 2.0]}} | call
    with pytest.raises(BadEvent, match=words) as refused:
        unsent.predict_batch(**arguments)
    assert refused.value.reason == reason in REASONS
    unsent.flush(0)


def test_the_row_is_named_where_a_batch_becomes_several_messages(unsent: Producer) -> None:
    ids = [str(i) for i in range(15_000)]
    ids[12_345] = ""
    with pytest.raises(BadEvent, match="prediction_id: row 12345 is empty"):
        unsent.truth_batch(ids, np.zeros(15_000))
    unsent.flush(0)


TABLE = pa.table({"x": [1.0, 2.0], "w": ["a", "b"]})


@pytest.mark.parametrize(
    "call",
    [
        {"features": TABLE},
        {"features": TABLE.to_batches()[0]},
        {"features": {"x": TABLE["x"], "w": TABLE["w"].combine_chunks().dictionary_encode()}},
        {"features": {"x": np.array([1, 2]), "w": np.array(["a", "b"])}},
        {"features": {"x": [1, 2], "w": TABLE["w"].combine_chunks().cast(pa.string_view())}},
        {"time": np.array([NOW_MS, NOW_MS])},
        {"time": np.array([NOW_MS, NOW_MS], "datetime64[ms]")},
        {"time": [datetime.datetime(2025, 1, 1, 1, tzinfo=BERLIN)] * 2},
        {"time": datetime.datetime(2025, 1, 1, 1, tzinfo=BERLIN)},
    ],
)
def test_columns_of_any_kind_are_the_same_rows(call: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"features": {"x": [1.0, 2.0], "w": ["a", "b"]}, "time": NOW_MS}
    arguments |= call
    value = value_of(lambda client: client.predict_batch(["a", "b"], **arguments))
    (block,) = arrows.rows_in("prediction", value, arrows.Place(0, -1, Limits()))
    assert block.times_ms.tolist() == [NOW_MS, NOW_MS]
    assert block.features["x"].numbers.tolist() == [1.0, 2.0]
    assert block.features["w"].names() == ["a", "b"]


def test_numpys_scalars_are_numbers() -> None:
    features = {"x": np.float32(0.5), "n": np.int64(3), "b": np.bool_(True), "nan": np.nan,
                "d": Decimal("1.5"), "v": np.array([1, 2])}  # fmt: skip
    outputs: dict[str, Any] = {"prediction": np.str_("yes"), "score": np.float64(0.25)}
    value = value_of(lambda client: client.predict("a", features, **outputs))
    event = decode_prediction(value, None, -1, Limits())
    assert event.features == {"x": 0.5, "n": 3.0, "b": True, "nan": None, "d": 1.5,
                              "v": [1.0, 2.0]}  # fmt: skip
    assert (event.prediction, event.score) == ("yes", 0.25)


def test_nothing_to_send_is_nothing_sent(unsent: Producer) -> None:
    assert unsent.predict_batch([], {}) == 0
    unsent.flush(0)


def test_a_closed_producer_says_so(mock_kafka: Kafka) -> None:
    client = Producer([mock_kafka.bootstrap], "m", "1")
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.predict("a", {})


def test_a_producer_of_another_process_says_so(
    unsent: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(RuntimeError, match="after the fork"):
            unsent.predict("a", {})
