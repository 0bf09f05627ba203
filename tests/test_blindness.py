import dataclasses

import numpy as np
import pytest

from stream.blindness import GAP, gaps
from stream.cohorts import Cohorts
from stream.columns import Floats, Ints, column_of
from stream.evaluations import Known, quality_evaluation
from stream.events import Reading
from stream.gradings import provisional
from stream.odds import odds_of
from stream.outcomes import outcomes
from stream.references import Reference
from stream.settings import ModelSettings
from stream.subjects import Subject
from stream.tallies import Tally
from tests.test_estimates import REFERENCE, block, scores, share, truth
from tests.test_estimates import reading as estimate

HOUR_MS = 3_600_000
SETTINGS = ModelSettings()


def tally(p: Floats, labels: Ints) -> Tally:
    found, answers = Tally(), (p > 0.5).astype(np.float64)
    found.update(
        outcomes(column_of(labels.astype(np.float64)), column_of(answers), (("1",), p[:, None]))
    )
    return found


def cohorts(*parts: Tally) -> Cohorts:
    return Cohorts({i * HOUR_MS: part for i, part in enumerate(parts)})


def gap(
    found: Cohorts, settings: ModelSettings = SETTINGS, reference: Reference = REFERENCE
) -> Reading:
    (told,) = gaps(reference, found, found.total(), settings, 1e-4, 3_600)
    return told


def test_labels_that_say_what_was_expected_leave_no_gap() -> None:
    p = scores(5_000, 3)
    told = gap(cohorts(tally(p, truth(p, 4))))
    assert told.verdict == "ok"
    assert told.details["trusted"] == "yes"
    assert told.reason.endswith("no gap beyond chance")


def test_a_change_that_scores_do_not_know_makes_the_estimate_untrustworthy() -> None:
    """A third of the labels is the other one: the scores stay as they were."""
    p = scores(5_000, 3)
    labels = np.where(np.arange(5_000) % 3 == 0, 1 - truth(p, 4), truth(p, 4))
    told = gap(cohorts(tally(p, labels)))
    assert told.verdict == "moved"
    assert told.details["trusted"] == "no"
    assert "the estimate is not to be trusted" in told.reason
    realised = ((p > 0.5) == labels).mean()
    assert told.details["realised"] == pytest.approx(realised, abs=1e-12)
    low, high = told.details["low"], told.details["high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert told.statistic is not None
    assert low < told.statistic < high


def test_an_estimate_that_is_too_low_is_not_to_be_trusted_either() -> None:
    p = scores(5_000, 3)
    told = gap(cohorts(tally(p, (p > 0.5).astype(np.int64))))
    assert told.verdict == "moved"
    assert told.statistic is not None
    assert told.statistic < 0


def test_what_was_estimated_is_what_the_window_of_the_predictions_said() -> None:
    """By cells of a fixed grid here, by the reference's own edges there."""
    p = scores(5_000, 3, doubt=0.2)
    told = gap(cohorts(tally(p, truth(p, 4))))
    assert told.details["estimated"] == pytest.approx(estimate(share(block(p))).statistic, abs=2e-3)


def test_the_gap_is_told_by_cohort() -> None:
    p = scores(3_000, 3)
    good, bad = tally(p, truth(p, 4)), tally(p, 1 - truth(p, 4))
    few = tally(p[:50], truth(p[:50], 4))
    told = gap(cohorts(good, bad, few)).details
    assert told["cohorts"] == ["1970-01-01T00:00:00.000Z", "1970-01-01T01:00:00.000Z"]
    estimated, realised = told["cohorts_estimated"], told["cohorts_realised"]
    assert isinstance(estimated, list)
    assert isinstance(realised, list)
    assert estimated[0] == estimated[1]
    assert float(str(realised[0])) == pytest.approx(1 - float(str(realised[1])))


def test_small_gaps_few_labels_and_chance_are_not_blindness() -> None:
    p = scores(5_000, 3)
    wrong = tally(p, 1 - truth(p, 4))
    few = tally(p[:60], 1 - truth(p[:60], 4))
    coarse = dataclasses.replace(SETTINGS, effect_floor_estimate=0.9)
    assert gap(cohorts(wrong), coarse).verdict == "small"
    assert gap(cohorts(few)).verdict == "not-enough-data"
    assert gap(cohorts(few)).details["trusted"] == "not known"


@pytest.mark.parametrize(("judged", "trusted"), [(False, "not known"), (True, "no")])
def test_provisional_labels_tell_nothing_of_trust(judged: bool, trusted: str) -> None:
    p = scores(5_000, 3)
    (found,) = provisional([gap(cohorts(tally(p, 1 - truth(p, 4))))], judged=judged)
    assert found.details["trusted"] == trusted
    assert found.reason.startswith("provisional")


def test_nothing_is_said_where_nothing_is_estimated() -> None:
    p = scores(500, 3)
    found = cohorts(tally(p, truth(p, 4)))
    plain = dataclasses.replace(REFERENCE, odds=None)
    off = ModelSettings(estimate="off")
    assert gaps(REFERENCE, found, found.total(), off, 1e-4, 3_600) == []
    assert gaps(plain, found, found.total(), SETTINGS, 1e-4, 3_600) == []
    assert gaps(None, found, found.total(), SETTINGS, 1e-4, 3_600) == []
    assert gaps(REFERENCE, Cohorts(), Tally(), SETTINGS, 1e-4, 3_600) == []


def test_any_split_and_order_of_outcomes_gives_the_same_gap() -> None:
    p = scores(600, 3)
    labels = truth(p, 4)
    whole = cohorts(tally(p, labels))
    parts = [cohorts(tally(p[a::3], labels[a::3])) for a in (2, 0, 1)]
    merged = Cohorts.merged(Cohorts.from_bytes(part.to_bytes()) for part in parts)
    assert gap(merged) == gap(whole)


def test_of_many_classes_the_mean_confidence_is_held_against_the_labels() -> None:
    """A reference whose confidence is 0.1 too high is no gap; one of 0.3 is."""
    rng = np.random.default_rng(5)
    names, rows = ("a", "b", "c"), 20_000
    sure = rng.uniform(0.6, 1.0, rows)
    matrix = np.column_stack([sure, (1 - sure) / 2, (1 - sure) / 2])
    everywhere = np.ones(rows, dtype=np.bool_)
    right = rng.random(rows) < sure - 0.1
    odds = odds_of("answer", sure, everywhere, right, everywhere)
    known = dataclasses.replace(REFERENCE, odds=odds)

    def live(less: float) -> Cohorts:
        hits = rng.random(rows) < sure - less
        found = Tally()
        labels = column_of([names[0] if hit else names[1] for hit in hits])
        found.update(outcomes(labels, column_of([names[0]] * rows), (names, matrix)))
        return cohorts(found)

    assert gap(live(0.1), reference=known).verdict == "ok"
    told = gap(live(0.3), reference=known)
    assert told.verdict == "moved"
    assert told.statistic == pytest.approx(0.2, abs=0.02)


def test_a_gap_is_in_the_evaluation_and_is_no_fall_of_quality_by_itself() -> None:
    p = scores(5_000, 3)
    found = cohorts(tally(p, (p > 0.5).astype(np.int64)))
    of = Subject("m", "1", SETTINGS, 0, HOUR_MS)
    told = quality_evaluation(of, REFERENCE, found, Known())
    assert [r.verdict for r in told.readings if r.check == GAP] == ["moved"]
    assert told.verdict.quality is not True
