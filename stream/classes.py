"""Classes: how good answers are by class, from counts of (label, answer).

With two classes the figures are of the positive one; with more they are means over the classes, all
of equal weight, as scikit-learn's `average="macro"`; what is not defined for a class counts as 0.
"""

import dataclasses
from collections.abc import Callable

from stream import intervals
from stream.intervals import Estimate, Figure
from stream.tallies import Tally

NOTHING = Estimate(Figure(0.0, 0, 0.0, 0.0), 0.0)  # what is not defined


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """Of one class: right, missed, wrongly called, and the others."""

    hits: int
    missed: int
    called: int
    others: int


def counts_of(t: Tally) -> dict[str, Counts]:
    """Each class that is told apart; none where not all outcomes are known by class."""
    confusion = t.breakdown.confusion
    if not confusion.sound() or confusion.n + t.fractional < t.judged or confusion.n <= 0:
        return {}
    labels, answers = dict.fromkeys(confusion.names, 0), dict.fromkeys(confusion.names, 0)
    for (label, answer), n in confusion.pairs.items():
        labels[label] = labels.get(label, 0) + n
        answers[answer] = answers.get(answer, 0) + n
    found = {}
    for name in confusion.names:
        hits = confusion.pairs.get((name, name), 0)
        missed, called = labels[name] - hits, answers[name] - hits
        found[name] = Counts(hits, missed, called, confusion.n - hits - missed - called)
    return found


def is_binary(t: Tally, classes: int) -> bool:
    """Whether there are two classes: scores say so, or else the names that there are."""
    sure, scores = t.sure_hits + t.sure_misses, t.breakdown.scores.n
    return scores >= sure if sure > 0 else classes <= 2


def classes_of(t: Tally, positive: str) -> list[Counts]:
    """The positive one of two classes, or all of more; none where that cannot be told.

    Where no class is called `positive`, it is the last of two by name.
    """
    known = counts_of(t)
    if not is_binary(t, len(known)):
        return list(known.values())
    if positive in known:
        return [known[positive]]
    return [known[max(known)]] if len(known) == 2 else []


def recall(t: Tally, positive: str) -> Estimate | None:
    """Of what is of a class, the share that is called so."""
    return _mean(t, positive, lambda c: (c.hits, c.hits + c.missed))


def precision(t: Tally, positive: str) -> Estimate | None:
    """Of what is called so, the share that is of the class."""
    return _mean(t, positive, lambda c: (c.hits, c.hits + c.called))


def specificity(t: Tally, positive: str) -> Estimate | None:
    """Of what is not of a class, the share that is not called so."""
    return _mean(t, positive, lambda c: (c.others, c.others + c.called))


def balanced_accuracy(t: Tally, positive: str) -> Estimate | None:
    """The mean of the recalls of all classes that labels name."""
    del positive
    worth = t.worth("judged")
    rows = [(c.hits, c.hits + c.missed) for c in counts_of(t).values()]
    return _averaged([_share(hits, n, worth) for hits, n in rows if n])


def f1(t: Tally, positive: str) -> Estimate | None:
    """The harmonic mean of precision and recall.

    It is 2j / (1 + j) of the share j of hits in hits, missed and wrongly called (Jaccard), and so
    are the ends of its interval, of Wilson's.
    """
    worth = t.worth("judged")
    parts = []
    for c in classes_of(t, positive):
        j = _share(c.hits, c.hits + c.missed + c.called, worth)
        value, low, high = (2 * x / (1 + x) for x in (j.figure.value, j.figure.low, j.figure.high))
        slope = 2 / (1 + j.figure.value) ** 2
        parts.append(Estimate(Figure(value, j.figure.n, low, high), slope**2 * j.variance))
    return _averaged(parts)


def _mean(t: Tally, positive: str, of: Callable[[Counts], tuple[int, int]]) -> Estimate | None:
    worth = t.worth("judged")
    return _averaged([_share(*of(c), worth) for c in classes_of(t, positive)])


def _share(hits: int, n: int, worth: float) -> Estimate:
    return intervals.wilson(hits / n, n * worth) if n > 0 else NOTHING


def _averaged(parts: list[Estimate]) -> Estimate | None:
    if not any(part.figure.n for part in parts):
        return None
    return intervals.mixed(parts, [1 / len(parts)] * len(parts))
