"""Formulas of a batch: every metric of predictions and their truth, as scikit-learn has it."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from sklearn import metrics as oracle
from sklearn.isotonic import IsotonicRegression

from stream.columns import Floats, Ints, name_of_number
from stream.events import Prediction, Scalar
from stream.outcomes import LEAST_P
from stream.scores import cells, middles
from tests.histories import Kind, Pair

Expected = dict[str, float]
CLASSES: dict[Kind, tuple[str, ...]] = {
    "score": ("0", "1"),
    "two": ("no", "yes"),
    "three": ("a", "b", "c"),
    "words": (),
}


def answer_of(value: Scalar) -> str:
    return (name_of_number(value) or "") if isinstance(value, float) else str(value)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Predictions that met their truth. y: labels; a: answers, "" where there is none."""

    pairs: Sequence[Pair]

    @property
    def y(self) -> list[str]:
        return [answer_of(label) for _, label in self.pairs]

    @property
    def a(self) -> list[str]:
        return ["" if p.prediction is None else answer_of(p.prediction) for p, _ in self.pairs]

    def where(self, kept: Sequence[bool]) -> "Rows":
        return Rows([pair for pair, keep in zip(self.pairs, kept, strict=True) if keep])

    @property
    def answered(self) -> "Rows":
        return self.where([p.prediction is not None for p, _ in self.pairs])

    @property
    def scored(self) -> "Rows":
        return self.where([_sure(p) != {} for p, _ in self.pairs])

    def probabilities(self, names: Sequence[str]) -> Floats:
        """Shape (rows, names)."""
        return np.array([[_sure(p)[name] for name in names] for p, _ in self.pairs])


def _sure(p: Prediction) -> dict[str, float]:
    if p.score is not None:
        return {"0": 1.0 - p.score, "1": p.score}
    return p.probabilities or {}


# what scikit-learn says


def of_numbers(rows: Rows) -> Expected:
    found = [(float(label), float(p.prediction)) for p, label in rows.answered.pairs]  # type: ignore[arg-type]
    if not found:
        return {}
    y, x = np.array(found).T
    expected: Expected = {
        "mae": oracle.mean_absolute_error(y, x),
        "rmse": oracle.root_mean_squared_error(y, x),
        "bias": math.fsum((x - y).tolist()) / len(y),
        "quantile_loss": oracle.mean_pinball_loss(y, x, alpha=0.8),
    }
    return expected | ({"r2": oracle.r2_score(y, x)} if len({*y.tolist()}) > 1 else {})


def of_classes(rows: Rows, names: Sequence[str]) -> Expected:
    """names: the classes that have probabilities, of two the positive one last."""
    scored, answered, both = rows.scored, rows.answered, rows.scored.answered
    found: Expected = {}
    if answered.pairs:
        found["accuracy"] = oracle.accuracy_score(answered.y, answered.a)
        classes = {*answered.y, *answered.a}
        two = len(names) == 2 if both.pairs else len(classes) <= 2
        positive = "1" if "1" in classes else max(classes) if len(classes) == 2 else None
        found |= _by_class(answered, positive) if two else _averaged(answered)
        found["balanced_accuracy"] = oracle.recall_score(
            answered.y, answered.a, labels=sorted({*answered.y}), average="macro"
        )
    if scored.pairs:
        found |= _by_probability(scored, names)
        found |= _by_rank(scored, names[1]) if len(names) == 2 else _by_ranks(scored, names)
        found |= _by_trust(both, names) if both.pairs else {}
    if scored.pairs and len(names) == 2:
        p = scored.probabilities(names)[:, 1]
        found["calibration_error"] = _calibration_error(p, np.array(scored.y) == names[1])
    return found


def _by_class(rows: Rows, positive: str | None) -> Expected:
    """Of the positive one of two classes, as far as it is defined."""
    if positive is None:
        return {}
    y, a = (np.array(words) == positive for words in (rows.y, rows.a))
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        y, a, labels=[False, True], zero_division=np.nan
    )
    found = {
        "precision": precision[1],
        "recall": recall[1],
        "f1": f1[1],
        "specificity": recall[0],
    }
    return {name: x for name, x in found.items() if not np.isnan(x)}


def _averaged(rows: Rows) -> Expected:
    """Means over all classes; what is not defined of one is 0."""
    names = sorted({*rows.y, *rows.a})
    found = oracle.precision_recall_fscore_support(rows.y, rows.a, labels=names, zero_division=0)
    precision, recall, f1 = (float(np.mean(x)) for x in found[:3])
    matrix = oracle.multilabel_confusion_matrix(rows.y, rows.a, labels=names)
    others = [m[0].sum() for m in matrix]
    spared = [m[0, 0] / n if n else 0.0 for m, n in zip(matrix, others, strict=True)]
    means: Expected = {"precision": precision, "recall": recall, "f1": f1}
    return means | ({"specificity": float(np.mean(spared))} if any(others) else {})


def _by_probability(rows: Rows, names: Sequence[str]) -> Expected:
    p, y = rows.probabilities(names), rows.y
    p = np.maximum(p, LEAST_P)
    true = np.array(y) == names[-1]
    brier = (
        oracle.brier_score_loss(true, p[:, 1], labels=[False, True])
        if len(names) == 2
        else oracle.brier_score_loss(y, p, labels=list(names))
    )
    return {"log_loss": oracle.log_loss(y, p, labels=list(names)), "brier": brier}


def _by_rank(rows: Rows, positive: str) -> Expected:
    """By the score of a cell, where those of one cell are ties."""
    y = np.array(rows.y) == positive
    if y.all() or not y.any():
        return {}
    p = rows.probabilities([positive])[:, 0]
    grid = middles()[cells(p)]
    return {
        "auroc": oracle.roc_auc_score(y, grid),
        "average_precision": oracle.average_precision_score(y, grid),
        "lift": 10 * first_rows(y, grid, len(y) / 10) / y.sum(),
    }


def _by_ranks(rows: Rows, names: Sequence[str]) -> Expected:
    """Of more than two classes: each against the others, and the mean of those that labels name."""
    found = [own for own in (_by_rank(rows, name) for name in names) if own]
    means = ("auroc", "average_precision") if found else ()
    return {metric: float(np.mean([own[metric] for own in found])) for metric in means}


def first_rows(y: Floats, p: Floats, rows: float) -> float:
    """Positives in so many rows of the highest scores; of those of one score their share."""
    true = 0.0
    for score in sorted({*p.tolist()}, reverse=True):
        here = p == score
        taken = min(rows, here.sum())
        true, rows = true + taken * y[here].mean(), rows - taken
    return true


def _by_trust(both: Rows, names: Sequence[str]) -> Expected:
    sure = np.array([_sure(p)[a] for (p, _), a in zip(both.pairs, both.a, strict=True)])
    right = np.array(both.y) == np.array(both.a)
    found = {
        "confidence": sure.mean(),
        "confidently_wrong": ((_tenths(sure) == 9) & ~right).mean(),
        "calibration_error": _calibration_error(sure, right),
    }
    if right.any():
        found["confidence_when_right"] = sure[right].mean()
    if not right.all():
        found["confidence_when_wrong"] = sure[~right].mean()
    return found


def _calibration_error(p: Floats, true: Floats) -> float:
    return sum(abs(float((true - p)[_tenths(p) == i].sum())) for i in range(10)) / len(p)


def _tenths(p: Floats) -> Ints:
    """0.9 and more is the last of them."""
    found: Ints = np.minimum((p * 10).astype(np.int64), 9)
    return found


def expected_of(kind: Kind, pairs: Sequence[Pair]) -> Expected:
    rows = Rows(pairs)
    return of_numbers(rows) if kind == "numbers" else of_classes(rows, CLASSES[kind])


# what scores mean


@dataclasses.dataclass(frozen=True)
class Meaning:
    """What scores meant in a reference's rows, all labelled, by scikit-learn's isotonic regression.

    x: their scores, or confidences, in order and each once: few enough that each has its own code.
    """

    kind: Kind
    x: Floats
    curve: IsotonicRegression
    off: float

    @classmethod
    def of(cls, kind: Kind, pairs: Sequence[Pair]) -> "Meaning":
        rows = [(score_of(p), p, y) for p, y in pairs if score_of(p) is not None]
        true = [(answer_of(y) == "1" if kind == "score" else right(p, y)) for _, p, y in rows]
        x = np.array([sure for sure, _, _ in rows])
        curve = IsotonicRegression(out_of_bounds="clip").fit(x, np.array(true, dtype=float))
        found = cls(kind, np.unique(x), curve, 0.0)
        off = float(x.mean()) - found.accuracy([p for _, p, _ in rows])
        return dataclasses.replace(found, off=off)

    def accuracy(self, predictions: Sequence[Prediction]) -> float:
        """Estimated; a score that the reference has not counts as the middle of its neighbours."""
        scored = [(sure, p) for p in predictions if (sure := score_of(p)) is not None]
        x = np.array([sure for sure, _ in scored])
        places = np.concatenate([[min(0, self.x[0] - 1)], self.x, [max(1, self.x[-1] + 1)]])
        at = np.searchsorted(places, x)
        between = (places[at - 1] + places[at]) / 2
        known = np.where(np.isin(x, self.x), places[at], between)
        return self._mean(self.curve.predict(known), [p for _, p in scored])

    def gap(self, pairs: Sequence[Pair]) -> float:
        """Estimated less realised accuracy of labelled rows that have scores."""
        rows = [(sure, p, y) for p, y in pairs if (sure := score_of(p)) is not None]
        x = np.array([sure for sure, _, _ in rows])
        realised = float(np.mean([right(p, y) for _, p, y in rows]))
        if self.kind != "score":
            return float(x.mean()) - self.off - realised
        return self._mean(self.curve.predict(x), [p for _, p, _ in rows]) - realised

    def _mean(self, chance: Floats, predictions: Sequence[Prediction]) -> float:
        if self.kind == "score":
            said = np.array([p.prediction == "1" for p in predictions])
            chance = np.where(said, chance, 1 - chance)
        return float(chance.mean())


def score_of(p: Prediction) -> float | None:
    """The score, or of classes what was given to the answer; None without one, or an answer."""
    if p.prediction is None:
        return None
    return p.score if p.probabilities is None else p.probabilities[answer_of(p.prediction)]


def right(p: Prediction, label: Scalar) -> bool:
    return answer_of(p.prediction) == answer_of(label)
