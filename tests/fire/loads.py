"""A load: a thread that tells a story to Kafka at a steady pace, whatever happens to workers."""

import threading
import time
from collections import Counter
from typing import Any, Self

import confluent_kafka as ck

from tests.fire.stories import Story, Told

FLUSH_S = 120.0
BURST = 5  # steps between two pauses
LEAST = 260  # so many have all kinds of events in them


class Load(threading.Thread):
    """Tells until told to stop, but at least and at most so many steps (most = 0: any number).

    prefix: of the names of topics.
    """

    def __init__(
        self,
        access: dict[str, Any],
        prefix: str,
        story: Story,
        pause_s: float = 1.0,
        least: int = LEAST,
        most: int = 0,
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.prefix, self.story, self.pause_s = prefix, story, pause_s
        self.least, self.most = least, most
        self.sent: Counter[tuple[str, int]] = Counter()
        self.delivered = 0
        self.failures: list[str] = []
        self._end = threading.Event()
        # Nothing is given up, said twice or overtaken, however long a broker is away.
        told = {"enable.idempotence": True, "message.timeout.ms": 0, "linger.ms": 5, "log_level": 2}
        self._producer = ck.Producer(access | told)

    def run(self) -> None:
        """Step by step, then what is still to be said of what was begun."""
        due = time.monotonic()
        while self._going():
            for _ in range(BURST):
                self._tell(self.story.next())
            due += self.pause_s
            self._end.wait(max(0.0, due - time.monotonic()))
        for step in self.story.rest():
            self._tell(step)
        self._producer.flush(FLUSH_S)

    def _going(self) -> bool:
        step = self.story.step
        return step < self.least or not (self._end.is_set() or 0 < self.most <= step)

    def _tell(self, step: list[Told]) -> None:
        for told in step:
            topic = f"{self.prefix}.{told.topic}"
            self.sent[topic, told.partition] += 1
            while True:
                try:
                    self._producer.produce(
                        topic,
                        told.value,
                        partition=told.partition,
                        timestamp=told.time_ms,
                        on_delivery=self._report,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
        self._producer.poll(0)

    def _report(self, error: ck.KafkaError | None, _: ck.Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self.failures.append(str(error))

    @property
    def running(self) -> bool:
        """Whether it is still telling."""
        return self.is_alive() and not self.failures and not self._end.is_set()

    def finish(self) -> None:
        """Tell what is left; returns when Kafka has all of it."""
        self._end.set()
        self.join(FLUSH_S + 10)
        assert not self.is_alive()
        assert not self.failures, self.failures[:3]
        assert self.delivered == sum(self.sent.values())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.least = 0
        self._end.set()
