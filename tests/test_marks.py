"""Marks: every partition hears of every chunk, whatever rows it gets of it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from stream.batches import Batch, batches_of
from stream.marks import marks_of, told_to_all
from tests.ledgers import Row, prediction, rows, truth


def told(some: list[Row], partitions: int, max_bytes: int = 2**20) -> dict[int, list[Batch]]:
    covered = (0, len(some) + 5)
    split = batches_of("t", "id", 2, some, (), partitions, max_bytes, covered=covered)
    empty = Batch("t", 2, "id", *covered, 9_999, [])
    return told_to_all(split, empty, marks_of(some), partitions, 7)


def test_marks_name_the_newest_times_of_each_model_version_and_of_each_models_truth() -> None:
    some = rows(
        prediction(1, 5), prediction(2, 3), prediction(3, 9, version="2"), truth(1, 4, version="1")
    )
    assert marks_of(some) == (
        ("prediction", "m", "1", 5, 5),
        ("prediction", "m", "2", 9, 9),
        ("truth", "m", "", 4, 4),
    )


@given(st.integers(0, 20), st.integers(1, 5), st.sampled_from([500, 2**20]))
def test_every_partition_is_told_of_all_offsets_and_marks_in_its_last_batch(
    count: int, partitions: int, max_bytes: int
) -> None:
    some = rows(*(prediction(i, i) for i in range(count)))
    found = told(some, partitions, max_bytes)
    assert sorted(found) == list(range(partitions))
    for batches in found.values():
        assert batches[0].first == 0
        assert all(b.first == a.last + 1 for a, b in itertools.pairwise(batches))
        assert batches[-1].last == count + 5
        assert [b.marks for b in batches] == [()] * (len(batches) - 1) + [marks_of(some)]
        assert batches[-1].record_ms == 9_999
        assert {(b.topic, b.partition, b.topic_id, b.partitions) for b in batches} == {
            ("t", 2, "id", 7)
        }
    assert sum(len(block) for own in found.values() for b in own for block in b.blocks) == count
