from agents.letters import MAX_ERROR_CHARS, letter, shortened, told
from agents.producers import Message
from tests.keepers import Row

WHERE = ("driftline.predictions", 3)
RECORD = Row(7, b"value \xff", b"key \x00", 1_000, (("trace", b"\xfe"), ("empty", None)))


def test_a_letter_is_the_record_with_its_place_and_the_reason() -> None:
    found = letter(RECORD, WHERE, "not-json", "no JSON at all")
    assert (found.topic, found.key, found.value) == ("dead-letters", b"key \x00", b"value \xff")
    assert dict(found.headers) == {
        "trace": b"\xfe",
        "empty": b"",
        "driftline-reason": b"not-json",
        "driftline-error": b"no JSON at all",
        "driftline-topic": b"driftline.predictions",
        "driftline-partition": b"3",
        "driftline-offset": b"7",
        "driftline-timestamp": b"1000",
    }


def test_the_headers_of_a_letter_that_fails_again_are_those_of_the_last_time() -> None:
    again = Row(9, b"", b"", 0, told(RECORD, WHERE, "not-json", "the first time"))
    found = told(again, ("other", 0), "not-utf8", "x" * 10_000)
    assert [name for name, _ in found].count("driftline-reason") == 1
    assert dict(found)["driftline-reason"] == b"not-utf8"
    assert dict(found)["driftline-error"] == b"x" * MAX_ERROR_CHARS


def test_a_letter_too_large_loses_its_value_first_and_keeps_its_place() -> None:
    headers = told(RECORD, WHERE, "too-large", "why")
    whole = Message("t", b"v" * 1_000, b"k" * 500, None, headers)
    without_value, without_all = shortened(whole)
    assert (without_value.value, without_value.key) == (None, b"k" * 500)
    assert dict(without_value.headers)["driftline-left-out"] == b"value, 1000 bytes"
    assert dict(without_value.headers)["trace"] == b"\xfe"
    assert (without_all.value, without_all.key) == (None, None)
    assert "trace" not in dict(without_all.headers)
    assert dict(without_all.headers)["driftline-offset"] == b"7"
