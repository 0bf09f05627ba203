"""A sieve overlooks nothing that was marked, and lets nearly all others through."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.sieves import SLOTS, Sieve

ids = st.lists(st.integers(0, 2**64 - 1), max_size=20)


def hashes(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


@given(ids, ids, ids)
def test_what_was_marked_is_never_overlooked(
    many: list[int], single: list[int], others: list[int]
) -> None:
    sieve = Sieve()
    assert not sieve.may_hold(hashes(many)).any()
    sieve.add(hashes(many))
    for key in single:
        sieve.add_one(key)
    assert sieve.may_hold(hashes(many + single)).all()
    alike = {key % SLOTS for key in many + single}
    assert sieve.may_hold(hashes(others)).tolist() == [key % SLOTS in alike for key in others]
    sieve.clear()
    assert not sieve.may_hold(hashes(many + single)).any()


def test_few_others_are_taken_for_one() -> None:
    random = np.random.default_rng(1)
    keys = random.integers(0, 2**64, size=40_000, dtype=np.uint64)
    sieve = Sieve()
    sieve.add(keys[:20_000])
    assert sieve.may_hold(keys[20_000:]).mean() < 0.03
