"""The whole core in memory: what comes out depends on nothing but what went in."""

import collections
import dataclasses
import functools
import itertools
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from agents import story, tables
from stream.columns import column_of
from stream.events import Limits, Prediction, Truth, decode_prediction, decode_truth
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.settings import DAY_S, DetectorSettings, ModelSettings
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS, Published, Tale, Way

WAYS = tales.ways(7, 100, 1_000)


@functools.cache
def expected(known: bool) -> Published:
    return tales.without_offsets(
        tales.published(tales.play(tales.tale(), SETTINGS, Way(), known=known))
    )


@settings(max_examples=7, deadline=None)
@given(WAYS)
def test_the_same_story_gives_the_same_bytes_however_it_is_played(way: Way) -> None:
    found = tales.published(tales.play(tales.tale(), SETTINGS, way))
    assert tales.without_offsets(found) == expected(True)
    assert {t: len(v) for t, v in found.items() if t == "retrain-requests"} == {
        "retrain-requests": 1
    }


@settings(max_examples=5, deadline=None)
@given(WAYS)
def test_a_model_without_reference_is_watched_the_same_however_it_is_played(way: Way) -> None:
    found = tales.published(tales.play(tales.tale(), SETTINGS, way, known=False))
    assert tales.without_offsets(found) == expected(False)


def test_the_small_story_tells_what_happened() -> None:
    found = expected(True)
    assert {topic: len(values) > 0 for topic, values in found.items()} == dict.fromkeys(
        ("evaluations", "alerts", "retrain-requests"), True
    )
    pipeline = tales.play(tales.tale(), SETTINGS, Way(2, 1, 50))
    firing = tales.named(tales.events(pipeline, "alerts"))
    assert {"input:x@1d", "input:x@3d", "input:c@1d", "output:prediction@1d"} <= firing
    assert "quality:accuracy@1d" in firing
    assert not {"input:y@1d", "input:y@3d"} & firing


# more than there is room for

ROOM = dataclasses.replace(SETTINGS, max_pending=600, detectors=())


def by_day(way: Way) -> Pipeline:
    """The story with the truth of a day behind its predictions, in chunks of some length."""
    told = tales.tale(days=12, rows=60, delay_ms=DAY_MS)
    pipeline = Pipeline(lambda _: ROOM, way.partitions)
    offsets = collections.Counter[bool]()
    for part in told.reference.to_parts(600_000, time=START_MS):
        pipeline.control(part)
    for _, day in itertools.groupby(told.events, lambda e: (e.time - START_MS) // DAY_MS):
        rows = sorted(day, key=lambda e: isinstance(e, Truth))
        for is_truth, some in itertools.groupby(rows, lambda e: isinstance(e, Truth)):
            events = list(some)
            for at in range(0, len(events), way.chunk):
                chunk = [(offsets[is_truth] + i, e.time, e) for i, e in enumerate(events)][
                    at : at + way.chunk
                ]
                topic = "ground-truth" if is_truth else "predictions"
                pipeline.rows(topic, 0, chunk, chunk[-1][1])
                pipeline.checkpoint()
                if way.restart:
                    pipeline.restart()
            offsets[is_truth] += len(events)
    pipeline.control({"type": "watermark", "model": "m", "time": told.end_ms})
    pipeline.checkpoint()
    return pipeline


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_a_sample_tells_is_the_same_for_any_chunks_and_crashes(partitions: int) -> None:
    whole = tales.published(by_day(Way(partitions, chunk=1_000)))
    for chunk, restart in ((7, False), (23, True)):
        assert tales.published(by_day(Way(partitions, chunk=chunk, restart=restart))) == whole


def test_an_evaluation_says_what_it_is_a_sample_of() -> None:
    pipeline = by_day(Way(1, chunk=100))
    assert len(pipeline.stored[0].pending) <= ROOM.max_pending
    found = [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "quality"]
    last = found[-1]
    said, of = (next(n for n in last["notes"] if word in n) for word in ("truth for", "joined"))
    stands_for = int(re.search(r"which stand for ([\d,]+)", said)[1].replace(",", ""))  # type: ignore[index]
    assert last["rows"] < 90 < stands_for
    assert stands_for == pytest.approx(180, abs=4 * (180 * 7) ** 0.5)  # 1 in 8 at most
    assert ", 180 in all" in said
    assert re.match(r"1 in [\d ]+(to 1 in \d+ )?of the predictions from 20.* were joined", of)
    assert "max_pending" in of
    early = [note for e in found[:2] for note in e["notes"]]
    assert not [note for note in early if "joined" in note]


# river's own examples, as predictions

ORACLES = (
    (DetectorSettings("ADWIN", "x", raw=True), 1023),
    (DetectorSettings("KSWIN", "x", raw=True, parameters={"alpha": 0.0001, "seed": 42}), 1016),
    (DetectorSettings("PageHinkley", "x", raw=True), 1006),
)


def docstring_stream() -> list[int]:
    rng = random.Random(12345)
    return rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)


@pytest.mark.parametrize(
    "way",
    [Way(1, 1, 2_000), Way(4, 3, 90, 5), Way(2, 1, 250, restart=True)],
    ids=["at once", "scattered", "restarted"],
)
def test_detectors_fire_where_river_says(way: Way) -> None:
    events: list[Prediction | Truth] = [
        Prediction(f"p{i}", "m", "1", START_MS + i * 1_000, {"x": float(x)})
        for i, x in enumerate(docstring_stream())
    ]
    watched = dataclasses.replace(SETTINGS, detectors=tuple(d for d, _ in ORACLES))
    reference = Reference.build("m", "1", {"x": column_of([0.0, 1.0] * 50)})
    pipeline = tales.play(Tale(reference, events, START_MS + DAY_MS), watched, way)
    first: dict[str, Any] = {}
    for e in tales.events(pipeline, "evaluations"):
        if e["subject"] == "detectors" and e["readings"][0]["verdict"] == "moved":
            first.setdefault(e["readings"][0]["check"], e["readings"][0]["details"]["indices"][0])
    assert first == {d.name: index for d, index in ORACLES}


# real data

INSURANCE = ModelSettings(
    pane_s=story.MONTH_S,
    windows_s=(story.MONTH_S,),
    lateness_s=0,
    label_lateness_s=0,
    horizon_s=400 * DAY_S,
    idle_s=tales.FOR_EVER_S,
    detectors=(DetectorSettings("ADWIN"),),
)


def told(path: Path) -> Pipeline:
    """The real files through two partitions, in chunks of 5,000."""
    real = story.load(path / "insurance", 24)
    pipeline = Pipeline(lambda _: INSURANCE, 2)
    for part in real.reference.to_parts(600_000, time=story.START_MS):
        pipeline.control(part)
    rows: dict[str, list[Any]] = {"predictions": [], "ground-truth": []}
    offsets = collections.Counter[str]()
    for one in real.events():
        rows[one.topic].append((offsets[one.topic], one.time_ms, _event(one.topic, one.event)))
        offsets[one.topic] += 1
        if len(rows[one.topic]) == 5_000:
            pipeline.rows(one.topic, 0, rows[one.topic], one.time_ms)
            rows[one.topic] = []
            pipeline.checkpoint()
    for topic, last in rows.items():
        pipeline.rows(topic, 0, last, real.end_ms)
    pipeline.control({"type": "watermark", "model": story.MODEL, "time": real.end_ms})
    pipeline.checkpoint()
    return pipeline


def _event(topic: str, e: dict[str, Any]) -> Prediction | Truth:
    if topic == "ground-truth":
        return Truth(e["prediction_id"], e["model"], e["time"], e["label"])
    return Prediction(
        e["prediction_id"],
        e["model"],
        e["version"],
        e["time"],
        e["features"],
        e["prediction"],
        probabilities=e["probabilities"],
    )


def test_the_insurance_files_tell_their_story(data: Path) -> None:
    pipeline = told(data)
    alerts = tales.events(pipeline, "alerts")
    firing = tales.named(alerts)
    assert {"input:miles", "input:age", "input:emergency_braking"} <= firing
    never = {f"input:{name}" for name in ("power", "training", "braking_distance")}
    assert not never & firing
    labels_from = story.START_MS + story.LABEL_DELAY_S * 1_000
    quality = [e for e in alerts if e["cause"].startswith(("quality", "detector:"))]
    assert quality
    assert min(_ms(e["time"]) for e in quality) > labels_from
    (request,) = tales.events(pipeline, "retrain-requests")
    assert request["verdict"]["kind"] == "concept-drift"
    assert _ms(request["time"]) >= min(_ms(e["time"]) for e in quality)
    assert set(request["alert_ids"]) <= {e["id"] for e in alerts}


def _ms(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))


def test_the_slides_ages_give_the_slides_p_values_to_the_last_bit(data: Path) -> None:
    columns = tables.read(data / "insurance" / "slide_ages.csv").columns
    reference = Reference.build("m", "1", {"age": column_of(columns["reference"].numbers)})
    found = []
    for name in ("current_p75", "current_drift"):
        ages = columns[name].numbers
        ages = ages[np.isfinite(ages)].tolist()
        events: list[Prediction | Truth] = [
            Prediction(f"p{i}", "m", "1", START_MS + i, {"age": age}) for i, age in enumerate(ages)
        ]
        slide = dataclasses.replace(SETTINGS, windows_s=(DAY_S,), detectors=())
        pipeline = tales.play(Tale(reference, events, START_MS + DAY_MS), slide, Way(3, 2, 40))
        (evaluation,) = tales.events(pipeline, "evaluations")
        found.append(evaluation["readings"][0]["p_value"])
    assert found == [0.7516787908604354, 2.3432446792419765e-14]


# what a shell relies on


def test_rows_that_were_applied_are_passed_over() -> None:
    small = tales.tale(days=4)
    pipeline = Pipeline(lambda _: SETTINGS, 2)
    rows = [(i, e.time, e) for i, e in enumerate(small.events) if isinstance(e, Prediction)]
    for _ in range(2):
        pipeline.rows("predictions", 0, rows, rows[-1][1])
        pipeline.checkpoint()
    assert [e["rows"] for e in tales.events(pipeline, "evaluations")][:2] == [60, 60]


def test_no_rows_are_no_news() -> None:
    pipeline = Pipeline(lambda _: SETTINGS)
    pipeline.rows("predictions", 0, [], 0)
    assert pipeline.checkpoint() == []


def test_decoded_records_are_what_it_takes() -> None:
    now = 1_700_000_000_000
    raw = b'{"prediction_id": "a", "model": "m", "time": 1700000000000, '
    prediction = decode_prediction(raw + b'"version": "1", "features": {}}', None, now, Limits())
    truth = decode_truth(raw + b'"label": 1}', None, now, Limits())
    pipeline = Pipeline(lambda _: SETTINGS)
    pipeline.rows("predictions", 0, [(0, now, prediction)], now)
    pipeline.rows("ground-truth", 0, [(0, now, truth)], now)
    pipeline.control({"type": "watermark", "model": "m", "time": 1_800_000_000_000})
    pipeline.checkpoint()
    subjects = [e["subject"] for e in tales.events(pipeline, "evaluations")]
    assert subjects == ["inputs", "inputs", "quality", "quality"]
