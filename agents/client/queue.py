"""The queue: what waits for Kafka, bounded, and what became of it."""

import dataclasses
import functools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import confluent_kafka as ck

from agents.client.failures import Failure, Full, NotDelivered
from agents.producers import Handle

log = logging.getLogger(__name__)

WhenFull = Literal["wait", "raise"]
Header = tuple[str, str | bytes | None]
Report = Callable[[ck.KafkaError | None, object], None]
FULL_S = 0.01  # librdkafka's queue is full: reports are under way
KEPT = 1_000  # failures that are remembered with their values


class Queue:
    """One librdkafka producer, replaced where it breaks. Used from any thread of one process."""

    def __init__(
        self,
        config: Mapping[str, Any],
        when_full: WhenFull,
        on_failure: Callable[[Failure], object] | None,
    ) -> None:
        self.when_full, self.on_failure = when_full, on_failure
        self._config = config
        self._lock = threading.Lock()
        self._failures: deque[Failure] = deque(maxlen=KEPT)
        self._count = self._unheard = 0
        self._closed = False
        self._process = os.getpid()
        self._handle = Handle(config)

    def send(self, what: Failure, headers: Sequence[Header]) -> None:
        """Put a message in; `what` is the failure that it would be. Raises Full."""
        report = functools.partial(self._report, what)
        self._await(1)
        try:
            self._put(what, headers, report)
        except BaseException:
            self._await(-1)
            raise

    def _put(self, what: Failure, headers: Sequence[Header], report: Report) -> None:
        while True:
            handle = self._live()
            try:
                return handle.producer.produce(
                    what.topic, what.value, what.key, headers=list(headers), on_delivery=report
                )
            except BufferError:
                if self.when_full == "raise":
                    raise Full("the queue to Kafka is full") from None
                time.sleep(FULL_S)
            except ck.KafkaException as error:
                if not error.args[0].fatal():
                    return report(error.args[0], None)
                handle.fail()

    def flush(self, timeout_s: float) -> None:
        """Wait until it is empty. Raises NotDelivered."""
        self._check_usable()
        events = self._handle.producer.flush(timeout_s)  # librdkafka counts its own errors as well
        with self._lock:
            waiting = min(events, self._unheard)
            failures, count = list(self._failures), self._count
            self._failures.clear()
            self._count = 0
        if count or waiting:
            raise NotDelivered(failures, count, waiting)

    def close(self, timeout_s: float) -> None:
        """Flush and end, once. Raises NotDelivered."""
        if self._closed:
            return
        try:
            self.flush(timeout_s)
        finally:
            self._closed = True
            self._handle.close(1.0)

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

    def _await(self, messages: int) -> None:
        with self._lock:
            self._unheard += messages

    def _report(self, what: Failure, error: ck.KafkaError | None, _: object) -> None:
        self._await(-1)
        if error is None:
            return
        failure = dataclasses.replace(what, error=f"{error.name()}: {error.str()}")
        with self._lock:
            self._failures.append(failure)
            self._count += 1
        if self.on_failure is not None:
            try:
                self.on_failure(failure)
            except Exception:
                log.exception("on_failure failed")
