"""Joining: several blocks as one."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stream.batches.blocks import Block
from stream.columns import Column


def gathered(blocks: Sequence[Block]) -> list[Block]:
    """The same rows in as few blocks as their columns allow; what was several is a copy."""
    return [some[0] if len(some) == 1 else joined(some) for some in alike(blocks)]


def alike(blocks: Iterable[Block]) -> list[list[Block]]:
    """Blocks of the same kind, model, version and columns, in the order that each begins."""
    found: dict[tuple[Any, ...], list[Block]] = {}
    for block in blocks:
        found.setdefault(_shape(block), []).append(block)
    return list(found.values())


def _shape(b: Block) -> tuple[Any, ...]:
    names = (tuple(b.features), tuple(b.segments or ()), b.probabilities and b.probabilities[0])
    optional = (b.prediction, b.score, b.weight, b.control_group, b.label)
    return (b.kind, b.model, b.version, names, tuple(values is None for values in optional))


def joined(blocks: Sequence[Block]) -> Block:
    """Blocks of one shape as one, in copies of their own."""
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
