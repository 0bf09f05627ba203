"""Labelling: what is to be said of how truth comes: that it stops, its delay shifts, its mix jumps.

Delay and mix of a stint are compared at equal age with the stints before (`stream.stints`). How
far stints differ anyway is measured on those themselves, so holidays and weekends count
(`stream.oddities`). Beside that the newest must lie further out than any of them, and matter.
"""

from collections.abc import Mapping

import numpy as np

from stream import effects, figures
from stream.columns import Floats, Ints
from stream.events import Detail, Effect, Reading
from stream.judgements import LABELS
from stream.oddities import Beside, Oddity, oddity
from stream.settings import MONTH_S, ModelSettings
from stream.stamps import span, stamp
from stream.stints import ENOUGH, Stint, Stints, known_of

SUBJECT = "labels"
SILENCE, DELAY, MIX = "label-silence", "label-delay", "label-mix"
CHECKS = (SILENCE, DELAY, MIX)
LEAST_EXPECTED = 20.0  # labels, before their absence says something
SMALLEST_EXPECTED = 5.0  # labels of a class; see `stream.categories`
TIMES = 1.5  # as long, or as short, as before: a delay that matters
ODDS = 2.0  # times the odds of before: a class that matters
DOUBLINGS = "doublings"


def silence(since_ms: int, until_ms: int, expected: float, usual_ms: int) -> Reading:
    """No truth for longer than ever, though it was due."""
    known = f", the longest pause before: {span(usual_ms // 1000)}" if usual_ms else ""
    reason = (
        f"no labels for {span((until_ms - since_ms) // 1000)} since {stamp(since_ms)}: about "
        f"{figures.count(round(expected))} were due{known}"
    )
    effect = Effect(
        name="share of usual labels missing", value=1.0, floor=0.5, unit=effects.IN_ROWS
    )
    details: dict[str, Detail] = {
        "expected": expected,
        "longest_pause_seconds": usual_ms // 1000,
        "direction": "down",
    }
    return _reading(SILENCE, 0, reason, effect, details, moved=True)


def again(rows: int) -> Reading:
    """It comes again."""
    reason = f"labels: they come again, {figures.count(rows)} in the last pane"
    return Reading(check=SILENCE, subject=SUBJECT, role="data", n=rows, verdict="ok", reason=reason)


def level_of(settings: ModelSettings, length_ms: int) -> float:
    """The level of each of the two comparisons of a stint."""
    a_month = MONTH_S * 1000 / length_ms
    return min(settings.significance, settings.false_alarms_per_month * LABELS / (2 * a_month))


def compared(stint: Stint, start_ms: int, known: Stints, settings: ModelSettings) -> list[Reading]:
    """What a stint that is over says of delay and mix, as far as it can be told."""
    level = level_of(settings, known.length_ms)
    found = [
        _delay(stint, start_ms, known, level, settings),
        _mix(stint, start_ms, known, level, settings),
    ]
    return [reading for reading in found if reading is not None]


# delay


def _delay(
    stint: Stint, start_ms: int, known: Stints, level: float, settings: ModelSettings
) -> Reading | None:
    before = known.before(start_ms, DELAY)
    if len(before) < ENOUGH:
        return None
    came = np.array([s.came for s in before.values()])
    risk = np.array([s.risk for s in before.values()])
    those = Beside(came, risk, *known.kinds(before, start_ms))
    odd = oddity(stint.came, stint.risk, those, level, odds=False)
    seen = int(came.sum())
    if seen < settings.minimum_rows or max(odd.expected, odd.observed) < LEAST_EXPECTED:
        return None
    ends = known.ends.astype(np.float64) * (known.pane_ms / 1000)
    was, is_now, bound = _times(stint, came.sum(axis=0), risk.sum(axis=0), ends)
    doublings = float(abs(np.log2(is_now / was)))
    floor = float(np.log2(TIMES))
    effect = Effect(name="change of delay", value=doublings, floor=floor, unit=DOUBLINGS)
    moved = odd.sure and doublings >= floor
    n = int(stint.came.sum())
    reason = (
        f"labels come {'later' if is_now > was else 'earlier'}: half of those that come had come "
        f"within {_length(was)}, now {'not within' if bound else 'within'} {_length(is_now)}"
    )
    if not moved:
        reason = (
            f"labels come as before: half of those that come within {_length(was)}, now "
            f"{_length(is_now)}"
        )
    details: dict[str, Detail] = {
        "delay_before_seconds": was,
        "delay_seconds": is_now,
        "expected": odd.expected,
        "direction": effects.direction(was, is_now),
    }
    words = f"{reason} ({figures.count(n)} labels, {_chance(odd)})"
    return _tested(DELAY, n, seen, words, effect, details, odd, moved=moved)


def _times(stint: Stint, came: Ints, risk: Ints, ends: Floats) -> tuple[float, float, bool]:
    """Seconds by which half of what used to come has come, before and now; whether the second is
    a bound only. Where a stint has nobody of an age, that age is taken to be as before.
    """
    known = risk > 0
    ends, own = ends[known], stint.risk[known] > 0
    before = known_of(came[known], risk[known])
    now_came = np.where(own, stint.came[known], came[known])
    now = known_of(now_came, np.where(own, stint.risk[known], risk[known]))
    half = float(before[-1]) / 2
    first, found = _reached(ends, before, half), _reached(ends, now, half)
    assert first is not None
    return first, found or float(ends[-1]), found is None


def _reached(ends: Floats, known: Floats, share: float) -> float | None:
    """When a share is reached: straight lines between the ends of bins."""
    places = np.flatnonzero(known >= share)
    if not len(places):
        return None
    at = int(places[0])
    low, start = (float(known[at - 1]), float(ends[at - 1])) if at else (0.0, 0.0)
    rise = float(known[at]) - low
    part = (share - low) / rise if rise > 0 else 1.0
    return max(start + part * (float(ends[at]) - start), float(ends[0]) / 1000)


# mix


def _mix(
    stint: Stint, start_ms: int, known: Stints, level: float, settings: ModelSettings
) -> Reading | None:
    """The class whose odds changed least likely by chance."""
    before = {at: s for at, s in known.before(start_ms, MIX).items() if s.mix}
    if len(before) < ENOUGH or not stint.mix:
        return None
    rows, earlier = _total(stint), np.array([_total(s) for s in before.values()])
    shared = (rows > 0) & (earlier.sum(axis=0) > 0)
    rows, earlier = rows * shared, earlier * shared
    n, seen = int(rows.sum()), int(earlier.sum())
    if min(n, seen) < settings.minimum_rows:
        return None
    names = sorted({name for s in (stint, *before.values()) for name in s.mix})
    kinds = known.kinds(before, start_ms)
    found = [
        (name, *one)
        for name in names
        if (one := _class(name, stint, rows, (before, earlier, kinds), level)) is not None
    ]
    if not found:
        return None
    name, odd, was, now = min(found, key=lambda one: (one[1].p_value, -abs(one[1].t), one[0]))
    odd = odd.one_of(len(found))
    doublings = abs(_log_odds(now, n) - _log_odds(was, n))
    floor = float(np.log2(ODDS))
    effect = Effect(name="change of odds", value=doublings, floor=floor, unit=DOUBLINGS)
    moved = odd.sure and doublings >= floor
    change = (
        figures.shares(was, now) if moved else f"{figures.share(was)}, now {figures.share(now)}"
    )
    reason = (
        f"{'the mix of labels jumped: ' if moved else 'labels are mixed as before: '}the share of "
        f"{name} {change}, predictions of equal age compared ({figures.count(n)} labels, "
        f"{_chance(odd)})"
    )
    details: dict[str, Detail] = {
        "class": name,
        "share_before": was,
        "share": now,
        "direction": effects.direction(was, now),
    }
    return _tested(MIX, n, seen, reason, effect, details, odd, moved=moved)


def _class(
    name: str,
    stint: Stint,
    rows: Ints,
    earlier: tuple[Mapping[int, Stint], Ints, tuple[Ints, int]],
    level: float,
) -> tuple[Oddity, float, float] | None:
    """How odd a class is, and its share: as it was in labels of the same ages, and as it is.

    rows: labels of all classes by age; 0 where only the stint or those before have any. earlier:
    those before, their rows and kinds. None where too few are expected of the class, or of others.
    """
    before, totals, kinds = earlier
    hits = _of_class(stint, name) * (rows > 0)
    others = np.array([_of_class(s, name) for s in before.values()]) * (rows > 0)
    odd = oddity(hits, rows, Beside(others, totals, *kinds), level, odds=True)
    n = float(rows.sum())
    if min(odd.expected, n - odd.expected) < SMALLEST_EXPECTED:
        return None
    usual = float((rows * others.sum(axis=0) / np.maximum(totals.sum(axis=0), 1)).sum()) / n
    return odd, usual, odd.observed / n


def _of_class(stint: Stint, name: str) -> Ints:
    found = stint.mix.get(name)
    return np.zeros_like(stint.came) if found is None else np.maximum(0, found)


def _total(stint: Stint) -> Ints:
    total: Ints = np.maximum(0, np.array([*stint.mix.values()])).sum(axis=0)
    return total


def _log_odds(share: float, n: int) -> float:
    """To the base 2; half a row is added to either side, so that no row is no infinity."""
    return float(np.log2((share * n + 0.5) / ((1.0 - share) * n + 0.5)))


# words


def _length(seconds: float) -> str:
    """A length of time in a unit that leaves a small number."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{figures.number(seconds / size)} {unit}"
    return f"{figures.number(seconds)} seconds"


def _chance(odd: Oddity) -> str:
    by_chance = f"by chance alone in {figures.chance(odd.p_value)} such times"
    return by_chance if odd.sure else "no more than stints before differ"


def _tested(
    check: str,
    n: int,
    n_reference: int,
    reason: str,
    effect: Effect,
    details: dict[str, Detail],
    odd: Oddity,
    *,
    moved: bool,
) -> Reading:
    return Reading(
        check=check,
        subject=SUBJECT,
        role="data",
        statistic=odd.t,
        p_value=odd.p_value,
        level=odd.level,
        effect=effect,
        n=n,
        n_reference=n_reference,
        verdict="moved" if moved else "ok",
        reason=reason,
        details=details
        | {"variance_inflation": odd.inflation, "severity": effects.severity(effect)},
    )


def _reading(
    check: str, n: int, reason: str, effect: Effect, details: dict[str, Detail], *, moved: bool
) -> Reading:
    return Reading(
        check=check,
        subject=SUBJECT,
        role="data",
        effect=effect,
        n=n,
        verdict="moved" if moved else "ok",
        reason=reason,
        details=details | {"severity": effects.severity(effect)},
    )
