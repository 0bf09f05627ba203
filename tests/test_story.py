"""The story: every policy is predicted once, truth comes late, all in order and well formed."""

import collections
import json
from pathlib import Path

import pytest

from agents import story, tables
from agents.portfolio import FEATURES, GROUPS
from stream.events import Limits, Prediction, decode_prediction, decode_truth

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def told() -> story.Story:
    return story.generate(months=4, delay_s=45 * 86_400)


def test_months_are_panes_of_the_epoch() -> None:
    assert story.START_MS % (30 * DAY_MS) == 0


def test_events_come_in_order_and_each_policy_once(told: story.Story) -> None:
    events = list(told.events())
    times = [event.time_ms for event in events]
    assert times == sorted(times)
    counts = collections.Counter((event.topic, event.key) for event in events)
    assert set(counts.values()) == {1}
    assert sum(topic == "predictions" for topic, _ in counts) == told.predictions == 6_000


def test_truth_comes_late_and_never_after_the_end(told: story.Story) -> None:
    events = list(told.events())
    predicted = {e.key: e.time_ms for e in events if e.topic == "predictions"}
    truths = [e for e in events if e.topic == "ground-truth"]
    assert {e.time_ms - predicted[e.key] for e in truths} == {45 * DAY_MS}
    assert len(truths) == 2.5 * 1_500
    assert max(e.time_ms for e in truths) < told.end_ms


def test_every_event_is_decoded(told: story.Story) -> None:
    limits = Limits()
    for event in told.events():
        value, key = json.dumps(event.event).encode(), event.key.encode()
        decode = decode_prediction if event.topic == "predictions" else decode_truth
        found = decode(value, key, event.time_ms, limits)
        assert (found.model, found.time) == (story.MODEL, event.time_ms)
        if isinstance(found, Prediction):
            answers = found.probabilities or {}
            assert max(answers, key=answers.__getitem__) == found.prediction


def test_the_reference_knows_features_answers_and_quality(told: story.Story) -> None:
    found = told.reference
    assert tuple(found.features) == FEATURES
    kinds = {name: feature.kind for name, feature in found.features.items()}
    assert kinds == dict.fromkeys(FEATURES, "number") | dict.fromkeys(story.CATEGORICAL, "category")
    assert set(found.outputs) == {"prediction", "confidence"}
    assert set(found.outputs["prediction"].names) == set(GROUPS)
    assert set(found.quality) == {"accuracy", "log_loss", "brier"}
    assert found.rows == 1_500


def test_the_same_seed_tells_the_same_story(told: story.Story) -> None:
    again = story.generate(months=4, delay_s=45 * 86_400)
    assert list(again.events()) == list(told.events())
    assert again.reference.id == told.reference.id


def test_the_month_of_a_time(told: story.Story) -> None:
    months = [told.month_of(e.time_ms) for e in told.events() if e.topic == "predictions"]
    assert collections.Counter(months) == dict.fromkeys(range(1, 5), 1_500)


def test_the_published_files(data: Path) -> None:
    told = story.load(data / "insurance", months=36)
    assert len(told.policies) == 1_500
    assert told.predictions == 36 * 1_500


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(tables.BadTable, match=r"reference\.csv\.gz"):
        story.load(tmp_path, months=1)
    (tmp_path / "reference.csv.gz").write_text("age;group\n1;2\n")
    with pytest.raises(tables.BadTable, match="has no column braking_distance"):
        story.load(tmp_path, months=1)
