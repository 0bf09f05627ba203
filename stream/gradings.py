"""Gradings: what a window's outcomes say of each metric, all of them judged together.

By Holm's procedure, as its data: at the inflation of each metric's variance where the reference
shows it, else as if outcomes knew nothing of each other.
"""

import msgspec

from stream.checks import holm
from stream.events import Reading
from stream.grades import Grade
from stream.intervals import Inflation
from stream.quality import METRICS, Metric, metrics_for, metrics_of
from stream.references import Reference
from stream.settings import ModelSettings, Task
from stream.tallies import Tally

PROVISIONAL = "provisional"  # a detail of readings: the truth that takes its time is missing
TRUSTED = "trusted"  # a detail of estimates: whether labels bear them out
SURE = "confidence"  # explains, and is never judged
UNCALIBRATED = (
    "quality is uncalibrated: its levels take the outcomes of a window for independent of each "
    "other; if they are not, false alarms are more frequent"
)


def graded(
    settings: ModelSettings,
    reference: Reference | None,
    tally: Tally,
    task: Task,
    level: float,
    window_s: int,
) -> list[Reading]:
    """A reading of each metric that says something. level: of the whole family."""
    known = known_of(reference)
    metrics = judged_of(settings, window_s)
    names = metrics_for(tally, task, metrics)
    n = tally.counted().n
    found = {name: inflation_of(reference, settings, name, window_s, n) for name in names}

    def grade(name: str, at: float) -> Grade:
        goal, was = settings.objective(name, window_s), known.get(name)
        value, least = (goal.value, goal.minimum_labels) if goal else (None, None)
        return Grade(metrics[name], tally, was, value, at, settings, found[name], least)

    judged = [name for name in names if name != SURE]
    p_values = [grade(name, level).p_value() for name in judged]
    levels = dict(zip(judged, holm(p_values, level), strict=True))
    return [grade(name, levels.get(name) or level).reading() for name in names]


def known_of(reference: Reference | None) -> dict[str, float]:
    """What metrics are on the reference, by name."""
    known = dict(reference.quality) if reference else {}
    sure = reference.outputs.get(SURE) if reference else None
    return known if sure is None else known | {SURE: sure.mean}


def judged_of(settings: ModelSettings, window_s: int) -> dict[str, Metric]:
    """The metrics that are judged in windows of a length: the usual ones, and what is promised."""
    promised = {name for name in settings.objectives if settings.objective(name, window_s)}
    known = metrics_of(settings)
    return {name: m for name, m in known.items() if name in METRICS or name in promised}


def inflation_of(
    reference: Reference | None, settings: ModelSettings, name: str, window_s: int, rows: int
) -> Inflation | None:
    """How much more a metric varies than that of independent outcomes compared with a known value.

    The reference's own value is uncertain too: it is a mean over its rows. It tells as much of the
    variance as there are windows in it. None: not calibrated.
    """
    found = times_of(reference, settings, name, "quality", window_s, rows)
    if reference is None or reference.calibration is None or found is None:
        return None
    windows = max(2, reference.calibration.windows_of_reference(window_s))
    return Inflation(found * (1 + rows / max(1, reference.rows)), windows - 1)


def times_of(
    reference: Reference | None,
    settings: ModelSettings,
    name: str,
    role: str,
    window_s: int,
    rows: int,
) -> float | None:
    """How much more than independent rows' something varies by itself; None: not calibrated."""
    calibration = reference.calibration if reference else None
    if calibration is None or calibration.pane_s != settings.pane_s:
        return None
    found = calibration.inflation(name, role, window_s, rows)
    return None if found is None else max(1.0, found)


def provisional(readings: list[Reading], *, judged: bool) -> list[Reading]:
    """Readings of provisional figures: marked, and what they say taken back unless it is wanted.

    They say so in words, too: that is all that somebody who is paged reads.
    """
    return [_provisional(reading, judged=judged) for reading in readings]


def _provisional(reading: Reading, *, judged: bool) -> Reading:
    details = reading.details | {PROVISIONAL: 1}
    if judged:
        reason = f"provisional: {reading.reason}"
        return msgspec.structs.replace(reading, details=details, reason=reason)
    if TRUSTED in details:
        details |= {TRUSTED: "not known"}
    reason = f"provisional, not judged: {reading.reason}"
    return msgspec.structs.replace(
        reading, details=details, verdict="not-enough-data", reason=reason
    )


def notes(reference: Reference | None, readings: list[Reading]) -> list[str]:
    """What an evaluation of quality says of its levels."""
    judged = [r for r in readings if r.check != SURE and r.p_value is not None]
    plain = [r for r in judged if "variance_inflation" not in r.details]
    return [UNCALIBRATED] if reference is not None and plain else []
