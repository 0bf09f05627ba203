"""Identity of a prediction as one 64-bit number, the same in every process and on every machine."""

from collections.abc import Sequence

import numpy as np
import xxhash

from stream.columns import Hashes


def id_hash(model: str, prediction_id: str) -> int:
    """xxh3-64 of model, NUL, id: unsigned 64 bits. Names hold no NUL (decoding refuses it).

    >>> id_hash("claims", "42")
    11709878814579852955
    """
    return xxhash.xxh3_64_intdigest(f"{model}\x00{prediction_id}".encode())


def id_hashes(model: str, ids: Sequence[str]) -> Hashes:
    """`id_hash` of many ids of one model, shape (n,)."""
    digest = xxhash.xxh3_64_intdigest
    found = (digest(f"{model}\x00{one}".encode()) for one in ids)
    return np.fromiter(found, np.uint64, len(ids))
