"""Identity of a prediction as one 64-bit number, the same in every process and on every machine."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xxhash

from stream.columns import Hashes, Ints
from stream.xxh3 import MOST_BYTES, xxh3_64

Bytes = npt.NDArray[np.uint8]
FEW = 32  # texts of one length: fewer are hashed faster one by one
TOGETHER = 4_096  # that many stay in the processor's cache


@dataclasses.dataclass(frozen=True, slots=True)
class Texts:
    """n texts as UTF-8: text i is data[starts[i]:][:lengths[i]]. starts, lengths: shape (n,)."""

    data: Bytes
    starts: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: Ints) -> "Texts":
        """Some of them, in the order of an index."""
        return Texts(self.data, self.starts[rows], self.lengths[rows])


def id_hash(model: str, prediction_id: str) -> int:
    """xxh3-64 of model, NUL, id: unsigned 64 bits. Names hold no NUL (decoding refuses it).

    >>> id_hash("claims", "42")
    11709878814579852955
    """
    return xxhash.xxh3_64_intdigest(f"{model}\x00{prediction_id}".encode())


def id_hashes(model: str, ids: Sequence[str]) -> Hashes:
    """`id_hash` of many ids of one model, shape (n,)."""
    lengths = set(map(len, ids)) if len(ids) >= FEW else set()
    joined = "".join(ids) if len(lengths) == 1 and 0 not in lengths else ""
    if joined and joined.isascii():
        return _ascii_hashes(model, joined, lengths.pop())
    digest = xxhash.xxh3_64_intdigest
    found = (digest(f"{model}\x00{one}".encode()) for one in ids)
    return np.fromiter(found, np.uint64, len(ids))


def _ascii_hashes(model: str, joined: str, length: int) -> Hashes:
    """Of ids of one length, one behind the other."""
    data = np.frombuffer(joined.encode(), np.uint8)
    starts = np.arange(0, len(data), length)
    return text_hashes(model, Texts(data, starts, np.full(len(starts), length)))


def text_hashes(model: str, ids: Texts) -> Hashes:
    """The same of ids that lie in one buffer: those of one length at once."""
    prefix = f"{model}\x00".encode()
    if len(ids) and (ids.lengths == ids.lengths[0]).all():  # as ids mostly are
        return _of_length(prefix, ids, int(ids.lengths[0]))
    found = np.empty(len(ids), np.uint64)
    for length in np.unique(ids.lengths).tolist():
        rows = np.flatnonzero(ids.lengths == length)
        same = ids if len(rows) == len(ids) else ids.take(rows)
        found[rows] = _of_length(prefix, same, length)
    return found


def _of_length(prefix: bytes, ids: Texts, length: int) -> Hashes:
    if len(ids) < FEW or len(prefix) + length > MOST_BYTES:
        data, digest = ids.data.tobytes(), xxhash.xxh3_64_intdigest
        each = (digest(prefix + data[at : at + length]) for at in ids.starts.tolist())
        return np.fromiter(each, np.uint64, len(ids))
    matrix = np.empty((len(ids), len(prefix) + length), np.uint8)
    matrix[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    first = int(ids.starts[0])
    if (np.diff(ids.starts) == length).all():  # one behind the other
        run = ids.data[first : first + len(ids) * length]
        matrix[:, len(prefix) :] = run.reshape(len(ids), length)
    else:
        matrix[:, len(prefix) :] = ids.data[ids.starts[:, None] + np.arange(length)]
    return np.concatenate([xxh3_64(matrix[i : i + TOGETHER]) for i in range(0, len(ids), TOGETHER)])
