"""Pieces of a document: the same bytes as of one call, and the same document back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.pieces import pieces, together

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
DOCUMENTS = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=60,
)


@given(DOCUMENTS, st.integers(0, 4), st.sampled_from([None, "sorted"]))
def test_pieces_are_the_bytes_of_one_call(document: Any, depth: int, order: Any) -> None:
    whole = msgspec.msgpack.encode(document, order=order)
    assert b"".join(pieces(document, depth, order)) == whole
    again = together(whole, depth)
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(msgspec.msgpack.decode(whole))


@pytest.mark.parametrize("size", [15, 16, 2**16 - 1, 2**16, 70_000])
def test_of_any_size(size: int) -> None:
    for document in ([*range(size)], {str(i): i for i in range(size)}):
        whole = msgspec.msgpack.encode(document)
        assert b"".join(pieces(document, 1)) == whole
        assert together(whole, 1) == document
