"""Sizes: what a pending entry takes of Redis's memory, measured once and held by a test.

Redis keeps a bucket packed while no value in it is longer than 64 bytes: key and value with two
bytes each, the bucket's own key, and the steps in which the allocator gives memory. A longer value
makes each of the bucket's entries an allocation of its own.
"""

from stream.entries import entry_bytes

PACKED_BYTES = 64


def redis_bytes(entry: int) -> float:
    """Bytes of used_memory for an entry of so many bytes (`stream.entries.entry_bytes`).

    >>> round(redis_bytes(entry_bytes(forecasts=1, scores=1, labels=0)))
    37
    """
    if entry <= PACKED_BYTES:
        return 1.1 * (entry + 12) + 2
    return 1.05 * entry + 78


def rows() -> list[tuple[str, str, str]]:
    """Examples for the manual: what waits, bytes of its entry, bytes of Redis."""
    examples = {
        "a prediction with a score": (1, 1, 0),
        "a prediction without a score": (1, 0, 0),
        "a prediction with a score and its truth": (1, 1, 1),
        "predictions of two versions with a score each": (2, 1, 0),
        "a prediction with probabilities of 3 classes": (1, 3, 0),
        "a prediction with probabilities of 10 classes": (1, 10, 0),
        "truth that came before its prediction": (0, 0, 1),
    }
    sizes = {what: entry_bytes(*numbers) for what, numbers in examples.items()}
    sizes["a prediction with a score, of a site and a region"] = entry_bytes(
        1, 1, 0, segmented=1, segments=2
    )
    return [(what, str(size), f"{redis_bytes(size):.0f}") for what, size in sizes.items()]
