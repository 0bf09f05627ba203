"""High-water marks never go back, and belong to one topic, not to its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sources import MAX_CLOSED, Replaced, Sources

SOURCE = ("predictions", 0)


@given(st.lists(st.integers(0, 100)))
def test_a_mark_is_the_highest_offset(offsets: list[int]) -> None:
    sources = Sources()
    for offset in offsets:
        sources.advance(SOURCE, "a", offset)
        sources = Sources.load(sources.dump())
    assert sources.applied(SOURCE, "a") == max(offsets, default=-1)


def test_partitions_have_marks_of_their_own() -> None:
    sources = Sources()
    sources.advance(("t", 1), "", 5)
    assert sources.applied(("t", 0), "") == sources.applied(("u", 1), "") == -1


def test_another_topic_of_that_name_is_refused() -> None:
    sources = Sources()
    sources.advance(SOURCE, "a", 5)
    with pytest.raises(Replaced, match="now its id is b"):
        sources.applied(SOURCE, "b")


def test_an_identity_that_is_not_known_is_not_another_one() -> None:
    sources = Sources()
    sources.advance(SOURCE, "", 5)
    assert sources.applied(SOURCE, "a") == 5
    sources.advance(SOURCE, "a", 6)
    assert sources.applied(SOURCE, "") == 6
    with pytest.raises(Replaced):
        sources.applied(SOURCE, "b")


def test_an_accepted_topic_begins_anew_and_the_old_one_still_has_its_mark() -> None:
    sources = Sources()
    sources.advance(SOURCE, "a", 5)
    assert sources.accept(SOURCE, "b")
    assert not sources.accept(SOURCE, "b")
    sources = Sources.load(sources.dump())
    assert (sources.applied(SOURCE, "b"), sources.applied(SOURCE, "a")) == (-1, 5)
    sources.advance(SOURCE, "a", 7)  # what was still on its way
    sources.advance(SOURCE, "b", 0)
    sources = Sources.load(sources.dump())
    assert (sources.applied(SOURCE, "b"), sources.applied(SOURCE, "a")) == (0, 7)
    with pytest.raises(Replaced, match="driftline repair sources"):
        sources.applied(SOURCE, "c")


def test_so_many_former_topics_are_remembered() -> None:
    sources = Sources()
    sources.advance(SOURCE, "0", 5)
    for i in range(1, 2 * MAX_CLOSED):
        assert sources.accept(SOURCE, str(i))
    assert len(sources.dump()) == MAX_CLOSED + 1
    assert sources.applied(SOURCE, str(2 * MAX_CLOSED - 2)) == -1
    with pytest.raises(Replaced):
        sources.applied(SOURCE, "0")
