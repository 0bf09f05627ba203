"""Rows of blocks: those behind an offset, several blocks as one, and their signals."""

from hypothesis import given
from hypothesis import strategies as st

from stream.batches import Block
from stream.rows import after, gathered, signal_values
from tests.ledgers import batch_of, block_of, prediction

words = st.one_of(st.none(), st.floats(0, 9), st.sampled_from(["a", "b"]))


def told(blocks: list[Block]) -> list[tuple[object, ...]]:
    """Every row as plain values."""
    return [
        (
            key,
            *(column.names()[i] for column in b.features.values()),
            b.prediction.names()[i] if b.prediction else None,
            b.score[i].item() if b.score is not None else None,
            b.probabilities[1][i].tolist() if b.probabilities else None,
        )
        for b in blocks
        for i, key in enumerate(b.ids.tolist())
    ]


def test_rows_up_to_an_offset_are_left_out() -> None:
    batch = batch_of(*(prediction(i, i) for i in range(5)), first=10)
    assert [b.offsets.tolist() for b in after(batch.blocks, 12)] == [[13, 14]]
    assert not after(batch.blocks, 14)
    assert after(batch.blocks, 9)[0] is batch.blocks[0]


@given(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=5))
def test_gathered_blocks_have_the_same_rows_in_order(some: list[list[object]]) -> None:
    blocks = [
        block_of(*(prediction(i, i, features={"x": v}, prediction=v) for i, v in enumerate(values)))
        for values in some
    ]
    assert told(gathered(blocks)) == told(blocks)
    assert len(gathered(blocks)) == 1


def test_blocks_with_other_columns_stay_apart() -> None:
    blocks = [
        block_of(prediction(1, 1)),
        block_of(prediction(2, 2, score=0.5)),
        block_of(prediction(3, 3, probabilities={"a": 0.1, "b": 0.9})),
        block_of(prediction(4, 4, features={"y": 1.0})),
        block_of(prediction(5, 5, probabilities={"a": 0.2, "b": 0.8})),
    ]
    found = gathered(blocks)
    assert len(found) == 4
    assert sorted(told(found), key=str) == sorted(told(blocks), key=str)


def test_signals_are_scores_or_features() -> None:
    rows = block_of(prediction(1, 1, "0", score=0.25), prediction(2, 2, "1", score=0.75))
    assert signal_values(rows, "score", "1") is rows.score
    values = signal_values(rows, "x", "1")
    assert values is not None
    assert values.tolist() == [1.0, 2.0]
    assert signal_values(rows, "nothing", "1") is None


def test_without_a_score_the_confidence_is_the_signal() -> None:
    rows = block_of(prediction(1, 1, "b", probabilities={"a": 0.1, "b": 0.9}))
    values = signal_values(rows, "score", "1")
    assert values is not None
    assert values.tolist() == [0.9]
