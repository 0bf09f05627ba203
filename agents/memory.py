"""Memory: the C library keeps what is freed, for the next messages are as large as the last ones.

Given back and asked for again, each of its pages is made and filled with zeros anew: a tenth of the
time of Arrow messages.
"""

import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h
KEPT = {TRIM_THRESHOLD: 64 << 20, TOP_PAD: 4 << 20, MMAP_THRESHOLD: 32 << 20}


def keep_freed() -> bool:
    """Whether the C library could be told; others than glibc cannot."""
    try:
        tell = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(tell(option, size) == 1 for option, size in KEPT.items())
