"""Outcomes: predictions that have met their truth, as columns of what was right and how far off."""

import dataclasses
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from stream import bins, ovr, sums
from stream import scores as scored
from stream.columns import Column, Floats, Ints, column_of, name_of_number
from stream.settings import Task

LEAST_P = 2.0**-40  # probabilities below it count as this much in the log loss
Scores = tuple[tuple[str, float], ...]
Answer = float | str | None
_NAME = itemgetter(0)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcomes:
    """n outcomes; every array has shape (n,), and NaN where a row has no such value.

    signs: 1, or -1 for an outcome that is taken back. hit: 1.0 where the answer is the label, else
    0.0. probability: what was given to the label's class. confidence: what was given to the
    answer. loss: -log of the probability. brier: (p - y)**2; with more than two classes summed over
    them. error: answer - label.
    fractional: rows where answer or label is a number but not a whole one. unclassed: labels that
    are none of the classes that got probabilities. value: the label where that and the answer are
    numbers. label, answer: places in `names`, -1 where missing or not whole. Of the positive one of
    two classes, positive: its probability; cell: the `stream.scores` of it, -1 where none. *_bin:
    the `stream.bins` of that probability, or of the confidence. given: of more classes,
    what each of them was given.
    """

    signs: Ints
    hit: Floats | None = None
    probability: Floats | None = None
    confidence: Floats | None = None
    loss: Floats | None = None
    brier: Floats | None = None
    error: Floats | None = None
    fractional: Ints | None = None
    unclassed: Ints | None = None
    value: Floats | None = None
    label: Ints | None = None
    answer: Ints | None = None
    positive: Floats | None = None
    cell: Ints | None = None
    positive_bin: Ints | None = None
    answer_bin: Ints | None = None
    names: tuple[str, ...] = ()
    given: ovr.Given | None = None

    def __len__(self) -> int:
        return len(self.signs)

    @property
    def missed(self) -> Floats:
        """The error signal of detectors: 1.0 for a wrong class or, without classes, |error|."""
        if self.hit is not None:
            return 1.0 - self.hit
        return np.full(len(self), np.nan) if self.error is None else np.abs(self.error)

    def take(self, rows: slice | Ints) -> "Outcomes":
        """Some of them."""
        held = {name: getattr(self, name) for name in _ARRAYS}
        some = {name: None if x is None else x[rows] for name, x in held.items()}
        given = None if self.given is None else self.given.take(rows)
        return Outcomes(self.signs[rows], **some, names=self.names, given=given)


_NUMBERS = ("hit", "probability", "confidence", "loss", "brier", "error", "value", "positive")
_PLACES = ("label", "answer", "cell", "positive_bin", "answer_bin")  # -1 where there is none
_ARRAYS = (*_NUMBERS, *_PLACES, "fractional", "unclassed")


def outcomes(
    labels: Column,
    answers: Column,
    scores: tuple[tuple[str, ...], Floats] | None = None,
    signs: Ints | None = None,
    task: Task = "auto",
    positive: str = "1",
) -> Outcomes:
    """Outcomes of columns of length n.

    scores: classes and their probabilities, shape (n, k). A single class is the positive one of
    two: the rest belongs to the other. positive: which of two classes it is, where both got some;
    if it is neither of them, the last by name is.
    """
    signs = np.ones(len(labels), dtype=np.int64) if signs is None else signs
    found = Outcomes(signs)
    if task != "classification":
        found = _measured(found, labels, answers)
    if task != "regression":
        ids = {} if scores is None else {name: i for i, name in enumerate(scores[0])}
        label, answer = _ids(labels, ids), _ids(answers, ids)
        hit = np.where((label < 0) | (answer < 0), np.nan, label == answer)
        found = _named(dataclasses.replace(found, hit=hit, names=tuple(ids)), label, answer)
        if scores is not None:
            matrix = np.clip(scores[1], 0.0, 1.0)
            found = _scored(found, label, answer, matrix)
            found = _binned(found, label, answer, matrix, _positive(scores[0], positive))
            if len(scores[0]) >= ovr.FEWEST:
                found = dataclasses.replace(found, given=ovr.given(scores[0], matrix, label))
    return found


def outcomes_of_rows(
    labels: Sequence[Answer],
    answers: Sequence[Answer],
    scores: Sequence[Scores],
    signs: Sequence[int] | None = None,
    task: Task = "auto",
    positive: str = "1",
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
        parts.append(outcomes(label, answer, known, signed[rows], task, positive))
    if len(parts) == 1:
        return parts[0]
    return _scattered(parts, list(groups.values()), signed)


def _scattered(parts: list[Outcomes], rows: list[list[int]], signs: Ints) -> Outcomes:
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    renamed = [_renamed(part, names) for part in parts]
    arrays: dict[str, Floats | Ints] = {}
    for name in _ARRAYS:
        whole: Floats | Ints | None = None
        for part, at in zip(renamed, rows, strict=True):
            held = getattr(part, name)
            if held is None:
                continue
            if whole is None:
                empty = np.nan if name in _NUMBERS else -1 if name in _PLACES else 0
                whole = np.full(len(signs), empty, dtype=held.dtype)
            whole[at] = held
        if whole is not None:
            arrays[name] = whole
    given = ovr.scattered([part.given for part in parts], rows, len(signs))
    return Outcomes(signs, **arrays, names=names, given=given)  # type: ignore[arg-type]


def _renamed(part: Outcomes, names: tuple[str, ...]) -> Outcomes:
    """The same with places in other names."""
    if part.label is None or part.answer is None:
        return part
    at = {name: i for i, name in enumerate(names)}
    places = np.array([*(at[name] for name in part.names), -1], dtype=np.int64)  # -1: the last
    return dataclasses.replace(part, label=places[part.label], answer=places[part.answer])


def _measured(found: Outcomes, labels: Column, answers: Column) -> Outcomes:
    y, x = labels.numbers, answers.numbers
    with np.errstate(over="ignore", invalid="ignore"):
        error = x - y
        fractional = (x % 1 > 0) | (y % 1 > 0)
    value = np.where(np.isnan(error), np.nan, y)
    return dataclasses.replace(
        found, error=error, value=value, fractional=fractional.astype(np.int64)
    )


def _named(found: Outcomes, label: Ints, answer: Ints) -> Outcomes:
    """With the classes, but of rows that a number between whole ones shows to have none."""
    if found.fractional is not None:
        fractional = found.fractional > 0
        label, answer = (np.where(fractional, -1, ids) for ids in (label, answer))
    return dataclasses.replace(found, label=label, answer=answer)


def _positive(classes: tuple[str, ...], positive: str) -> int | None:
    """The place of the positive one of two classes; None where there are more."""
    if len(classes) > 2:
        return None
    return classes.index(positive if positive in classes else max(classes))


def _binned(
    found: Outcomes, label: Ints, answer: Ints, matrix: Floats, positive: int | None
) -> Outcomes:
    assert found.confidence is not None
    assert found.hit is not None
    sure = np.where(np.isnan(found.hit), np.nan, found.confidence)
    hits = (found.hit == 1.0).astype(np.int64)
    found = dataclasses.replace(found, answer_bin=bins.bin_codes(bins.ANSWER, sure, hits))
    if positive is None:
        return found
    p = np.where(label < 0, np.nan, matrix[:, positive])
    true, said = ((ids == positive).astype(np.int64) for ids in (label, answer))
    code = scored.codes(p, np.where(answer < 0, scored.UNKNOWN, said), true)
    return dataclasses.replace(
        found,
        positive=p,
        cell=np.where(np.isnan(p), -1, code),
        positive_bin=bins.bin_codes(bins.POSITIVE, p, true),
    )


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
        loss=0.0 - sums.log(np.maximum(probability, LEAST_P)),
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
