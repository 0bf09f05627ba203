"""Outlooks: what windows of one length can tell, with the rows that usually come."""

import statistics

import msgspec

from stream.judgements import allowed_of
from stream.prospects import SHIFTS_SD, Found, limits, prospect
from stream.reaches import Reach, chosen, needs_of
from stream.references import Reference
from stream.settings import ModelSettings


class WindowExplained(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of one length. rows: usual ones; None: not known yet.

    reach_s: how far back such a window looks with so many rows; all that follows is of that.
    by_chance_a_month: false alarms about numbers that calibration makes one expect; None: not
    calibrated. gap: what a number's largest gap must exceed, in the middle of all numbers.
    rows_needed: to find a change as large as its floor, in the middle too; with fewer a window in
    which nothing moved is "not enough data". None: no such number follows from the settings.
    inflation: of the variance, from and to. reference_windows: how many the reference is long.
    """

    window_s: int
    rows: int | None
    by_chance_a_month: float | None
    gap: float | None
    rows_needed: int | None
    inflation: tuple[float, float] | None
    reference_windows: int | None
    found: list[Found]
    reach_s: int


def outlook(
    reference: Reference | None,
    settings: ModelSettings,
    window_s: int,
    rows_a_pane: float | None,
    checked: int,
) -> WindowExplained:
    """What windows of a length can tell. checked: how many things are looked at."""
    reach = _reach_of(reference, settings, window_s, rows_a_pane)
    length_s = reach.window_s
    rows = _usual(rows_a_pane, settings, length_s)
    calibration = reference.calibration if reference else None
    known = limits(reference, settings, length_s, rows, checked) if reference and rows else []
    allowed = allowed_of(reference, settings, length_s) if reference else None
    inflations = [limit.inflation for limit in known]
    needed = [limit.needed for limit in known if limit.needed is not None]
    return WindowExplained(
        window_s=window_s,
        rows=_usual(rows_a_pane, settings, window_s),
        by_chance_a_month=allowed.expected(allowed.threshold) if allowed else None,
        gap=statistics.median(limit.gap for limit in known) if known else None,
        rows_needed=statistics.median_high(needed) if needed else None,
        inflation=(min(inflations), max(inflations)) if allowed and known else None,
        reference_windows=calibration.windows_of_reference(length_s) if calibration else None,
        found=[
            prospect(known, shift, length_s // settings.pane_s, settings)
            for shift in (SHIFTS_SD if known else ())
        ],
        reach_s=length_s,
    )


def _usual(rows_a_pane: float | None, settings: ModelSettings, window_s: int) -> int | None:
    return None if rows_a_pane is None else round(rows_a_pane * window_s / settings.pane_s)


def _reach_of(
    reference: Reference | None, settings: ModelSettings, window_s: int, rows_a_pane: float | None
) -> Reach:
    """How far back windows look that have so many rows in each pane."""
    if reference is None or rows_a_pane is None:
        return Reach(window_s, window_s)
    return chosen(
        reference,
        settings,
        window_s,
        lambda length_s: _usual(rows_a_pane, settings, length_s) or 0,
        lambda length_s: needs_of(reference, settings, length_s),
    )
