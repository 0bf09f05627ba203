"""Remarks: evaluations of a window in which nothing is compared, and why nothing is."""

from typing import Literal

from stream.events import Evaluation, Reading, Verdict
from stream.seasons import REPAIR
from stream.stamps import stamp
from stream.subjects import Subject
from stream.verdicts import judge, labelling, silent


def unreferenced_evaluation(of: Subject, rows: int, needed: int, *, made: bool) -> Evaluation:
    """What can be said of a window while no reference is known.

    made: whether the rows up to the end of this window have just become the reference.
    """
    note = f"no reference is registered: {rows:,} rows collected so far; "
    if of.settings.seasonality != "none":
        note = f"no reference is registered; seasonality = {of.settings.seasonality}: {REPAIR}"
    elif made:
        note += "from the end of this window on they stand for one"
    else:
        note += (
            f"the first {needed:,} become the reference, unless `driftline reference` registers one"
        )
    return unjudged_evaluation(of, rows, note)


def unjudged_evaluation(of: Subject, rows: int, note: str) -> Evaluation:
    """A window that nothing can be compared with, and why."""
    identity = of.id("evaluation", "inputs")
    return _remark(of, identity, "inputs", rows, judge(None, None, None), note=note)


def silence_evaluation(of: Subject, reference_id: str | None, reading: Reading) -> Evaluation:
    """What is said of a window without rows, of a model that usually has some.

    Rows of this window may come after all; so it has an id of its own.
    """
    identity = of.id("evaluation", "inputs", "silence")
    return _remark(of, identity, "inputs", 0, silent(), reference_id, reading)


def labelling_evaluation(of: Subject, reference_id: str | None, reading: Reading) -> Evaluation:
    """What is said of how truth came in a time that is no window of the settings."""
    identity = of.id("evaluation", "quality", reading.check)
    verdict = labelling(reading.check) if reading.verdict == "moved" else judge(None, None, None)
    return _remark(of, identity, "quality", reading.n, verdict, reference_id, reading)


def _remark(
    of: Subject,
    identity: str,
    subject: Literal["inputs", "quality"],
    rows: int,
    verdict: Verdict,
    reference_id: str | None = None,
    reading: Reading | None = None,
    note: str = "",
) -> Evaluation:
    return Evaluation(
        id=identity,
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        reference_id=reference_id,
        subject=subject,
        window=of.window(),
        rows=rows,
        readings=[reading] if reading else [],
        verdict=verdict,
        notes=[note] if note else [],
    )
