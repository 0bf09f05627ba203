"""Durations: what people write, and what they may not."""

import pytest

from agents.durations import named, seconds, whole_seconds


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", 0.5),
        ("90s", 90),
        ("15m", 900),
        ("1.5h", 5400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("90", 90),
        (" 2 min ", 120),
        (7, 7),
    ],
)
def test_durations(text: object, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "h", "1x", "-1s", "1h30m", "1e3s", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="30d"):
        seconds(text)


def test_whole_seconds() -> None:
    assert whole_seconds("2m") == 120
    with pytest.raises(ValueError, match="whole seconds"):
        whole_seconds("500ms")


def test_a_number_of_something_per_second_is_no_duration() -> None:
    assert named("pane_s")
    assert not named("max_signals_per_s")
