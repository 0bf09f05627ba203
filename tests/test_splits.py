"""Two versions that answer different predictions: what is shown is that of single rows."""

import dataclasses
import functools
import io
import json
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agents import splits
from agents.commands import FAILED, run
from stream.events import Compared, Evaluation, Prediction, Truth
from stream.pipeline import Pipeline
from stream.splits import Split, Splits, Unmatched
from tests import tales
from tests.servers import Kafka
from tests.tales import DAY_MS, START_MS, Event, Way
from tests.test_contests import HOURLY
from tests.test_monitor import ms
from tests.test_rivals import DAYS, PLAIN, SITES, reference
from tests.workers import HOUR_MS, Deployment, prediction, truth

RIGHT = {"1": 0.7, "2": 0.85}
ROWS = 300  # a day
SETTINGS = dataclasses.replace(PLAIN, challengers=(), minimum_rows=20)


@dataclasses.dataclass(frozen=True)
class Row:
    """A prediction of one of the versions, and whether it was right."""

    number: int
    version: str
    time_ms: int
    site: str
    right: bool


@functools.cache
def rows() -> tuple[Row, ...]:
    """A third of the traffic goes to version 2."""
    rng = random.Random(11)
    found = []
    for i in range(DAYS * ROWS):
        version = "2" if rng.random() < 1 / 3 else "1"
        at = START_MS + i * DAY_MS // ROWS
        found.append(Row(i, version, at, rng.choice(SITES), rng.random() < RIGHT[version]))
    return tuple(found)


def events(some: Sequence[Row]) -> Iterator[Event]:
    """Truth comes an hour later."""
    for row in some:
        key, said = f"p{row.number}", str(row.number % 2)
        site = {"site": row.site}
        yield Prediction(key, "m", row.version, row.time_ms, {}, prediction=said, segments=site)
        label = said if row.right else str(1 - row.number % 2)
        yield Truth(key, "m", row.time_ms + DAY_MS // 24, label)


@functools.cache
def published() -> tuple[Evaluation, ...]:
    known = [dataclasses.replace(reference(False), version=version) for version in RIGHT]
    pipeline = Pipeline(lambda _: SETTINGS, 2, 1)
    for one in known:
        for part in one.to_parts(600_000, time=0):
            pipeline.control(part)
    tales.feed(pipeline, [*events(rows())], Way())
    end_ms = START_MS + (DAYS + 60) * DAY_MS
    pipeline.control({"type": "watermark", "model": "m", "time": end_ms})
    pipeline.checkpoint()
    found = [m.value for m in pipeline.published if m.topic == "evaluations"]
    return tuple(msgspec.json.decode(value, type=Evaluation) for value in found)


def between(some: Sequence[Evaluation], version: str = "2", beside: str = "1") -> list[Split]:
    found = Splits("m")
    for one in some:
        found.update(one)
    return found.between(version, beside)


def check(found: Compared, new: Sequence[Row], old: Sequence[Row]) -> None:
    for side, own in ((found.challenger, new), (found.champion, old)):
        assert side.n == len(own)
        assert side.value == pytest.approx(sum(row.right for row in own) / len(own), rel=1e-12)
    a, b = found.challenger, found.champion
    assert found.change.value == pytest.approx(a.value - b.value, abs=1e-12)
    below = math.hypot(a.value - a.low, b.high - b.value)
    assert found.change.low == pytest.approx(found.change.value - below, abs=1e-12)
    assert not found.paired


def accuracy(metrics: Sequence[Compared]) -> Compared:
    (found,) = (one for one in metrics if one.metric == "accuracy")
    return found


def sides_of(found: Split, delay_days: float) -> tuple[list[Row], list[Row]]:
    """The rows of each version whose truth came in the window."""
    start_ms, end_ms = ms(found.window.start), ms(found.window.end)
    own = [row for row in rows() if start_ms <= row.time_ms + delay_days * DAY_MS < end_ms]
    new, old = ([row for row in own if row.version == version] for version in ("2", "1"))
    return new, old


def test_metrics_are_those_of_the_rows_of_each_version_by_segment_too() -> None:
    day, whole = between(published())
    assert (day.window.panes, whole.window.panes) == (1, DAYS)
    assert (whole.version, whole.beside, whole.provisional, whole.pairs) == ("2", "1", [], [])
    sides = sides_of(whole, 1 / 24)
    check(accuracy(whole.metrics), *sides)
    assert {one.segment.value for one in whole.segments} == set(SITES)
    for one in whole.segments:
        check(
            accuracy(one.metrics), *([r for r in s if r.site == one.segment.value] for s in sides)
        )


def test_the_cohort_is_the_newest_whose_truth_is_in_for_both() -> None:
    _, whole = between(published())
    assert whole.cohort is not None
    start_ms = START_MS + (DAYS - 1) * DAY_MS
    own = [row for row in rows() if row.time_ms >= start_ms]
    sides = ([row for row in own if row.version == version] for version in ("2", "1"))
    found = accuracy(whole.cohort.metrics)
    for side, some in zip((found.challenger, found.champion), sides, strict=True):
        assert side.n == len(some)
        assert side.value == pytest.approx(sum(row.right for row in some) / len(some), rel=1e-12)


@given(st.randoms(use_true_random=False))
def test_any_order_of_reading_shows_the_same(rng: random.Random) -> None:
    some = rng.sample(published(), len(published()))
    assert between([*some, *some[:10]]) == between(published())


def test_the_newest_revision_counts_and_other_models_do_not() -> None:
    whole = between(published())[-1]
    (one,) = (
        e for e in published() if (e.version, e.subject, e.window) == ("2", "quality", whole.window)
    )
    window = msgspec.structs.replace(one.window, revision=one.window.revision + 1)
    newer = msgspec.structs.replace(
        one, window=window, metrics={"accuracy": one.metrics["accuracy"]}
    )
    other = msgspec.structs.replace(one, model="another", metrics={})
    found = between([newer, *published(), other])[-1]
    assert found.window.revision == window.revision
    assert [m.metric for m in found.metrics] == ["accuracy"]


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(Unmatched, match=r"of the quality of m 3; .* quality: 1, 2"):
        between(published(), "3")
    early = [e for e in published() if e.version == "1" or e.window.end < "0"]
    with pytest.raises(Unmatched, match="versions with evaluations of quality: 1"):
        between(early)
    middle = published()[len(published()) // 2].window.end
    apart = [e for e in published() if (e.version == "1") == (e.window.end <= middle)]
    with pytest.raises(Unmatched, match="no window has figures of both: those of 2 end from"):
        between(apart)
    with pytest.raises(Unmatched, match="versions with evaluations of quality: none"):
        between([])


def shown(found: Sequence[Split]) -> str:
    out = io.StringIO()
    splits.show(found, Console(file=out, width=160, highlight=False))
    return out.getvalue()


def test_what_is_shown_says_which_is_better_and_what_is_not_known() -> None:
    whole = between(published())[-1]
    text = shown([whole])
    assert "m: version 2 beside 1, truth of" in text
    assert "2 is better" in text
    assert "site=a: accuracy" in text
    assert "split them at random" in text
    assert "provisional: 2, slow truth" in shown(
        [msgspec.structs.replace(whole, provisional=["2"])]
    )
    back = shown(between(published(), "1", "2")[-1:])
    assert "2 is better" in back
    assert "1 is better" not in back


def test_an_a_b_test_is_read_from_a_broker(
    mock_kafka: Kafka,
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    some = rows()[:600]
    at = {row.number: START_MS + i * HOUR_MS // 300 for i, row in enumerate(some)}
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, HOURLY) as d:
        d.start()
        d.send(
            "predictions",
            (
                prediction(r.number, at[r.number], {"x": 1.0}, version=r.version, prediction="1")
                for r in some
            ),
        )
        d.until_taken_in()
        d.send("ground-truth", (truth(r.number, at[r.number], str(int(r.right))) for r in some))
        d.until_taken_in()
        d.close_time("m", START_MS + 2 * HOUR_MS)
        d.until(lambda: len(d.evaluations("quality")) >= 4)
        d.until_idle()
        capsys.readouterr()
        words = ["compare", "m", "2", "1", "--config", str(d.config)]
        assert run([*words, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert run(words) == 0
        text = capsys.readouterr().out
        assert run(["compare", "m", "9", "1", "--config", str(d.config)]) == FAILED
        assert "quality of m 9" in capsys.readouterr().err
    own = some[300:]
    (m,) = (one for one in found["metrics"] if one["metric"] == "accuracy")
    for side, version in (("challenger", "2"), ("champion", "1")):
        right = [row.right for row in own if row.version == version]
        assert (m[side]["n"], m[side]["value"]) == (
            len(right),
            pytest.approx(sum(right) / len(right)),
        )
    assert "m: version 2 beside 1, truth of" in text
