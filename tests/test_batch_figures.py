"""Every figure of quality in evaluation events is the batch's, however predictions and truth come.

Whatever the order of arrival, the partitions, chunks, duplicates, revisions and crashes: what is
told of a window is what scikit-learn says of its predictions and their truth.
"""

import dataclasses
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from stream import rankings
from stream.events import CohortFigures, Evaluation
from stream.pipeline import Pipeline
from stream.quality import METRICS, MORE
from stream.scores import MANTISSA_BITS, cells, middles
from stream.stamps import stamp
from tests.formulas import CLASSES, Rows, expected_of, first_rows
from tests.histories import (
    END_MS,
    HORIZON_MS,
    LATE_MS,
    PANE_MS,
    PANES,
    SETTINGS,
    WHOLE_MS,
    Course,
    History,
    Kind,
    Pair,
    history,
    told,
)
from tests.tales import FOR_EVER_S, START_MS

COURSES = st.builds(
    Course,
    partitions=st.sampled_from((1, 2, 4)),
    sources=st.sampled_from((1, 3)),
    chunk=st.sampled_from((15, 40, 1_000)),
    seed=st.integers(0, 99),
    restarts=st.booleans(),
)
FOUND = (Phase.explicit, Phase.generate)  # a smaller seed is no smaller a history
KINDS: tuple[Kind, ...] = (*CLASSES, "numbers")
MANNERS = {  # of arrival: what is waited for, and how late it comes
    "in time": (LATE_MS / 1000, LATE_MS),
    "in any order": (FOR_EVER_S, 10**9),
    "late": (0.0, 2 * PANE_MS),
}
ROWS = 40


def mannered(course: Course, manner: str) -> Course:
    """The course where all arrives so."""
    lateness_s, most_late_ms = MANNERS[manner]
    return dataclasses.replace(course, lateness_s=lateness_s, most_late_ms=most_late_ms)


# what the events say


def last_of_each(
    pipeline: Pipeline, subject: str = "quality"
) -> dict[tuple[str, str, str], Evaluation]:
    """The last revision of each evaluation of a subject, by version and window."""
    found: dict[tuple[str, str, str], Evaluation] = {}
    for message in pipeline.published:
        if message.topic != "evaluations":
            continue
        one = msgspec.json.decode(message.value, type=Evaluation)
        at = one.version, one.window.start, one.window.end
        if one.subject == subject and (
            at not in found or one.window.revision > found[at].window.revision
        ):
            found[at] = one
    return found


def check(kind: Kind, found: Evaluation, pairs: Sequence[Pair]) -> None:
    """One evaluation against the batch."""
    expected = expected_of(kind, pairs)
    got = {name: m.value for name, m in found.metrics.items()}
    assert found.rows == len(pairs)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert all(
        m.low <= m.value + 1e-12 and m.value <= m.high + 1e-12 for m in found.metrics.values()
    )
    rows = Rows(pairs)
    sizes = {"accuracy": rows.answered, "mae": rows.answered, "log_loss": rows.scored}
    for name in sizes.keys() & got.keys():
        assert found.metrics[name].n == len(sizes[name].pairs)
    if kind != "numbers":
        _check_confusion(found, rows.answered)
        _check_tenths(kind, found, rows.scored)
    for reading in found.readings:
        if reading.statistic is not None:
            assert reading.statistic == pytest.approx(expected[reading.check], rel=1e-9, abs=1e-9)


def _check_confusion(found: Evaluation, rows: Rows) -> None:
    if not rows.pairs:
        assert found.confusion == []
        return
    names = sorted({*rows.y, *rows.a})
    table = oracle.confusion_matrix(rows.y, rows.a, labels=[*names, ""])
    wanted = {(names[i], names[j]): int(table[i, j]) for i, j in np.argwhere(table)}
    assert {(c.label, c.answer): c.n for c in found.confusion} == wanted


def _check_tenths(kind: Kind, found: Evaluation, rows: Rows) -> None:
    if "lift" not in found.metrics:
        assert found.tenths == []
        return
    positive = CLASSES[kind][1]
    y = np.array(rows.y) == positive
    p = middles()[cells(rows.probabilities([positive])[:, 0])]
    whole = [first_rows(y, p, len(y) * tenth / 10) for tenth in range(11)]
    assert [t.positives for t in found.tenths] == pytest.approx(np.diff(whole).tolist())
    assert [t.captured for t in found.tenths] == pytest.approx([n / y.sum() for n in whole[1:]])


def check_windows(kind: Kind, of: History, pipeline: Pipeline, *, late: bool = False) -> set[str]:
    """The windows of a pane and two of all panes, the first of them only where nothing was late.

    What comes after a window's end is told of the windows that end with its own pane.
    """
    known, names = last_of_each(pipeline), set[str]()
    panes = [("1", end - PANE_MS, end) for end in range(START_MS + PANE_MS, END_MS + 1, PANE_MS)]
    middle = END_MS - 2 * PANE_MS
    longer = [] if late else [("1", middle - WHOLE_MS, middle)]
    for version, start, end in (*panes, *longer, ("1", START_MS, END_MS), ("2", START_MS, END_MS)):
        pairs = of.pairs(version, start, end)
        one = known.get((version, stamp(start), stamp(end)))
        if one is None:  # nothing became known in its last pane
            assert not of.pairs(version, end - PANE_MS, end)
            continue
        check(kind, one, pairs)
        names |= {*one.metrics}
    return names


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=2, phases=FOUND)
@given(seed=st.integers(0, 10**6), course=COURSES)
def test_figures_are_the_batchs_however_they_come(
    kind: Kind, manner: str, seed: int, course: Course
) -> None:
    course = mannered(course, manner)
    found = history(kind, seed, ROWS)
    check_windows(kind, found, told(found, course, SETTINGS), late=manner == "late")


def test_no_metric_is_left_out() -> None:
    names = set[str]()
    for kind in KINDS:
        found = history(kind, 5, 3 * ROWS)
        names |= check_windows(kind, found, told(found, Course(2, 3, 80), SETTINGS))
    assert names == {*METRICS, *MORE}


def test_predictions_that_name_different_classes_are_not_ranked_and_that_is_said() -> None:
    found = history("three", 6, 2 * ROWS)
    other = [
        msgspec.structs.replace(p, probabilities=p.probabilities and p.probabilities | {"d": 0.0})
        for p in found.predictions[::2]
    ]
    mixed = History([*found.predictions[1::2], *other], found.truths)
    ones = [
        next(e for e in last_of_each(told(of, Course(), SETTINGS)).values() if e.rows == rows)
        for of, rows in ((of, len(of.pairs("1"))) for of in (found, mixed))
    ]
    assert ones[0].metrics.keys() - ones[1].metrics.keys() == {"auroc", "average_precision"}
    assert [rankings.UNTOLD in one.notes for one in ones] == [False, True]


def test_an_objective_of_a_mean_over_classes_is_judged() -> None:
    found = history("three", 7, 4 * ROWS)
    wish = dataclasses.replace(SETTINGS, objectives={"auroc": 0.9}, judge_provisional=True)
    rows = len(found.pairs("1"))
    ones = last_of_each(told(found, Course(2), wish)).values()
    (one,) = (e for e in ones if e.rows == rows and e.version == "1")
    (reading,) = (r for r in one.readings if r.check == "auroc")
    assert reading.verdict == "moved"
    assert reading.statistic == one.metrics["auroc"].value < one.metrics["auroc"].high < 0.9


@settings(max_examples=4, phases=FOUND)
@given(st.integers(0, 10**6))
def test_ranks_by_score_are_off_by_half_of_the_pairs_of_a_cell(seed: int) -> None:
    found = history("score", seed, 120, ties=False)
    (one,) = (
        e
        for (version, start, _), e in last_of_each(told(found, Course(), SETTINGS)).items()
        if (version, start) == ("1", stamp(START_MS)) and e.window.panes == PANES
    )
    rows = Rows(found.pairs("1")).scored
    y, p = np.array(rows.y) == "1", rows.probabilities(["1"])[:, 0]
    at = cells(p)
    pairs = sum(int((y & (at == c)).sum()) * int((~y & (at == c)).sum()) for c in {*at.tolist()})
    off = abs(one.metrics["auroc"].value - oracle.roc_auc_score(y, p))
    assert off <= pairs / 2 / (y.sum() * (~y).sum()) + 1e-12
    assert (np.abs(middles()[at] - p) <= np.minimum(p, 1 - p) / 2**MANTISSA_BITS).all()


@pytest.mark.parametrize("kind", ["score", "three", "numbers"])
@settings(max_examples=2, phases=FOUND)
@given(seed=st.integers(0, 10**6), course=COURSES)
def test_cohorts_are_the_batchs_too_as_often_as_they_are_told(
    kind: Kind, seed: int, course: Course
) -> None:
    found = history(kind, seed, ROWS)
    cohorts = told_of_cohorts(told(found, course, SETTINGS), "1")
    assert cohorts
    for known_ms, one in cohorts:
        start, end = _ms(one.start), _ms(one.end)
        pairs = [(p, y) for p, y in found.pairs("1", end_ms=known_ms) if start <= p.time < end]
        made = [p for p in found.predictions if p.version == "1" and start <= p.time < end]
        assert (one.predictions, one.labelled) == (len(made), len(pairs))
        assert one.final == (known_ms >= end + HORIZON_MS + PANE_MS)
        if one.final:
            assert len(pairs) == sum(start <= p.time < end for p, _ in found.pairs("1"))
        got = {f.metric: f.value for f in one.figures}
        assert got == pytest.approx(expected_of(kind, pairs), rel=1e-9, abs=1e-9)


def told_of_cohorts(pipeline: Pipeline, version: str) -> list[tuple[int, CohortFigures]]:
    """Each cohort as often as it was told of, with the time when; first as complete, once."""
    found: list[tuple[int, CohortFigures]] = []
    for (of, _, end), one in sorted(last_of_each(pipeline).items()):
        if of == version and one.labels is not None and one.window.panes == 1:
            before = {cohort.start for _, cohort in found}
            again = one.labels.corrected or []
            assert before >= {cohort.start for cohort in again}
            assert not before & {cohort.start for cohort in one.labels.completed}
            found += [(_ms(end), cohort) for cohort in [*one.labels.completed, *again]]
    return found


def _ms(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))
