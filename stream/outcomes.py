"""Outcomes: predictions that have met their truth, as columns of what was right and how far off."""

import dataclasses
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from stream.columns import Column, Floats, Ints, column_of, name_of_number
from stream.settings import Task

Scores = tuple[tuple[str, float], ...]
Answer = float | str | None
_NAME = itemgetter(0)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcomes:
    """n outcomes; every array has shape (n,), and NaN where a row has no such value.

    signs: 1, or -1 for an outcome that is taken back. hit: 1.0 where the answer is the label, else
    0.0. probability: what was given to the label's class. confidence: what was given to the
    answer. brier: (p - y)**2; with more than two classes summed over them. error: answer - label.
    fractional: rows where answer or label is a number but not a whole one. unclassed: labels that
    are none of the classes that got probabilities.
    """

    signs: Ints
    hit: Floats | None = None
    probability: Floats | None = None
    confidence: Floats | None = None
    brier: Floats | None = None
    error: Floats | None = None
    fractional: Ints | None = None
    unclassed: Ints | None = None

    def __len__(self) -> int:
        return len(self.signs)

    @property
    def missed(self) -> Floats:
        """The error signal of detectors: 1.0 for a wrong class or, without classes, |error|."""
        if self.hit is not None:
            return 1.0 - self.hit
        return np.full(len(self), np.nan) if self.error is None else np.abs(self.error)


def outcomes(
    labels: Column,
    answers: Column,
    scores: tuple[tuple[str, ...], Floats] | None = None,
    signs: Ints | None = None,
    task: Task = "auto",
) -> Outcomes:
    """Outcomes of columns of length n.

    scores: classes and their probabilities, shape (n, k). A single class is the positive one of
    two: the rest belongs to the other.
    """
    signs = np.ones(len(labels), dtype=np.int64) if signs is None else signs
    found = Outcomes(signs)
    if task != "classification":
        found = _measured(found, labels, answers)
    if task != "regression":
        ids = {} if scores is None else {name: i for i, name in enumerate(scores[0])}
        label, answer = _ids(labels, ids), _ids(answers, ids)
        hit = np.where((label < 0) | (answer < 0), np.nan, label == answer)
        found = dataclasses.replace(found, hit=hit)
        if scores is not None:
            found = _scored(found, label, answer, np.clip(scores[1], 0.0, 1.0))
    return found


def outcomes_of_rows(
    labels: Sequence[Answer],
    answers: Sequence[Answer],
    scores: Sequence[Scores],
    signs: Sequence[int] | None = None,
    task: Task = "auto",
) -> Outcomes:
    """Outcomes of plain rows; the classes may differ from row to row."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, given in enumerate(scores):
        groups.setdefault(tuple(map(_NAME, given)), []).append(i)
    signed = np.array([1] * len(labels) if signs is None else signs, dtype=np.int64)
    parts = []
    for classes, rows in groups.items():
        flat = np.array([p for i in rows for _, p in scores[i]], dtype=np.float64)
        matrix = flat.reshape(len(rows), len(classes))
        known = (classes, matrix) if classes else None
        label, answer = column_of([labels[i] for i in rows]), column_of([answers[i] for i in rows])
        parts.append(outcomes(label, answer, known, signed[rows], task))
    if len(parts) == 1:
        return parts[0]
    return _scattered(parts, list(groups.values()), signed)


def _scattered(parts: list[Outcomes], rows: list[list[int]], signs: Ints) -> Outcomes:
    arrays: dict[str, Floats | Ints] = {}
    for name in ("hit", "probability", "confidence", "brier", "error", "fractional", "unclassed"):
        whole: Floats | Ints | None = None
        for part, at in zip(parts, rows, strict=True):
            held = getattr(part, name)
            if held is None:
                continue
            if whole is None:
                empty = np.nan if held.dtype == np.float64 else 0
                whole = np.full(len(signs), empty, dtype=held.dtype)
            whole[at] = held
        if whole is not None:
            arrays[name] = whole
    return Outcomes(signs, **arrays)  # type: ignore[arg-type]


def _measured(found: Outcomes, labels: Column, answers: Column) -> Outcomes:
    y, x = labels.numbers, answers.numbers
    with np.errstate(over="ignore", invalid="ignore"):
        error = x - y
        fractional = (x % 1 > 0) | (y % 1 > 0)
    return dataclasses.replace(found, error=error, fractional=fractional.astype(np.int64))


def _ids(column: Column, ids: dict[str, int]) -> Ints:
    """A number for every value's name, -1 where missing; new names are added to `ids`."""
    found = np.full(len(column), -1, dtype=np.int64)
    numbered = ~np.isnan(column.numbers)
    distinct, places = np.unique(column.numbers[numbered], return_inverse=True)
    names = [name_of_number(x) or "" for x in distinct.tolist()]
    found[numbered] = np.array([_id(n, ids) for n in names], dtype=np.int64)[places]
    if column.codes is not None:
        worded = column.codes >= 0
        table = np.array([_id(w, ids) for w in column.words], dtype=np.int64)
        found[worded] = table[column.codes[worded]]
    return found


def _id(name: str, ids: dict[str, int]) -> int:
    return ids.setdefault(name, len(ids))


def _scored(found: Outcomes, label: Ints, answer: Ints, matrix: Floats) -> Outcomes:
    probability, classed = _given_to(label, matrix)
    confidence, _ = _given_to(answer, matrix)
    known = ~np.isnan(probability)
    return dataclasses.replace(
        found,
        probability=probability,
        confidence=confidence,
        brier=_brier(label, matrix, probability),
        unclassed=(known & ~classed).astype(np.int64),
    )


def _given_to(
    name: Ints, matrix: Floats
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    rows, classes = matrix.shape
    classed = name < (2 if classes == 1 else classes)
    if classes == 1:
        given = np.where(name == 0, matrix[:, 0], 1.0 - matrix[:, 0])
        classed = np.ones(rows, dtype=np.bool_)
    else:
        given = matrix[np.arange(rows), np.clip(name, 0, classes - 1)]
        given = np.where(classed, given, matrix[:, 0] * 0.0)
    return np.where(name < 0, np.nan, given), classed


def _brier(label: Ints, matrix: Floats, probability: Floats) -> Floats:
    classes = matrix.shape[1]
    if classes == 1:
        return (1.0 - probability) ** 2
    total = np.where(label >= classes, 1.0, 0.0) + probability * 0.0
    for k in range(classes):
        total += (matrix[:, k] - (label == k)) ** 2
    return total / 2 if classes == 2 else total
