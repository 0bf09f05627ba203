"""Sums: additions of floats without rounding, so that no order, split or merge changes a bit.

A float is a whole number times a power of two. A sum is kept as one Python integer in units of
2**-1074, the smallest float, and rounded only when it is read.
"""

import msgspec
import numpy as np

from stream.columns import Floats, Ints

UNIT_BITS = 1074
FEW = 24  # up to so many values, plain Python is quicker than arrays
BLOCK = 1 << 13  # stays in the cache; added halves of mantissas stay below 2**53
MAX_BYTES = 400
SPLIT = 2.0**27 + 1  # a float times it shows the upper half of its mantissa

Packed = int | tuple[int, int | bytes]


def exact_sum(x: Floats) -> int:
    """The sum of finite floats, shape (n,), in units of 2**-1074."""
    if len(x) <= FEW:
        return sum(units(v) for v in x.tolist())
    return sum(_block_sum(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK))


def exact_square_sum(x: Floats, signs: Ints) -> int:
    """The sum of squares, shape (n,), of values up to 2**500, each times 1 or -1.

    What a square rounds off is added too, by Dekker (1971): of labels that are large beside what
    they vary by, all that tells them apart lies there.
    """
    square, wide = x * x, x * SPLIT
    high = wide - (wide - x)
    low = x - high
    rest = high * high - square + 2.0 * high * low + low * low
    found = exact_sum(square * signs)
    return found + exact_sum(rest * signs) if rest.any() else found


def units(x: float) -> int:
    """A finite float in units of 2**-1074."""
    top, bottom = x.as_integer_ratio()
    return top << (UNIT_BITS + 1 - bottom.bit_length())


def _block_sum(x: Floats) -> int:
    """Mantissas are added by exponent, in two halves that stay exact in floats."""
    mantissas, exponents = np.frexp(x)
    whole = np.ldexp(mantissas, 27)
    high = np.floor(whole)
    low = np.ldexp(whole - high, 26)
    least = int(exponents.min())
    bins = exponents - least
    highs = np.bincount(bins, weights=high).tolist()
    lows = np.bincount(bins, weights=low).tolist()
    total = 0
    for i, (a, b) in enumerate(zip(highs, lows, strict=True)):
        total += ((int(a) << 26) + int(b)) << i
    shift = least - 53 + UNIT_BITS
    return total << shift if shift >= 0 else total >> -shift  # subnormals end in zeros


def to_float(total: int, divisor: int = 1) -> float:
    """A sum, or its mean, rounded once."""
    return total / (divisor << UNIT_BITS)


def log(x: Floats) -> Floats:
    """Natural logarithm of positive normal floats, within 2 units in the last place.

    Only +, -, *, / and powers of two, which every processor rounds alike; numpy's own may differ
    between processors. Series of 2 artanh((m - 1) / (m + 1)).
    """
    parts = [_log_block(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK)]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0), *parts])


def _log_block(x: Floats) -> Floats:
    m, e = np.frexp(x)
    low = m < _HALF_ROOT
    m = np.where(low, m * 2, m)
    s = (m - 1) / (m + 1)
    s2 = s * s
    tail = np.full_like(s, 1 / 25)
    for k in range(23, 1, -2):
        tail = tail * s2 + 1 / k
    power = e - low
    found: Floats = power * _LN2_HIGH + (power * _LN2_LOW + (2 * s + 2 * s * s2 * tail))
    return found


_HALF_ROOT = 0.7071067811865476
_LN2_HIGH = 0.6931471803691238  # its last 32 bits are zero: products with exponents are exact
_LN2_LOW = 1.9082149292705877e-10


def pack(value: int) -> Packed:
    """An integer for msgpack, without its trailing zero bits."""
    if -(2**63) <= value < 2**63:
        return value
    zeros = (value & -value).bit_length() - 1
    odd = value >> zeros
    if -(2**63) <= odd < 2**63:
        return (zeros, odd)
    return (zeros, odd.to_bytes(odd.bit_length() // 8 + 1, "little", signed=True))


def unpack(packed: Packed) -> int:
    """The integer that `pack` was given. Raises ValueError on impossible ones."""
    if isinstance(packed, int):
        return packed
    zeros, odd = packed
    size = len(odd) if isinstance(odd, bytes) else 8
    if not 0 <= zeros <= 8 * MAX_BYTES or size > MAX_BYTES:
        raise ValueError(f"a sum of {size} bytes shifted by {zeros} bits")
    return (int.from_bytes(odd, "little", signed=True) if isinstance(odd, bytes) else odd) << zeros


def encode(values: list[int], more: bytes = b"") -> bytes:
    """Integers of any size as bytes, and bytes beside them; equal for equal content."""
    packed: list[Packed | bytes] = [pack(v) for v in values]
    return msgspec.msgpack.encode([*packed, more] if more else packed)


def decode(raw: bytes, length: int) -> tuple[list[int], bytes]:
    """What `encode` was given, with so many integers. Raises ValueError on anything else."""
    try:
        packed = msgspec.msgpack.decode(raw, type=list[int | bytes | tuple[int, int | bytes]])
    except (msgspec.MsgspecError, RecursionError) as e:
        raise ValueError(f"no sums: {e}") from e
    more = packed.pop() if packed and isinstance(packed[-1], bytes) else b""
    numbers = [p for p in packed if not isinstance(p, bytes)]
    if len(packed) != length or len(numbers) != length or not isinstance(more, bytes):
        raise ValueError(f"{len(packed)} sums: must be {length}")
    return [unpack(p) for p in numbers], more
