"""Identity of a prediction as one 64-bit number, the same in every process and on every machine."""

import xxhash


def id_hash(model: str, prediction_id: str) -> int:
    """xxh3-64 of model, NUL, id: unsigned 64 bits. Names hold no NUL (decoding refuses it).

    >>> id_hash("claims", "42")
    11709878814579852955
    """
    return xxhash.xxh3_64_intdigest(f"{model}\x00{prediction_id}".encode())
