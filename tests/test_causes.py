"""Which readings become alerts, and of what."""

import dataclasses

from stream.causes import by_cause, gone_reading, suffix_of
from stream.settings import DAY_S
from tests.test_evaluations import SETTINGS, reading


def test_missing_answers_and_a_missing_feature_of_their_name_are_two_causes() -> None:
    readings = [
        reading("input", subject="prediction"),
        reading("data", subject="prediction", check="missing"),
        reading("output", subject="prediction"),
        reading("data", subject="prediction", check="missing"),
        reading("output", subject="confidence"),
        reading("quality", subject="accuracy", check="accuracy"),
        reading("quality", subject="confidence", check="confidence"),
    ]
    assert list(by_cause(readings, "@7d")) == [
        "input:prediction@7d",
        "data:prediction@7d",
        "output:prediction@7d",
        "data:output:prediction@7d",
        "output:confidence@7d",
        "quality:accuracy@7d",
    ]


def test_whatever_is_wrong_with_a_features_data_has_one_cause_and_notices_have_none() -> None:
    readings = [
        reading("input"),
        reading("data", check="missing"),
        reading("data", "moved", check="type"),
        reading("data", "moved", check="range"),
        reading("data", "moved", subject="rows", check="volume"),
    ]
    found = by_cause(readings, "")
    assert list(found) == ["input:x", "data:x"]
    assert found["data:x"].check == "type"


def test_windows_are_named_where_there_are_several() -> None:
    several = dataclasses.replace(SETTINGS, windows_s=(DAY_S, 7 * DAY_S))
    assert [suffix_of(several, w) for w in several.windows_s] == ["@1d", "@7d"]
    assert suffix_of(SETTINGS, DAY_S) == ""


def test_a_reading_that_is_gone_is_good_and_says_why() -> None:
    data, feature = (gone_reading(reading(role, "moved"), 5) for role in ("data", "input"))
    assert data.reason == "x: nothing missing"
    words = gone_reading(reading("data", "moved", check="type"), 5)
    assert words.reason == "x: no words among the numbers"
    assert feature.reason == "x: not in the reference any more, not checked"
    assert data.verdict == feature.verdict == "ok"
