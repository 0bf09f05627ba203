"""Answers: what a model said and how sure it was, as columns and as pairs."""

import numpy as np

from stream.batches import Block
from stream.columns import Bools, Column, Floats, name_of_number
from stream.joins import Answer, Scores
from stream.names import Names


def answers(column: Column | None, rows: int, names: Names | None = None) -> list[Answer]:
    """Each value as a word, a number, or None where it is missing.

    names: what words are to be numbered in; where it is full, or a word is long, another stands
    for it, so that an answer is the same before and after it was packed.
    """
    if column is None:
        return [None] * rows
    # -0.0 is 0.0, or equal labels would differ in rank
    found: list[Answer] = [None if x != x else x for x in (column.numbers + 0.0).tolist()]
    if column.codes is None:
        return found
    words = [names.canonical(w) for w in column.words] if names is not None else column.words
    table = [*words, None]  # code -1 takes the last place
    return [
        number if word is None else word
        for number, word in zip(found, map(table.__getitem__, column.codes.tolist()), strict=True)
    ]


def scores(block: Block, positive: str, names: Names | None = None) -> list[Scores]:
    """For each row its (class, probability) pairs; a score is that of the positive class."""
    if block.probabilities is not None:
        classes, matrix = block.probabilities
        named = tuple(map(names.canonical, classes)) if names is not None else classes
        return [_pairs(named, row) for row in matrix.tolist()]
    if block.score is not None:
        name = names.canonical(positive) if names is not None else positive
        return [() if x != x else ((name, x),) for x in block.score.tolist()]
    return [()] * len(block)


def _pairs(classes: tuple[str, ...], row: list[float]) -> Scores:
    return tuple((name, p) for name, p in zip(classes, row, strict=True) if p == p)


def confidence(block: Block, positive: str) -> Floats | None:
    """The probability given to what was answered, shape (n,); None without any scores."""
    if block.prediction is None or (block.probabilities is None and block.score is None):
        return None
    if block.probabilities is None:
        return _of_score(block.score, named(block.prediction, positive))
    classes, matrix = block.probabilities
    found = np.where(missing(block.prediction), np.nan, np.zeros(len(block)))
    for i, name in enumerate(classes):
        rows = named(block.prediction, name)
        found[rows] = matrix[rows, i]
    return found


def named(column: Column, name: str) -> Bools:
    """The rows whose value has a name, shape (n,)."""
    number = _number_of(name)
    found: Bools = np.zeros(len(column), np.bool_) if number is None else column.numbers == number
    if column.codes is not None and name in column.words:
        found = found | (column.codes == column.words.index(name))
    return found


def _number_of(name: str) -> float | None:
    try:
        number = float(name)
    except ValueError:
        return None
    return number if name_of_number(number) == name else None


def missing(column: Column) -> Bools:
    """The rows without a value, shape (n,)."""
    found: Bools = np.isnan(column.numbers)
    return found if column.codes is None else found & (column.codes < 0)


def _of_score(score: Floats | None, positive: np.ndarray) -> Floats:
    assert score is not None
    return np.where(positive, score, 1.0 - score)
