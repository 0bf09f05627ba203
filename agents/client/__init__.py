"""The client: what a model service needs to tell Driftline what it predicted and what came true.

    with Producer("kafka:9092", "claims", "7") as driftline:
        driftline.predict("a-1", {"age": 41.0, "region": "north"}, prediction="high", score=0.83)
        driftline.truth("a-1", "high")

Plain threads, no asyncio: it can be used from any thread of a WSGI server (make one in each worker
process, after it has forked). Calls return at once; delivery goes on behind them, and what fails
is told to `on_failure` and raised by `flush`. Values are held to the rules of Driftline's intake
before they are sent, by the same code.
"""

import datetime
import logging
import time as clock
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from agents import security
from agents.arrows import MEDIA_TYPE, Place, rows_in, writing, written
from agents.client.failures import Failure, Full, NotDelivered
from agents.client.queue import Header, Queue, WhenFull
from agents.client.values import BadEvent, encoded, features_of, plain, renumbered
from agents.producers import say
from stream.batches.blocks import Kind
from stream.events import Limits, Rejected, decode_prediction, decode_truth

__all__ = ["BadEvent", "Failure", "Full", "NotDelivered", "Producer"]

log = logging.getLogger(__name__)

Time = int | str | datetime.datetime | None
JSON: tuple[Header, ...] = (("content-type", b"application/json"),)
ARROW: tuple[Header, ...] = (("content-type", MEDIA_TYPE.encode()),)
TOPICS: dict[Kind, str] = {"prediction": "predictions", "truth": "ground-truth"}


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
        when_full: WhenFull = "wait",
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
        config = {
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
        security.never_plain(config)
        self._queue = Queue(config, when_full, on_failure)

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
            "features": features_of(features),
            "prediction": plain(prediction),
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
            "label": plain(label),
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
        self._queue.flush(timeout_s)

    def close(self, timeout_s: float = 60.0) -> None:
        """Flush, and end. Raises NotDelivered; what is still waiting then is given up."""
        self._queue.close(timeout_s)

    def _one(self, kind: Kind, document: dict[str, Any]) -> None:
        value = encoded(document)
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
            raise BadEvent(refused.reason, renumbered(refused.detail, first)) from None
        return value

    def _send(self, kind: Kind, value: bytes, key: bytes | None, rows: int) -> None:
        topic = f"{self.prefix}.{TOPICS[kind]}"
        self._queue.send(Failure(topic, key, value, rows, ""), ARROW if key is None else JSON)


def _now_ms() -> int:
    return clock.time_ns() // 1_000_000
