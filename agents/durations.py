"""Durations as people write them: 90, "90s", "15m", "1h", "30d"."""

import re

UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|w)\s*")


def named(key: str) -> bool:
    """Whether a key of the settings is a duration, and not a number of something per second."""
    return key.endswith("_s") and not key.endswith("_per_s")


def seconds(value: object) -> object:
    """A duration as seconds: 90 and "90" are 90, "500ms" is 0.5; s, m, h, d, w as one expects.

    What is no duration raises ValueError, saying what one looks like.
    """
    if not isinstance(value, str):
        return value
    found = DURATION.fullmatch(value) or DURATION.fullmatch(f"{value}s")
    if found is None:
        raise ValueError('must be seconds, or a duration such as "500ms", "90s", "1h" or "30d"')
    length = float(found[1]) * UNITS_S[found[2]]
    return int(length) if length.is_integer() else length


def whole_seconds(value: object) -> object:
    """The same where only whole seconds will do."""
    length = seconds(value)
    if isinstance(length, float) and not length.is_integer():
        raise ValueError("must be whole seconds")
    return length
