"""Frames of a broker are read whole, however they come."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.frames import SMALL, Frames

SIZES = st.lists(
    st.one_of(st.integers(0, 9), st.integers(SMALL - 2, SMALL + 2), st.just(3 * SMALL)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=50)
@given(SIZES, st.lists(st.integers(SMALL // 9, 2 * SMALL), min_size=1, max_size=12), st.booleans())
def test_frames_are_what_was_sent(sizes: list[int], pieces: list[int], at_once: bool) -> None:
    sent = (bytes(range(251)) * (sum(sizes) // 251 + 1))[: sum(sizes)]

    async def read() -> list[bytes]:
        reader = Frames()
        reading = asyncio.ensure_future(read_all(reader, sizes))
        at = 0
        while at < len(sent):
            size = pieces[at % len(pieces)]
            reader.feed_data(sent[at : at + size])
            at += size
            if not at_once:
                await asyncio.sleep(0)
        return await reading

    found = asyncio.run(read())
    assert list(map(len, found)) == sizes
    assert b"".join(found) == sent


async def read_all(reader: Frames, sizes: list[int]) -> list[bytes]:
    return [await reader.readexactly(size) for size in sizes]


@pytest.mark.parametrize("size", [10, 2 * SMALL])
def test_a_stream_that_ends_early_says_what_there_was(size: int) -> None:
    async def read() -> bytes:
        reader = Frames()
        reading = asyncio.ensure_future(reader.readexactly(size))
        await asyncio.sleep(0)
        reader.feed_data(b"abc")
        reader.feed_eof()
        with pytest.raises(asyncio.IncompleteReadError) as error:
            await reading
        assert error.value.expected == size
        return error.value.partial

    assert asyncio.run(read()) == b"abc"


def test_a_lost_connection_is_told_to_who_waits() -> None:
    async def read() -> None:
        reader = Frames()
        reading = asyncio.ensure_future(reader.readexactly(2 * SMALL))
        await asyncio.sleep(0)
        reader.feed_data(b"abc")
        reader.set_exception(ConnectionResetError())
        with pytest.raises(ConnectionResetError):
            await reading

    asyncio.run(read())
