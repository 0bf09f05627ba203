"""Rows: which are new, several blocks as one, and what rows say to detectors."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.answers import confidence
from stream.batches import Block
from stream.batches.blocks import rows_of
from stream.columns import Column, Floats


def after(blocks: Sequence[Block], applied: int) -> list[Block]:
    """The rows behind a source offset; blocks without any are left out."""
    found = (rows_of(block, block.offsets > applied) for block in blocks)
    return [block for block in found if len(block)]


def signal_values(block: Block, signal: str, positive: str) -> Floats | None:
    """Values of the signal "score" or of a feature, shape (n,); None where the block has none."""
    if signal == "score":
        return confidence(block, positive) if block.score is None else block.score
    column = block.features.get(signal)
    return None if column is None else column.numbers


def gathered(blocks: Sequence[Block]) -> list[Block]:
    """The same rows in as few prediction blocks as their columns allow, in copies of their own.

    A block is a view of the message that it came in: one row would keep all of it in memory.
    """
    alike: dict[tuple[Any, ...], list[Block]] = {}
    for block in blocks:
        alike.setdefault(_shape(block), []).append(block)
    return [_joined(some) for some in alike.values()]


def _shape(b: Block) -> tuple[Any, ...]:
    names = (tuple(b.features), tuple(b.segments or ()), b.probabilities and b.probabilities[0])
    optional = (b.prediction, b.score, b.weight, b.control_group)
    return (b.kind, b.model, b.version, names, tuple(values is None for values in optional))


def _joined(blocks: Sequence[Block]) -> Block:
    names = {f.name for f in dataclasses.fields(Block)} - {"kind", "model", "version"}
    fields = {name: _stacked([getattr(block, name) for block in blocks]) for name in names}
    return dataclasses.replace(blocks[0], **fields)


def _stacked(parts: Sequence[Any]) -> Any:
    """Arrays, columns, columns by name, or classes with their matrices, one below the other."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, Column):
        return _column(parts)
    if isinstance(first, tuple):
        return first[0], np.concatenate([matrix for _, matrix in parts])
    return {name: _column([part[name] for part in parts]) for name in first}


def _column(parts: Sequence[Column]) -> Column:
    numbers = np.concatenate([part.numbers for part in parts])
    if all(part.codes is None for part in parts):
        return Column(numbers)
    words: dict[str, int] = {}
    codes = []
    for part in parts:
        table = [words.setdefault(word, len(words)) for word in part.words]
        own = np.full(len(part), -1, np.int32) if part.codes is None else part.codes
        codes.append(np.array([*table, -1], dtype=np.int32)[own])  # code -1 takes the last place
    return Column(numbers, np.concatenate(codes), tuple(words))
