"""Retrainings: what became of a request to retrain, as an evaluation and in words."""

from stream.evaluations import level_of
from stream.events import Evaluation, Kept, Promised, Reading, Retrained
from stream.gradings import UNCALIBRATED, inflation_of
from stream.intervals import Inflation
from stream.promises import Promise, overall
from stream.quality import metrics_of
from stream.references import Reference
from stream.settings import ModelSettings
from stream.stamps import stamp
from stream.subjects import Subject
from stream.trials import ALL, Claim, Trial, evaluation_id
from stream.verdicts import CLOSED, closed
from stream.weights import weighted

CHECK = "retraining"
FAILED = CLOSED["did-not"].kind
OPENINGS: dict[Kept, str] = {
    "worked": "retraining worked",
    "did-not": "retraining did not work",
    "not-known": "whether retraining worked is not known",
}
NOTHING = "nothing it was asked for can be measured"


def retrained_evaluation(
    of: Subject, trial: Trial, until_ms: int, reference: Reference | None
) -> Evaluation:
    """What a trial came to. until_ms: the end of the predictions that are compared."""
    promises = _promises(of.settings, trial, until_ms, reference)
    held = [promise.held() for promise in promises]
    kept = overall(held)
    said = _said(of, trial, kept, held)
    apart = [] if any(p.inflation for p in promises) or not held else [UNCALIBRATED]
    return Evaluation(
        id=evaluation_id(of.model, of.version, trial.asked.request_id),
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        reference_id=reference.id if reference else None,
        subject="quality",
        window=of.window(),
        rows=trial.labelled,
        readings=[],
        verdict=closed(kept),
        notes=[said, *apart],
        retrained=_retrained(of, trial, until_ms, said, held),
    )


def _retrained(
    of: Subject, trial: Trial, until_ms: int, said: str, held: list[Promised]
) -> Retrained:
    return Retrained(
        request_id=trial.asked.request_id,
        replaces=trial.asked.version,
        verdict=overall(held),
        reason=said,
        start=stamp(of.start_ms),
        end=stamp(until_ms),
        predictions=trial.predictions,
        labelled=trial.labelled,
        metrics=held,
    )


def _promises(
    settings: ModelSettings, trial: Trial, until_ms: int, reference: Reference | None
) -> list[Promise]:
    metrics, found = metrics_of(settings), []
    claims = [claim for claim in trial.asked.claims if claim.metric in metrics]
    for claim in claims:
        strata = trial.outcomes.get(claim.segment)
        tally = weighted(strata) if strata else None
        rows = tally.counted().n if tally is not None else 0
        inflation = _inflation(settings, trial, until_ms, claim, reference, rows)
        of = claim, metrics[claim.metric], tally, settings
        found.append(Promise(*of, level_of(settings), len(claims), inflation))
    return found


def _inflation(
    settings: ModelSettings,
    trial: Trial,
    until_ms: int,
    claim: Claim,
    reference: Reference | None,
    rows: int,
) -> Inflation | None:
    """That of the longest window that the reference is calibrated for."""
    assert trial.start_ms is not None
    own = reference
    if reference is not None and claim.segment != ALL:
        own = reference.segments.get(claim.segment)
    for window_s in sorted(settings.windows_s, reverse=True):
        dense = rows * window_s * 1000 // max(1, until_ms - trial.start_ms)
        found = inflation_of(own, settings, claim.metric, window_s, dense)
        if found is not None:
            return found
    return None


def _said(of: Subject, trial: Trial, kept: Kept, held: list[Promised]) -> str:
    asked = trial.asked
    about = f"version {of.version}, asked for by {asked.request_id} in place of {asked.version}"
    told = "; ".join(one.reason for one in held) or NOTHING
    return f"{OPENINGS[kept]} ({about}): {told}"


def retrained_reading(found: Evaluation) -> Reading:
    """The same for an alert, where retraining did not work."""
    told = found.retrained
    assert told
    worst = next(one for one in told.metrics if one.verdict == "did-not")
    return Reading(
        check=CHECK,
        subject=CHECK,
        role="quality",
        statistic=worst.now.value if worst.now else None,
        n=told.labelled,
        verdict="moved",
        reason=told.reason,
        details={
            "request_id": told.request_id,
            "replaces": told.replaces,
            "metrics": [one.metric for one in told.metrics if one.verdict == "did-not"],
        },
    )


def told_before(of: Subject, trial: Trial) -> Evaluation:
    """What a notice of a trial refers to when it ends; published before."""
    return Evaluation(
        id=evaluation_id(of.model, of.version, trial.asked.request_id),
        time=stamp(of.end_ms),
        model=of.model,
        version=of.version,
        subject="quality",
        window=of.window(),
        rows=0,
        readings=[],
        verdict=closed("did-not"),
    )
