"""A challenger beside champions: what is told of pairs, against the same of single rows."""

import dataclasses
import functools
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import schemas
from agents import registration
from agents.roles import Roles
from agents.tables import Table
from agents.tail import evaluation_text
from stream import intervals
from stream.columns import column_of
from stream.entries import unpack_entry
from stream.events import Evaluation, Prediction, Truth
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import DAY_MS, FOR_EVER_S, START_MS, Event, Way
from tests.test_monitor import ms
from tests.test_resumptions import Lossy

DAYS = 4
SITES = ("a", "b")
PLAIN = ModelSettings(
    pane_s=DAY_S,
    windows_s=(DAY_S, DAYS * DAY_S),
    lateness_s=40 * DAY_S,
    label_lateness_s=40 * DAY_S,
    idle_s=FOR_EVER_S,
    minimum_rows=2,
    power=0,
    horizon_s=30 * DAY_S,
    complete_coverage=0.0,
    watch_labels=False,
    estimate="off",
    segments=("site",),
    challengers=("2",),
)


@dataclasses.dataclass(frozen=True)
class Story:
    """Events of any order, and whether answers are numbers."""

    events: tuple[Event, ...]
    numbers: bool


def _prediction(draw: Any, key: str, version: str, numbers: bool) -> Prediction:
    time_ms = START_MS + draw(st.integers(0, DAYS * 4 - 1)) * DAY_MS // 4
    segments = {"site": draw(st.sampled_from(SITES))}
    if numbers:
        said: Any = draw(st.sampled_from((0.0, 1.25, -2.5, 1e6, None)))
        return Prediction(key, "m", version, time_ms, {}, prediction=said, segments=segments)
    p = draw(st.sampled_from((None, 0.0, 0.3, 0.5, 0.9, 1.0)))
    answer = draw(st.sampled_from(("0", "1", "2", None)))
    return Prediction(key, "m", version, time_ms, {}, prediction=answer, score=p, segments=segments)


def _truth(draw: Any, key: str, numbers: bool) -> Truth:
    time_ms = START_MS + draw(st.integers(0, DAYS * 4 - 1)) * DAY_MS // 4
    label: Any = draw(st.sampled_from((0.5, 1.25, -1e3) if numbers else ("0", "1")))
    return Truth(
        key, "m", time_ms, label,
        version=draw(st.sampled_from((None, None, None, "1", "2"))),
        revision=draw(st.integers(0, 2)),
        retracted=draw(st.sampled_from((False, False, False, True))),
    )  # fmt: skip


@st.composite
def stories(draw: Any) -> Story:
    """Ids of one to three versions; truths that are revised, taken back, or of one version."""
    numbers = draw(st.booleans())
    found: list[Event] = []
    for i in range(draw(st.integers(1, 14))):
        versions = draw(st.sampled_from((("1", "2"), ("1", "2"), ("1", "2", "3"), ("1",), ("2",))))
        own = [_prediction(draw, f"p{i}", version, numbers) for version in versions]
        found += own + own[: draw(st.integers(0, len(own)))]
        found += [_truth(draw, f"p{i}", numbers) for _ in range(draw(st.integers(0, 3)))]
    return Story(tuple(draw(st.permutations(found))), numbers)


@functools.cache
def reference(numbers: bool) -> Reference:
    """With sites whose quality it knows."""
    rng = np.random.default_rng(3)
    columns = {
        "x": column_of(rng.normal(size=80).tolist()),
        "said": column_of(rng.normal(size=80).tolist() if numbers else ["0", "1"] * 40),
        "label": column_of(rng.normal(size=80).tolist() if numbers else ["0", "1", "1", "0"] * 20),
        "site": column_of([*SITES] * 40),
    }
    roles = Roles("said", label="label", segments={"site": "site"})
    return registration.build(Table(columns, {}, 80), "m", "2", roles, PLAIN)[0]


def play(story: Story, way: Way, wish: ModelSettings) -> Pipeline:
    """Nothing is late: what comes in whatever order is all there before anything is sealed."""
    pipeline = Pipeline(lambda _: wish, way.partitions, way.sources)
    for part in reference(story.numbers).to_parts(600_000, time=0):
        pipeline.control(part)
    for topic, partition, rows in tales.chunks(story.events, way):
        pipeline.rows(topic, partition, rows, max(row[1] for row in rows))
        pipeline.checkpoint()
        if way.restart:
            pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + (DAYS + 50) * DAY_MS})
    pipeline.checkpoint()
    return pipeline


Told = dict[tuple[int, int], list[dict[str, Any]]]


def told(pipeline: Pipeline, subject: str = "quality") -> Told:
    """What is said of the challenger beside others, by window."""
    found = {}
    for event in tales.events(pipeline, "evaluations"):
        assert ("beside" in event) == (event["version"] == "2")
        if event["version"] == "2" and event["subject"] == subject:
            window = event["window"]
            found[ms(window["start"]), ms(window["end"])] = event["beside"]
    return found


# the same of single rows

Pair = tuple[Prediction, Prediction]
Labelled = tuple[Prediction, Prediction, Truth, Truth]


def pairs_of(events: Sequence[Event], champion: str) -> list[Pair]:
    made = {(e.prediction_id, e.version): e for e in events if isinstance(e, Prediction)}
    ids = sorted({e.prediction_id for e in made.values()})
    return [
        (made[i, champion], made[i, "2"]) for i in ids if {(i, champion), (i, "2")} <= made.keys()
    ]


def known(events: Sequence[Event], made: Prediction, time_ms: int) -> Truth | None:
    """The truth that holds by a time."""
    own = [
        e
        for e in events
        if isinstance(e, Truth)
        and e.prediction_id == made.prediction_id
        and e.version in (None, made.version)
        and max(e.time, made.time) <= time_ms
    ]
    best = max(own, key=lambda e: (e.revision, e.time, e.retracted, repr(e.label)), default=None)
    return None if best is None or best.retracted else best


def labelled(events: Sequence[Event], pair: Pair, start_ms: int, end_ms: int) -> Labelled | None:
    """A pair whose truths were first known in a window, as they are known at its end."""
    times = {max(e.time, made.time) for e in events if isinstance(e, Truth) for made in pair}
    both = [t for t in sorted(times) if all(known(events, made, t) for made in pair)]
    if not both or not start_ms <= both[0] < end_ms:
        return None
    one, other = (known(events, made, end_ms - 1) for made in pair)
    answered = None not in (pair[0].prediction, pair[1].prediction)
    return (*pair, one, other) if one and other and answered else None


def row_of(made: Prediction, truth: Truth, numbers: bool) -> dict[str, float | None]:
    """What a metric is the mean of, of one row."""
    if numbers:
        error = made.prediction - truth.label  # type: ignore[operator]
        return {"mae": abs(error), "rmse": error**2}
    found: dict[str, float | None] = {"accuracy": float(made.prediction == truth.label)}
    if made.score is not None:
        p = made.score if truth.label == "1" else 1 - made.score
        found |= {"log_loss": -math.log(max(p, 2.0**-40)), "brier": (1 - p) ** 2}
    return found


def near(found: float, expected: float) -> bool:
    return found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def check_answers(found: dict[str, Any], pairs: list[Pair], numbers: bool) -> None:
    assert found["pairs"] == len(pairs)
    given = [(a.prediction, b.prediction) for a, b in pairs]
    given = [(a, b) for a, b in given if a is not None and b is not None]
    kept, gone = ("distance", "disagreement") if numbers else ("disagreement", "distance")
    assert found[gone] is None
    if not given:
        assert found[kept] is None
        return
    assert found[kept]["n"] == len(given)
    if numbers:
        gaps = [abs(a - b) for a, b in given]  # type: ignore[operator]
        assert near(found["distance"]["value"], float(np.mean(gaps)))
        return
    apart = [(a, b) for a, b in given if a != b]
    ends = stats.binomtest(len(apart), len(given)).proportion_ci(method="wilson")
    share = found["disagreement"]
    assert near(share["value"], len(apart) / len(given))
    assert near(share["low"], ends.low)
    assert near(share["high"], ends.high)
    swapped = {(one["champion"], one["challenger"]): one["n"] for one in found["answers"]}
    assert swapped == Counter(apart)


def check_truths(found: dict[str, Any], rows: list[Labelled], numbers: bool) -> None:
    assert found["labelled"] == len(rows)
    old = [row_of(a, y, numbers) for a, _, y, _ in rows]
    new = [row_of(b, y, numbers) for _, b, _, y in rows]
    if rows and not numbers:
        table = Counter((a["accuracy"], b["accuracy"]) for a, b in zip(old, new, strict=True))
        names = ("both_right", "champion_right", "challenger_right", "both_wrong")
        cells = ((1, 1), (1, 0), (0, 1), (0, 0))
        assert [found[name] for name in names] == [table[cell] for cell in cells]
    by_name = {one["metric"]: one for one in found["metrics"]}
    for name in ("accuracy", "log_loss", "brier", "mae", "rmse"):
        sides = [[row[name] for row in side if name in row] for side in (old, new)]
        assert (name in by_name) == (all(sides)), name
        if name in by_name:
            whole = all((name in a) == (name in b) for a, b in zip(old, new, strict=True))
            check_metric(by_name[name], sides, whole)


def check_metric(found: dict[str, Any], sides: list[list[Any]], whole: bool) -> None:
    """whole: no pair has what it is of on one side alone."""
    shape = np.sqrt if found["metric"] == "rmse" else float
    values = [float(shape(np.mean(side))) for side in sides]
    assert near(found["champion"]["value"], values[0])
    assert near(found["challenger"]["value"], values[1])
    change, n = found["change"], len(sides[0])
    assert near(change["value"], values[1] - values[0])
    assert change["low"] <= change["value"] <= change["high"]
    if found["metric"] == "accuracy":
        gaps = [b - a for a, b in zip(*sides, strict=True)]
        more, less = gaps.count(1), gaps.count(-1)
        expected = stats.binomtest(more, more + less).pvalue if more + less else 1.0
        assert found["paired"]
        assert near(found["p_value"], expected)
    elif not whole or n < 2 or (found["metric"] == "rmse" and not sum(values)):
        assert found["p_value"] is None
        assert not found["paired"]
    else:
        gaps = np.array(sides[1]) - np.array(sides[0])
        scale = sum(values) if found["metric"] == "rmse" else 1.0
        half = stats.norm.isf(0.025) * np.std(gaps, ddof=1) / math.sqrt(n) / scale
        large = sum(values) > 1e5  # fourth powers are rounded then, and gaps may be nearly alike
        rounded = 1e-7 * sum(values) if large else 0.0
        for found_half in (change["high"] - change["value"], change["value"] - change["low"]):
            assert found_half == pytest.approx(half, rel=1e-9, abs=1e-8 + rounded)
        if half > 1e-6 and not large:
            assert near(
                found["p_value"],
                2 * stats.norm.sf(abs(np.mean(gaps)) / scale / half * 1.959963984540054),
            )


def check(story: Story, found: Told, *, truth: bool) -> None:
    """truth: whether it is told how good they are."""
    for (start_ms, end_ms), contests in found.items():
        by_whom = {}
        for one in contests:
            site = one["segment"] and one["segment"]["value"]
            assert (one["champion"], site) not in by_whom
            by_whom[one["champion"], site] = one
        for champion, site in itertools.product(("1", "3"), (None, *SITES)):
            own = [
                (a, b)
                for a, b in pairs_of(story.events, champion)
                if site in (None, (b.segments or {})["site"])
            ]
            made = [pair for pair in own if start_ms <= max(e.time for e in pair) < end_ms]
            rows = [labelled(story.events, pair, start_ms, end_ms) for pair in own if truth]
            judged = [row for row in rows if row is not None]
            contest = by_whom.pop((champion, site), None)
            if contest is None:
                assert max(len(made), len(judged)) < (1 if site is None else PLAIN.minimum_rows)
            else:
                check_answers(contest, made, story.numbers)
                check_truths(contest, judged, story.numbers)
        assert not by_whom
        check_order(contests)


def check_order(contests: list[dict[str, Any]]) -> None:
    """All rows first; of segments that beside one champion in which the challenger is worst."""
    whole = [one["segment"] is None for one in contests]
    assert whole == sorted(whole, reverse=True)
    for champion in ("1", "3"):
        own = [one for one in contests if one["segment"] and one["champion"] == champion]
        changes = [
            m["change"]["value"] * (-1 if m["metric"] == "accuracy" else 1)
            for one in own
            for m in one["metrics"]
            if m["metric"] in ("accuracy", "mae")
        ]
        assert changes == sorted(changes, reverse=True)


@settings(max_examples=40, deadline=None)
@given(stories(), tales.ways(1, 3, 100), st.booleans())
def test_pairs_come_to_the_same_as_single_rows_in_any_order(
    story: Story, way: Way, expects_truth: bool
) -> None:
    """What was answered is told with the inputs, also where no truth will come."""
    pipeline = play(story, way, dataclasses.replace(PLAIN, expects_truth=expects_truth))
    check(story, told(pipeline, "inputs"), truth=False)
    own = [e for e in story.events if isinstance(e, Prediction) and e.version == "2"]
    made = {e.time // DAY_MS for e in own}
    assert {end // DAY_MS - 1 for _, end in told(pipeline, "inputs")} == made
    quality = told(pipeline)
    assert expects_truth or not quality
    check(story, quality, truth=True)


def rows_of_two(days: Sequence[int], per_day: int = 30, seed: int = 1) -> list[Event]:
    """Two versions that answer the same predictions, and their truth a day later."""
    rng, found = np.random.default_rng(seed), list[Event]()
    for day, i in itertools.product(days, range(per_day)):
        key, time_ms = f"{day}-{i}", START_MS + day * DAY_MS + i * (DAY_MS // per_day)
        label = str(rng.integers(2))
        for version, right in (("1", 0.6), ("2", 0.8)):
            said = label if rng.random() < right else str(1 - int(label))
            found.append(Prediction(key, "m", version, time_ms, {}, prediction=said))
        found.append(Truth(key, "m", time_ms + DAY_MS, label))
    return sorted(found, key=lambda e: e.time)


PROMPT = dataclasses.replace(PLAIN, lateness_s=0, label_lateness_s=0, segments=())


def feed(pipeline: Pipeline, events: Sequence[Event], base: int = 0) -> None:
    for topic, partition, rows in tales.chunks(events, Way(chunk=50)):
        pipeline.rows(topic, partition, [(base + at, *rest) for at, *rest in rows], rows[-1][1])
        pipeline.checkpoint()


def advance(pipeline: Pipeline, days: int) -> None:
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + days * DAY_MS})
    pipeline.checkpoint()


def by_version(events: Sequence[Event], seed: int, size: int = 10) -> Iterator[tuple[Any, ...]]:
    """Chunks, where each version has a source partition of its own, in any order of these."""
    rng, rows = random.Random(seed), defaultdict[tuple[str, int], list[Any]](list)
    for event in events:
        truth = isinstance(event, Truth)
        at = ("ground-truth", 0) if truth else ("predictions", int(event.version or 1) - 1)
        rows[at].append((len(rows[at]), event.time, event))
    while rows:
        at = rng.choice(sorted(rows))
        yield *at, rows[at][:size]
        rows[at] = rows[at][size:]
        rows = defaultdict(list, {key: own for key, own in rows.items() if own})


def test_which_version_is_read_first_does_not_show() -> None:
    """A challenger's windows wait for the champion's predictions, wherever these come from."""
    found = []
    for seed, restart in ((0, False), (2, False), (2, True), (3, True)):
        wish = dataclasses.replace(PROMPT, idle_s=6 * 3600.0)
        pipeline = Pipeline(functools.partial(_wish, wish), 2, 2)
        for topic, partition, rows in by_version(rows_of_two(range(3)), seed):
            pipeline.rows(topic, partition, rows, rows[-1][1])
            pipeline.checkpoint()
            if restart:
                pipeline.restart()
        advance(pipeline, 6)
        found.append(tales.published(pipeline))
        events = tales.events(pipeline, "evaluations")
        assert {e["window"]["revision"] for e in events} == {0}
        assert all(e["beside"] for e in events if e["version"] == "2")
    assert all(one == found[0] for one in found)


def test_a_champion_that_predicts_no_more_holds_nobody_back() -> None:
    """It is idle, or was only registered."""
    events = rows_of_two(range(6))
    gone = [e for e in events if e.version == "1" and e.time >= START_MS + 2 * DAY_MS]
    wish = dataclasses.replace(PROMPT, idle_s=6 * 3600.0)
    pipeline = Pipeline(functools.partial(_wish, wish))
    for part in dataclasses.replace(reference(False), version="0").to_parts(600_000, time=0):
        pipeline.control(part)
    feed(pipeline, [e for e in events if e not in gone])
    days = {start: one for (start, end), one in told(pipeline).items() if end - start == DAY_MS}
    pairs = {
        (start - START_MS) // DAY_MS: sum(c["pairs"] for c in one) for start, one in days.items()
    }
    assert pairs == {0: 30, 1: 30, 2: 0, 3: 0, 4: 0}


def test_pairs_of_which_a_message_was_lost_are_found_again() -> None:
    events = rows_of_two(range(4))
    found, wanted = Lossy(lambda _: PROMPT, 2), Pipeline(lambda _: PROMPT, 2)
    for part in (range(150), range(150, 250), range(250, len(events))):
        some = [events[i] for i in part]
        found.deaf = part.start == 150
        for pipeline in (found, wanted):
            feed(pipeline, some, part.start)
        if found.deaf:
            found.mend()
            found.restart()
    for pipeline in (found, wanted):
        advance(pipeline, 6)
    assert found.lost > 0
    for subject in ("inputs", "quality"):
        assert told(found, subject) == told(wanted, subject)


def test_where_no_truth_comes_predictions_wait_for_each_other_only_so_long() -> None:
    """One sent twice is one pair; what nobody can answer any more makes room."""
    wish = dataclasses.replace(PROMPT, expects_truth=False, horizon_s=DAY_S)
    pipeline = Pipeline(functools.partial(_wish, wish))
    predictions = [e for e in rows_of_two(range(4)) if isinstance(e, Prediction)]
    feed(pipeline, [e for one in predictions for e in (one, one)])
    advance(pipeline, 4)
    days = told(pipeline, "inputs")
    assert [one["pairs"] for (start, end), (one,) in days.items() if end - start == DAY_MS] == [
        30
    ] * 4
    assert told(pipeline) == {}
    ledger, pending = pipeline.ledgers[0], pipeline.stored[0].pending
    before = ledger.matches.pending
    ledger.expire(dict(pending))
    pipeline.checkpoint()
    assert (before, ledger.matches.pending, len(pending)) == (120, 30, 30)


def test_predictions_that_come_after_their_pane_are_told_as_a_revision() -> None:
    """The champion's come last of all: nothing to compare before, all of it afterwards."""
    events = rows_of_two(range(2))
    late = [e for e in events if e.version == "1"]
    pipeline = Pipeline(lambda _: PROMPT)
    feed(pipeline, [e for e in events if e.version != "1"])
    advance(pipeline, 6)
    for subject in ("inputs", "quality"):
        assert told(pipeline, subject)
        assert all(contests == [] for contests in told(pipeline, subject).values())
    feed(pipeline, late, 1_000)
    advance(pipeline, 7)
    own = [e for e in tales.events(pipeline, "evaluations") if e.get("beside")]
    assert {e["window"]["revision"] for e in own} == {1}
    answered = [
        one["pairs"]
        for (start_ms, end_ms), (one, *_) in told(pipeline, "inputs").items()
        if end_ms - start_ms == DAY_MS
    ]
    assert answered == [30, 30]
    own = [e for e in own if e["subject"] == "quality"]
    days = {
        (ms(e["window"]["start"]) - START_MS) // DAY_MS: e["beside"][0]
        for e in own
        if e["window"]["panes"] == 1
    }
    assert {day: (one["pairs"], one["labelled"]) for day, one in days.items()} == {
        0: (30, 0),
        1: (30, 30),
        2: (0, 30),
    }
    for (start_ms, end_ms), contests in told(pipeline).items():
        if end_ms - start_ms == DAY_MS and contests:
            rows = [labelled(events, pair, start_ms, end_ms) for pair in pairs_of(events, "1")]
            check_truths(contests[0], [row for row in rows if row is not None], numbers=False)


def test_pairs_of_a_sample_count_as_many_times() -> None:
    """The share of pairs with different answers is that of the entries, by their weights."""
    wish = dataclasses.replace(PROMPT, max_pending=600, horizon_s=3 * DAY_S)
    pipeline = Pipeline(lambda _: wish)
    feed(pipeline, rows_of_two(range(DAYS), per_day=200))
    advance(pipeline, DAYS + 3)
    ledger = pipeline.ledgers[0]
    weights: dict[bool, int] = {True: 0, False: 0}
    pairs, exponents = 0, set[int]()
    for raw in pipeline.stored[0].pending.values():
        entry = unpack_entry(raw, ledger.matches.tables)
        if len(entry.forecasts) == 2:
            one, other = entry.forecasts
            k = max(one.exponent, other.exponent)
            weights[one.answer != other.answer] += 1 << k
            pairs, exponents = pairs + 1, exponents | {k}
    assert len(exponents) > 1
    (contest,) = told(pipeline)[START_MS, START_MS + DAYS * DAY_MS]
    assert contest["pairs"] == pairs < DAYS * 200
    assert near(contest["disagreement"]["value"], weights[True] / sum(weights.values()))


def test_other_models_cost_nothing_more() -> None:
    """Where no version challenges another, all state and all that is told stays what it was."""
    events = rows_of_two(range(2))
    played = []
    for names in ((), ("9",)):
        pipeline = Pipeline(
            functools.partial(_wish, dataclasses.replace(PROMPT, challengers=names))
        )
        feed(pipeline, events)
        advance(pipeline, 4)
        played.append((pipeline.stored, pipeline.watched, tales.published(pipeline)))
    assert played[0] == played[1]


def _wish(wish: ModelSettings, model: str) -> ModelSettings:
    assert model == "m"
    return wish


def test_lines_for_people() -> None:
    example = next(e for e in schemas.load("evaluation.v1")["examples"] if "beside" in e)
    lines = evaluation_text(msgspec.convert(example, Evaluation)).split("\n")
    assert lines[1:] == [
        f"    {example['beside'][0]['reason']}",
        "      accuracy  0.893 against 0.881  +0.0122 (95% 0.00457 to 0.0199)",
        "      right: both 3,510, version 9 alone 152, version 8 alone 102, neither 336",
        "      different answers: 1 in place of 0 (201), 0 in place of 1 (121)",
    ]


def test_an_example_says_what_its_table_says() -> None:
    example = next(e for e in schemas.load("evaluation.v1")["examples"] if "beside" in e)
    (one,) = example["beside"]
    names = ("both_right", "challenger_right", "champion_right", "both_wrong")
    both, new, old, neither = (one[name] for name in names)
    found = intervals.paired(both, new, old, neither, one["labelled"])
    change = one["metrics"][0]["change"]
    assert (found.value, found.low, found.high) == pytest.approx(
        (change["value"], change["low"], change["high"]), rel=1e-2
    )
