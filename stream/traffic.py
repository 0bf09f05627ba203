"""Traffic: how many rows came, and how many of them late. Plain rules, and notices only.

But for `silence`, no rows at all, they raise no alert: what is normal is known from a few windows
before alone, and a holiday breaks it. The rows of a reference are no measure: nobody says how long
they took to come.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from stream import effects, figures
from stream.events import Detail, Effect, Reading
from stream.panes import window_panes
from stream.settings import ModelSettings
from stream.stamps import span, stamp
from stream.windows import Windows

EARLIER = 14  # windows before this one whose rows are looked at
ENOUGH_EARLIER = 7  # of them, before anything is said


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """Rows of a window in time and late ones, and of windows as long before it, newest first."""

    rows: int
    late: int = 0
    earlier: tuple[int, ...] = ()


def traffic_of(windows: Windows, end_ms: int, window_ms: int, kept_ms: int) -> Traffic:
    """The rows of a window, and of those before it as far back as panes are kept.

    Windows that begin before the first row of all are left out. As soon as one of them resembles
    this one there is nothing to say, and `earlier` is empty: looking further costs time.
    """
    rows, late = _rows(windows, end_ms, window_ms)
    first = max(min(windows.named, default=end_ms), end_ms - kept_ms)
    earlier: list[int] = []
    for end in range(end_ms - window_ms, first + window_ms - 1, -window_ms)[:EARLIER]:
        earlier.append(_rows(windows, end, window_ms)[0])
        if earlier[-1] <= 2 * rows <= 4 * earlier[-1]:
            return Traffic(rows, late)
    return Traffic(rows, late, tuple(earlier))


def _rows(windows: Windows, end_ms: int, window_ms: int) -> tuple[int, int]:
    """Rows that came before their pane was sealed, and after it."""
    rows = late = 0
    for pane in window_panes(end_ms, window_ms, windows.pane_ms):
        for name in windows.named.get(pane, ()):
            if name.revision:
                late += name.rows
            else:
                rows += name.rows
    return rows, late


def traffic_readings(traffic: Traffic, settings: ModelSettings) -> list[Reading]:
    """What is to be said of the number of rows, and of how many came late."""
    found = [_volume(traffic), _late(traffic, settings)]
    return [reading for reading in found if reading is not None]


def _volume(t: Traffic) -> Reading | None:
    """Fewer than half of the fewest rows, or more than twice the most, of the windows before."""
    if len(t.earlier) < ENOUGH_EARLIER or t.rows == 0 or min(t.earlier) == 0:
        return None
    fewest, most = min(t.earlier), max(t.earlier)
    few, many = np.log2(fewest / t.rows), np.log2(t.rows / most)
    doublings = float(max(few, many))
    if doublings <= 1:
        return None
    effect = Effect(name="beyond the rows of before", value=doublings, floor=1.0, unit="doublings")
    word, limit = ("few", "half of the fewest") if few > many else ("many", "twice the most")
    seen = (
        f"{figures.count(fewest)} to {figures.count(most)} in the {len(t.earlier)} windows before"
    )
    reason = f"too {word} rows: {figures.count(t.rows)}, {seen}; the rule: beyond {limit}"
    details: dict[str, Detail] = {
        "fewest_before": fewest,
        "most_before": most,
        "windows_before": len(t.earlier),
        "direction": "down" if word == "few" else "up",
    }
    return _notice("volume", "rows", t.rows, effect, reason, details)


def silence_reading(since_ms: int, window_s: int, earlier: Sequence[int], rows: int = 0) -> Reading:
    """No rows in a window, where the windows before all had some; or that they come again."""
    if rows:
        reason = f"rows: they come again, {figures.count(rows)} in the last pane"
        return Reading(
            check="silence", subject="rows", role="data", n=rows, verdict="ok", reason=reason
        )
    fewest, most = min(earlier), max(earlier)
    reason = (
        f"no rows for {span(window_s)} since {stamp(since_ms)}; "
        f"{figures.count(fewest)} to {figures.count(most)} in the {len(earlier)} windows before"
    )
    effect = Effect(name="share of usual rows missing", value=1.0, floor=0.5, unit=effects.IN_ROWS)
    details: dict[str, Detail] = {
        "fewest_before": fewest,
        "most_before": most,
        "windows_before": len(earlier),
        "direction": "down",
    }
    return _notice("silence", "rows", 0, effect, reason, details)


def _late(t: Traffic, settings: ModelSettings) -> Reading | None:
    """Rows that came after their pane was sealed, where they are too many of all."""
    total = t.rows + t.late
    share = t.late / total if total else 0.0
    effect = effects.of_share("share of late rows", share, settings.effect_floor_data)
    if total < settings.minimum_rows or share < settings.effect_floor_data or not t.late:
        return None
    limit = figures.share(settings.effect_floor_data)
    reason = (
        f"{figures.share(share)} of {figures.count(total)} rows came late, after their pane was "
        f"sealed; the rule: {limit} or more. A longer `lateness_s` waits for them"
    )
    return _notice("late", "late rows", total, effect, reason, {"late": t.late})


def _notice(
    check: str, subject: str, n: int, effect: Effect, reason: str, details: dict[str, Detail]
) -> Reading:
    return Reading(
        check=check,
        subject=subject,
        role="data",
        effect=effect,
        n=n,
        verdict="moved",
        reason=reason,
        details=details | {"severity": effects.severity(effect)},
    )
