"""Packed: entries of predictions by columns, the same bytes as `stream.entries` makes of each.

A prediction that waits alone, with one score and an answer that is a word or a small whole number,
is nearly every one. Its entry has a fixed size, so many are one array.
"""

import binascii
import functools

import numpy as np
import numpy.typing as npt

from stream.batches import Block
from stream.columns import Bools, Column, Floats, Ints
from stream.entries import FORECAST, LONE, SAMPLED, SHORT, WHOLE, WORD
from stream.names import Names, short

Bytes = npt.NDArray[np.uint8]
LARGEST = 0xFFFF  # of what is kept as a whole number


def packed_forecasts(
    block: Block, subject: int, positive: str, words: Names, exponent: int = 0
) -> tuple[Bools, list[bytes]] | None:
    """Which rows are of the usual kind, a mask of shape (n,), and the entries of those rows.

    None where none of the block can be. subject: the model version's number; words: answers' and
    classes' numbers; exponent: of the sample that the rows are. The entries are what `pack_entry`
    makes of a lone `Forecast`.
    """
    scored = block.score is not None and block.probabilities is None
    if not scored or block.prediction is None or block.control_group is not None:
        return None
    assert block.score is not None
    flags, answers = _answers(block.prediction, words)
    usual = (flags > 0) & ~np.isnan(block.score)
    if not usual.any():
        return usual, []
    word = words.number(short(positive))
    packed = _packed(
        block.times_ms[usual], subject, flags[usual], answers[usual], word, block.score[usual]
    )
    if exponent:
        packed = _marked(packed, exponent)
    size, raw = packed.shape[1], packed.tobytes()
    return usual, [raw[at : at + size] for at in range(0, len(raw), size)]


def _answers(column: Column, words: Names) -> tuple[Bytes, Ints]:
    """How each answer is kept (0 where it is not usual), and the number that is kept of it."""
    x = column.numbers
    with np.errstate(invalid="ignore"):
        whole = (x >= 0) & (x <= LARGEST) & (x == np.floor(x))
    flags = np.where(whole, WHOLE, 0).astype(np.uint8)
    found = np.where(whole, x, 0).astype(np.int64)
    if column.codes is not None:
        table = np.array([words.number(short(w)) for w in column.words] + [0], dtype=np.int64)
        worded = column.codes >= 0
        flags[worded] = WORD
        found[worded] = table[column.codes[worded]]
    return flags, found


def _packed(
    times_ms: Ints, subject: int, flags: Bytes, answers: Ints, word: int, scores: Floats
) -> Bytes:
    """Entries, shape (n, bytes): short ones where all of them can be."""
    small = subject < 256 and word < 256 and int(answers.max()) < 256
    number = "u1" if small else "<u2"
    fields = [("sum", "<u2"), ("flags", "u1"), ("subject", number), ("low", "<u4")]
    kind = np.dtype([*fields, ("high", "<u2"), ("answer", number), ("word", number), ("p", "<f8")])
    rows = np.empty(len(times_ms), kind)
    rows["flags"] = flags | (FORECAST | LONE | (SHORT if small else 0))
    rows["subject"], rows["answer"], rows["word"] = subject, answers, word
    rows["low"], rows["high"], rows["p"] = times_ms & 0xFFFFFFFF, times_ms >> 32, scores
    found: Bytes = rows.view(np.uint8).reshape(len(rows), kind.itemsize)
    rows["sum"] = checksums(found[:, 2:])
    return found


def _marked(entries: Bytes, exponent: int) -> Bytes:
    """The entries of a sample, shape (n, bytes + 2)."""
    marks = np.array([SAMPLED, exponent], dtype=np.uint8)
    found: Bytes = np.insert(entries, [2, 2], marks, axis=1)
    sums = checksums(found[:, 2:]).astype("<u2")
    found[:, :2] = sums.view(np.uint8).reshape(-1, 2)
    return found


def checksums(texts: Bytes) -> npt.NDArray[np.uint16]:
    """`binascii.crc_hqx` of many texts of one length, shape (n, length), from 0."""
    n, length = texts.shape
    pairs = np.ascontiguousarray(texts[:, : length // 2 * 2].T).reshape(length // 2, 2, n)
    found = np.zeros(n, np.uint16)
    for high, low in pairs.astype(np.uint16):
        found = _table()[found ^ (high << np.uint16(8) | low)]
    if length % 2:
        last = texts[:, -1].astype(np.uint16)
        found = found << np.uint16(8) ^ _bytes()[found >> np.uint16(8) ^ last]
    return found


@functools.cache
def _table() -> npt.NDArray[np.uint16]:
    """What becomes of each sum when two bytes of zero follow."""
    return np.array([binascii.crc_hqx(bytes(2), x) for x in range(1 << 16)], dtype=np.uint16)


@functools.cache
def _bytes() -> npt.NDArray[np.uint16]:
    return np.array([binascii.crc_hqx(bytes((x,)), 0) for x in range(256)], dtype=np.uint16)
