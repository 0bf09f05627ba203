"""Bands: segments that follow from a prediction rather than being named by it.

A number, such as an age, is cut into bands. Whether the model's answer was acted upon is a segment
too: where it was, the truth may be of the model's own making.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from stream.answers import missing
from stream.batches import Block
from stream.columns import Column, Floats, name_of_number
from stream.settings import CONTROL, ModelSettings

MISSING = "missing"  # the band of what is no number
SIDES = ("no", "yes")  # whether a row is of the control group


def names_of(edges: Sequence[float]) -> tuple[str, ...]:
    """What bands are called; each holds its lower edge, not its upper one.

    >>> names_of([25, 40])
    ('below 25', '25 to 40', '40 or more', 'missing')
    """
    told = [name_of_number(float(edge)) for edge in edges]
    between = [f"{low} to {high}" for low, high in itertools.pairwise(told)]
    return (f"below {told[0]}", *between, f"{told[-1]} or more", MISSING)


def cut(column: Column, edges: Sequence[float]) -> Column:
    """The band of each value, as a column of words. A word that is a number counts as that."""
    numbers = _numbers(column)
    codes = np.searchsorted(np.array(edges, dtype=np.float64), numbers, "right").astype(np.int32)
    codes[np.isnan(numbers)] = len(edges) + 1
    return Column(np.full(len(codes), np.nan), codes, names_of(edges))


def _numbers(column: Column) -> Floats:
    if column.codes is None:
        return column.numbers
    known = np.array([_number(word) for word in column.words] or [math.nan])
    return np.where(column.codes >= 0, known[column.codes], column.numbers)


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def derived(block: Block, settings: ModelSettings) -> Block:
    """Predictions with the segments that follow from them; the same block where none do.

    A number is what a prediction names as the segment or, where it names none, its feature of that
    name. What each row is of depends on that row alone.
    """
    found: dict[str, Column] = {}
    for name, edges in settings.bands.items():
        found[name] = cut(_given(block, name), edges)
    if CONTROL in settings.segments:
        found[CONTROL] = sides(block.control_group, len(block))
    if not found:
        return block
    known: Mapping[str, Column] = block.segments or {}
    return dataclasses.replace(block, segments={**known, **found})


def _given(block: Block, name: str) -> Column:
    empty = Column(np.full(len(block), np.nan))
    numbers = _numbers(block.features.get(name, empty))
    named = (block.segments or {}).get(name, empty)
    return Column(np.where(missing(named), numbers, _numbers(named)))


def sides(flags: Column | None, rows: int) -> Column:
    """Whether each row is of the control group: only where its prediction says so."""
    true = np.zeros(rows, dtype=np.bool_)
    if flags is not None and flags.codes is not None and "true" in flags.words:
        true = flags.codes == flags.words.index("true")
    return Column(np.full(rows, np.nan), true.astype(np.int32), SIDES)
