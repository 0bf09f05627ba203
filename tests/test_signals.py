"""Signals come back as they were sent; bytes that nobody sent are errors."""

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.signals import MAGIC, Series, ShareName, Signals, decode_signals, encode_signals

SERIES = Series(
    np.array([1, 2**41]), np.array([0, 2**64 - 1], dtype=np.uint64), np.array([0.1, -np.inf])
)
SIGNALS = Signals(
    "m",
    "1",
    3,
    8,
    5,
    watermark_ms=7,
    label_watermark_ms=6,
    active=((0, "ref"),),
    sealed=(ShareName("inputs", 10, 0, 3, "ref", 4), ShareName("quality", 10, 1, 3, "", 0)),
    series={"error": SERIES},
    control=(b"{}",),
    counts={"late-predictions": 2},
)


def test_a_message_comes_back() -> None:
    found = decode_signals(encode_signals(SIGNALS))
    assert dataclasses.replace(found, series={}) == dataclasses.replace(SIGNALS, series={})
    run = found.series["error"]
    assert run.times_ms.tolist() == SERIES.times_ms.tolist()
    assert run.ids.tolist() == SERIES.ids.tolist()
    assert run.values.tolist() == SERIES.values.tolist()


@given(st.data())
def test_a_damaged_message_is_an_error(data: st.DataObject) -> None:
    raw = bytearray(encode_signals(SIGNALS))
    at = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[at // 8] ^= 1 << at % 8
    with pytest.raises(ValueError, match="signals"):
        decode_signals(bytes(raw))


@pytest.mark.parametrize("raw", [b"", b"DL", MAGIC, MAGIC + bytes(4), b"{}"])
def test_foreign_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError), match="signals"):
        decode_signals(raw)
