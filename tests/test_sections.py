"""Figures by segment are the batch's of the segment's rows alone, however they come.

The reference's rows, predictions and their truth are of random sites; what is told of a site is
what scikit-learn says of its rows, and beside it what that says of the reference's.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import registration
from agents.roles import Roles
from agents.scorecards import segment_lines
from agents.tables import Table
from agents.tail import evaluation_text
from stream import figures, sections
from stream.blindness import GAP
from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.estimates import ESTIMATED
from stream.evaluations import Known, quality_evaluation
from stream.events import Evaluation, Prediction, Recalibration, Segment, SegmentFigures
from stream.outcomes import outcomes
from stream.parts import Parts
from stream.pipeline import Pipeline
from stream.quality import METRICS, MORE
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.segments import EDGES
from stream.shares import Share
from stream.stamps import stamp
from stream.subjects import Subject
from stream.tallies import Tally
from tests.formulas import CLASSES, Meaning, expected_of, score_of
from tests.histories import (
    END_MS,
    PANE_MS,
    PANES,
    SETTINGS,
    Course,
    History,
    Kind,
    Pair,
    history,
    told,
)
from tests.tales import START_MS
from tests.test_batch_figures import COURSES, FOUND, KINDS, MANNERS, last_of_each, mannered

SITES = ("a", "b", "elsewhere", None)
WISH = dataclasses.replace(SETTINGS, segments=("site",), minimum_rows=4, power=0)
ROWS, HOUR_MS = 40, 3_600_000
SPANS = [(end - PANE_MS, end) for end in range(START_MS + PANE_MS, END_MS + 1, PANE_MS)]
WINDOWS = {(stamp(a), stamp(b)): (a, b) for a, b in (*SPANS, (START_MS, END_MS))}


def sited(found: History, seed: int) -> History:
    """Its predictions, each of a site; of one that the reference does not know, or of none."""
    rng = np.random.default_rng((seed, 1))
    places = rng.choice(len(SITES), len(found.predictions), p=(0.5, 0.3, 0.1, 0.1)).tolist()
    predictions = [
        msgspec.structs.replace(p, segments=None if site is None else {"site": site})
        for p, site in zip(found.predictions, (SITES[i] for i in places), strict=True)
    ]
    return History(predictions, found.truths)


def site_of(p: Prediction) -> str | None:
    return (p.segments or {}).get("site")


@functools.cache
def known_rows(kind: Kind) -> list[Pair]:
    found = sited(history(kind, 77, 130), 77)
    return [(p, y) for p, y in found.pairs("1") if site_of(p) in ("a", "b")]


@functools.cache
def reference(kind: Kind) -> Reference:
    rows = known_rows(kind)
    columns = {
        "x": column_of([1.0] * len(rows)),
        "said": column_of([p.prediction for p, _ in rows]),
        "label": column_of([y for _, y in rows]),
        "site": column_of([site_of(p) for p, _ in rows]),
    }
    names = CLASSES.get(kind, ()) if kind != "score" else ()
    if kind == "score":
        columns["score"] = column_of([p.score for p, _ in rows])
    for name in names:
        columns[name] = column_of([(p.probabilities or {}).get(name) for p, _ in rows])
    roles = Roles(
        "said",
        label="label",
        score="score" if kind == "score" else None,
        probabilities={name: name for name in names},
        segments={"site": "site"},
    )
    return registration.build(Table(columns, {}, len(rows)), "m", "1", roles, WISH)[0]


def by_site(found: Evaluation) -> dict[str, SegmentFigures]:
    some = [] if found.by_segment is msgspec.UNSET else found.by_segment
    return {one.segment.value: one for one in some}


def check(kind: Kind, found: Evaluation, pairs: Sequence[Pair]) -> set[str]:
    """One evaluation of quality against the batch, site by site."""
    got = by_site(found)
    for site in ("a", "b"):
        rows = [(p, y) for p, y in pairs if site_of(p) == site]
        if len(rows) < WISH.minimum_rows:
            assert site not in got
            continue
        before = [(p, y) for p, y in known_rows(kind) if site_of(p) == site]
        _check_site(kind, got.pop(site), rows, before)
    assert not got
    order = [r.segment for r in found.segments]
    assert [order.index(one.segment) for one in found.by_segment or ()] == sorted(
        order.index(one.segment) for one in found.by_segment or ()
    )
    return {name for one in found.by_segment or () for name in one.metrics}


def _check_site(
    kind: Kind, found: SegmentFigures, rows: Sequence[Pair], before: Sequence[Pair]
) -> None:
    assert found.n == len(rows)
    metrics = dict(found.metrics)
    gap, scored = metrics.pop(GAP, None), [p for p, _ in rows if score_of(p) is not None]
    assert (gap is not None) == (len(scored) >= WISH.minimum_rows)
    if gap is not None:
        wanted = Meaning.of(kind, before).gap(rows)
        assert gap.value == pytest.approx(wanted, rel=1e-9, abs=1e-9)
        assert gap.n == len(scored)
        assert gap.low <= gap.value <= gap.high
    expected, was = expected_of(kind, rows), expected_of(kind, before)
    values = {name: m.value for name, m in metrics.items()}
    assert values == pytest.approx(expected, rel=1e-9, abs=1e-9)
    beside = {name: m.reference for name, m in metrics.items() if m.reference is not None}
    assert beside == pytest.approx({n: was[n] for n in metrics if n in was}, rel=1e-9, abs=1e-9)
    assert all(m.low <= m.value + 1e-12 <= m.high + 2e-12 for m in metrics.values())


def check_windows(kind: Kind, of: History, pipeline: Pipeline) -> set[str]:
    """The windows of one pane, and that of all of them."""
    known, names = last_of_each(pipeline), set[str]()
    for (first, last), (start, end) in WINDOWS.items():
        one = known.get(("1", first, last))
        if one is None:
            assert not of.pairs("1", end - PANE_MS, end)
        else:
            names |= check(kind, one, of.pairs("1", start, end))
    return names


def check_inputs(kind: Kind, of: History, pipeline: Pipeline) -> int:
    """Estimated accuracy of the same windows: by the time of prediction. How many are told."""
    several = 0
    for (version, start, end), one in last_of_each(pipeline, "inputs").items():
        if version != "1" or (start, end) not in WINDOWS:
            continue
        from_ms, to_ms = WINDOWS[start, end]
        made = [p for p in of.predictions if p.version == "1" and from_ms <= p.time < to_ms]
        assert one.rows == len(made)
        got = by_site(one)
        falls = [m.value - (m.reference or 0) for f in got.values() for m in f.metrics.values()]
        assert falls == sorted(falls)
        several += len(got)
        for site in ("a", "b"):
            rows = [p for p in made if site_of(p) == site]
            scored = [p for p in rows if score_of(p) is not None]
            assert (site in got) == (len(scored) >= WISH.minimum_rows)
            if site in got:
                _check_estimate(kind, site, got[site], rows, scored)
    return several


def _check_estimate(
    kind: Kind,
    site: str,
    found: SegmentFigures,
    rows: Sequence[Prediction],
    scored: Sequence[Prediction],
) -> None:
    before = [(p, y) for p, y in known_rows(kind) if site_of(p) == site]
    meaning = Meaning.of(kind, before)
    ((name, m),) = found.metrics.items()
    assert (name, found.n, m.n) == (ESTIMATED, len(rows), len(scored))
    assert m.value == pytest.approx(meaning.accuracy(scored), rel=1e-9)
    assert m.reference == pytest.approx(meaning.accuracy([p for p, _ in before]), rel=1e-9)
    assert m.low <= m.value <= m.high


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=2, phases=FOUND)
@given(seed=st.integers(0, 10**6), course=COURSES)
def test_figures_of_a_segment_are_the_batchs_of_its_rows(
    kind: Kind, manner: str, seed: int, course: Course
) -> None:
    course = mannered(course, manner)
    found = sited(history(kind, seed, ROWS), seed)
    pipeline = told(found, course, WISH, reference(kind))
    check_windows(kind, found, pipeline)
    assert (check_inputs(kind, found, pipeline) > 0) == (kind not in ("words", "numbers"))


def test_no_metric_is_left_out() -> None:
    names = set[str]()
    for kind in KINDS:
        found = sited(history(kind, 5, 3 * ROWS), 5)
        names |= check_windows(kind, found, told(found, Course(2, 3, 80), WISH, reference(kind)))
    assert names == {*METRICS, *MORE, GAP}


# -- what is judged


@functools.cache
def played(odds: bool = True) -> Pipeline:
    whole = reference("score")
    if not odds:
        plain = {key: dataclasses.replace(own, odds=None) for key, own in whole.segments.items()}
        whole = dataclasses.replace(whole, segments=plain)
    return told(sited(history("score", 3, 3 * ROWS), 3), Course(), WISH, whole)


def published(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [json.loads(m.value) for m in pipeline.published if m.topic == "evaluations"]


def test_nothing_that_is_judged_knows_of_the_estimates_of_segments() -> None:
    """Not a level, not a verdict: they are told beside, and cost nothing."""
    some = False
    lacks = "segments: the reference does not say what scores meant in them, so their accuracy"
    for one, other in zip(published(played()), published(played(odds=False)), strict=True):
        told_of = [note for note in other["notes"] if note.startswith(lacks)]
        assert len(told_of) == (one["subject"] == "inputs" and one["version"] == "1")
        other["notes"] = [note for note in other["notes"] if note not in told_of]
        assert one.pop("reference_id") != other.pop("reference_id") or one["version"] == "2"
        figures = one.pop("by_segment", [])
        plain = other.pop("by_segment", [])
        for found in figures:
            some |= found["metrics"].pop(GAP, None) is not None
        assert [f for f in figures if ESTIMATED not in f["metrics"]] == plain
        assert one == other
    assert some


def test_a_model_without_segments_is_told_nothing_of_them() -> None:
    whole = dataclasses.replace(reference("score"), dimensions={}, segments={})
    s = dataclasses.replace(WISH, segments=())
    found = told(sited(history("score", 3, ROWS), 3), Course(), s, whole)
    assert len(published(found)) > PANES
    assert all("by_segment" not in event for event in published(found))


def test_estimate_off_says_nothing_of_segments_either() -> None:
    s = dataclasses.replace(WISH, estimate="off")
    found = told(sited(history("score", 3, ROWS), 3), Course(), s, reference("score"))
    some = [f for event in published(found) for f in event.get("by_segment", [])]
    assert some
    assert not any({ESTIMATED, GAP} & f["metrics"].keys() for f in some)


# -- references and counts


def test_a_reference_knows_what_scores_meant_in_its_segments() -> None:
    for whole in (reference("score"), reference("three")):
        assert whole.odds is not None
        again = Reference.from_bytes(whole.to_bytes())
        for key, own in whole.segments.items():
            assert own.odds is not None
            assert own.odds.of == whole.odds.of
            assert len(own.odds.score.edges) <= EDGES
            known = again.segments[key].odds
            assert known is not None
            assert known.document() == own.odds.document()
    collected = Parts()
    found = [collected.add(json.loads(json.dumps(p))) for p in reference("three").to_parts(3_000)]
    assert found[-1] is not None
    assert found[-1].id == reference("three").id
    assert not any(own.odds for own in reference("words").segments.values())


def test_a_segment_whose_scores_are_of_something_else_is_refused() -> None:
    document = reference("score").document()
    document["segments"][0]["odds"] = reference("three").segments["site", "a"].document()["odds"]
    with pytest.raises(ValueError, match="site=a: odds: of other scores than those of all rows"):
        Reference.from_document(document)
    alone = reference("score").document()
    del alone["odds"]
    with pytest.raises(ValueError, match="site=a: odds: of other scores"):
        Reference.from_document(alone)


@given(st.lists(st.integers(0, 200), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_scores_of_a_segment_are_counted_as_if_its_rows_were_alone(
    cuts: list[int], random: Any
) -> None:
    whole, rng = reference("score"), np.random.default_rng(4)
    p = np.where(rng.random(200) < 0.1, np.nan, rng.random(200).round(1))
    sites = rng.choice(["a", "b", "elsewhere"], 200)
    bounds = sorted([0, *cuts, 200])
    parts = []
    for a, b in itertools.pairwise(bounds):
        parts.append(Share(whole))
        names = {"site": column_of(sites[a:b].tolist())}
        parts[-1].count_odds(p[a:b], p[a:b] > 0.5, names)
    random.shuffle(parts)
    total = Share.merged(whole, [Share.from_bytes(part.to_bytes(), whole) for part in parts])
    for (name, value), own in whole.segments.items():
        alone, mine = Share(own), sites == value
        alone.count_odds(p[mine], p[mine] > 0.5)
        found = total.segment((name, value))
        assert np.array_equal(found.vector, alone.vector)
        expected = found.expected()
        assert expected is not None
        assert expected.n == int(np.isfinite(p[mine]).sum())


# -- what live labels say of scores


def learnt() -> Learnt:
    """Of all rows, from predictions of the first hour: 0.2 means 0.3, 0.9 means 0.6."""
    event = Recalibration(
        model="m", version="1", time=HOUR_MS, reference_id=reference("score").id,
        scores=[0.2, 0.9], labelled=[100, 100], right=[30, 60],
        learnt_from=0, learnt_until=HOUR_MS, active_from=HOUR_MS,
    )  # fmt: skip
    return Learnt.of(event)


def test_what_labels_have_taught_counts_for_segments_too() -> None:
    """Estimates are by it; gaps too, and of predictions that it was not learnt from."""
    whole = reference("score")
    p, site = np.array([0.2] * 6 + [0.9] * 14), {"site": column_of(["a"] * 20)}
    share = Share(whole)
    share.update({}, None, None, np.arange(20), segments=site)
    share.count_odds(p, p > 0.5, site)
    (found,) = sections.of_inputs(whole, share, WISH, learnt())
    wanted = (6 * 0.7 + 14 * 0.6) / 20
    assert found.metrics[ESTIMATED].value == pytest.approx(wanted, abs=1e-9)
    tallies, labels = (Tally(), Tally()), np.arange(20) % 2
    for tally, way in zip(tallies, (1, -1), strict=True):
        answers = column_of((p > 0.5).astype(float))
        true = column_of(labels[::way].astype(float))
        tally.update(outcomes(true, answers, (("1",), p[:, None])))
    own = Cohorts({0: tallies[0], HOUR_MS: tallies[1]})
    cohorts = Cohorts(dict(own.cells), segments={("site", "a"): own})
    of = Subject("m", "1", WISH, 0, 2 * HOUR_MS)
    event = quality_evaluation(of, whole, cohorts, Known(learnt=learnt()))
    gap = by_site(event)["a"].metrics[GAP]
    assert by_site(event)["a"].n == 40
    realised = float(((p > 0.5) == (labels[::-1] == 1)).mean())
    assert gap.n == 20
    assert gap.value == pytest.approx(wanted - realised, abs=1e-9)


# -- for people


def test_the_worst_segments_are_printed_what_is_judged_first() -> None:
    found = max(last_of_each(played()).values(), key=lambda e: e.rows)
    lines, text = segment_lines(found), evaluation_text(found)
    assert len(lines) == len(by_site(found)) == 2
    for one, line in zip(by_site(found).values(), lines, strict=True):
        (judged,) = (r for r in found.segments if r.segment == one.segment)
        m, words = one.metrics[judged.check], METRICS[judged.check].words
        assert line.startswith(f"site={one.segment.value} (n {one.n:,}): {words} ")
        assert f"{words} {figures.number(m.value)} (95% " in line
        assert f", reference {figures.number(m.reference or 0)})" in line
        assert "), estimate gap " in line
        assert line.endswith(f" and {len(one.metrics) - 4} more")
        assert f"    {line}" in text.splitlines()
    inputs = max(last_of_each(played(), "inputs").values(), key=lambda e: e.rows)
    assert segment_lines(inputs)[0] in evaluation_text(inputs)
    assert "): estimated accuracy 0." in segment_lines(inputs)[0]


def test_more_segments_than_can_be_read_are_counted() -> None:
    found = max(last_of_each(played()).values(), key=lambda e: e.rows)
    (one, *_) = by_site(found).values()
    names = [Segment(name="site", value=str(i)) for i in range(8)]
    many = [msgspec.structs.replace(one, segment=name) for name in names]
    lines = segment_lines(msgspec.structs.replace(found, by_segment=many))
    assert [line.split()[0] for line in lines[:-1]] == [f"site={i}" for i in range(5)]
    assert lines[-1] == "and 3 more segments"
