"""Crowds: models whose values jump, each elsewhere, so that the detector of each fires once."""

import dataclasses
import time
from collections.abc import Callable

import msgspec
import numpy as np

from stream.columns import Floats
from stream.detectors import Detector
from stream.settings import DetectorSettings

LEAST = 64  # the detector begins with the 30th value


@dataclasses.dataclass(slots=True)
class Story:
    """One model's values, and which of them makes its detector fire. at_s: when it was sent."""

    name: str
    values: Floats
    fires: int
    sent: int = 0
    last_ms: int = 0
    at_s: float | None = None

    def next(self) -> bytes:
        """The next value, at a time later than the last one's."""
        self.last_ms = max(self.last_ms + 1, int(time.time() * 1000))
        value = float(self.values[self.sent])
        if self.sent == self.fires:
            self.at_s = time.monotonic()
        self.sent += 1
        return prediction(self.name, self.sent, self.last_ms, value)


def prediction(model: str, number: int, time_ms: int, x: float) -> bytes:
    """One event of a model with one feature."""
    event = {
        "prediction_id": f"{model}-{number}",
        "model": model,
        "version": "1",
        "time": time_ms,
        "features": {"x": x},
        "prediction": 1,
    }
    return msgspec.json.encode(event)


def stories(count: int, at_once: int, rows: int, fires: Callable[[Floats], int]) -> list[Story]:
    """Values that jump, each model's elsewhere in the second half; a detector fires soon after.

    Raises RuntimeError where there is not time for that.
    """
    if rows < LEAST:
        raise RuntimeError(f"{rows} rows of a model are too few: more of --scale, a faster machine")
    random = np.random.default_rng(1)
    found = []
    for number in range(count):
        values = random.normal(size=rows)
        values[rows // 2 + int(rows * 0.3 * (number % at_once) / at_once) :] += 20.0
        found.append(Story(f"model-{number:03}", values, fires(values)))
    return found


def fires_at(settings: DetectorSettings) -> Callable[[Floats], int]:
    """The first value at which a detector fires, offline."""

    def found(values: Floats) -> int:
        detector = Detector(settings)
        return next(i for i, value in enumerate(values.tolist()) if detector.update(value))

    return found
