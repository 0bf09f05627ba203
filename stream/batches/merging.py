"""Merging: the blocks of one chunk with the same names as one, in order of offset."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.batches.blocks import Block, rows_of
from stream.batches.joining import joined
from stream.columns import Column


def merged(blocks: Sequence[Block]) -> list[Block]:
    """One block for each model, version and set of names; its rows in order of offset.

    The names may come in any order. What only some have (a score, a weight) is missing in others.
    """
    alike: dict[tuple[Any, ...], list[Block]] = {}
    for block in blocks:
        alike.setdefault(_identity(block), []).append(block)
    return [some[0] if len(some) == 1 else _in_order(some) for some in alike.values()]


def _identity(b: Block) -> tuple[Any, ...]:
    classes = None if b.probabilities is None else b.probabilities[0]
    return (b.kind, b.model, b.version, frozenset(b.features), frozenset(b.segments or ()), classes)


def _in_order(blocks: Sequence[Block]) -> Block:
    one = joined([_like(block, blocks) for block in blocks])
    return rows_of(one, np.argsort(one.offsets, kind="stable"))


def _like(block: Block, all_of_them: Sequence[Block]) -> Block:
    """The block with the columns of the first in its order, and all that any of them has."""
    first = all_of_them[0]
    missing = np.full(len(block), np.nan)
    more: dict[str, Any] = {}
    for name in ("score", "weight", "control_group", "prediction"):
        if getattr(block, name) is None and any(getattr(b, name) is not None for b in all_of_them):
            column = name in ("control_group", "prediction")
            more[name] = Column(missing) if column else missing
    if block.segments is not None:
        more["segments"] = {name: block.segments[name] for name in first.segments or ()}
    features = {name: block.features[name] for name in first.features}
    return dataclasses.replace(block, features=features, **more)
