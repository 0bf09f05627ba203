"""Mismatches: answers, labels and scores that do not speak of the same classes.

Nothing is wrong with any single record then, and every figure is: a `score` is read as the
probability of a class that nobody means, or no answer can ever be the label.
"""

from collections.abc import Iterable, Sequence

from stream import figures
from stream.scores import YES
from stream.settings import Task
from stream.tallies import Tally

NAMED = 5  # classes named in a note
FEWEST = 3  # names of classes: two may be one that was answered and another that came true


def notes(tally: Tally, task: Task, positive: str) -> list[str]:
    """What an evaluation says of such outcomes; of numbers that are measured nothing."""
    numbers = task == "regression" or (task == "auto" and tally.fractional > 0)
    if numbers or not tally.breakdown.confusion.sound():
        return []
    return [*_strangers(tally), *_unmeant(tally, positive)]


def _strangers(tally: Tally) -> list[str]:
    """No label is one of the answers."""
    labels, answers = ({pair[i] for pair in tally.breakdown.confusion.pairs} for i in (0, 1))
    if labels & answers or len(labels | answers) < FEWEST:
        return []
    return [
        f"no label names a class that was answered: answers are {_listed(answers)}, labels "
        f"{_listed(labels)}; where they mean the same, send the same words"
    ]


def _unmeant(tally: Tally, positive: str) -> list[str]:
    """Scores are of a class that is neither an answer nor a label."""
    names = tally.breakdown.confusion.names
    if positive in names or len(names) < 2 or not tally.breakdown.scores:
        return []
    table = tally.breakdown.scores.table()
    if table[:, YES].any() or table[:, :, YES].any():
        return []
    return [of_another(names, positive)]


def of_another(names: Sequence[str], positive: str) -> str:
    """That a score is taken for the probability of a class that is none of some."""
    return (
        f"scores are read as the probability of {positive!r}, and no answer or label is called "
        f"so: they are {_listed(names)}; set `positive` to the class that a score is of"
    )


def _listed(names: Iterable[str]) -> str:
    return figures.listed(sorted(names), NAMED)
