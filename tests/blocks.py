"""Blocks as plain rows, for pinning what they hold."""

import dataclasses
from typing import Any

import numpy as np

from stream.batches import Block
from stream.columns import Column


def rows_of(block: Block) -> list[dict[str, Any]]:
    """One dictionary a row; what has no value in a row is None, ids are decimal text."""
    columns = {field.name: getattr(block, field.name) for field in dataclasses.fields(block)}
    return [
        {name: _value(column, row) for name, column in columns.items()} for row in range(len(block))
    ]


def _value(column: Any, row: int) -> Any:
    if isinstance(column, Column):
        return _cell(column, row)
    if isinstance(column, np.ndarray):
        return str(column[row]) if column.dtype == np.uint64 else _number(column[row].item())
    if isinstance(column, tuple):
        classes, shares = column
        return {name: _number(shares[row, i].item()) for i, name in enumerate(classes)}
    if isinstance(column, dict):
        return {name: _cell(one, row) for name, one in column.items()}
    return column


def _cell(column: Column, row: int) -> Any:
    if column.codes is not None and column.codes[row] >= 0:
        return column.words[column.codes[row]]
    return _number(column.numbers[row].item())


def _number(value: Any) -> Any:
    return None if value != value else value
