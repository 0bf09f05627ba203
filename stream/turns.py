"""Turns: rows in the order in which they change what is known, however they were cut into batches.

What a pane's exponent is (`stream.thinning`) depends on all rows before the pane's first, of all
models and versions, so blocks are cut there.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from stream.batches import Block
from stream.batches.blocks import rows_of
from stream.books import Book
from stream.columns import Bools, Hashes, Ints
from stream.matches import Matches
from stream.panes import panes_of
from stream.shelves import Shelf
from stream.thinning import Thinning, taken


def in_steps(
    blocks: list[Block], thinning: Thinning, shelf: Shelf, matches: Matches
) -> Iterator[Block]:
    """Blocks, cut where a pane begins; each is to be taken in before the next is asked for."""
    while True:
        pending = matches.pending + sum(map(len, blocks))
        new = [rows for rows in (_beginning(b, thinning, shelf, pending) for b in blocks) if rows]
        if not new:
            yield from blocks
            return
        offset = min(offset for offset, _, _ in new)
        yield from _between(blocks, -1, offset)
        for model, pane in sorted({(m, p) for at, m, panes in new for p in panes if at == offset}):
            thinning.fix(model, pane, matches.pending, _seen(shelf))
        yield from _between(blocks, offset, offset + 1)
        blocks = list(_between(blocks, offset + 1, None))


def _seen(shelf: Shelf) -> dict[str, set[int]]:
    """Panes that predictions were counted of, by model."""
    found: dict[str, set[int]] = {}
    for book in shelf:
        if book.settings.joins:
            panes = found.setdefault(book.model, set())
            panes |= book.inputs.open.keys() | book.inputs.revisions.keys()
    return found


def _between(blocks: list[Block], first: int, end: int | None) -> Iterator[Block]:
    for block in blocks:
        start, stop = np.searchsorted(block.offsets, [first, end or 0])
        rows = slice(int(start), len(block) if end is None else int(stop))
        if rows.start < rows.stop:
            yield rows_of(block, rows)


def _beginning(
    block: Block, thinning: Thinning, shelf: Shelf, pending: int
) -> tuple[int, str, list[int]] | None:
    """The first offset with a row of a pane that nothing was counted of, and its such panes."""
    if block.kind != "prediction" or not thinning.matters(block.model, pending):
        return None
    settings = shelf.settings(block.model)
    if not settings.joins:
        return None
    books = shelf.books_of(block.model)
    panes = panes_of(block.times_ms, settings.pane_s * 1000)
    oldest = max((b.inputs.oldest_ms for b in books if b.version == block.version), default=None)
    new = [
        pane
        for pane in np.unique(panes).tolist()
        if (oldest is None or pane >= oldest)
        and not thinning.knows(block.model, pane)
        and not any(pane in b.inputs.open or pane in b.inputs.revisions for b in books)
    ]
    rows = np.isin(panes, np.array(new, dtype=np.int64))
    if not rows.any():
        return None
    offset = int(block.offsets[rows][0])
    return offset, block.model, np.unique(panes[rows & (block.offsets == offset)]).tolist()


def sampled(
    matches: Matches, book: Book, block: Block, exponents: Ints, books: Sequence[Book] = ()
) -> Bools:
    """Enter those of a block that are in the samples of their exponents, shape (n,).

    A mask of the rows that were not there before. Of predictions that are in no sample that is not
    known: one that is sent twice counts twice. books: as for `Matches.forecasts`.
    """
    fresh = np.ones(len(block), dtype=np.bool_)
    inside = taken(block.ids, exponents)
    for run in _runs(block.ids):
        for exponent in np.unique(exponents[run][inside[run]]).tolist():
            rows = run[inside[run] & (exponents[run] == exponent)]
            fresh[rows] = matches.forecasts(book, rows_of(block, rows), exponent, books)
        outside = run[~inside[run]]
        fresh[outside] = ~matches.known(book, block.ids[outside])
        book.count("duplicate-predictions", int((~fresh[outside]).sum()))
        book.count("predictions-sampled-out", int(fresh[outside].sum()))
    return fresh


def _runs(ids: Hashes) -> Iterator[Ints]:
    """Row numbers, in runs that have no id twice."""
    if len(np.unique(ids)) == len(ids):
        yield np.arange(len(ids))
        return
    start, seen = 0, set[int]()
    for i, key in enumerate(ids.tolist()):
        if key in seen:
            yield np.arange(start, i)
            start, seen = i, set()
        seen.add(key)
    yield np.arange(start, len(ids))
