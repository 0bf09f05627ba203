import csv
import dataclasses
import doctest
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import checks
from stream.checks import CHECKS, MAIN, check_share, holm, judge, measure
from stream.columns import Column, Value, column_of
from stream.events import Reading
from stream.features import FeatureReference, summarise
from stream.measures import Comparison
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share

SETTINGS = ModelSettings()
INSURANCE = ("training", "age", "emergency_braking", "braking_distance", "power", "miles")
RNG = np.random.default_rng(7)
AGES = RNG.normal(31.4, 12, 1_500)


def main(c: Comparison, level: float = 0.01) -> Reading:
    """The main check of a feature, at a level of its own."""
    return judge(measure(c, MAIN[c.feature.kind]), level)


def read(feature: FeatureReference, live: Column, level: float = 0.01) -> Reading:
    return main(Comparison(feature, feature.counts_of(live), SETTINGS), level)


def test_both_must_speak() -> None:
    age = summarise("age", column_of(AGES))
    verdicts = {
        "moved": AGES[:1_000] + 4,
        "small": np.repeat(AGES, 30) + 0.7,
        "ok": AGES[::-1],
        "not-enough-data": AGES[:99] + 50,
    }
    for verdict, live in verdicts.items():
        assert read(age, column_of(live)).verdict == verdict, verdict


def test_silence_of_few_rows_says_nothing_and_their_news_is_news() -> None:
    age = summarise("age", column_of(AGES))
    few = read(age, column_of(AGES[:120] + 2.5))
    assert few.verdict == "not-enough-data"
    assert few.reason.endswith(
        "not enough data yet: 120 rows, to see a change of 0.1 reference standard deviations takes "
        "1,500"
    )
    assert few.details["rows_needed"] == age.rows  # more would be of no use
    assert read(age, column_of(AGES[:120] + 12)).verdict == "moved"
    plain = dataclasses.replace(SETTINGS, power=0.0)
    enough = main(Comparison(age, age.counts_of(column_of(AGES[:120] + 2.5)), plain))
    assert (enough.verdict, "rows_needed" in enough.details) == ("insignificant", False)


def test_a_number_is_told_in_its_own_units() -> None:
    live = [*range(60, 95), *range(60, 95), *[150] * 30]
    reading = read(summarise("age", column_of(np.arange(100.0))), column_of(live))
    assert reading.reason == (
        "age: median 49.5 -> 84.5, largest gap 60 points at 59, "
        "30.0% above the reference's highest 99; "
        "chance does as much in fewer than one month in a million"
    )
    assert reading.statistic == pytest.approx(0.6)
    assert reading.details["direction"] == "up"


def test_a_category_is_told_with_its_shares_and_what_is_new_or_gone() -> None:
    colour = summarise("colour", column_of(["red"] * 600 + ["blue"] * 390 + ["green"] * 10))
    live = colour.counts_of(column_of(["red"] * 480 + ["blue"] * 400 + ["pink"] * 120))
    reading = main(Comparison(colour, live, SETTINGS, new_names=("pink",)))
    assert reading.verdict == "moved"
    assert reading.reason == (
        "colour: share of other categories rose 0% -> 12.0%; new: pink; gone: green; "
        "chance does as much in fewer than one month in a million"
    )
    assert reading.details["new_share"] == 0.12


def test_a_constant_that_changes_moves_though_it_has_no_deviation() -> None:
    constant = summarise("x", column_of(np.full(500, 7.5)))
    assert read(constant, column_of(np.full(500, 7.5))).verdict == "ok"
    moved = read(constant, column_of(np.full(500, 8.0)))
    assert moved.verdict == "moved"
    assert moved.effect is not None
    assert moved.effect.unit == "share of rows"


def test_nothing_in_the_reference_is_a_verdict() -> None:
    empty = summarise("x", column_of([None] * 500))
    assert read(empty, column_of(AGES)).verdict == "no-reference"


def test_missing_values_are_a_check_of_their_own() -> None:
    reference = Reference.build("m", "1", {"age": column_of(AGES), "miles": column_of(AGES)})
    share = Share(reference)
    some: list[Value] = [None if i % 5 == 0 else x for i, x in enumerate(AGES.tolist())]
    words: list[Value] = ["n/a" if i % 5 == 0 else x for i, x in enumerate(AGES.tolist())]
    share.update({"age": column_of(some), "miles": column_of(words)}, None, None, np.arange(1_500))
    plain = dataclasses.replace(SETTINGS, power=0.0)
    found = {(r.check, r.subject): r for r in check_share(reference, share, 0.05, plain)}
    assert found["ks", "age"].verdict == found["ks", "miles"].verdict == "ok"
    age, miles = found["missing", "age"], found["type", "miles"]
    assert (age.verdict, age.role) == ("moved", "data")
    assert age.reason.startswith("age: missing rose 0% -> 20.0%;")
    assert (miles.verdict, miles.role) == ("moved", "data")
    assert miles.reason.startswith(
        "miles: words where numbers were rose 0% -> 20.0% (300 of 1,500 rows);"
    )


def test_new_names_are_told_most_frequent_first_in_whatever_order_they_came() -> None:
    reference = Reference.build("m", "1", {"colour": column_of(["red", "blue"] * 300)})
    reasons = set()
    for names in (["pink", "grey", "grey"] * 50, ["grey", "grey", "pink"] * 50):
        share = Share(reference)
        share.update({"colour": column_of(names)}, None, None, np.arange(150))
        main, new = check_share(reference, share, 0.05, SETTINGS)
        assert new.reason.startswith("colour: not in the reference: grey, pink, 150 of 150 rows;")
        reasons.add(main.reason)
    (reason,) = reasons
    assert "new: grey, pink;" in reason


def test_notices_are_a_family_of_their_own_and_cost_the_others_nothing() -> None:
    columns = {name: column_of(AGES) for name in ("age", "height", "miles")}
    reference = Reference.build("m", "1", columns)
    share = Share(reference)
    live = {name: column_of([*AGES, *[900.0] * 90]) for name in columns}
    share.update(live, None, None, np.arange(1_590))
    found = check_share(reference, share, 0.06, SETTINGS)
    by_check = {check: [r for r in found if r.check == check] for check in ("ks", "range")}
    assert [len(readings) for readings in by_check.values()] == [3, 3]
    for readings in by_check.values():
        assert sorted(r.level or 0 for r in readings) == pytest.approx([0.02, 0.03, 0.06])
    assert {r.role for r in by_check["range"]} == {"data"}


def test_features_can_be_left_out() -> None:
    reference = Reference.build("m", "1", {"age": column_of(AGES)}, prediction=column_of(AGES))
    share = Share(reference)
    share.update({"age": column_of(AGES)}, column_of(AGES), None, np.arange(1_500))
    readings = check_share(reference, share, 0.05, ModelSettings(ignore=("age",)))
    assert [(r.subject, r.role) for r in readings] == [("prediction", "output")]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12), st.floats(0.001, 1))
def test_holm_rejects_what_step_down_rejects(p: list[float | None], level: float) -> None:
    tested = sorted(x for x in p if x is not None)
    rejected = 0
    while rejected < len(tested) and tested[rejected] <= level / (len(tested) - rejected):
        rejected += 1
    levels = holm(p, level)
    found = [x for x, at in zip(p, levels, strict=True) if x is not None and at and x <= at]
    assert sorted(found) == tested[:rejected]
    assert [at is None for at in levels] == [x is None for x in p]


def test_the_examples_of_the_docs_run() -> None:
    assert doctest.testmod(checks).failed == 0


VALUES = st.lists(
    st.one_of(
        st.none(),
        st.floats(),
        st.integers(-(10**9), 10**9),
        st.booleans(),
        st.sampled_from(["a", "b", "1", ""]),
    ),
    max_size=40,
)


@given(VALUES, VALUES, st.sampled_from(sorted(MAIN)))
def test_whatever_the_values_every_check_gives_a_finite_reading(
    known: list[Value], live: list[Value], kind: str
) -> None:
    kinds = [["x"], []] if kind == "category" else [[], ["x"]]
    columns = {"x": column_of(known)}
    reference = Reference.build("m", "1", columns, categorical=kinds[0], numeric=kinds[1])
    share = Share(reference)
    share.update({"x": column_of(live)}, None, None, np.arange(len(live)))
    for reading in check_share(reference, share, 0.05, ModelSettings(minimum_rows=2)):
        assert reading.check in CHECKS
        assert reading.reason
        assert reading.effect is None or np.isfinite(reading.effect.value)
        plain = [x for x in reading.details.values() if isinstance(x, float)]
        assert np.isfinite(plain).all()


def load(path: Path) -> dict[str, Column]:
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return {name: column_of([float(row[name]) for row in rows]) for name in INSURANCE}


def test_the_insurance_years_move_what_moved_and_nothing_else(data: Path) -> None:
    """Windows of a month, defaults, 5% for each month's six features together."""
    folder = data / "insurance"
    reference = Reference.build("claims", "1", load(folder / "reference.csv.gz"))
    verdicts: dict[tuple[str, str], list[int]] = {}
    for month in range(1, 37):
        share = Share(reference)
        columns = load(folder / "monthly" / f"month-{month}.csv.gz")
        share.update(columns, None, None, np.arange(1_500))
        for reading in check_share(reference, share, 0.05, SETTINGS):
            verdicts.setdefault((reading.subject, reading.verdict), []).append(month)
    expected = {
        "emergency_braking": [*range(5, 37)],
        "miles": [*range(8, 37)],
        "age": [11, *range(14, 37)],  # month 12 is .097 sd (small), month 13 p = .014
    }
    moved = {name: months for (name, verdict), months in verdicts.items() if verdict == "moved"}
    assert moved == expected
    assert verdicts["braking_distance", "small"] == [16, 20, 22, 30]
    assert verdicts["power", "ok"] == verdicts["training", "ok"] == [*range(1, 37)]
