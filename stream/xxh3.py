"""xxh3-64 of many short texts of one length at once, with NumPy.

The same numbers as the library's `xxh3_64_intdigest`, which takes one text a call. Source: the
specification of XXH3 (Y. Collet), seed 0 and the default secret; up to 128 bytes.
"""

import numpy as np
import numpy.typing as npt

from stream.columns import Hashes

Bytes = npt.NDArray[np.uint8]
MOST_BYTES = 128
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
)
PRIME_1, PRIME_2, PRIME_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
RRMXMX, AVALANCHE = 0x9FB21C651E98DF25, 0x165667919E3779F9
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def xxh3_64(texts: Bytes) -> Hashes:
    """The hashes, shape (n,), of texts of shape (n, length), 1 <= length <= MOST_BYTES."""
    length = texts.shape[1]
    if not 1 <= length <= MOST_BYTES:
        raise ValueError(f"texts of {length} bytes: 1 to {MOST_BYTES} are allowed")
    if length <= 3:
        return _to_3(texts, length)
    if length <= 8:
        return _to_8(texts, length)
    return _to_16(texts, length) if length <= 16 else _to_128(texts, length)


def _to_3(texts: Bytes, length: int) -> Hashes:
    first, middle, last = (texts[:, i].astype(np.uint64) for i in (0, length >> 1, length - 1))
    word = first << np.uint64(16) | middle << np.uint64(24) | last | np.uint64(length << 8)
    return _mixed(word ^ np.uint64(_secret(0, 4) ^ _secret(4, 4)), 33, PRIME_2, 29, PRIME_3, 32)


def _to_8(texts: Bytes, length: int) -> Hashes:
    word = _read(texts, length - 4, 4) + (_read(texts, 0, 4) << _HALF)
    h = word ^ np.uint64(_secret(8) ^ _secret(16))
    h = (h ^ _rotated(h, 49) ^ _rotated(h, 24)) * np.uint64(RRMXMX)
    h = (h ^ ((h >> np.uint64(35)) + np.uint64(length))) * np.uint64(RRMXMX)
    return h ^ h >> np.uint64(28)


def _to_16(texts: Bytes, length: int) -> Hashes:
    low = _read(texts, 0) ^ np.uint64(_secret(24) ^ _secret(32))
    high = _read(texts, length - 8) ^ np.uint64(_secret(40) ^ _secret(48))
    return _avalanche(np.uint64(length) + low.byteswap() + high + _folded(low, high))


def _to_128(texts: Bytes, length: int) -> Hashes:
    found = np.full(len(texts), length * PRIME_1 % 2**64, np.uint64)
    for i in range((length - 1) // 32 + 1):
        found += _mix(texts, 16 * i, 32 * i)
        found += _mix(texts, length - 16 * (i + 1), 32 * i + 16)
    return _avalanche(found)


def _mix(texts: Bytes, at: int, secret: int) -> Hashes:
    low = _read(texts, at) ^ np.uint64(_secret(secret))
    return _folded(low, _read(texts, at + 8) ^ np.uint64(_secret(secret + 8)))


def _read(texts: Bytes, at: int, size: int = 8) -> Hashes:
    """Little-endian numbers from a column on."""
    found = np.ascontiguousarray(texts[:, at : at + size]).view(f"<u{size}")[:, 0]
    return found.astype(np.uint64, copy=False)


def _secret(at: int, size: int = 8) -> int:
    return int.from_bytes(SECRET[at : at + size], "little")


def _folded(a: Hashes, b: Hashes) -> Hashes:
    """The halves of the 128-bit products, xored."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low, cross = a_low * b_low, a_high * b_low
    middle = (low >> _HALF) + (cross & _LOW) + a_low * b_high
    high = (cross >> _HALF) + (middle >> _HALF) + a_high * b_high
    found: Hashes = middle << _HALF
    found |= low & _LOW
    found ^= high
    return found


def _rotated(h: Hashes, bits: int) -> Hashes:
    return h << np.uint64(bits) | h >> np.uint64(64 - bits)


def _avalanche(h: Hashes) -> Hashes:
    h = (h ^ h >> np.uint64(37)) * np.uint64(AVALANCHE)
    return h ^ h >> _HALF


def _mixed(h: Hashes, a: int, first: int, b: int, second: int, c: int) -> Hashes:
    h = (h ^ h >> np.uint64(a)) * np.uint64(first)
    h = (h ^ h >> np.uint64(b)) * np.uint64(second)
    return h ^ h >> np.uint64(c)
