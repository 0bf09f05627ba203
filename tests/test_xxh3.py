"""Hashes of many texts at once are those of the library, text by text."""

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stream.hashes import FEW, Texts, id_hashes, text_hashes
from stream.xxh3 import MOST_BYTES, xxh3_64


@pytest.mark.parametrize("length", range(1, MOST_BYTES + 1))
def test_every_length_up_to_the_longest(length: int) -> None:
    texts = np.random.default_rng(length).integers(0, 256, (50, length), dtype=np.uint8)
    texts[0], texts[1] = 0, 255
    expected = [xxhash.xxh3_64_intdigest(text.tobytes()) for text in texts]
    assert xxh3_64(texts).tolist() == expected


@pytest.mark.parametrize("length", [0, MOST_BYTES + 1])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"texts of {length} bytes"):
        xxh3_64(np.zeros((3, length), np.uint8))


def texts_of(ids: list[str], gap: bytes = b"") -> Texts:
    """The ids as a buffer, with something between them."""
    raw = [one.encode() for one in ids]
    ends = np.cumsum([len(gap) + len(text) for text in raw])
    lengths = np.array([len(text) for text in raw], np.int64)
    data = np.frombuffer(b"".join(gap + text for text in raw) or b"-", np.uint8)
    return Texts(data, ends - lengths, lengths)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(names, st.lists(names, min_size=1), st.integers(1, FEW), st.sampled_from([b"", b"xy"]))
def test_ids_hash_as_one_by_one(model: str, ids: list[str], times: int, gap: bytes) -> None:
    ids = ids * times
    assert text_hashes(model, texts_of(ids, gap)).tolist() == id_hashes(model, ids).tolist()


@pytest.mark.parametrize("gap", [b"", b"xy"])
def test_ids_of_one_length_hash_as_one_by_one(gap: bytes) -> None:
    ids = [f"{i:016x}" for i in range(2 * FEW)]
    assert text_hashes("m", texts_of(ids, gap)).tolist() == id_hashes("m", ids).tolist()
