"""Rows: which are new, several blocks as one, and what rows say to detectors."""

from collections.abc import Sequence

from stream.answers import confidence
from stream.batches import Block
from stream.batches.blocks import rows_of
from stream.batches.joining import alike, joined
from stream.columns import Floats


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
    return [joined(some) for some in alike(blocks)]
