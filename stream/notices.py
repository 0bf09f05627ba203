"""Notices: alerts and retrain requests as events, in words a person can act on."""

import dataclasses
from collections.abc import Sequence

from stream import figures
from stream.alerts import Transition
from stream.causes import LET_GO
from stream.comparisons import words
from stream.events import (
    Alert,
    Data,
    Evaluation,
    OffsetRange,
    Part,
    Reading,
    RetrainRequest,
    Sureness,
    Verdict,
    event_id,
)
from stream.reaches import LOOKS_BACK
from stream.sources import Source
from stream.stamps import span, stamp
from stream.subjects import Subject
from stream.verdicts import ADVICE, BELOW, sort_of

RESOLVED_MEANING = "What had moved is back within what the reference allows."
RESOLVED_ACTION = "Nothing to do. If nobody changed anything, find out what did."
# of alerts that end though nothing shows that all is well
UNSEEN = (
    "The change is not seen any more, which does not show that it is over: as few rows as there "
    "are now could not tell it from chance.",
    "Look at the figures of the next windows before you take it for over.",
)
DROPPED = (
    "It is not looked at any more: the settings or the reference are others.",
    "Nothing to do.",
)
# of alerts that end by themselves, by check
ENDS = {"retraining": ("It was told; nothing that came later could make it untrue.", "See above.")}
PAGED = ("quality", "groups")  # alerts that wake somebody: quality fell, or a promise is broken
NAMED = 3  # parts named in a summary beside the first
MOST_PARTS = 100  # of an alert: more would not fit a message


def alert(
    of: Subject,
    cause: str,
    since_ms: int,
    change: Transition,
    parts: Sequence[Part],
    evaluation: Evaluation,
    owner: str | None,
) -> Alert:
    """One change of state of a cause. Its id depends on what changed when, on no figure.

    parts: at least one; the first speaks for all of them. Of more than MOST_PARTS the rest is
    counted alone.
    """
    reading = parts[0].reading
    resolved = change.change == "resolved" and reading.role != "detector"
    verdict = evaluation.verdict
    meaning, action = _ending(reading) if resolved else _advice(reading, verdict)
    return Alert(
        id=of.id("alert", cause, change.change),
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        cause=cause,
        state=change.change,
        previous=change.previous,
        reason=change.reason,
        since=stamp(since_ms),
        severity="page" if sort_of(reading) in PAGED and not of.challenges else "notice",
        summary=_summary(of, change, parts),
        how_sure=_sureness(reading),
        meaning=meaning,
        action=action,
        owner=owner,
        window=of.window(),
        reading=reading,
        verdict=verdict,
        evaluation_id=evaluation.id,
        parts=list(parts[:MOST_PARTS]),
        others=max(0, len(parts) - MOST_PARTS),
    )


def _sureness(r: Reading) -> Sureness:
    return Sureness(p_value=r.p_value, level=r.level, effect=r.effect, n=r.n)


def _advice(reading: Reading, verdict: Verdict) -> tuple[str, str]:
    return ADVICE.get(reading.check, (verdict.meaning, verdict.action))


def _ending(reading: Reading) -> tuple[str, str]:
    """What it means that an alert ends, and what to do."""
    if reading.check in ENDS:
        return ENDS[reading.check]
    if LET_GO in reading.details:
        return DROPPED
    unseen = reading.verdict in ("insignificant", "not-enough-data") and not _small(reading)
    return UNSEEN if unseen else (RESOLVED_MEANING, RESOLVED_ACTION)


def _small(reading: Reading) -> bool:
    """Whether what is left of a change would not matter."""
    effect = reading.effect
    return effect is not None and effect.floor is not None and effect.value < effect.floor


def _summary(of: Subject, change: Transition, parts: Sequence[Part]) -> str:
    """One line: whose, what, and over which window where the model has several."""
    reading = parts[0].reading
    whose = f"{of.model} {of.version}: "
    whose += "resolved: " if change.change == "resolved" else ""
    whose += "now also " if change.previous == change.change == "firing" else ""
    return f"{whose}{reading.reason}{_beside(parts)}{_window(of, reading)}"


def _window(of: Subject, reading: Reading) -> str:
    """Which of several windows, and how far back it looks where that is further."""
    several = len(of.settings.windows_s) > 1 and reading.role != "detector"
    told = [f"window of {span(of.window_s)}"] if several else []
    back = reading.details.get(LOOKS_BACK)
    told += [f"looks back {span(back)}"] if isinstance(back, int) else []
    return f" ({', '.join(told)})" if told else ""


def _beside(parts: Sequence[Part]) -> str:
    """What else it is about, and how much each explains of it where that is known."""
    first, *others = parts
    if not others:
        return ""
    if first.share is None:
        names = [subject_of(part.reading) for part in others]
        return f"; with {figures.listed(names, NAMED)}"
    named, more = others[:NAMED], others[NAMED:]
    told = [f"{subject_of(part.reading)} {_points(part)}" for part in named]
    told += [f"{len(more)} more {_points(*more)}"] if more else []
    return f"; this is {_points(first)} of all that moved, {', '.join(told)}"


def subject_of(reading: Reading) -> str:
    """What a reading is of, in words: of a segment's rows, the segment too."""
    of = reading.segment
    return f"{reading.subject} of {words(of)}" if of else reading.subject


def _points(*parts: Part) -> str:
    return f"{sum(part.share or 0.0 for part in parts):.0%}"


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What a request rests on: readings of firing alerts, their ids, and where the data lies."""

    readings: Sequence[Reading]
    alert_ids: Sequence[str]
    data: Data
    labelled_rows: int
    reason: str


def retrain_request(
    of: Subject, told: Evidence, cause: Evaluation, owner: str | None
) -> RetrainRequest:
    """What is asked of a retraining system."""
    name = event_id("retrain-request", of.model, of.version, of.end_ms)
    deadline_ms = of.end_ms + of.settings.retrain_deadline_s * 1000
    return RetrainRequest(
        id=name,
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        reason=told.reason,
        evidence=list(told.readings),
        alert_ids=list(told.alert_ids),
        verdict=cause.verdict,
        data=told.data,
        labelled_rows=told.labelled_rows,
        priority="high" if _urgent(told.readings, cause.verdict) else "normal",
        deadline=stamp(deadline_ms),
        idempotency_key=name,
        owner=owner,
    )


def _urgent(readings: Sequence[Reading], verdict: Verdict) -> bool:
    """Whether quality has fallen, and much: a promise that was never kept can wait."""
    return verdict.kind != BELOW.kind and any(map(_grave, readings))


def _grave(reading: Reading) -> bool:
    """An objective is missed, or the loss is twice what matters."""
    goal, effect = reading.details.get("objective"), reading.effect
    missed = goal is not None and reading.verdict == "moved"
    return missed or (effect is not None and effect.value >= 2 * (effect.floor or 0.0))


def ranges(sources: dict[Source, tuple[int, int]]) -> list[OffsetRange]:
    """Source offsets as they stand in a request, in order."""
    return [
        OffsetRange(topic=topic, partition=partition, first=first, last=last)
        for (topic, partition), (first, last) in sorted(sources.items())
    ]
