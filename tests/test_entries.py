"""Entries come back as they were packed; bytes that were not packed here are errors."""

import binascii
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.entries import MANY, Tables, entry_bytes, pack_entry, unpack_entry
from stream.joins import Entry, Forecast, Label
from stream.names import TOO_MANY, Names

numbers = st.floats(allow_nan=False)
answers = st.one_of(st.none(), numbers, st.sampled_from(["a", "b", "x"]))
subjects = st.integers(0, 2)
times = st.integers(0, 2**47)
pairs = st.lists(st.tuples(st.sampled_from(["a", "b"]), numbers), max_size=3).map(tuple)
own = st.lists(st.tuples(st.just("a"), st.sampled_from(["a", "b"])), max_size=3).map(tuple)
forecasts = st.builds(Forecast, subjects, times, answers, pairs, st.booleans(), segments=own)
labels = st.builds(Label, subjects, times, answers, st.integers(0, 2**32 - 1), st.booleans())
entries = st.builds(Entry, st.lists(forecasts, max_size=3), st.lists(labels, max_size=3)).filter(
    lambda e: bool(e.forecasts or e.labels)
)


def tables() -> Tables:
    return Tables(Names(["a"]), Names(["m", "m\0001", "m\0002"]))


@given(entries)
def test_an_entry_comes_back(entry: Entry) -> None:
    known = tables()
    assert unpack_entry(pack_entry(entry, known.words), known) == entry


@given(entries, st.data())
def test_damaged_bytes_are_an_error(entry: Entry, data: st.DataObject) -> None:
    known = tables()
    raw = pack_entry(entry, known.words)
    at = data.draw(st.integers(0, 8 * len(raw) - 1))
    damaged = bytearray(raw)
    damaged[at // 8] ^= 1 << at % 8
    for wrong in (bytes(damaged), raw[: data.draw(st.integers(0, len(raw) - 1))]):
        with pytest.raises(ValueError, match="damaged"):
            unpack_entry(wrong, known)


@given(st.binary(max_size=60))
def test_foreign_bytes_are_an_error_even_with_a_checksum_that_matches(body: bytes) -> None:
    raw = binascii.crc_hqx(body, 0).to_bytes(2, "little") + body
    with contextlib.suppress(ValueError):  # and nothing else
        unpack_entry(raw, tables())


def test_a_prediction_takes_at_most_forty_bytes() -> None:
    known = tables()
    scores = (("1", 0.25),)
    sizes = [
        len(pack_entry(Entry([Forecast(1, 2**41, answer, scores)]), known.words))
        for answer in ("yes", 1.0, 0.5)
    ]
    assert sizes == [20, 20, 27]


@given(
    *(st.integers(0, 3), st.sampled_from([0, 1, 2, 5, 300]), st.integers(0, 3)),
    *(st.booleans(), st.booleans()),
)
def test_the_formula_is_the_size(
    versions: int, scores: int, labels: int, short: bool, coded: bool
) -> None:
    if versions + labels == 0:
        return
    words = Names([f"class {i}" for i in range(300 if short else 700)])
    answer = 0.5 if not coded else f"class {1 if short else 600}"
    first = 1 if short else 1_000
    given = tuple((f"class {i if short else i + 300}", 0.5) for i in range(scores))
    entry = Entry(
        [Forecast(first + i, 2**41, answer, given) for i in range(versions)],
        [Label(first, 2**41 + i, answer, i) for i in range(labels)],
    )
    size = entry_bytes(versions, scores, labels, short=short, coded=coded)
    assert len(pack_entry(entry, words)) == size


@pytest.mark.parametrize(
    ("packed", "entry"),
    [
        (
            "3a8c0501000000000000020000010100000000000000d03f",
            Entry([Forecast(1, 2**41, "a", (("b", 0.25),))]),
        ),
        (
            "b11f210100000000000002000000000000f03f010100000000000000d03f"
            "160000050000000002010007000000",
            Entry(
                [Forecast(1, 2**41, 1.0, (("b", 0.25),), control_group=True)],
                [Label(0, 2**41 + 5, "b", 7, retracted=True)],
            ),
        ),
        ("8ab709010005000000000000", Entry([Forecast(1, 5, None)])),
    ],
)
def test_what_was_packed_without_short_numbers_is_still_read(packed: str, entry: Entry) -> None:
    known = Tables(Names(["a", "b"]), Names(["m", "m\0001"]))
    assert unpack_entry(bytes.fromhex(packed), known) == entry


def test_segments_take_what_the_formula_says_and_others_nothing() -> None:
    known = tables()
    score, sites = (("a", 0.5),), (("site", "Lyon"), ("region", "south"))
    plain = Entry([Forecast(1, 5, "a", score), Forecast(2, 6, "b", score)])
    size = len(pack_entry(plain, known.words))
    assert size == entry_bytes(2, 1, 0)
    segmented = Entry([Forecast(1, 5, "a", score, exponent=3, segments=sites), plain.forecasts[1]])
    raw = pack_entry(segmented, known.words)
    assert len(raw) == entry_bytes(2, 1, 0, sampled=1, segmented=1, segments=2) == size + 12
    assert unpack_entry(raw, known) == segmented


@pytest.mark.parametrize("count", [0, 1, MANY - 1, MANY, 2_000])
def test_any_number_of_classes_comes_back(count: int) -> None:
    known = tables()
    scores = tuple((f"class {i}", i / 7) for i in range(count))
    entry = Entry([Forecast(1, 5, "a", scores)])
    assert unpack_entry(pack_entry(entry, known.words), known) == entry


def test_two_forecasts_as_long_as_the_usual_one_come_back() -> None:
    known = tables()
    entry = Entry([Forecast(1, 5, None), Forecast(2, 6, None)])
    raw = pack_entry(entry, known.words)
    assert len(raw) == len(pack_entry(Entry([Forecast(1, 5, "a", (("a", 0.5),))]), known.words))
    assert unpack_entry(raw, known) == entry


def test_words_without_room_come_back_as_one() -> None:
    known = Tables(Names(limit=1), Names(["m"]))
    raw = pack_entry(Entry([Forecast(0, 5, "a"), Forecast(0, 6, "b")]), known.words)
    assert [f.answer for f in unpack_entry(raw, known).forecasts] == ["a", TOO_MANY]


def test_a_subject_that_nobody_numbered_is_an_error() -> None:
    raw = pack_entry(Entry([Forecast(3, 5, None)]), Names())
    with pytest.raises(ValueError, match="subject 3"):
        unpack_entry(raw, tables())
