"""Signs: what online detectors have seen, as evaluations."""

import dataclasses

import msgspec

from stream import figures
from stream.events import Detail, Evaluation, Reading
from stream.pulses import PulseLaw
from stream.settings import MONTH_S
from stream.stamps import span, stamp
from stream.subjects import Subject
from stream.tracks import Pulse, Watched
from stream.verdicts import Moved, early_sign, usual_sign

SIGNALS = {"error": "the errors", "score": "the scores"}
KEPT = 10  # pulses named in a reading
MOVED: dict[str, tuple[Moved, Moved, Moved]] = {
    "error": (None, None, True),
    "score": (None, True, None),
}


def pulse_evaluation(of: Subject, watched: Watched, since_ms: int) -> Evaluation:
    """A detector's pulses, where the newest one ends the window.

    since_ms: of the first pulse of those that follow each other while each is evidence.
    """
    last = watched.pulses[-1]
    seen = MOVED.get(watched.settings.signal, (True, None, None))
    reason = (
        f"{watched.settings.name} saw {_signal(watched)} change at value {last.index:,}, "
        f"{stamp(last.time_ms)}"
    )
    if since_ms < last.time_ms:
        reason += f"; in drift since {stamp(since_ms)}"
    more: dict[str, Detail] = {
        "in_drift_since": stamp(since_ms),
        "evidence_s": of.settings.evidence_s,
    }
    reading = _reading(watched, watched.pulses, reason, more)
    return _evaluation(of, watched, reading, seen, last.index)


def silence_evaluation(of: Subject, watched: Watched) -> Evaluation:
    """A window of `evidence_s` without a pulse."""
    reason = f"{watched.settings.name} on {_signal(watched)}: {silence(of)}"
    reading = _reading(watched, [], reason, {})
    return _evaluation(of, watched, reading, (None, None, None))


def silence(of: Subject) -> str:
    """Why a detector's alert resolves."""
    return f"no pulse for {span(of.settings.evidence_s)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """Pulses in a window of so many rows, and what is known of chance. level: to judge them at."""

    pulses: int
    rows: int
    law: PulseLaw
    level: float


def count_evaluation(of: Subject, watched: Watched, count: Count) -> Evaluation:
    """The pulses of a window of `evidence_s`, by their number."""
    p = count.law.p_value(count.pulses, count.rows)
    sure, usual = p <= count.level, count.law.expected(count.rows)
    times = figures.number(usual)
    reason = (
        f"{watched.settings.name} fired {count.pulses:,} times on {_signal(watched)} in "
        f"{span(of.settings.evidence_s)}, {times} are usual; "
    )
    a_month = p * MONTH_S / of.settings.pane_s
    reason += f"chance does as much {figures.months(a_month)}" if sure else "this may be chance"
    more: dict[str, Detail] = {
        "usual": usual,
        "by_chance_a_month": a_month,
        "evidence_s": of.settings.evidence_s,
    }
    times_ms = [x for x in watched.pulses if of.start_ms <= x.time_ms < of.end_ms]
    reading = msgspec.structs.replace(
        _reading(watched, times_ms, reason, more),
        statistic=float(count.pulses),
        p_value=p,
        level=count.level,
        verdict="moved" if sure else "ok",
    )
    seen = MOVED.get(watched.settings.signal, (True, None, None))
    found = _evaluation(of, watched, reading, seen if sure else (None, None, None), "count")
    return found if sure else msgspec.structs.replace(found, verdict=usual_sign())


def in_drift(watched: Watched, since_ms: int) -> str:
    """What an evaluation of a window says of a detector whose pulse is still evidence."""
    return f"{watched.settings.name} on {_signal(watched)}: in drift since {stamp(since_ms)}"


def _signal(watched: Watched) -> str:
    return SIGNALS.get(watched.settings.signal, watched.settings.signal)


def _evaluation(
    of: Subject,
    watched: Watched,
    reading: Reading,
    moved: tuple[Moved, Moved, Moved],
    *index: int | str,
) -> Evaluation:
    return Evaluation(
        id=of.id("evaluation", watched.cause, *index),
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        subject="detectors",
        window=of.window(),
        rows=watched.detector.n,
        readings=[reading],
        verdict=early_sign(*moved),
        notes=_notes(watched),
    )


def _notes(watched: Watched) -> list[str]:
    notes = [f"started afresh: {watched.rebuilt}"] if watched.rebuilt else []
    one = watched.detector
    plain = one.settings.raw or one.kind.binary or one.settings.signal == "score"
    if watched.scale is None and not plain:
        notes.append(
            f"not standardised: mean and deviation of {_signal(watched)} are not known from a "
            "reference"
        )
    if one.share < 1.0:
        notes.append(
            f"a sample of the values: one in {figures.number(1 / one.share)}, by the hashes of ids,"
            f" for {one.settings.name} takes {one.cost_us:,.0f} microseconds a value and "
            f"{one.cost_us * one.share:,.3g} are allowed in the mean (`cost_us`)"
        )
    if watched.left_out:
        most = watched.ration.per_s
        notes.append(
            f"a sample of the values: {watched.left_out:,} were left out so far, as of a second "
            f"that follows one of more than {most:,} no more than {most:,} are taken"
        )
    return notes


def _reading(
    watched: Watched, pulses: list[Pulse], reason: str, more: dict[str, Detail]
) -> Reading:
    return Reading(
        check=watched.settings.name,
        subject=watched.settings.signal,
        role="detector",
        statistic=float(len(pulses)),
        n=watched.detector.n,
        verdict="moved" if pulses else "ok",
        reason=reason,
        details=_details(watched, pulses[-KEPT:]) | more,
    )


def _details(watched: Watched, pulses: list[Pulse]) -> dict[str, Detail]:
    found: dict[str, Detail] = {
        "indices": [p.index for p in pulses],
        "times": [stamp(p.time_ms) for p in pulses],
        "values": [p.value for p in pulses],
        "skipped": watched.detector.skipped,
    }
    if watched.detector.share < 1.0:
        found["share_taken"] = watched.detector.share
    return found | ({"left_out": watched.left_out} if watched.left_out else {})
