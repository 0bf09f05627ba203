"""Quality by segment: outcomes counted by the segments of their predictions, exactly."""

import dataclasses
import datetime
import functools
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from stream.columns import Excerpt, column_of
from stream.divisions import divided, part_of
from stream.events import Prediction, Truth, milliseconds
from stream.pipeline import Pipeline
from stream.references import Reference
from tests import tales
from tests.tales import DAILY, DAY_MS, START_MS, Tale, Way

PER_DAY, DAYS, TURNED = 800, 4, 2
SITES = ("Paris", "Lyon", "Nice")
SHARES = (0.83, 0.11, 0.06)
SETTINGS = dataclasses.replace(
    DAILY,
    minimum_rows=65,
    power=0,
    segments=("site",),
    retrain_minimum_labels=100,
)
Drawn = tuple[list[float], list[str], list[str]]


def drawn(rows: int, seed: int, turned: bool = False) -> Drawn:
    """Scores, labels that follow them (in Lyon, once turned, no more), and sites."""
    rng = np.random.default_rng(seed)
    sites = rng.choice(SITES, rows, p=SHARES).tolist()
    scores = rng.choice([0.05, 0.1, 0.9, 0.95], rows)
    labels = rng.random(rows) < scores
    coin = rng.random(rows) < 0.5
    lost = np.array([turned and site == "Lyon" for site in sites])
    return scores.tolist(), [str(int(x)) for x in np.where(lost, coin, labels)], sites


def accuracy(of: Drawn, site: str | None = None) -> float:
    right = [(p > 0.5) == (y == "1") for p, y, s in zip(*of, strict=True) if site in (None, s)]
    return sum(right) / len(right)


@functools.cache
def reference(quality: bool = True) -> Reference:
    before = drawn(6_000, 1)
    said = column_of([str(int(p > 0.5)) for p in before[0]])
    features = {"x": column_of(before[0])}
    plain = Reference.build(
        "m", "1", features, prediction=said, task="classification",
        quality={"accuracy": accuracy(before)} if quality else None,
    )  # fmt: skip

    def own(rows: Any, whole: Reference) -> Reference:
        site = before[2][int(rows[0])]
        known = {"accuracy": accuracy(before, site)} if quality else None
        return part_of(whole, Excerpt(features, rows), said.take(rows), None, known)

    return divided(plain, {"site": column_of(before[2])}, SETTINGS, own)


@functools.cache
def day(number: int) -> Drawn:
    return drawn(PER_DAY, 20 + number, number >= TURNED)


@functools.cache
def story(quality: bool = True) -> Tale:
    """Truth comes a day late; some is revised twice, some sent twice, some taken back."""
    events: list[Prediction | Truth] = []
    for number in range(DAYS):
        for i, (score, label, site) in enumerate(zip(*day(number), strict=True)):
            key, at = f"{number}-{i}", START_MS + number * DAY_MS + i * DAY_MS // PER_DAY
            given = {"site": site} if i % 50 else {"site": f"unknown {i}"}
            events.append(
                Prediction(key, "m", "1", at, {"x": score}, prediction=str(int(score > 0.5)),
                           score=score, segments=given)
            )  # fmt: skip
            known = at + DAY_MS
            if i % 7 == 0:  # wrong at first, and put right at once
                wrong = str(1 - int(label))
                events.append(Truth(key, "m", known, wrong))
                events.append(Truth(key, "m", known + 1, label, revision=1))
            elif i % 11 == 0:
                events += [Truth(key, "m", known, label)] * 2
            elif i % 13 == 0:
                events.append(Truth(key, "m", known, label))
                events.append(Truth(key, "m", known + 1, None, revision=1, retracted=True))
            else:
                events.append(Truth(key, "m", known, label))
    end_ms = START_MS + (DAYS + 1) * DAY_MS
    ordered = sorted((e for e in events if e.time < end_ms), key=lambda e: e.time)
    return Tale(reference(quality), ordered, end_ms)


def counted(number: int, site: str) -> tuple[int, int]:
    """Outcomes and hits of a day's predictions at a site, by the batch."""
    rows = [
        (p > 0.5) == (y == "1")
        for i, (p, y, s) in enumerate(zip(*day(number), strict=True))
        if s == site and i % 50 and (i % 7 == 0 or i % 11 == 0 or i % 13)
    ]
    return len(rows), sum(rows)


def told(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "quality"]


@functools.cache
def expected() -> tales.Published:
    return tales.without_offsets(tales.published(tales.play(story(), SETTINGS, Way())))


def by_site(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {r["segment"]["value"]: r for r in evaluation["segments"]}


def test_each_sites_accuracy_is_that_of_the_batch() -> None:
    found = told(tales.play(story(), SETTINGS, Way(2, 3, 77)))
    seen = []
    for evaluation in found:
        end = datetime.datetime.fromisoformat(evaluation["window"]["end"])
        number = (milliseconds(end) - START_MS) // DAY_MS - 2  # the day before
        seen.append(number)
        for site, reading in by_site(evaluation).items():
            assert reading["role"] == "quality"
            n, hits = counted(number, site)
            shown = {reading["subject"]: reading["statistic"]} | reading["details"]
            assert reading["n"] == n
            assert shown["accuracy"] == pytest.approx(hits / n, abs=1e-12)
    assert seen == [*range(DAYS)]


def test_one_site_whose_quality_falls_is_named_and_the_whole_is_not() -> None:
    found = tales.play(story(), SETTINGS, Way(2, 1, 100))
    (alert,) = [e for e in tales.events(found, "alerts") if e["cause"] == "quality"]
    assert [part["cause"] for part in alert["parts"]] == ["segment-quality:site=Lyon"]
    assert alert["severity"] == "page"
    assert alert["summary"].startswith("m 1: site=Lyon: ")
    assert "This is so of site=Lyon alone" in alert["meaning"]
    last = told(found)[-1]
    assert "moved" not in [r["verdict"] for r in last["readings"]]
    assert last["segments"][0]["segment"]["value"] == "Lyon"
    assert last["verdict"]["quality"] is True
    (request,) = tales.events(found, "retrain-requests")
    assert "site=Lyon" in request["reason"]


def test_a_site_with_few_labels_says_so() -> None:
    for evaluation in told(tales.play(story(), SETTINGS, Way())):
        nice = by_site(evaluation)["Nice"]
        assert nice["n"] < SETTINGS.minimum_rows
        assert nice["verdict"] == "not-enough-data"


WAYS = tales.ways(61, 900)


@settings(max_examples=3, deadline=None)
@given(WAYS)
def test_the_same_truth_gives_the_same_bytes_however_it_comes(way: Way) -> None:
    found = tales.published(tales.play(story(), SETTINGS, way))
    assert tales.without_offsets(found) == expected()


def test_what_waits_is_no_larger_where_no_segment_is_judged() -> None:
    """Neither where none is named, nor where the reference does not know its quality."""
    plain = dataclasses.replace(SETTINGS, segments=())
    sizes = [
        Counter(len(raw) for state in tales.play(tale, s, Way()).stored
                for raw in state.pending.values())
        for tale, s in ((story(), plain), (story(False), SETTINGS), (story(), SETTINGS))
    ]  # fmt: skip
    assert sizes[0] == sizes[1]
    assert min(sizes[2]) == min(sizes[0])  # those of unknown sites
    assert max(sizes[2]) == max(sizes[0]) + 6


def test_without_quality_by_segment_nothing_is_claimed_of_it() -> None:
    found = told(tales.play(story(False), SETTINGS, Way()))
    assert [e["segments"] for e in found] == [[]] * len(found)
    assert json.dumps(found).count("segment-quality") == 0
