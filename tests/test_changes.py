"""Changes: the last word on a field holds."""

from stream.changes import Changes, OutMessage


def test_a_field_that_was_set_and_then_removed_is_removed() -> None:
    changes = Changes()
    changes.put("a", b"1")
    changes.delete("a")
    assert (changes.puts, changes.deletes) == ({}, {"a"})


def test_a_field_that_was_removed_and_then_set_is_set() -> None:
    changes = Changes()
    changes.delete("a")
    changes.put("a", b"1")
    assert (changes.puts, changes.deletes) == ({"a": b"1"}, set())


def test_nothing_is_false_and_anything_is_true() -> None:
    assert not Changes()
    assert Changes(deletes={"a"})
    assert Changes(pending_deletes={1})
    assert Changes(outbox=[OutMessage("signals", b"", b"")])
