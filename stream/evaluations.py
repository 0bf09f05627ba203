"""Evaluations: all readings of one window, judged together and put into an event."""

import dataclasses

import msgspec

from stream import (
    blindness,
    comparisons,
    disparities,
    effects,
    estimates,
    figures,
    gradings,
    judgements,
    mismatches,
    rankings,
    scorecards,
    sections,
    soundness,
)
from stream.checks import check_share
from stream.cohorts import Cohorts
from stream.coverage import coverage, provisional
from stream.events import Evaluation, Labels, Reading, Verdict
from stream.gradings import SURE, graded
from stream.leisure import ALWAYS, Leisure
from stream.reaches import Reach
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.rivals import beside_others
from stream.settings import ModelSettings, Task
from stream.stamps import stamp
from stream.subjects import Subject
from stream.tallies import Tally
from stream.traffic import Traffic, traffic_readings
from stream.verdicts import Moved, judge
from stream.windows import Merged

TAKEN_BACK = "not measured: truth of earlier windows was taken back or corrected in this one"
UNJUDGED = ("not-enough-data", "no-reference")


def level_of(settings: ModelSettings) -> float:
    """The family-wise level of one evaluation.

    Half of the budget goes to the inputs, half to quality, each shared out over the evaluations
    of a month; `significance` is its ceiling.
    """
    a_half = settings.false_alarms_per_month / 2
    return min(settings.significance, a_half / settings.evaluations_a_month)


def moved(readings: list[Reading], roles: tuple[str, ...]) -> Moved:
    """Whether any reading of these roles moved; None where none could be judged."""
    verdicts = [r.verdict for r in readings if r.role in roles]
    known = [v for v in verdicts if v not in UNJUDGED]
    return any(v == "moved" for v in known) if known else None


def inputs_evaluation(
    of: Subject,
    reference: Reference,
    merged: Merged,
    first_of_ms: int | None = None,
    leisure: Leisure = ALWAYS,
    traffic: Traffic | None = None,
    reach: Reach | None = None,
    learnt: Learnt | None = None,
) -> Evaluation:
    """The periodic checks of a window's features and outputs. Raises leisure's Interrupted.

    first_of_ms: where the reference is the model's own first rows, the time up to which.
    traffic: what is known of the number of rows. reach: of `merged`; no further than the window
    unless given. learnt: what scores mean, where it is not what the reference says.
    """
    reach = reach or Reach(of.window_s, of.window_s)
    readings, own = _of_inputs(of, reference, merged, leisure, traffic, reach, learnt)
    by_segment = sections.of_inputs(reference, merged.share, of.settings, learnt)
    apart = disparities.of_inputs(reference, merged.share, of.settings, reach.window_s)
    promised = reach.told(disparities.readings(apart, of.settings, of.window_s))
    return Evaluation(
        id=of.id("evaluation", "inputs"),
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        reference_id=reference.id,
        subject="inputs",
        window=of.window(),
        rows=reach.rows if reach.further else merged.share.rows,
        readings=[*readings, *promised],
        verdict=_verdict_of_inputs(readings, own),
        segments=own,
        disparities=disparities.events(apart),
        by_segment=sections.told(by_segment),
        notes=[
            *_of_first_rows(first_of_ms),
            *reach.notes(reference, of.settings),
            *_left_out(merged),
            *comparisons.notes(reference, merged.share, of.settings),
            *sections.notes(by_segment),
            *disparities.notes(reference, of.settings),
            *judgements.notes(reference, of.settings),
            *effects.notes(of.settings.effect_floors, _called(reference)),
        ],
    )


def _of_inputs(
    of: Subject,
    reference: Reference,
    merged: Merged,
    leisure: Leisure,
    traffic: Traffic | None,
    reach: Reach,
    learnt: Learnt | None,
) -> tuple[list[Reading], list[Reading]]:
    """The readings of all rows, and those of segments."""
    level = level_of(of.settings) * judgements.beside(reference, of.settings)
    compared = (reference, merged.share, level, of.settings, leisure, reach.window_s)
    readings = reach.told(check_share(*compared, merged.against))
    readings += traffic_readings(traffic, of.settings) if traffic else []
    part = level * judgements.ESTIMATE / 2
    readings += estimates.estimated(reference, merged.share, of.settings, part, of.window_s, learnt)
    return readings, reach.told(comparisons.compared(*compared, merged.against))


def _verdict_of_inputs(readings: list[Reading], own: list[Reading]) -> Verdict:
    """own: readings of segments."""
    everything = [*readings, *own]
    inputs = moved(soundness.without_notices(everything), ("input", "data"))
    data = moved(soundness.faults(everything), ("data",))
    verdict = judge(inputs, moved(everything, ("output",)), None, incident=data)
    return _told(verdict, comparisons.alone(readings, own))


def _told(verdict: Verdict, alone: str) -> Verdict:
    """A verdict with which segments alone it is about, where there are such."""
    said = f"{verdict.meaning} {alone}" if alone else verdict.meaning
    return msgspec.structs.replace(verdict, meaning=said)


def burning_in(found: Evaluation, until_ms: int) -> Evaluation:
    """The same in a version's burn-in: it says that nobody is told."""
    until = f"burn-in until {stamp(until_ms)}: nobody is told"
    action = f"{until[0].upper()}{until[1:]}. {found.verdict.action}"
    verdict = msgspec.structs.replace(found.verdict, action=action)
    return msgspec.structs.replace(found, verdict=verdict, notes=[until, *found.notes])


def _called(reference: Reference) -> set[str]:
    """What features and outputs are called in the settings."""
    outputs = {effects.key(name, "output") for name in reference.outputs}
    return {*reference.features, *reference.vectors.elements} | outputs


def _of_first_rows(first_of_ms: int | None) -> list[str]:
    if first_of_ms is None:
        return []
    return [
        f"no reference was registered: the model's own rows before {stamp(first_of_ms)} stand for "
        "one, so what was wrong by then is not seen"
    ]


def _left_out(merged: Merged) -> list[str]:
    notes = []
    if merged.other:
        notes.append(f"{merged.other:,} rows counted against another reference are left out")
    if merged.sampled > merged.share.rows:
        notes.append(f"of {merged.sampled:,} rows a sample of {merged.share.rows:,} is compared")
    if merged.gone:
        notes.append(f"{merged.gone:,} rows are left out: their counts were not kept that long")
    notes += merged.against.notes() if merged.against else []
    if merged.share.unknown:
        names = figures.listed(sorted(merged.share.unknown), 5)
        notes.append(f"not in the reference and not checked: {names}")
    return notes


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What else is known when quality is evaluated.

    inputs, outputs: of the newest window up to this one's end. predictions: made in the panes
    that the outcomes are of; 0 where not all of those panes are remembered. gone: rows of the
    window whose outcomes were not kept. labels: how the truth has come. learnt: what scores mean,
    where it is not what the reference says.
    """

    inputs: Moved = None
    outputs: Moved = None
    predictions: int = 0
    task: Task = "auto"
    gone: int = 0
    labels: Labels | None = None
    learnt: Learnt | None = None


def quality_evaluation(
    of: Subject, reference: Reference | None, cohorts: Cohorts, known: Known
) -> Evaluation:
    """The metrics over outcomes that became known in a window.

    Where more was taken back than the window itself brought, it has no metrics.
    """
    tally = cohorts.total()
    window_s = of.window_s
    beside = beside_others(of, reference, cohorts, known.task)
    sound = tally.sound()
    cohorts, tally = (cohorts, tally) if sound else (Cohorts(), Tally())
    level = level_of(of.settings) * judgements.beside(reference, of.settings)
    level *= judgements.of_outcomes(of.settings)
    rest = 1 - judgements.ESTIMATE if judgements.estimated(reference, of.settings) else 1
    readings = graded(of.settings, reference, tally, known.task, level * rest, window_s)
    tallies = sections.tallies(reference, cohorts, of.settings)
    own = comparisons.graded_apart(reference, tallies, level, of.settings, known.task, window_s)
    figures_apart = sections.of_quality(
        reference, cohorts, tallies, of.settings, known.task, window_s, own, known.learnt
    )
    part = level * judgements.ESTIMATE / 2
    gaps = blindness.gaps(reference, cohorts, tally, of.settings, part, window_s, known.learnt)
    apart = disparities.of_quality(reference, cohorts, of.settings, window_s, known.task)
    gaps += disparities.readings(apart, of.settings, window_s)
    if sound and known.labels is not None and known.labels.provisional:
        readings, gaps, own = (
            gradings.provisional(some, judged=of.settings.judge_provisional)
            for some in (readings, gaps, own)
        )
    return Evaluation(
        id=of.id("evaluation", "quality"),
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        reference_id=reference.id if reference else None,
        subject="quality",
        window=of.window(),
        rows=tally.counted().n,
        readings=[*readings, *gaps],
        verdict=_verdict_of_quality(known, readings, own),
        segments=own,
        notes=[
            *_coverage(of, cohorts, known, tally),
            *([] if sound else [TAKEN_BACK]),
            *disparities.notes_of_control(apart),
            *sections.notes(figures_apart),
            *gradings.notes(reference, readings),
            *rankings.notes(tally),
            *mismatches.notes(tally, known.task, of.settings.positive),
            *(beside.notes if beside else []),
        ],
        labels=known.labels,
        metrics=scorecards.measured(of.settings, reference, tally, known.task, window_s),
        confusion=scorecards.confused(tally, known.task),
        tenths=scorecards.by_score(tally),
        disparities=disparities.events(apart),
        by_segment=sections.told(figures_apart),
        beside=beside.contests if beside else msgspec.UNSET,
    )


def _verdict_of_quality(known: Known, readings: list[Reading], own: list[Reading]) -> Verdict:
    """own: readings of segments."""
    whole = [r for r in readings if r.check != SURE]
    quality = moved([*whole, *own], ("quality",))
    sure, worse = _confidence_moved(readings), _fell([*whole, *own])
    verdict = judge(known.inputs, known.outputs, quality, sure, fell=worse)
    return _told(verdict, comparisons.alone(whole, own))


def _confidence_moved(readings: list[Reading]) -> Moved:
    """Whether the model's confidence followed its accuracy: it fell by half as much, or more.

    None where accuracy did not fall, or confidence is not known.
    """
    found = {r.check: r.effect.value for r in readings if r.effect is not None}
    if SURE not in found or found.get("accuracy", 0.0) <= 0.0:
        return None
    return -found[SURE] >= found["accuracy"] / 2


def _fell(readings: list[Reading]) -> Moved:
    """Whether any metric that moved is worse than in the reference beyond chance.

    None where none of them can be compared: then an objective alone says that it is bad.
    """
    found = [r for r in readings if r.verdict == "moved"]
    known = [(r.p_value, r.level) for r in found if r.p_value is not None and r.level is not None]
    return any(p < level or p == 0.0 for p, level in known) if known else None


def _coverage(of: Subject, cohorts: Cohorts, known: Known, tally: Tally) -> list[str]:
    notes = coverage(cohorts, tally, known.predictions, of.settings.pane_s * 1000)
    if known.gone:
        notes.append(f"{known.gone:,} rows are left out: their counts were not kept that long")
    if known.labels is not None and known.labels.provisional:
        notes.append(provisional(known.labels))
    return notes
