"""Samples: which rows are kept depends on the set of rows alone."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.batches import Block
from stream.samples import MAX_BLOCKS, Sample
from stream.shares import Share
from tests.ledgers import block_of, prediction, reference_of

SOURCE = ("predictions", 1)
chunks = st.lists(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab")), min_size=1, max_size=8),
    min_size=1,
    max_size=6,
)


def block(some: list[tuple[int, str]]) -> Block:
    """Rows of two shapes would be two blocks; a word in a feature that has numbers is not."""
    return block_of(*(prediction(n, n, features={"x": float(n), "w": word}) for n, word in some))


def kept(sample: Sample) -> list[tuple[int, int]]:
    sample.trim()
    rows = [zip(b.ids.tolist(), b.times_ms.tolist(), strict=True) for b in sample.blocks]
    return sorted(row for some in rows for row in some)


@given(chunks, st.integers(1, 12), st.randoms(use_true_random=False))
def test_any_order_and_any_split_keep_the_same_rows(
    some: list[list[tuple[int, str]]], limit: int, random: Random
) -> None:
    whole, parts = Sample(limit), [Sample(limit), Sample(limit)]
    for rows in some:
        whole.update(block(rows), SOURCE)
    random.shuffle(some)
    for rows in some:
        random.choice(parts).update(block(rows), SOURCE)
    parts = [Sample.from_bytes(part.to_bytes()) for part in parts]
    parts[0].merge(parts[1])
    everything = [row for rows in some for row in zip(*_ids_and_times(block(rows)), strict=True)]
    assert kept(parts[0]) == kept(whole) == sorted(everything)[:limit]
    assert parts[0].seen == whole.seen == len(everything)
    assert parts[0].sources == whole.sources


def _ids_and_times(rows: Block) -> tuple[list[int], list[int]]:
    return rows.ids.tolist(), rows.times_ms.tolist()


def test_one_id_again_and_again_stays_within_the_limit() -> None:
    sample = Sample(3)
    for _ in range(100):
        sample.update(block([(1, "a")]))
    sample.trim()
    assert sample.rows == 3
    assert sample.seen == 100


def test_many_small_blocks_become_few_with_the_same_rows() -> None:
    sample = Sample(1_000)
    for i in range(MAX_BLOCKS + 1):
        sample.update(block([(i, "ab"[i % 2])]))
    (one,) = sample.blocks
    assert one.features["x"].numbers.tolist() == [float(i) for i in range(MAX_BLOCKS + 1)]
    assert one.features["w"].names() == ["ab"[i % 2] for i in range(MAX_BLOCKS + 1)]


def test_kept_rows_are_counted_against_a_reference_later() -> None:
    reference = reference_of([1.0, 2.0, 3.0])
    sample, direct = Sample(10), Share(reference)
    rows = block([(1, "a"), (2, "b"), (9, "a")])
    sample.update(rows, SOURCE)
    direct.update(rows.features, None, None, rows.times_ms, SOURCE, rows.offsets)
    assert sample.counted(reference, "1").to_bytes() == direct.to_bytes()


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x94\x01\x01\x90\xc4\x01x", b"\x90"])
def test_foreign_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged sample|not a batch"):
        Sample.from_bytes(raw)


def test_the_rows_of_a_sample_are_those_with_the_smallest_hashes() -> None:
    rows = block([(i, "a") for i in range(20)])
    sample = Sample(5)
    sample.update(rows)
    assert [key for key, _ in kept(sample)] == np.sort(rows.ids)[:5].tolist()
