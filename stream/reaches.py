"""Reaches: how far back a window looks where so few rows come that it would say nothing.

The configured length is taken as often as it takes to have the rows that are needed to see a change
as large as the effect floor, at most `reach_back` times. What is chosen depends on numbers of rows
and on what was known when the reference was registered, never on what the rows say: so each length
keeps its level. A length counts only where the reference is calibrated for it: over more rows that
resemble each other, levels that take them for independent are wrong by more.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import msgspec
from scipy import special

from stream import effects, figures, minimums
from stream.calibrations import Allowance, denser, promises_of
from stream.events import Reading
from stream.features import FeatureReference, Role
from stream.hours import share_of_hours
from stream.judgements import allowed_of, shares
from stream.references import Reference
from stream.segments import watched
from stream.settings import ModelSettings
from stream.stamps import span

LOOKS_BACK = "looks_back_s"
RowsOf = Callable[[int], int]
"""Rows of the newest so many seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """How far back one window looks. configured_s: its length in the settings; rows: in that.

    needed: in a window of `window_s`; 0 where nobody asked.
    """

    window_s: int
    configured_s: int
    rows: int = 0
    needed: int = 0

    @property
    def further(self) -> bool:
        """Whether it looks back further than the settings say."""
        return self.window_s > self.configured_s

    @property
    def words(self) -> str:
        """What is said of it."""
        return (
            f"{span(self.configured_s)} had {figures.count(self.rows)} rows, {self.needed:,} are "
            f"needed: looks back {span(self.window_s)}"
        )

    def told(self, readings: list[Reading]) -> list[Reading]:
        """The readings, which say how far back they look where that is further."""
        if not self.further:
            return readings
        more = {LOOKS_BACK: self.window_s}
        return [msgspec.structs.replace(r, details=r.details | more) for r in readings]

    def notes(self, reference: Reference, settings: ModelSettings) -> list[str]:
        """What an evaluation says of it, and of what the reference promises for such a length."""
        if not self.further or reference.calibration is None:
            return []
        kept, told = promises_of(reference.calibration, settings, (self.window_s,))
        return [self.words, *([] if kept else told)]


@dataclasses.dataclass(frozen=True, slots=True)
class Need:
    """Of one feature: independent rows; how much more where they resemble each other; and how
    many rows of the reference they are compared with.
    """

    rows: float
    inflation: float
    there: float


Needs = tuple[Need, ...]


def multiples(reference: Reference | None, settings: ModelSettings, window_s: int) -> Iterator[int]:
    """The lengths that a window may have, its own first."""
    yield window_s
    known = reference.calibration if reference else None
    if known is None or known.unfit(settings):
        return
    for times in range(2, settings.reach_back + 1):
        length_s = times * window_s
        kept = length_s <= settings.panes_kept * settings.pane_s
        if kept and known.of_window(length_s) and _of_segments(reference, settings, length_s):
            yield length_s


def _of_segments(reference: Reference | None, settings: ModelSettings, length_s: int) -> bool:
    """Whether all segments that are calibrated at all are so for windows of a length."""
    segments = watched(reference, settings).values() if reference else ()
    known = [own.calibration for own in segments if own.calibration is not None]
    return all(calibration.of_window(length_s) is not None for calibration in known)


def chosen(
    reference: Reference,
    settings: ModelSettings,
    window_s: int,
    rows_of: RowsOf,
    needs_of: Callable[[int], Needs],
) -> Reach:
    """The shortest length that has rows enough; where none has, the shortest with most rows."""
    lengths = [*multiples(reference, settings, window_s)]
    rows, most = 0, (window_s, -1, 0)
    for length_s in lengths if len(lengths) > 1 else ():
        found = rows_of(length_s)
        rows = found if length_s == window_s else rows
        needed = rows_needed(needs_of(length_s), reference, settings, length_s, found)
        if found > most[1]:
            most = length_s, found, needed
        if found >= needed:
            break
    return Reach(most[0], window_s, rows, most[2])


def rows_needed(
    needs: Needs, reference: Reference, settings: ModelSettings, window_s: int, rows: int
) -> int:
    """Rows with which half of the features show a change as large as their floor."""
    known = reference.calibration
    if not needs or known is None:
        return settings.minimum_rows
    a_pane = rows * settings.pane_s / window_s
    found = [
        minimums.in_window(one.rows * denser(one.inflation, a_pane, known.rows_a_pane), one.there)
        for one in needs
    ]
    return max(settings.minimum_rows, statistics.median_high(found))


def needs_of(reference: Reference, settings: ModelSettings, window_s: int) -> Needs:
    """What each feature needs in windows of a calibrated length, by its main check."""
    known = reference.calibration
    if known is None or not settings.power:
        return ()
    allowed = allowed_of(reference, settings, window_s)
    every = [*reference.watched(settings.ignore)]
    level = _level_of_categories(reference, settings, every)
    found = []
    for role, f in every:
        inflation = known.inflation(f.name, role, window_s)
        rows = None
        if f.kind == "category":
            rows = _of_category(f, role, level, settings)
        elif allowed is not None:
            rows = _of_number(f, role, allowed, settings)
        if inflation is not None and rows is not None:
            there = f.rows * share_of_hours(settings.seasonality, window_s)
            found.append(Need(rows, inflation, there))
    return tuple(found)


def _of_number(
    f: FeatureReference, role: Role, allowed: Allowance, settings: ModelSettings
) -> float | None:
    change = effects.of_number(effects.key(f.name, role), f.sd, 0.0, 0.0, settings)
    level = float(special.kolmogorov(math.sqrt(allowed.threshold)))
    if not change.floor or not 0 < level < 1:
        return None
    gap = minimums.gap_of_floor(f, change.floor, change.unit)
    return minimums.for_gap(gap, level, settings.power)


def _level_of_categories(
    reference: Reference, settings: ModelSettings, known: Sequence[tuple[Role, FeatureReference]]
) -> float:
    """As if each had an equal part of what Holm's procedure gives them: never more than it does."""
    month = shares(reference, settings)[1]
    others = sum((f.kind == "category") + bool(f.missing) for _, f in known)
    return min(settings.significance, month / settings.evaluations_a_month) / max(1, others)


def _of_category(
    f: FeatureReference, role: Role, level: float, settings: ModelSettings
) -> float | None:
    own = effects.own_floor(effects.key(f.name, role), settings)
    floor = settings.effect_floor_share if own is None else own
    if not floor or not 0 < level < 1:
        return None
    share = minimums.nearest_half(f.counts[: f.cells + 1], floor)
    return minimums.for_share(share, floor, max(1, f.cells - 1), level, settings.power)
