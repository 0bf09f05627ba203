"""Odds: what a model's scores meant in its reference, where labels tell.

Rows are counted by their score's rank code (`stream.features`), and so are live ones: exact counts,
which merge in any order. What a code stands for is learnt from the reference's labels.
"""

import dataclasses
import functools
from typing import Any, Literal

import msgspec
import numpy as np

from stream import features
from stream.answers import confidence, missing, named
from stream.batches import Block
from stream.columns import Bools, Column, Floats, Ints, column_of
from stream.expectations import Curve, Expected
from stream.features import FeatureReference

OfWhat = Literal["positive", "answer"]
MAX_EDGES = 512
SAID = ("negative", "positive")  # answers, in the order in which a share counts them
NAME = "score"


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    of: OfWhat
    score: dict[str, Any]
    answered: list[int]
    labelled: list[int]
    right: list[int]


@dataclasses.dataclass(frozen=True, eq=False)
class Odds:
    """of: whose probability scores are: the positive class's, or that of whatever was answered.

    score: the reference's scores and the way to code live ones. answered, labelled, right, shape
    (cells,): rows by code, with the positive answer, with a label, and with the positive one. Of
    answers all are positive, and the label is whether they are right.
    """

    of: OfWhat
    score: FeatureReference
    answered: Ints
    labelled: Ints
    right: Ints

    @functools.cached_property
    def curve(self) -> Curve:
        """What each code stands for."""
        return Curve.learnt(self.places, self.labelled, self.right)

    @functools.cached_property
    def expected(self) -> Expected:
        """The reference's own rows."""
        return self.expectation(self.score.counts - self._whole, self._whole)

    @property
    def _whole(self) -> Ints:
        return np.append(self.answered, np.zeros(self.score.width - self.score.cells, np.int64))

    def expectation(self, negative: Ints, positive: Ints) -> Expected:
        """Of counts by answer as a share has them, shape (width,) each."""
        cells = self.score.cells
        return Expected(self.curve, negative[:cells], positive[:cells])

    @property
    def places(self) -> Floats:
        """The score that each code stands for, shape (cells,): a gap's is its middle."""
        edges = self.score.edges
        low, high = min(0.0, float(edges[0]) - 1), max(1.0, float(edges[-1]) + 1)
        ends = np.concatenate([[low], edges, [high]])
        found = np.empty(self.score.cells)
        found[1::2], found[::2] = edges, (ends[:-1] + ends[1:]) / 2
        return found

    def counts_of(self, scores: Floats) -> Ints:
        """Counts of live scores by code, shape (width,)."""
        return self.score.counts_of(Column(scores))

    def document(self) -> dict[str, Any]:
        """Plain values for JSON; `from_document` reads them back to the bit."""
        counts = {n: getattr(self, n).tolist() for n in ("answered", "labelled", "right")}
        return {"of": self.of, "score": self.score.document()} | counts


def odds_of(
    of: OfWhat,
    scores: Floats,
    answered: Bools,
    right: Bools,
    labelled: Bools,
    max_edges: int = MAX_EDGES,
) -> Odds | None:
    """Of a reference's rows, shape (rows,) each; None where no row has a score and a label.

    answered: whether the answer is the positive class. right: whether the label is.
    """
    known = np.isfinite(scores)
    if not (known & labelled).any():
        return None
    score = features.summarise(NAME, column_of(scores[known]), "number", max_edges=max_edges)

    def counted(rows: Bools) -> Ints:
        return score.counts_of(Column(scores[rows & known]))[: score.cells]

    return Odds(of, score, counted(answered), counted(labelled), counted(labelled & right))


def from_document(document: object) -> Odds:
    """Raises ValueError, saying what is wrong."""
    try:
        d = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise ValueError(f"odds: {error}") from None
    score = features.from_document(NAME, d.score)
    try:
        counts = [np.array(x, dtype=np.int64) for x in (d.answered, d.labelled, d.right)]
    except OverflowError:
        raise ValueError("odds: a count is over 2**63") from None
    found = Odds(d.of, score, *counts)
    for ok, wrong in _rules(found):
        if not ok:
            raise ValueError(f"odds: {wrong}")
    return found


def _rules(o: Odds) -> list[tuple[bool, str]]:
    counts = (o.answered, o.labelled, o.right)
    if o.score.kind != "number" or not len(o.score.edges):
        return [(False, "scores must be numbers")]
    cells = o.score.cells
    if any(len(x) != cells for x in counts):
        return [(False, f"must have {cells} counts of each")]
    rows = o.score.counts[:cells]
    return [
        (bool((np.minimum.reduce(counts) >= 0).all()), "has a count below 0"),
        (bool((o.right <= o.labelled).all()), "has more right than labelled rows"),
        (bool((np.maximum(o.labelled, o.answered) <= rows).all()), "has more rows than scores"),
        (bool(o.labelled.any()), "has no labelled row"),
    ]


def told(block: Block, positive: str, of: OfWhat) -> tuple[Floats, Bools] | None:
    """The score of each row, NaN where it has none or no answer, and whether that was the positive
    one, shape (n,); None where the block has no such scores.
    """
    if block.prediction is None:
        return None
    if of == "answer":
        found = confidence(block, positive)
        answered = np.ones(len(block), dtype=np.bool_)
    else:
        found, answered = _of_class(block, positive), named(block.prediction, positive)
    if found is None:
        return None
    known = np.isfinite(found) & ~missing(block.prediction)
    return np.where(known, found, np.nan), answered


def _of_class(block: Block, name: str) -> Floats | None:
    """What was given to a class, shape (n,)."""
    if block.score is not None or block.probabilities is None:
        return block.score
    classes, matrix = block.probabilities
    return matrix[:, classes.index(name)] if name in classes else None
