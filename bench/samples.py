"""The rows that benchmarks send: numeric features and a binary answer with its score."""

import dataclasses
import functools

import msgspec
import numpy as np

from stream.columns import Floats, Ints

DECIMALS = 6
HOUR_MS = 3_600_000
MODEL, VERSION = "bench", "1"


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """n rows. features: shape (n, features). scores, times_ms: shape (n,)."""

    features: Floats
    scores: Floats
    times_ms: Ints

    def __len__(self) -> int:
        return len(self.scores)

    @functools.cached_property
    def names(self) -> list[str]:
        """The features' names."""
        return [f"feature_{i:02d}" for i in range(self.features.shape[1])]

    def messages(self) -> list[bytes]:
        """Each row as a prediction event in JSON, as a model service would send it."""
        encode = msgspec.json.Encoder().encode
        columns = self.features.tolist(), self.scores.tolist(), self.times_ms.tolist()
        return [
            encode(
                {
                    "prediction_id": f"{i:016x}",
                    "model": MODEL,
                    "version": VERSION,
                    "time": time_ms,
                    "features": dict(zip(self.names, row, strict=True)),
                    "prediction": int(score >= 0.5),
                    "score": score,
                }
            )
            for i, (row, score, time_ms) in enumerate(zip(*columns, strict=True))
        ]


def rows_of(n: int, end_ms: int, features: int = 20, seed: int = 1) -> Rows:
    """Rows of the hour before end_ms, in order of time; the same for the same arguments."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, features)).round(DECIMALS)
    scores = random.random(n).round(DECIMALS)
    times = end_ms - HOUR_MS + np.arange(n, dtype=np.int64) * HOUR_MS // n
    return Rows(values, scores, times)


def reference_event(rows: Rows, time_ms: int) -> bytes:
    """The control event that registers these rows as the model's reference."""
    features = {name: {"values": rows.features[:, i].tolist()} for i, name in enumerate(rows.names)}
    event = {"type": "reference", "model": MODEL, "version": VERSION, "time": time_ms}
    return msgspec.json.encode(event | {"features": features, "active_from": 0})
