"""Vectors: which features are one, and that they are judged as one."""

import dataclasses
import doctest
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import vectors
from stream.checks import check_share, measure
from stream.columns import Column, Floats
from stream.events import Reading
from stream.explanations import explain
from stream.folds import folded
from stream.judgements import Inflated, shares
from stream.measures import Comparison
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.vectors import Vectors, element, left_out, vector_of

SETTINGS = ModelSettings()
SIZE, ROWS = 24, 1_000
RANDOM = np.random.default_rng(5)
KNOWN = RANDOM.normal(size=(ROWS, SIZE))


def columns(values: Floats, name: str = "v") -> dict[str, Column]:
    """A matrix, shape (rows, size), as the features of a vector."""
    return {element(name, i): Column(values[:, i].copy()) for i in range(values.shape[1])}


def reference(**others: Column) -> Reference:
    return Reference.build("m", "1", columns(KNOWN) | others)


def readings(
    known: Reference,
    live: dict[str, Column],
    settings: ModelSettings = SETTINGS,
    level: float = 0.01,
) -> dict[tuple[str, str], Reading]:
    share = Share(known)
    rows = len(next(iter(live.values())))
    share.update(live, None, None, np.arange(rows))
    found = check_share(known, share, level, settings)
    by_name = {(r.check, r.subject): r for r in found}
    assert len(by_name) == len(found)
    return by_name


def test_the_examples_of_the_docs_run() -> None:
    assert doctest.testmod(vectors).failed == 0


@given(st.dictionaries(st.text(max_size=4), st.integers(2, 9), max_size=3), st.randoms())
def test_a_vector_is_found_in_whatever_order_its_numbers_come(
    sizes: dict[str, int], random: Any
) -> None:
    sizes = {name: size for name, size in sizes.items() if name}
    own = {name: tuple(element(name, i) for i in range(size)) for name, size in sizes.items()}
    names = [n for elements in own.values() for n in elements]
    random.shuffle(names)
    assert Vectors.of([*names, "plain", "single[0]", "holed[0]", "holed[2]"]).elements == own
    assert all(vector_of(n) == name for name, elements in own.items() for n in elements)


def test_a_vector_is_one_reading_a_check() -> None:
    found = readings(reference(), columns(RANDOM.normal(size=(400, SIZE))))
    assert {key for key in found if key[0] == "ks"} == {("ks", "v")}
    reading = found["ks", "v"]
    assert reading.role == "input"
    assert reading.verdict in ("ok", "insignificant", "not-enough-data")
    assert reading.details["numbers"] == SIZE
    assert reading.details["numbers_moved"] == 0
    assert reading.reason.startswith(f"v ({SIZE} numbers), most v[")


def test_the_numbers_that_moved_are_named() -> None:
    live = RANDOM.normal(size=(400, SIZE))
    live[:, 17] += 1.5
    live[:, 3] += 0.8
    reading = readings(reference(), columns(live))["ks", "v"]
    assert reading.verdict == "moved"
    assert reading.reason.startswith(f"v: 2 of {SIZE} numbers moved, most v[17]: median ")
    assert (reading.details["most"], reading.details["moved"]) == ("v[17]", ["v[17]", "v[3]"])


def test_what_is_sure_but_small_does_not_hide_what_matters() -> None:
    known = Reference.build("m", "1", columns(np.tile(KNOWN, (20, 1))))
    live = np.tile(KNOWN, (20, 1))
    live[:, 2] += 0.09  # beyond chance with so many rows, below the floor
    live[:4_000, 9] += 0.6
    reading = readings(known, columns(live))["ks", "v"]
    assert (reading.verdict, reading.details["moved"]) == ("moved", ["v[9]"])
    live[:, 9] = np.tile(KNOWN, (20, 1))[:, 9]
    reading = readings(known, columns(live))["ks", "v"]
    assert (reading.verdict, reading.details["most"]) == ("small", "v[2]")


def test_a_vector_is_one_hypothesis_among_the_others() -> None:
    """A feature beside it gets half of the level, as beside any other feature.

    As a whole it is one more.
    """
    x = Column(RANDOM.normal(size=ROWS))
    live = columns(RANDOM.normal(size=(400, SIZE))) | {"x": Column(x.numbers[:400] + 3)}
    apart = dataclasses.replace(SETTINGS, whole_vectors=False)
    ks = {k: r for k, r in readings(reference(x=x), live, apart).items() if k[0] == "ks"}
    assert readings(reference(x=x), live)["ks", "x"].level == pytest.approx(0.01 / 3)
    assert ks["ks", "x"].level == pytest.approx(0.005)
    assert ks["ks", "v"].level == pytest.approx(0.01)
    p = readings(Reference.build("m", "1", {"x": x}), {"x": live["x"]})["ks", "x"].p_value
    assert ks["ks", "x"].p_value == p


def test_of_the_same_world_it_is_called_moved_as_seldom_as_one_number() -> None:
    """A/A: 60 windows at a level of .1 with the effect floor off; 6 expected, 15 in 1 of 2,000."""
    random = np.random.default_rng(1)
    known = Reference.build("m", "1", columns(random.normal(size=(600, 8))))
    bare = dataclasses.replace(SETTINGS, effect_floor_sd=0.0)
    live = (columns(random.normal(size=(100, 8))) for _ in range(60))
    verdicts = [readings(known, one, bare, 0.1)["ks", "v"].verdict for one in live]
    assert verdicts.count("moved") < 15


def test_missing_vectors_are_one_reading() -> None:
    live = RANDOM.normal(size=(400, SIZE))
    live[::4] = np.nan
    found = readings(reference(), columns(live))
    assert {key for key in found if key[0] == "missing"} == {("missing", "v")}
    reading = found["missing", "v"]
    assert (reading.role, reading.verdict) == ("data", "moved")
    assert reading.reason.startswith(f"v: {SIZE} of {SIZE} numbers moved, most v[")
    assert "missing rose 0% -> 25.0%" in reading.reason
    assert "as many missing in" not in reading.reason


def test_a_null_where_a_vector_was_is_no_unknown_feature() -> None:
    known, live = reference(), {"v": Column(np.full(200, np.nan))}
    share = Share(known)
    share.update(live, None, None, np.arange(200))
    assert share.unknown == {}
    assert readings(known, live)["missing", "v"].verdict == "moved"


def test_too_few_rows_are_said_in_its_name() -> None:
    reading = readings(reference(), columns(KNOWN[:50]))["ks", "v"]
    assert reading.verdict == "not-enough-data"
    assert reading.reason == f"v ({SIZE} numbers): 50 rows, 100 are needed"


def test_a_floor_or_an_ignored_name_may_be_a_vectors() -> None:
    live = KNOWN[:400] + 0.5
    floors = dataclasses.replace(SETTINGS, effect_floors={"v": 0.7})
    reading = readings(reference(), columns(live), floors)["ks", "v"]
    assert (reading.verdict, reading.effect and reading.effect.floor) == ("small", 0.7)
    own = dataclasses.replace(SETTINGS, effect_floors={"v": 0.7, "v[3]": 0.2})
    assert readings(reference(), columns(live), own)["ks", "v"].details["moved"] == ["v[3]"]
    left = dataclasses.replace(SETTINGS, ignore=("v",))
    assert readings(reference(x=Column(KNOWN[:, 0])), columns(live), left).keys() == {
        ("ks", "x"),
        ("missing", "x"),
    }
    assert left_out("v[3]", ["v"])
    assert not left_out("w[3]", ["v"])


def test_a_number_of_few_whole_values_is_no_category() -> None:
    whole = np.tile([0.0, 1.0], (ROWS, 1))
    assert {f.kind for f in Reference.build("m", "1", columns(whole)).features.values()} == {
        "number"
    }
    given = Reference.build("m", "1", columns(whole), categorical=("v[1]",))
    assert (given.features["v[1]"].kind, given.vectors.elements) == ("category", {})


def test_the_budget_and_the_explanation_count_it_once() -> None:
    known = reference(c=Column(np.full(ROWS, np.nan), np.zeros(ROWS, np.int32), ("a",)))
    untrue = dataclasses.replace(SETTINGS, expects_truth=False)
    assert [*shares(known, untrue)] == pytest.approx([1 / 3, 2 / 3])  # as a whole too
    assert shares(known, dataclasses.replace(untrue, whole_vectors=False)) == (0.5, 0.5)
    found = explain("m", "1", known, SETTINGS)
    assert found.watched["ks"] == [f"v ({SIZE} numbers)"]
    assert found.watched["mmd"] == ["v"]


def test_where_rows_resemble_each_other_the_level_is_shared_after_that() -> None:
    """Of a few rows missing p is as of so many fewer rows, and then times the numbers tested."""
    known, live = reference(), RANDOM.normal(size=(400, SIZE))
    live[:40, :2] = np.nan
    share = Share(known)
    share.update(columns(live), None, None, np.arange(400))
    found = [
        measure(Comparison(f, share.counts(name), SETTINGS), "missing")
        for name, f in known.features.items()
        if name in ("v[0]", "v[1]")
    ]
    fewer = Inflated(0.004, 3.0, 1)
    (unit,) = folded([(m, None, fewer) for m in found], known)
    assert unit.fewer == Inflated(0.008, 3.0, 1)
    assert unit.measure.p_value == pytest.approx(2 * (found[0].p_value or 0))
    assert unit.told(unit.measure, 0.01).details["numbers_moved"] == 2
    assert unit.told(unit.measure, 0.007).details["numbers_moved"] == 0
