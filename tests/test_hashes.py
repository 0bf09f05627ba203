"""The identity of a prediction is the same everywhere and for ever."""

import xxhash
from hypothesis import given
from hypothesis import strategies as st

from stream.hashes import id_hash

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def test_hashes_stay_what_they_are() -> None:
    assert id_hash("claims", "42") == 11_709_878_814_579_852_955


def test_model_and_id_do_not_run_together() -> None:
    assert len({id_hash("ab", "c"), id_hash("a", "bc"), id_hash("", "abc")}) == 3


@given(NAMES, NAMES)
def test_it_is_xxh3_of_model_nul_id(model: str, prediction_id: str) -> None:
    digest = xxhash.xxh3_64(model.encode() + b"\0" + prediction_id.encode()).intdigest()
    assert id_hash(model, prediction_id) == digest < 2**64
