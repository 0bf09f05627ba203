"""Every limit of the table is reached: what is said to happen happens, and is counted."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from agents import arrows
from agents.arrows.messages import MAX_ROWS
from agents.chunks import TP, Lane, Positions
from agents.limits import LIMITS
from agents.settings import Bounds, Settings
from stream import ovr, rankings, rivals, sections
from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.divisions import divided
from stream.events import Rejected, Segment, SegmentFigures
from stream.joins import MAX_ITEMS, MAX_LABELS
from stream.monitor.receiving import MAX_COUNTS
from stream.names import FULL, TOO_MANY, Names
from stream.outcomes import outcomes, outcomes_of_rows
from stream.parts import MAX_INCOMPLETE, Parts
from stream.references import Reference
from stream.samples import Sample
from stream.settings import DAY_S, MAX_NAMES, DetectorSettings, ModelSettings
from stream.signals import Series, Signals, encode_signals
from stream.tallies import Tally
from stream.watch import Watch
from tests import tales
from tests.intakes import Sent, taken_in
from tests.keepers import Row
from tests.ledgers import PANE_MS, SETTINGS, Kept, batch_of, prediction, truth

NOW_MS = 1_772_442_900_000
SMALL = Settings(
    limits=Bounds(
        max_bytes=400, max_features=3, max_vector=2, max_segments=1, max_name_chars=5, max_ahead_s=1
    )
)
EVENT = {"prediction_id": "p", "model": "m", "version": "1", "time": NOW_MS, "features": {"a": 1}}


def refused(reason: str, **more: Any) -> None:
    """One record at the limit, one beyond it: a dead letter with that reason, and counted."""
    beyond, allowed = json.dumps(EVENT | more).encode(), json.dumps(EVENT).encode()
    found = taken_in("predictions", [Sent(allowed), Sent(beyond), Sent(allowed)], SMALL)
    assert found.rows == [0, 2]
    assert found.reasons == {1: reason}
    assert found.counters.dead_letters.labels(reason)._value.get() == 1


def kept(**settings: Any) -> Kept:
    return Kept(dataclasses.replace(SETTINGS, **settings))


def told(ledger: Kept, *events: Any, first: int = 0) -> dict[str, int]:
    """What became of the rows of a batch, once it is durable."""
    ledger.apply(batch_of(*events, first=first))
    ledger.checkpoint()
    return ledger.ledger.counted()


def test_bytes_of_a_record() -> None:
    refused("too-large", client="x" * 400)


def test_features_of_a_prediction() -> None:
    refused("too-many-features", features=dict.fromkeys("abcd", 1))


def test_elements_of_a_vector() -> None:
    refused("vector-too-long", features={"a": [1, 2, 3]})


def test_segments_of_a_prediction() -> None:
    refused("too-many-segments", segments={"a": "x", "b": "y"})


def test_characters_of_a_name() -> None:
    refused("name-too-long", prediction_id="123456")


def test_seconds_ahead_of_the_records_time() -> None:
    refused("time-in-future", time=NOW_MS + 1_001)


def test_rows_of_an_arrow_message() -> None:
    place = arrows.Place(0, NOW_MS, Bounds(max_bytes=10**7).decoding())
    count = MAX_ROWS + 1
    table = pa.table({"prediction_id": ["p"] * count, "model": ["m"] * count})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(Rejected, match="too-many-rows"):
        arrows.rows_in("truth", sink.getvalue().to_pybytes(), place)


def test_model_versions_of_a_ledger_partition() -> None:
    ledger = Kept(SETTINGS, max_models=2)
    counted = told(ledger, *(prediction(i, 1_000, version=str(i)) for i in range(5)))
    assert (counted["too-many-models"], counted["predictions"]) == (3, 2)
    assert len(ledger.ledger.shelf) == 2


def test_categories_of_a_feature() -> None:
    column = column_of([*("a" * 9), *("b" * 5), "c", "d"])
    reference = Reference.build("m", "1", {"x": column}, max_categories=2)
    counts = reference.features["x"].counts_of(column)
    assert counts.tolist()[:3] == [9, 5, 2]  # the others as one
    assert ModelSettings(max_categories=2).max_categories == 2


def test_segments_of_one_name_that_are_watched() -> None:
    sites = column_of([*("a" * 9), *("b" * 5), "c", "d"])
    plain = Reference.build("m", "1", {"x": sites})
    s = ModelSettings(max_segments=1, minimum_rows=2, segments=("site",))
    reference = divided(plain, {"site": sites}, s, lambda _, whole: whole)
    assert [*reference.segments] == [("site", "a")]
    assert reference.dimensions["site"].counts.tolist() == [9, 7, 0]  # the others as one


def test_names_of_segments_that_are_watched() -> None:
    assert len(ModelSettings(segments=tuple("abcdefgh")).segments) == MAX_NAMES
    with pytest.raises(ValueError, match="at most 8 names"):
        ModelSettings(segments=tuple("abcdefghi"))


def test_segments_that_an_evaluation_has_all_figures_of() -> None:
    found = [
        SegmentFigures(segment=Segment(name="site", value=str(i)), n=9, metrics={})
        for i in range(sections.MOST + 3)
    ]
    assert sections.told(found) == found[: sections.MOST]
    assert sections.notes(found[: sections.MOST]) == []
    (note,) = sections.notes(found)
    assert note.endswith("; 3 more have rows enough")


def beside(champions: int, answers: int) -> rivals.Beside:
    """A challenger beside so many versions, which all differ from it in so many ways, or one."""
    cohorts, names = Cohorts(), [str(i) for i in range(answers + 1)]
    for i in range(champions):
        said, rows = names[:answers] * 2, 2 * answers
        other = names[1:] + names[:answers]
        found = outcomes_of_rows(said, other, [()] * rows, [1] * rows, "classification")
        cohorts.contest((f"v{i:02}", "answers")).cell(0).update(found)
    wish = ModelSettings(challengers=("new",))
    return rivals.contests(cohorts, None, wish, "new", "classification", DAY_S)


@pytest.mark.parametrize("more", [0, 2])
def test_versions_that_a_challenger_is_told_of_beside(more: int) -> None:
    found = beside(rivals.MOST_CHAMPIONS + more, 1)
    told_of = [f"v{i:02}" for i in range(rivals.MOST_CHAMPIONS)]
    assert [one.champion for one in found.contests] == told_of
    assert found.notes == (["not told of beside version new: v08, v09"] if more else [])


@pytest.mark.parametrize("more", [0, 2])
def test_different_answers_of_two_versions_that_are_named(more: int) -> None:
    k = rivals.MOST_SWAPPED + more
    ((contest,), _) = beside(1, k)
    assert len(contest.answers) == rivals.MOST_SWAPPED
    assert contest.disagreement is not None
    assert (contest.disagreement.value, contest.disagreement.n) == (0.5, 2 * k)


@pytest.mark.parametrize("k", [ovr.MOST, ovr.MOST + 1])
def test_classes_that_are_each_ranked_against_the_others(k: int) -> None:
    names = tuple(f"{i:02}" for i in range(k))
    ids = np.tile(np.arange(k), 3)
    given = np.where(ids[:, None] == np.arange(k), 0.5, 0.5 / (k - 1))
    label = column_of([names[i] for i in ids])
    tally = Tally()
    tally.update(outcomes(label, label, (names, given), task="classification"))
    few = k <= ovr.MOST
    assert (rankings.auroc(tally) is not None) == few
    assert rankings.notes(tally) == ([] if few else [rankings.UNTOLD])


def test_raw_rows_of_a_pane_before_there_is_a_reference() -> None:
    ledger = kept(max_sample_rows=100, minimum_rows=2, reference_rows=100)
    told(ledger, *(prediction(i, 1_000 + i) for i in range(250)))
    ((_, page),) = ledger.pages("inputs", "1")
    assert isinstance(page, Sample)
    assert (page.rows, page.seen) == (100, 250)


def test_panes_that_are_remembered() -> None:
    ledger = kept(panes_kept=2)
    told(ledger, prediction(1, 100 * PANE_MS))
    counted = told(ledger, prediction(2, 97 * PANE_MS), prediction(3, 98 * PANE_MS), first=1)
    assert counted["too-old-predictions"] == 1
    assert counted["predictions"] == 1
    told(ledger, truth(1, 100 * PANE_MS + 1), first=0)
    assert told(ledger, truth(9, 90 * PANE_MS), first=1)["too-old-truths"] == 1


def test_panes_counted_at_once() -> None:
    ledger = kept(max_open_panes=3, lateness_s=1e9)
    counted = told(ledger, *(prediction(i, i * PANE_MS) for i in range(5)))
    assert counted["panes-sealed-early"] == 2
    assert sorted(pane for pane, _ in ledger.pages("inputs", "1")) == [
        i * PANE_MS for i in range(5)
    ]
    counted = told(ledger, prediction(9, 0), first=5)  # a revision of what was sealed
    assert len(ledger.fields("inputs")) == 3
    assert counted["panes-sealed-early"] == 1


def test_revisions_of_a_pane() -> None:
    ledger = kept(max_revisions=2, panes_kept=5)
    put_off = 0
    for i in range(1, 6):
        some = (prediction(2 * i, i * PANE_MS), prediction(2 * i + 1, 0))
        put_off += told(ledger, *some, first=2 * i).get("panes-put-off", 0)
        shares = [field for field in ledger.fields("inputs") if field.split("/")[-2] == "0"]
        assert len(shares) <= 3
    assert put_off == 1
    names = [n for s in ledger.signals() for n in s.sealed if n.pane == 0 and n.kind == "inputs"]
    assert [name.revision for name in names] == [0, 1, 2]


def test_predictions_and_truths_that_wait() -> None:
    ledger = kept(max_pending=10)
    counted = told(ledger, *(prediction(i, 1_000 + i) for i in range(30)))
    assert counted["predictions"] == 30  # counted, whether they can be joined or not
    assert ledger.ledger.matches.pending <= 10
    assert counted["pending-full"] == 20


def test_of_predictions_that_would_be_too_many_a_sample_is_joined() -> None:
    ledger, counted = kept(max_pending=100), Counter[str]()
    for pane in range(20):
        some = [prediction(pane * 15 + i, pane * PANE_MS + i) for i in range(15)]
        counted.update(told(ledger, *some, first=pane * 15))
    truths = (truth(i, 20 * PANE_MS) for i in range(300))
    counted.update(told(ledger, *truths))
    waiting = ledger.ledger.matches.pending
    assert waiting <= 100
    assert counted["predictions"] == 300
    assert counted["predictions-sampled-out"] == counted["truths-sampled-out"] == 300 - waiting
    assert "pending-full" not in counted
    (cohorts,) = ledger.quality().values()
    assert cohorts.rows == waiting
    assert cohorts.stands_for > waiting


def test_truths_of_one_id() -> None:
    ledger = kept()
    truths = [truth(1, 2_000 - i, revision=100 - i) for i in range(MAX_LABELS + 3)]
    told(ledger, prediction(1, 1_000))
    assert told(ledger, *truths)["duplicate-truths"] == 3


def test_versions_that_predict_one_id() -> None:
    ledger = Kept(SETTINGS, max_models=MAX_ITEMS + 10)
    some = [prediction(1, 1_000, version=str(i)) for i in range(MAX_ITEMS + 3)]
    counted = told(ledger, *some)
    assert (counted["predictions"], counted["pending-full"]) == (MAX_ITEMS + 3, 3)


def test_names_in_waiting_predictions() -> None:
    names = Names([str(i) for i in range(FULL)])
    assert names.canonical("new") == TOO_MANY
    assert names.canonical("7") == "7"
    assert len(names) == FULL


def test_references_being_received_at_once() -> None:
    parts = Parts()
    references = [
        Reference.build("m", str(i), {name: column_of([0.0, float(i)]) for name in "ab"})
        for i in range(1, MAX_INCOMPLETE + 3)
    ]
    told_in = [list(one.to_parts(100, time=0)) for one in references]
    assert all(len(some) > 1 for some in told_in)
    for some in told_in:
        for part in some[:-1]:
            assert parts.add(part) is None
    assert len(parts) == MAX_INCOMPLETE
    done = [parts.add(some[-1]) for some in reversed(told_in)]
    assert [one is not None for one in done] == [True] * MAX_INCOMPLETE + [False] * 2


def watch_of(**settings: Any) -> Watch:
    return Watch(lambda _: dataclasses.replace(tales.SETTINGS, **settings))


def test_values_for_detectors_that_wait() -> None:
    watch = watch_of(max_held=10, detectors=(DetectorSettings("ADWIN", "x", raw=True),))
    run = Series(np.arange(6), np.arange(6, dtype=np.uint64), np.zeros(6))
    for sequence in (1, 2):
        watch.receive(encode_signals(Signals("m", "1", 0, 1, sequence, series={"x": run})))
    (monitor,) = watch.monitors.values()
    track = monitor.memory.tracks["inputs"]
    assert (track.rows, track.refused) == (6, 6)


def test_values_a_second_for_a_detector() -> None:
    watch = watch_of(max_signals_per_s=10, detectors=(DetectorSettings("ADWIN", "x", raw=True),))
    run = Series(np.arange(3_000), np.arange(3_000, dtype=np.uint64), np.zeros(3_000))
    watch.receive(encode_signals(Signals("m", "1", 0, 1, 1, 3_000, 3_000, series={"x": run})))
    watch.advance()
    ((watched,),) = (m.memory.watched for m in watch.monitors.values())
    assert (watched.detector.n, watched.ration.left_out) == (1_020, 1_980)


def test_causes_that_are_not_ok() -> None:
    pipeline = tales.play(
        tales.tale(), dataclasses.replace(tales.SETTINGS, max_alerts=1), tales.Way()
    )
    (monitor,) = pipeline.watch.monitors.values()
    assert len(monitor.memory.alerts) == 1
    assert monitor.memory.counts["alerts-left-out"] > 0


def test_kinds_of_counts_of_a_model() -> None:
    watch = watch_of()
    for i in range(MAX_COUNTS + 5):
        message = Signals("m", "1", 0, 1, i + 1, counts={f"kind {i}": 1})
        watch.receive(encode_signals(message))
    (monitor,) = watch.monitors.values()
    assert len(monitor.memory.counts) == MAX_COUNTS


def test_bytes_fetched_ahead() -> None:
    positions = Positions(max_chunks=8, max_bytes=50)
    (lane,) = positions.open([TP("t", 0)])
    lane.ready = True
    assert positions.wanted()[0] == [lane]
    positions.buffered(lane, [Row(0, bytes(50))], 0, 1)
    assert positions.wanted()[0] == list[Lane]()


REACHED: dict[str, Callable[..., None]] = {
    name.removeprefix("test_").replace("_", " "): test
    for name, test in list(globals().items())
    if name.startswith("test_")
}
ONCE_MORE = {"of predictions that would be too many a sample is joined"}  # what happens before
ELSEWHERE = {
    "bytes of a partition that are not durable": "tests/test_keepers.py",  # on a real Redis
}


def test_every_limit_of_the_table_is_reached() -> None:
    plain = {name.lower().replace("'", ""): name for name in LIMITS}
    assert set(REACHED) - ONCE_MORE | set(ELSEWHERE) == set(plain)
    assert all(limit.happens and limit.counted for limit in LIMITS.values())


def test_defaults_are_those_of_the_settings() -> None:
    assert LIMITS["features of a prediction"].default == f"{Bounds().max_features:,}"
    assert all(limit.default for limit in LIMITS.values())
