"""The client: what a model service needs to tell Driftline what it predicted and what came true.

    with Producer("kafka:9092", "claims", "7") as driftline:
        driftline.predict("a-1", {"age": 41.0, "region": "north"}, prediction="high", score=0.83)
        driftline.truth("a-1", "high")

Plain threads, no asyncio: it can be used from any thread of a WSGI server (make one in each worker
process, after it has forked). Calls return at once; delivery goes on behind them, and what fails
is told to `on_failure` and raised by `flush`. Values are held to the rules of Driftline's intake
before they are sent, by the same code.
"""

import dataclasses
import datetime
import functools
import logging
import math
import os
import re
import threading
import time as clock
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self

import confluent_kafka as ck
import msgspec

from agents import security
from agents.arrows import MEDIA_TYPE, Place, rows_in, writing, written
from agents.producers import Handle, say
from stream.batches.blocks import Kind
from stream.events import Limits, Rejected, decode_prediction, decode_truth

log = logging.getLogger(__name__)

Time = int | str | datetime.datetime | None
Header = tuple[str, str | bytes | None]
JSON: tuple[Header, ...] = (("content-type", b"application/json"),)
ARROW: tuple[Header, ...] = (("content-type", MEDIA_TYPE.encode()),)
FULL_S = 0.01  # librdkafka's queue is full: reports are under way
PLAIN = frozenset({float, int, str, bool, type(None), list, tuple})
KEPT = 1_000  # failures that are remembered with their values
TOPICS: dict[Kind, str] = {"prediction": "predictions", "truth": "ground-truth"}


class BadEvent(ValueError):
    """A value that Driftline would not take. reason: a key of `stream.events.REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Full(Exception):
    """More is waiting for Kafka than may wait, and `when_full` says to raise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One message that Kafka did not take. rows: how many predictions or truths it held."""

    topic: str
    key: bytes | None
    value: bytes
    rows: int
    error: str


class NotDelivered(Exception):
    """failures: those since the last flush, the newest 1,000; count: how many there were.

    waiting: messages of which nothing was heard in time.
    """

    def __init__(self, failures: list[Failure], count: int, waiting: int) -> None:
        parts = [f"{count} messages were not delivered"] if count else []
        parts += [f"{waiting} are still waiting for Kafka"] if waiting else []
        last = f"; the last: {failures[-1].error}" if failures else ""
        super().__init__(" and ".join(parts) + last)
        self.failures, self.count, self.waiting = failures, count, waiting


class Producer:
    """Sends predictions and truth of one model version, or of any that a call names.

    Every method may be called from any thread.
    """

    def __init__(  # noqa: PLR0913 - options, each with a default
        self,
        brokers: str | Iterable[str],
        model: str,
        version: str,
        *,
        prefix: str = "driftline",
        client: str | None = None,
        when_full: Literal["wait", "raise"] = "wait",
        queue_messages: int = 100_000,
        queue_bytes: int = 64 * 2**20,
        delivery_s: float = 30.0,
        on_failure: Callable[[Failure], object] | None = None,
        limits: Limits | None = None,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        """prefix: of the topics. client: the service's name, goes with every prediction.

        when_full: what a call does while queue_messages or queue_bytes wait for Kafka.
        delivery_s: after so long a message has failed. on_failure: called with each `Failure`,
        in a thread of its own. limits: as in [limits] of the worker's settings.
        kafka: more properties of librdkafka, such as those of SASL and TLS. Raises ValueError
        where they name a user without TLS.
        """
        self.model, self.version = model, version
        self.prefix, self.client = prefix, client
        self.limits = limits or Limits()
        self._when_full, self._on_failure = when_full, on_failure
        self._config = {
            "bootstrap.servers": brokers if isinstance(brokers, str) else ",".join(brokers),
            "client.id": client or "driftline-client",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "message.max.bytes": self.limits.max_bytes + 4_096,
            "delivery.timeout.ms": int(delivery_s * 1_000),
            "queue.buffering.max.messages": queue_messages,
            "queue.buffering.max.kbytes": max(1, queue_bytes // 1_024),
            "error_cb": say,
            "log_level": 2,
        } | dict(kafka or {})
        security.never_plain(self._config)
        self._lock = threading.Lock()
        self._failures: deque[Failure] = deque(maxlen=KEPT)
        self._count = 0
        self._closed = False
        self._process = os.getpid()
        self._handle = Handle(self._config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; an error of the block itself is not hidden by one of delivery."""
        try:
            self.close()
        except NotDelivered as failed:
            if error is None:
                raise
            log.error("%s", failed)

    def predict(  # noqa: PLR0913 - the fields of a prediction
        self,
        prediction_id: str,
        features: Mapping[str, Any],
        *,
        prediction: Any = None,
        score: float | None = None,
        probabilities: Mapping[str, float] | None = None,
        time: Time = None,
        segments: Mapping[str, str] | None = None,
        weight: float | None = None,
        request_id: str | None = None,
        control_group: bool | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> None:
        """One prediction; its fields are those of `schemas/prediction.v1.json`.

        time: event time, now if not given. NaN and None are missing values.
        Raises BadEvent, Full; never anything of Kafka's.
        """
        document = {
            "prediction_id": prediction_id,
            "model": model or self.model,
            "version": version or self.version,
            "time": _now_ms() if time is None else time,
            "features": _features(features),
            "prediction": _plain(prediction),
            "score": score,
            "probabilities": probabilities,
            "segments": segments,
            "weight": weight,
            "request_id": request_id,
            "control_group": control_group,
            "client": self.client,
        }
        self._one("prediction", document)

    def truth(
        self,
        prediction_id: str,
        label: Any,
        *,
        time: Time = None,
        source: str | None = None,
        revision: int = 0,
        retracted: bool = False,
        model: str | None = None,
        version: str | None = None,
    ) -> None:
        """What really happened; the fields are those of `schemas/ground-truth.v1.json`.

        version: of no other version (by default the truth is that of all). A higher revision
        replaces a lower one. Raises BadEvent, Full.
        """
        document = {
            "prediction_id": prediction_id,
            "model": model or self.model,
            "time": _now_ms() if time is None else time,
            "label": _plain(label),
            "version": version,
            "source": source,
            "revision": revision,
            "retracted": retracted,
        }
        self._one("truth", document)

    def predict_batch(  # noqa: PLR0913 - the fields of a prediction
        self,
        prediction_ids: Any,
        features: Any,
        *,
        prediction: Any = None,
        score: Any = None,
        probabilities: Any = None,
        time: Any = None,
        segments: Any = None,
        weight: Any = None,
        request_id: Any = None,
        control_group: Any = None,
        model: str | None = None,
        version: str | None = None,
    ) -> int:
        """Many predictions as columns: numpy arrays, lists or Arrow arrays; answers the messages.

        features, probabilities, segments: a mapping of columns, an Arrow table or a data frame.
        time: one for all (now if not given), or a column. All are checked before any is sent.
        Raises BadEvent, Full (what was sent before it stays sent).
        """
        columns = {
            "time": _now_ms() if time is None else time,
            "features": features,
            "prediction": prediction,
            "score": score,
            "probabilities": probabilities,
            "segments": segments,
            "weight": weight,
            "request_id": request_id,
            "control_group": control_group,
        }
        version = version or self.version
        return self._many("prediction", prediction_ids, model or self.model, version, columns)

    def truth_batch(
        self,
        prediction_ids: Any,
        label: Any,
        *,
        time: Any = None,
        source: Any = None,
        revision: Any = None,
        retracted: Any = None,
        model: str | None = None,
        version: str | None = None,
    ) -> int:
        """Many truths as columns, as in `predict_batch`; answers the messages."""
        columns = {
            "time": _now_ms() if time is None else time,
            "label": label,
            "source": source,
            "revision": revision,
            "retracted": retracted,
        }
        return self._many("truth", prediction_ids, model or self.model, version, columns)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until Kafka has everything. Raises NotDelivered with what it does not have."""
        self._check_usable()
        waiting = self._handle.producer.flush(timeout_s)
        with self._lock:
            failures, count = list(self._failures), self._count
            self._failures.clear()
            self._count = 0
        if count or waiting:
            raise NotDelivered(failures, count, waiting)

    def close(self, timeout_s: float = 60.0) -> None:
        """Flush, and end. Raises NotDelivered; what is still waiting then is given up."""
        if self._closed:
            return
        try:
            self.flush(timeout_s)
        finally:
            self._closed = True
            self._handle.close(1.0)

    def _one(self, kind: Kind, document: dict[str, Any]) -> None:
        value = _encoded({name: x for name, x in document.items() if x is not None})
        decode = decode_prediction if kind == "prediction" else decode_truth
        try:
            decode(value, None, _now_ms(), self.limits)
        except Rejected as refused:
            raise BadEvent(refused.reason, refused.detail) from None
        self._send(kind, value, str(document["prediction_id"]).encode(), 1)

    def _many(
        self, kind: Kind, ids: Any, model: str, version: str | None, columns: Mapping[str, Any]
    ) -> int:
        try:
            batch = writing.record_batch(ids, model, version, columns)
        except ValueError as error:
            raise BadEvent("wrong-type", str(error)) from None
        values = [
            (self._checked(kind, *piece), piece[1].num_rows) for piece in writing.pieces(batch)
        ]
        for value, rows in values:
            self._send(kind, value, None, rows)
        return len(values)

    def _checked(self, kind: Kind, first: int, piece: Any) -> bytes:
        value = written(piece)
        try:
            rows_in(kind, value, Place(0, _now_ms(), self.limits))
        except Rejected as refused:
            raise BadEvent(refused.reason, _renumbered(refused.detail, first)) from None
        return value

    def _send(self, kind: Kind, value: bytes, key: bytes | None, rows: int) -> None:
        topic = f"{self.prefix}.{TOPICS[kind]}"
        report = functools.partial(self._report, Failure(topic, key, value, rows, ""))
        headers = list(ARROW if key is None else JSON)
        while True:
            handle = self._live()
            try:
                return handle.producer.produce(
                    topic, value, key, headers=headers, on_delivery=report
                )
            except BufferError:
                if self._when_full == "raise":
                    raise Full("the queue to Kafka is full") from None
                clock.sleep(FULL_S)
            except ck.KafkaException as error:
                if not error.args[0].fatal():
                    return report(error.args[0], None)
                handle.fail()

    def _live(self) -> Handle:
        self._check_usable()
        with self._lock:
            if self._handle.broken:
                self._handle = Handle(self._config)
            return self._handle

    def _check_usable(self) -> None:
        if self._closed:
            raise RuntimeError("this producer is closed")
        if os.getpid() != self._process:
            raise RuntimeError("this producer belongs to another process: make one after the fork")

    def _report(self, what: Failure, error: ck.KafkaError | None, _: object) -> None:
        if error is None:
            return
        failure = dataclasses.replace(what, error=f"{error.name()}: {error.str()}")
        with self._lock:
            self._failures.append(failure)
            self._count += 1
        if self._on_failure is not None:
            try:
                self._on_failure(failure)
            except Exception:
                log.exception("on_failure failed")


def _renumbered(detail: str, first: int) -> str:
    """A row of one message as the row of the call."""
    return re.sub(r"\brow (\d+)", lambda row: f"row {int(row[1]) + first}", detail)


def _now_ms() -> int:
    return clock.time_ns() // 1_000_000


def _encoded(document: dict[str, Any]) -> bytes:
    """As JSON. NaN is null there; an infinity would be too, and is refused."""
    try:
        value = _encoder.encode(document)
    except BadEvent:
        raise
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadEvent("wrong-type", str(error)) from None
    if b"null" in value:
        _check_finite(document, "")
    return value


def _check_finite(value: Any, name: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_finite(inner, name)
    elif isinstance(value, float) and math.isinf(value):
        raise BadEvent("number-out-of-range", f"{name} is infinite")


def _features(features: Mapping[str, Any]) -> dict[str, Any]:
    """As a dictionary of what JSON knows. Raises BadEvent: msgspec would make words of others."""
    return {k: v if type(v) in PLAIN else _plain(v) for k, v in dict(features).items()}


def _plain(value: Any) -> Any:
    """Numpy's scalars and arrays, and decimals, as what JSON knows. Raises BadEvent."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Decimal):
        return float(value)
    for name in ("tolist", "item"):
        if hasattr(value, name):
            found = getattr(value, name)()
            _check_finite(found, "a value")
            return found
    raise BadEvent("wrong-type", f"{type(value).__name__} cannot be a value")


def _hook(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else _plain(value)


_encoder = msgspec.json.Encoder(enc_hook=_hook)
