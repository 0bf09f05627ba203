"""Entries packed by columns are those packed one by one, byte for byte."""

import binascii

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.answers import answers, scores
from stream.batches import Block
from stream.columns import column_of
from stream.entries import Tables, pack_entry, unpack_entry
from stream.joins import Entry, Forecast
from stream.names import Names
from stream.packed import checksums, packed_forecasts

given_answers = st.one_of(
    st.none(), st.sampled_from(["yes", "no", "x" * 300]), st.booleans(),
    st.sampled_from([0.0, -0.0, 1.0, 255.0, 256.0, 65_535.0, 65_536.0, -1.0, 0.5, 1e300]),
)  # fmt: skip
sure = st.one_of(st.just(float("nan")), st.floats(0, 1))
rows = st.lists(st.tuples(given_answers, sure, st.integers(0, 2**47)), min_size=1, max_size=20)


@given(rows, st.sampled_from([0, 3, 256]), st.sampled_from(["1", "yes", "p" * 400]))
def test_columns_make_the_same_bytes_as_rows(
    some: list[tuple[float | str | bool | None, float, int]], subject: int, positive: str
) -> None:
    said, p, times = zip(*some, strict=True)
    n, mine, theirs = len(some), Names(), Names()
    own = np.arange(n)
    block = Block(
        *("prediction", "m", "1", own, own, np.array(times), own.astype(np.uint64)),
        prediction=column_of(said),
        score=np.array(p),
    )
    found = packed_forecasts(block, subject, positive, mine)
    assert found is not None
    usual, entries = found
    answered = answers(block.prediction, n, theirs)
    scored = scores(block, positive, theirs)
    kept = iter(entries)
    tables = Tables(mine, Names([f"m{i}" for i in range(300)]))
    for i in range(n):
        forecast = Forecast(subject, times[i], answered[i], scored[i])
        if usual[i]:
            packed = next(kept)
            assert unpack_entry(packed, tables) == Entry([forecast])
            if len(packed) == 20:
                assert packed == pack_entry(Entry([forecast]), mine)
        else:
            assert len(forecast.scores) == 0 or not isinstance(forecast.answer, str)


@given(st.integers(1, 40), st.integers(1, 30))
def test_checksums_of_many_are_those_of_each(length: int, n: int) -> None:
    texts = np.random.default_rng(length).integers(0, 256, (n, length), dtype=np.uint8)
    assert checksums(texts).tolist() == [binascii.crc_hqx(t.tobytes(), 0) for t in texts]


@pytest.mark.parametrize("missing", ["score", "prediction"])
def test_a_block_without_scores_or_answers_has_no_usual_rows(missing: str) -> None:
    own = np.arange(2)
    columns = {"prediction": column_of([1.0, 2.0]), "score": np.array([0.5, 0.5])}
    columns.pop(missing)
    block = Block("prediction", "m", "1", own, own, own, own.astype(np.uint64), **columns)  # type: ignore[arg-type]
    assert packed_forecasts(block, 0, "1", Names()) is None
