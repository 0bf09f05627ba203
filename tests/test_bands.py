"""stream.bands: numbers cut into bands, row by row, however rows come."""

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import commands, registration
from agents.roles import Roles
from agents.settings import BadSettings, load
from agents.tables import Table
from stream.bands import MISSING, cut, derived, names_of, sides
from stream.batches import Block
from stream.columns import Value, column_of
from stream.events import Prediction
from stream.references import Reference
from stream.settings import CONTROL, ModelSettings
from tests import tales
from tests.tales import DAILY, DAY_MS, START_MS, Tale, Way

EDGES = (25.0, 40.0, 65.5)
NAMES = ("below 25", "25 to 40", "40 to 65.5", "65.5 or more", MISSING)
PER_DAY, DAYS = 500, 3
SETTINGS = dataclasses.replace(
    DAILY,
    minimum_rows=40,
    expects_truth=False,
    segments=("age",),
    bands={"age": EDGES},
)
NUMBERS = st.none() | st.floats(-100, 100) | st.sampled_from([*EDGES, math.inf, -math.inf])


def band_of(value: Value) -> str:
    """One value, by the words of the documentation."""
    try:
        x = math.nan if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        x = math.nan
    if math.isnan(x):
        return MISSING
    return NAMES[sum(x >= edge for edge in EDGES)]


def test_bands_hold_their_lower_edge_and_not_their_upper_one() -> None:
    assert names_of(EDGES) == NAMES
    found = cut(column_of([24.999, 25, 39.9, 40, 65.5, None, "30", "old", True]), EDGES).names()
    assert found == [
        "below 25", "25 to 40", "25 to 40", "40 to 65.5", "65.5 or more", MISSING, "25 to 40",
        MISSING, MISSING,
    ]  # fmt: skip
    assert names_of([0]) == ("below 0", "0 or more", MISSING)


@given(st.lists(NUMBERS | st.sampled_from(["40", "x", "", "-1e3", "nan"]) | st.booleans()))
def test_every_value_has_its_band(values: list[Value]) -> None:
    assert cut(column_of(values), EDGES).names() == [band_of(value) for value in values]


def block(ages: list[Value] | None, named: list[str | None] | None, **more: Any) -> Block:
    rows = len(ages or named or [])
    numbers = np.arange(rows, dtype=np.int64)
    return Block(
        "prediction", "m", "1", numbers, numbers, numbers, numbers.astype(np.uint64),
        features={} if ages is None else {"age": column_of(ages)},
        segments=None if named is None else {"age": column_of(named)},
        **more,
    )  # fmt: skip


@given(st.lists(st.tuples(NUMBERS, st.none() | st.sampled_from(["30", "70", "x"])), min_size=1))
def test_what_a_row_is_of_follows_from_that_row_alone(
    rows: list[tuple[Value, str | None]],
) -> None:
    ages, named = [age for age, _ in rows], [word for _, word in rows]
    found = derived(block(ages, named), SETTINGS).segments
    assert found is not None
    assert found["age"].names() == [band_of(age if word is None else word) for age, word in rows]
    alone = [derived(block([age], [word]), SETTINGS).segments or {} for age, word in rows]
    assert [one["age"].names()[0] for one in alone] == found["age"].names()


def test_a_prediction_without_either_is_of_the_band_of_what_is_missing() -> None:
    found = derived(block([None, 30.0], None), SETTINGS).segments
    assert found is not None
    assert found["age"].names() == [MISSING, "25 to 40"]
    plain = block([30.0], ["30"])
    assert derived(plain, dataclasses.replace(SETTINGS, bands={})) is plain


def test_who_is_of_the_control_group_is_said_by_the_flag_alone() -> None:
    flags = column_of([True, False, None])
    assert sides(flags, 3).names() == ["yes", "no", "no"]
    assert sides(None, 2).names() == ["no", "no"]
    s = dataclasses.replace(SETTINGS, segments=(CONTROL,), bands={})
    assert (derived(block([1.0], ["x"]), s).segments or {})[CONTROL].names() == ["no"]


# -- from end to end


def drawn(seed: int, moved: float = 0.0) -> list[tuple[float | None, float]]:
    """Ages, and miles that follow them; those of the old ones move."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(18, 90, PER_DAY).tolist()
    miles = [float(rng.normal(20 - age / 10 + moved * (age >= 65.5))) for age in ages]
    known = [None if i % 9 == 0 else float(age) for i, age in enumerate(ages)]
    return list(zip(known, miles, strict=True))


@functools.cache
def reference() -> Reference:
    rows = [row for day in range(10) for row in drawn(day)]
    columns = {"age": column_of([a for a, _ in rows]), "miles": column_of([m for _, m in rows])}
    roles = Roles(segments={"age": "age"}, banded=("age",))
    return registration.build(Table(columns, {}, len(rows)), "m", "1", roles, SETTINGS)[0]


@functools.cache
def story() -> Tale:
    """Some say their age as a segment too, some have none."""
    events = []
    for day in range(DAYS):
        for i, (age, miles) in enumerate(drawn(50 + day, 3.0 * (day > 0))):
            at = START_MS + day * DAY_MS + i * DAY_MS // PER_DAY
            named = age is not None and i % 2 == 0
            features: dict[str, Any] = {"miles": miles, "age": age}
            given = {"age": repr(age)} if named else None
            events.append(Prediction(f"{day}-{i}", "m", "1", at, features, segments=given))
    return Tale(reference(), events, START_MS + DAYS * DAY_MS)


def test_a_reference_has_the_bands_and_the_feature() -> None:
    assert {value for _, value in reference().segments} == {*NAMES}
    assert reference().features["age"].kind == "number"
    ages = [age for day in range(10) for age, _ in drawn(day)]
    for (_, value), own in reference().segments.items():
        assert own.rows == sum(band_of(age) == value for age in ages)


@functools.cache
def played(way: Way = Way(), known: bool = True) -> tales.Published:  # noqa: B008
    return tales.published(tales.play(story(), SETTINGS, way, known=known))


def test_a_band_that_moves_is_named() -> None:
    alerts = [json.loads(raw) for raw in played()["alerts"]]
    causes = tales.named(alerts)
    assert "segment-input:age=65.5 or more" in causes
    assert not any("40 to" in cause or "below" in cause for cause in causes)


WAYS = st.builds(
    Way, st.sampled_from((1, 2, 4)), st.sampled_from((1, 3)), st.sampled_from((41, 600)),
    st.integers(0, 99), st.booleans(),
)  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
@settings(max_examples=3, deadline=None)
@given(way=WAYS)
def test_the_same_rows_give_the_same_bytes_however_they_come(known: bool, way: Way) -> None:
    assert tales.published(tales.play(story(), SETTINGS, way, known=known)) == played(known=known)


def test_first_rows_have_bands_too() -> None:
    found = [json.loads(raw) for raw in played(known=False)["evaluations"]]
    values = {r["segment"]["value"] for event in found for r in event["segments"]}
    assert values == {*NAMES}


# -- files and settings


def test_a_file_is_played_in_bands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(name: str, days: list[list[tuple[float | None, float]]]) -> str:
        lines = [
            f"{START_MS + (day * PER_DAY + i) * DAY_MS // PER_DAY},{'' if a is None else a},{m}"
            for day, rows in enumerate(days)
            for i, (a, m) in enumerate(rows)
        ]
        path = tmp_path / name
        path.write_text("\n".join(["t,years,miles", *lines]) + "\n")
        return str(path)

    config = tmp_path / "driftline.toml"
    config.write_text('[models.m]\nsegments = ["age"]\nbands = { age = [25, 40, 65.5] }\n')
    before = written("before.csv", [drawn(day) for day in range(12)])
    now = written("now.csv", [drawn(50 + day, 3.0 * (day > 1)) for day in range(4)])
    words = [now, "--reference", before, "--time", "t", "--window", "2d", "--pane", "1d"]
    words += ["--segments", "age=years", "--model", "m", "--config", str(config)]
    assert commands.run(["backtest", *words]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "age=65.5 or more: miles" in out
    assert "years" in out


def test_they_are_set_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text('[models.m]\nsegments = ["age"]\nbands = { age = [25, 40] }\n')
    assert load(path).model("m").bands == {"age": (25.0, 40.0)}
    path.write_text('[models.m]\nsegments = ["age"]\nbands = { age = [40, 25] }\n')
    with pytest.raises(BadSettings, match="rising edges"):
        load(path)


@pytest.mark.parametrize(
    "keys",
    [
        {"bands": {"age": (1.0,)}},
        {"segments": ("age",), "bands": {"age": ()}},
        {"segments": ("age",), "bands": {"age": (1.0, 1.0)}},
        {"segments": ("age",), "bands": {"age": (1.0, math.inf)}},
        {"segments": (CONTROL,), "bands": {CONTROL: (1.0,)}},
    ],
)
def test_bands_that_cannot_be_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bands"):
        ModelSettings(**keys)
