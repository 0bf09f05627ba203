"""Stamps: times and lengths of time as they stand in events."""

from stream.events import rfc3339
from stream.events.times import FIRST_MS, LAST_MS

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def stamp(ms: int) -> str:
    """A time as text; one outside the years 1970 to 9999 stands for the nearest inside.

    >>> stamp(1_700_000_000_123), stamp(-5)
    ('2023-11-14T22:13:20.123Z', '1970-01-01T00:00:00.000Z')
    """
    return rfc3339(min(max(ms, FIRST_MS), LAST_MS))


def day(time_text: str) -> str:
    """A time of an event as people read it: without what is zero.

    >>> day("2026-03-01T00:00:00.000Z"), day("2026-03-01T06:30:00.000Z")
    ('2026-03-01', '2026-03-01 06:30:00')
    """
    date, _, clock = time_text.removesuffix("Z").removesuffix(".000").partition("T")
    return date if clock == "00:00:00" else f"{date} {clock}"


def span(seconds: int) -> str:
    """A length of time in the largest unit that divides it.

    >>> span(86_400), span(30 * 86_400), span(5_400)
    ('1 day', '30 days', '90 minutes')
    """
    count, unit = _in_units(seconds)
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def short(seconds: int) -> str:
    """The same, as short as settings write it.

    >>> short(7 * 86_400), short(5_400)
    ('7d', '90m')
    """
    count, unit = _in_units(seconds)
    return f"{count}{unit[0]}"


def _in_units(seconds: int) -> tuple[int, str]:
    return next((seconds // s, unit) for unit, s in UNITS if seconds % s == 0)
