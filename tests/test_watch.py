"""The watch of one partition: monitors of many models, each on its own."""

import dataclasses

import pytest

from stream.clocks import Gap
from stream.signals import Signals, encode_signals
from stream.watch import Watch
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS, Way


def watch() -> Watch:
    return Watch(lambda _: SETTINGS)


def message(model: str, sequence: int, mark_ms: int = START_MS) -> bytes:
    return encode_signals(Signals(model, "1", 0, 1, sequence, mark_ms, mark_ms))


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(ValueError, match="not a signals message"):
        watch().receive(b"nonsense")


def test_a_hole_in_one_model_is_reported() -> None:
    found = watch()
    found.receive(message("a", 1))
    with pytest.raises(Gap, match="a 1: message 3"):
        found.receive(message("a", 3))


def test_only_models_that_heard_something_are_looked_at() -> None:
    found = watch()
    for model in ("a", "b", "c"):
        found.receive(message(model, 1))
    assert not found.advance()
    assert found.stirred == {}
    found.changes()
    found.receive(message("b", 2))
    assert list(found.stirred) == ["b/1"]
    found.advance()
    assert list(found.changes().puts) == ["monitor/b/1"]
    assert not found.changes()


def test_many_models_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.watch.MAX_LIGHT", 2)
    found = watch()
    for i in range(5):
        found.receive(message(f"m{i}", 1))
    assert [found.advance() for _ in range(3)] == [True, True, False]
    assert len(found.changes().puts) == 10


def test_a_message_that_was_there_changes_nothing() -> None:
    found = watch()
    found.receive(message("a", 1))
    found.changes()
    found.receive(message("a", 1, START_MS + DAY_MS))
    assert not found.changes()


def test_names_may_hold_anything() -> None:
    found = watch()
    for model in ("a/b", "a", "ä\x01", "monitor/", "%2F"):
        found.receive(message(model, 1))
    fields = found.changes().puts
    again = watch()
    again.restore(fields)
    assert again.monitors.keys() == found.monitors.keys()
    assert {m.memory.model for m in again.monitors.values()} == {
        "a/b",
        "a",
        "ä\x01",
        "monitor/",
        "%2F",
    }


def test_state_of_a_restored_watch_is_the_state_that_was_saved() -> None:
    pipeline = tales.play(tales.tale(), SETTINGS, Way(2, 1, 50))
    again = watch()
    again.restore(pipeline.watched.fields)
    again.supply_references(pipeline.references)
    assert not again.advance()
    for monitor in again.monitors.values():
        monitor.memory.touched = monitor.memory.judged = True
        for watched in monitor.memory.watched:
            watched.dirty = True
    saved = again.changes()
    assert saved.outbox == []
    assert saved.puts.items() <= pipeline.watched.fields.items()


def test_damaged_state_is_refused() -> None:
    pipeline = tales.play(tales.tale(days=3), SETTINGS, Way())
    fields = pipeline.watched.fields
    for raw in (b"", b"\xc1", b"\x80", fields["monitor/m/1"][:-5]):
        with pytest.raises(ValueError, match="state of a monitor"):
            watch().restore(fields | {"monitor/m/1": raw})
    with pytest.raises(ValueError, match="without its monitor"):
        watch().restore({"alerts/m/1": fields["alerts/m/1"]})


def test_a_field_of_the_shell_is_left_alone() -> None:
    fields = tales.play(tales.tale(days=3), SETTINGS, Way()).watched.fields
    found = watch()
    found.restore(fields | {"ledgers": b"anything"})
    assert found.monitors.keys() == {"m/1"}


def test_a_version_that_was_counted_by_other_panes_is_refused_in_words() -> None:
    fields = tales.play(tales.tale(days=3), SETTINGS, Way()).watched.fields
    other = dataclasses.replace(SETTINGS, pane_s=43_200)
    with pytest.raises(ValueError, match="pane_s = 43200: must be 86400 for m 1"):
        Watch(lambda _: other).restore(fields)
