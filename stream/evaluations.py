"""Evaluations: all readings of one window, judged together and put into an event."""

import dataclasses
from collections.abc import Callable, Mapping

from stream.checks import check_share, holm
from stream.cohorts import Cohorts
from stream.events import Evaluation, Reading, Window, event_id, rfc3339
from stream.quality import METRICS, metrics_for, quality_reading
from stream.references import Reference
from stream.settings import MONTH_S, ModelSettings, Task
from stream.tallies import Tally
from stream.tracks import Pulse, Watched
from stream.verdicts import Moved, judge
from stream.windows import Merged

SURE = "confidence"


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Whose window it is, and which: event time [start_ms, end_ms)."""

    model: str
    version: str
    settings: ModelSettings
    start_ms: int
    end_ms: int
    revision: int = 0

    def window(self) -> Window:
        """The window as it stands in events."""
        length_ms = self.end_ms - self.start_ms
        return Window(
            start=rfc3339(self.start_ms),
            end=rfc3339(self.end_ms),
            panes=max(1, length_ms // (self.settings.pane_s * 1000)),
            revision=self.revision,
        )

    def id(self, kind: str, what: str, *more: str | int) -> str:
        """An event's id: of its identity alone, never of what was measured."""
        whose = (self.model, self.version, what)
        return event_id(kind, *whose, self.start_ms, self.end_ms, self.revision, *more)


def level_of(settings: ModelSettings) -> float:
    """The family-wise level of one evaluation.

    Half of the budget goes to the inputs, half to quality, each shared out over the evaluations
    of a month; `significance` is its ceiling.
    """
    evaluations = MONTH_S / settings.pane_s * len(settings.windows_s)
    return min(settings.significance, settings.false_alarms_per_month / 2 / evaluations)


def moved(readings: list[Reading], roles: tuple[str, ...]) -> Moved:
    """Whether any reading of these roles moved; None where none could be judged."""
    verdicts = [r.verdict for r in readings if r.role in roles]
    known = [v for v in verdicts if v not in ("not-enough-data", "no-reference")]
    return any(v == "moved" for v in known) if known else None


def inputs_evaluation(of: Subject, reference: Reference, merged: Merged) -> Evaluation:
    """The periodic checks of a window's features and outputs."""
    assert merged.share is not None
    readings = check_share(reference, merged.share, level_of(of.settings), of.settings)
    notes = []
    if merged.other:
        notes.append(f"{merged.other:,} rows counted against another reference are left out")
    if merged.sampled > merged.share.rows:
        notes.append(f"of {merged.sampled:,} rows a sample of {merged.share.rows:,} is compared")
    if merged.share.unknown:
        names = ", ".join(sorted(merged.share.unknown)[:5])
        notes.append(f"not in the reference and not checked: {names}")
    return Evaluation(
        id=of.id("evaluation", "inputs"),
        time=rfc3339(of.end_ms),
        model=of.model,
        version=of.version,
        reference_id=reference.id,
        subject="inputs",
        window=of.window(),
        rows=merged.share.rows,
        readings=readings,
        verdict=judge(moved(readings, ("input", "data")), moved(readings, ("output",)), None),
        notes=notes,
    )


def unreferenced_evaluation(of: Subject, rows: int, needed: int) -> Evaluation:
    """What can be said of a window while no reference is known."""
    note = (
        f"no reference is registered: {rows:,} rows collected so far; the first {needed:,} become "
        "the reference, unless `driftline reference` registers one"
    )
    return Evaluation(
        id=of.id("evaluation", "inputs"),
        time=rfc3339(of.end_ms),
        model=of.model,
        version=of.version,
        subject="inputs",
        window=of.window(),
        rows=rows,
        readings=[],
        verdict=judge(None, None, None),
        notes=[note],
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What else is known when quality is evaluated: inputs and outputs up to the window's end,
    and how many predictions were made in the panes that the outcomes are of.
    """

    inputs: Moved = None
    outputs: Moved = None
    predictions: int = 0
    task: Task = "auto"


def quality_evaluation(
    of: Subject, reference: Reference | None, cohorts: Cohorts, known: Known
) -> Evaluation:
    """The metrics over outcomes that became known in a window."""
    tally = cohorts.total()
    readings = _metric_readings(of.settings, reference, tally, known.task)
    sure = _confidence_moved(readings)
    quality = moved([r for r in readings if r.check != SURE], ("quality",))
    return Evaluation(
        id=of.id("evaluation", "quality"),
        time=rfc3339(of.end_ms),
        model=of.model,
        version=of.version,
        reference_id=reference.id if reference else None,
        subject="quality",
        window=of.window(),
        rows=tally.n,
        readings=readings,
        verdict=judge(known.inputs, known.outputs, quality, sure),
        notes=_coverage(of, cohorts, known, tally),
    )


def _metric_readings(
    settings: ModelSettings, reference: Reference | None, tally: Tally, task: Task
) -> list[Reading]:
    known = dict(reference.quality) if reference else {}
    sure = reference.outputs.get(SURE) if reference else None
    if sure is not None:
        known[SURE] = sure.mean

    def read(name: str, level: float) -> Reading:
        goal = settings.objectives.get(name)
        return quality_reading(METRICS[name], tally, known.get(name), goal, level, settings)

    names = metrics_for(tally, task)
    return _corrected(names, read, level_of(settings))


def _corrected(
    names: list[str], read: Callable[[str, float], Reading], level: float
) -> list[Reading]:
    """Readings at levels that Holm's procedure gives the family of metrics."""
    judged = [name for name in names if name != SURE]
    first = [read(name, level).p_value for name in judged]
    levels = dict(zip(judged, holm(first, level), strict=True))
    return [read(name, levels.get(name) or level) for name in names]


def _confidence_moved(readings: list[Reading]) -> Moved:
    """Whether the model's confidence followed its accuracy: it fell by half as much, or more."""
    found = {r.check: r.effect.value for r in readings if r.effect is not None}
    if SURE not in found or "accuracy" not in found:
        return None
    return -found[SURE] >= found["accuracy"] / 2


def _coverage(of: Subject, cohorts: Cohorts, known: Known, tally: Tally) -> list[str]:
    if not cohorts.cells:
        return []
    pane_ms = of.settings.pane_s * 1000
    first, last = min(cohorts.cells), max(cohorts.cells) + pane_ms
    made = f"of predictions made from {rfc3339(first)[:10]} to {rfc3339(last)[:10]}"
    if known.predictions:
        return [f"truth for {tally.n:,} {made}, {known.predictions:,} in all"]
    return [f"truth for {tally.n:,} {made}"]


def detector_evaluation(of: Subject, watched: Watched, pulses: list[Pulse]) -> Evaluation:
    """A detector's pulses up to the end of a window."""
    reading = detector_reading(watched, pulses)
    role = {"error": (None, None, True), "score": (None, True, None)}
    inputs, outputs, quality = role.get(watched.settings.signal, (True, None, None))
    if not pulses:
        inputs, outputs, quality = None, None, None
    at = (pulses[-1].index,) if pulses else ()
    return Evaluation(
        id=of.id("evaluation", watched.cause, *at),
        time=rfc3339(of.end_ms),
        model=of.model,
        version=of.version,
        subject="detectors",
        window=of.window(),
        rows=watched.detector.n,
        readings=[reading],
        verdict=judge(inputs, outputs, quality),
        notes=[f"started afresh: {watched.rebuilt}"] if watched.rebuilt else [],
    )


def detector_reading(watched: Watched, pulses: list[Pulse]) -> Reading:
    """A detector's state in words; it moved where there are pulses."""
    name, signal = watched.settings.name, watched.settings.signal
    what = "the errors" if signal == "error" else "the scores" if signal == "score" else signal
    if pulses:
        last = pulses[-1]
        reason = f"{name} saw {what} change at value {last.index:,}, {rfc3339(last.time_ms)}"
    else:
        reason = f"{name} saw no change in {what}"
    return Reading(
        check=name,
        subject=signal,
        role="detector",
        statistic=float(len(pulses)),
        n=watched.detector.n,
        verdict="moved" if pulses else "ok",
        reason=reason,
        details={
            "indices": [p.index for p in pulses[-10:]],
            "times": [rfc3339(p.time_ms) for p in pulses[-10:]],
            "skipped": watched.detector.skipped,
        },
    )


def by_cause(readings: list[Reading], suffix: str) -> Mapping[str, Reading]:
    """Readings that may become alerts, by cause. suffix tells windows of one model apart."""
    roles = {"input": "input", "output": "output", "quality": "quality", "data": "data"}
    return {
        f"{roles[r.role]}:{r.subject}{suffix}": r
        for r in readings
        if r.role in roles and r.check != SURE
    }
