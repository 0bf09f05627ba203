"""The demo's story: an insurer's model over three years, told as the events it would publish.

Every month's policies are predicted as they come, spread evenly over a pane of 30 days; the truth
of each arrives `label_delay_s` later. The world is generated (`portfolio.generate`) or read from
the published files; the model is trained on the reference either way.
"""

import dataclasses
import functools
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agents import classifier, portfolio, tables
from agents.classifier import Classifier
from agents.portfolio import FEATURES, GROUPS, SEED, Policies
from stream.columns import Column, Floats, Ints, column_of
from stream.references import Reference

MODEL = "insurance"
VERSION = "1"
MONTH_S = 30 * 86_400
MONTH_MS = MONTH_S * 1_000
START_MS = 633 * MONTH_MS  # 2021-12-29: months are counted from the epoch, as panes are
LABEL_DELAY_S = 6 * MONTH_S
CATEGORICAL = ("training", "emergency_braking")
# in which month it really begins to change; 0: never
CHANGED = dict.fromkeys(("age", "emergency_braking", "miles", "prediction"), 1)
CHANGED |= dict.fromkeys(("accuracy", "log_loss", "brier", "error"), 1)
CHANGED |= dict.fromkeys(("training", "braking_distance", "power"), 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """One event of the story. topic: "predictions" or "ground-truth"; key: the prediction id."""

    time_ms: int
    topic: str
    key: str
    event: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Story:
    """A reference set, the months that follow it, and the model that was trained on the first."""

    policies: Policies
    months: list[Policies]
    seed: int = SEED
    label_delay_s: int = LABEL_DELAY_S

    @functools.cached_property
    def model(self) -> Classifier:
        """The model, trained on the reference."""
        known = self.policies
        return classifier.fit(known.features, known.groups, len(GROUPS), self.seed)

    @functools.cached_property
    def reference(self) -> Reference:
        """What Driftline is told about the training.

        Answers and quality are those on rows that the answering model had not seen.
        """
        known = self.policies
        answers = classifier.unseen(known.features, known.groups, len(GROUPS), self.seed)
        return Reference.build(
            MODEL,
            VERSION,
            {name: column_of(known.feature(name)) for name in FEATURES},
            prediction=_names(answers.argmax(axis=1)),
            confidence=answers.max(axis=1),
            label=_names(known.groups),
            quality=_quality(answers, known.groups),
            task="classification",
            categorical=CATEGORICAL,
        )

    @property
    def end_ms(self) -> int:
        """The end of the last month; nothing is told of later times."""
        return START_MS + len(self.months) * MONTH_MS

    @property
    def predictions(self) -> int:
        """How many predictions it tells."""
        return sum(len(month) for month in self.months)

    def events(self) -> Iterator[Told]:
        """Everything that happens, in order of event time."""
        return heapq.merge(self._predictions(), self._truths(), key=lambda told: told.time_ms)

    def month_of(self, time_ms: int) -> int:
        """The month a time is in: 1 is the first."""
        return (time_ms - START_MS) // MONTH_MS + 1

    def _predictions(self) -> Iterator[Told]:
        for number, month in enumerate(self.months, start=1):
            answers = self.model.probabilities(month.features)
            for row, time_ms in enumerate(_times(number, len(month))):
                key = f"policy-{number:02}-{row:04}"
                event = _prediction(key, time_ms, month.features[row], answers[row])
                yield Told(time_ms, "predictions", key, event)

    def _truths(self) -> Iterator[Told]:
        for number, month in enumerate(self.months, start=1):
            for row, predicted_ms in enumerate(_times(number, len(month))):
                time_ms = predicted_ms + self.label_delay_s * 1_000
                if time_ms >= self.end_ms:
                    return
                key = f"policy-{number:02}-{row:04}"
                event = _truth(key, time_ms, GROUPS[month.groups[row]])
                yield Told(time_ms, "ground-truth", key, event)


def generate(
    months: int = portfolio.MONTHS, seed: int = SEED, delay_s: int = LABEL_DELAY_S
) -> Story:
    """The story of a generated portfolio."""
    known, later = portfolio.generate(months, seed)
    return Story(known, later, seed, delay_s)


def load(directory: Path, months: int, seed: int = SEED, delay_s: int = LABEL_DELAY_S) -> Story:
    """The story of the published files: reference.csv.gz and monthly/month-N.csv.gz.

    Raises BadTable where a file is missing or is not such a file.
    """
    known = _policies(directory / "reference.csv.gz")
    files = [directory / "monthly" / f"month-{i}.csv.gz" for i in range(1, months + 1)]
    return Story(known, [_policies(file) for file in files], seed, delay_s)


def _policies(path: Path) -> Policies:
    columns = tables.read(path).columns
    if lacking := {*FEATURES, "group"} - columns.keys():
        raise tables.BadTable(f"{path}: has no column {', '.join(sorted(lacking))}")
    features = np.column_stack([columns[name].numbers for name in FEATURES])
    return Policies(features, columns["group"].numbers.astype(np.int64))


def _times(number: int, rows: int) -> list[int]:
    begin = START_MS + (number - 1) * MONTH_MS
    return [begin + (2 * row + 1) * MONTH_MS // (2 * rows) for row in range(rows)]


def _prediction(key: str, time_ms: int, features: Floats, answers: Floats) -> dict[str, Any]:
    return {
        "type": "driftline.prediction.v1",
        "prediction_id": key,
        "model": MODEL,
        "version": VERSION,
        "time": time_ms,
        "features": dict(zip(FEATURES, features.tolist(), strict=True)),
        "prediction": GROUPS[int(answers.argmax())],
        "probabilities": dict(zip(GROUPS, answers.tolist(), strict=True)),
    }


def _truth(key: str, time_ms: int, label: str) -> dict[str, Any]:
    return {
        "type": "driftline.ground-truth.v1",
        "prediction_id": key,
        "model": MODEL,
        "time": time_ms,
        "label": label,
    }


def _names(groups: Ints) -> Column:
    return column_of([GROUPS[group] for group in groups])


def _quality(answers: Floats, groups: Ints) -> dict[str, float]:
    given = answers[np.arange(len(groups)), groups]
    return {
        "accuracy": float((answers.argmax(axis=1) == groups).mean()),
        "log_loss": float(-np.log(np.maximum(given, 1e-15)).mean()),
        "brier": float(((answers - np.eye(len(GROUPS))[groups]) ** 2).sum(axis=1).mean()),
    }
