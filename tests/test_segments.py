"""Segments: each group of rows compared with a reference of its own, within one budget."""

import dataclasses
import functools
import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import commands, registration
from agents.explain import lines
from agents.roles import Roles
from agents.tables import Table
from agents.tail import evaluation_text
from stream.columns import Column, Excerpt, column_of
from stream.divisions import divided, notes, part_of
from stream.events import Evaluation, Prediction
from stream.explanations import explain
from stream.layouts import SEGMENT
from stream.parts import Parts
from stream.references import Reference
from stream.segments import cause_of, part_of_each, part_of_whole, watched
from stream.settings import DAY_S, ModelSettings
from stream.shares import Share
from tests import tales
from tests.conftest import ROOT
from tests.tales import DAILY, DAY_MS, START_MS, Tale, Way

PER_DAY, DAYS = 600, 4
SHARES = {"Paris": 0.6, "Lyon": 0.15, "Nice": 0.2, "Ulm": 0.04, "": 0.01}
SETTINGS = dataclasses.replace(
    DAILY,
    minimum_rows=60,
    expects_truth=False,
    segments=("site",),
)
WITHOUT = dataclasses.replace(SETTINGS, segments=())
Drawn = tuple[list[float], list[str], list[str]]


def drawn(rows: int, seed: int, moved: float = 0.0) -> Drawn:
    """Sites, each with miles of its own, and colours; only Lyon's miles ever move."""
    rng = np.random.default_rng(seed)
    sites = rng.choice([*SHARES], rows, p=[*SHARES.values()]).tolist()
    miles = rng.normal(10, 2, rows) + [4.0 * (s == "Nice") + moved * (s == "Lyon") for s in sites]
    return miles.round(2).tolist(), rng.choice(["red", "blue"], rows).tolist(), sites


def columns(of: Drawn) -> dict[str, Column]:
    return {"miles": column_of(of[0]), "colour": column_of(of[1])}


def reference_of(of: Drawn, s: ModelSettings = SETTINGS, names: tuple[str, ...] = ()) -> Reference:
    features = columns(of)
    plain = Reference.build("m", "1", features, prediction=column_of(of[1]))

    def own(rows: Any, whole: Reference) -> Reference:
        return part_of(whole, Excerpt(features, rows), column_of(of[1]).take(rows), None)

    sites = column_of([site or None for site in of[2]])
    return divided(plain, dict.fromkeys(names or s.segments, sites), s, own)


BEFORE = drawn(6_000, 1)


@functools.cache
def known() -> Reference:
    return reference_of(BEFORE)


# -- references


def test_which_values_count_by_name_follows_from_the_reference_alone() -> None:
    dimension = known().dimensions["site"]
    assert dimension.names == ("Paris", "Nice", "Lyon", "Ulm")
    few = dataclasses.replace(SETTINGS, max_segments=2)
    assert [*reference_of(BEFORE, few).segments] == [("site", "Nice"), ("site", "Paris")]
    many = dataclasses.replace(SETTINGS, minimum_rows=500, reference_rows=500)
    found = reference_of(BEFORE, many)
    assert [value for _, value in found.segments] == ["Lyon", "Nice", "Paris"]
    other, none = BEFORE[2].count("Ulm"), BEFORE[2].count("")
    assert notes(found) == [
        f"3 values of site have a reference of their own; {other} rows have another value; "
        f"{none} rows have none"
    ]


def test_a_segment_has_the_kinds_of_the_whole_and_few_edges() -> None:
    for own in known().segments.values():
        assert {n: f.kind for n, f in own.features.items()} == {
            n: f.kind for n, f in known().features.items()
        }
        assert len(own.features["miles"].edges) <= 64
    assert sum(own.rows for own in known().segments.values()) == 6_000 - BEFORE[2].count("")


@pytest.mark.parametrize("size", [500, 3_000, 600_000])
def test_parts_in_any_order_give_the_reference_again(size: int) -> None:
    parts = known().to_parts(size)
    collected = Parts()
    found = [collected.add(json.loads(json.dumps(part))) for part in reversed(parts)]
    again = next(reference for reference in found if reference is not None)
    assert again.id == known().id
    assert again.to_bytes() == known().to_bytes()
    assert Reference.from_bytes(again.to_bytes()).segments.keys() == known().segments.keys()
    assert len(parts) > 1 or size > 10_000


def test_a_reference_without_segments_is_what_it_was() -> None:
    plain = dataclasses.replace(known(), dimensions={}, segments={})
    assert not {"dimensions", "segments"} & plain.document().keys()
    assert (
        plain.id == Reference.build("m", "1", columns(BEFORE), prediction=column_of(BEFORE[1])).id
    )
    assert plain.id != known().id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e["segments"].pop(), "site=Ulm: there is none, or it is not counted"),
        (lambda e: e["segments"].append(e["segments"][0] | {"value": "Rome"}), "site=Rome"),
        (lambda e: e.pop("dimensions"), "site=Lyon"),
        (lambda e: e["segments"][0]["features"]["miles"]["counts"].pop(), "site=Lyon: reference"),
    ],
)  # fmt: skip
def test_a_broken_segment_is_refused_in_words(change: Any, said: str) -> None:
    document = json.loads(json.dumps(known().document()))
    change(document)
    with pytest.raises(ValueError, match=said):
        Reference.from_document(document)


# -- counts


def share_of(of: Drawn, at: slice = slice(None)) -> Share:
    share = Share(known())
    some = (of[0][at], of[1][at], of[2][at])
    sites = column_of([site or None for site in some[2]])
    times = np.arange(len(some[0]), dtype=np.int64)
    answers = (column_of(some[1]), None)
    share.update(columns(some), *answers, times, segments={"site": sites, "region": sites})
    return share


def test_a_segment_is_counted_as_if_its_rows_were_alone() -> None:
    rows = drawn(3_000, 2, moved=1.0)
    share = share_of(rows)
    for (_, value), own in known().segments.items():
        places = [i for i, site in enumerate(rows[2]) if site == value]
        alone = Share(own)
        some: Drawn = ([rows[0][i] for i in places], [rows[1][i] for i in places], [])
        alone.update(columns(some), column_of(some[1]), None, np.arange(len(places)))
        found = share.segment(("site", value))
        assert np.array_equal(found.vector, alone.vector)
        assert found.rows == len(places)


@given(st.lists(st.integers(0, 400), max_size=4), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_any_cutting_and_order_gives_the_same_bytes(cuts: list[int], random: Any) -> None:
    rows = drawn(400, 3)
    bounds = sorted([0, *cuts, 400])
    parts = [share_of(rows, slice(a, b)) for a, b in itertools.pairwise(bounds)]
    random.shuffle(parts)
    merged, whole = Share.merged(known(), parts), share_of(rows)
    assert np.array_equal(merged.vector, whole.vector)
    again = Share.from_bytes(whole.to_bytes(), known())
    assert np.array_equal(again.vector, whole.vector)
    assert again.segment(("site", "Lyon")).rows == rows[2].count("Lyon")


def test_other_values_and_rows_without_one_are_counted_and_in_no_segment() -> None:
    rows: Drawn = ([1.0] * 5, ["red"] * 5, ["Rome", "Oslo", "", "Lyon", "Lyon"])
    share = share_of(rows)
    assert share.counts("site", SEGMENT)[-2:].tolist() == [2, 1]
    assert sum(share.segment(key).rows for key in known().segments) == 2


# -- the budget


def test_what_the_whole_and_its_segments_may_spend_is_the_budget() -> None:
    parts = len(watched(known(), SETTINGS)) * part_of_each(known(), SETTINGS)
    assert part_of_whole(known(), SETTINGS) + parts == pytest.approx(1.0)
    unwatched = dataclasses.replace(SETTINGS, segments=())
    assert part_of_whole(known(), unwatched) == 1.0


def test_no_two_segments_share_a_cause() -> None:
    keys = [("a", "b=c"), ("a=b", "c"), ("a", "b%3Dc"), ("a:b", "c"), ("a", "b")]
    assert len({cause_of("input", key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"segments": ("site", "site")}, "segments"),
        ({"segments": ("",)}, "segments"),
        ({"segments": tuple("abcdefghi")}, "at most 8 names"),
        ({"segments": ("site",), "seasonality": "hour-of-day", "pane_s": 3600}, "seasonality"),
        ({"max_segments": 0}, "max_segments"),
    ],
)
def test_settings_that_cannot_be_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModelSettings(**keys)


# -- from end to end


@functools.cache
def story(moved: float = 1.5) -> Tale:
    """Lyon's miles move from the third day on; nothing else ever does."""
    events = []
    for day in range(DAYS):
        rows = drawn(PER_DAY, 10 + day, moved if day >= 2 else 0.0)
        for i, (miles, colour, site) in enumerate(zip(*rows, strict=True)):
            time_ms = START_MS + day * DAY_MS + i * DAY_MS // PER_DAY
            given = {"site": site if site != "Ulm" else f"Ulm {i}"} if site else None
            features: dict[str, Any] = {"miles": miles, "colour": colour}
            key = f"{day}-{i}"
            events.append(
                Prediction(key, "m", "1", time_ms, features, prediction=colour, segments=given)
            )
    return Tale(known(), events, START_MS + DAYS * DAY_MS)


def told(tale: Tale, s: ModelSettings = SETTINGS) -> dict[str, list[Any]]:
    pipeline = tales.play(tale, s, Way(2, 1, 100))
    return {topic: tales.events(pipeline, topic) for topic in ("evaluations", "alerts")}


def test_one_site_that_moves_is_named_and_the_whole_is_not() -> None:
    found = told(story())
    (alert,) = [e for e in found["alerts"] if e["state"] == "firing"]
    readme = (ROOT / "README.md").read_text("utf-8").replace("\n> ", " ")
    assert alert["reading"]["reason"] in readme
    assert alert["cause"] == "input"
    assert [part["cause"] for part in alert["parts"]] == ["segment-input:site=Lyon"]
    assert alert["reading"]["segment"] == {"name": "site", "value": "Lyon"}
    assert alert["summary"].startswith("m 1: site=Lyon: miles: median ")
    assert alert["time"] == found["evaluations"][2]["time"]
    assert alert["meaning"].endswith("This is so of site=Lyon alone, not of all rows together.")
    for evaluation in found["evaluations"]:
        assert "moved" not in [r["verdict"] for r in evaluation["readings"]]
    last = found["evaluations"][-1]
    assert last["segments"][0]["segment"]["value"] == "Lyon"
    assert [r["verdict"] for r in last["segments"]].count("moved") == 1
    assert last["verdict"]["inputs"] is True
    assert [note for note in last["notes"] if "segment" in note] != []


def test_nothing_is_said_where_nothing_moves_and_what_is_small_is_not_judged() -> None:
    found = told(story(0.0))
    assert found["alerts"] == []
    for evaluation in found["evaluations"]:
        ulm = [r for r in evaluation["segments"] if r["segment"]["value"] == "Ulm"]
        assert {r["verdict"] for r in ulm} == {"not-enough-data"}
        (note,) = [n for n in evaluation["notes"] if n.startswith("segments by")]
        assert "rows of values other than its 4" in note


def test_the_alert_of_a_segment_ends_with_its_cause() -> None:
    back = story(0.0).events[-PER_DAY:]
    days = 4
    later = [
        Prediction(
            f"late-{n}-{e.prediction_id}",
            e.model,
            e.version,
            e.time + (n + 1) * DAY_MS,
            e.features,
            prediction=e.prediction,
            segments=e.segments,
        )
        for n in range(days)
        for e in back
        if isinstance(e, Prediction)
    ]
    tale = dataclasses.replace(
        story(), events=[*story().events, *later], end_ms=story().end_ms + days * DAY_MS
    )
    states = [(e["state"], e["cause"]) for e in told(tale)["alerts"]]
    assert states == [("firing", "input"), ("resolved", "input")]


WAYS = tales.ways(41, 600)


@functools.cache
def expected(registered: bool) -> tales.Published:
    return tales.published(tales.play(story(), SETTINGS, Way(), known=registered))


@settings(max_examples=4, deadline=None)
@given(WAYS)
def test_the_same_rows_give_the_same_bytes_however_they_come(way: Way) -> None:
    assert tales.published(tales.play(story(), SETTINGS, way)) == expected(True)


@settings(max_examples=2, deadline=None)
@given(WAYS)
def test_the_first_rows_stand_for_a_reference_of_segments_too(way: Way) -> None:
    found = tales.published(tales.play(story(), SETTINGS, way, known=False))
    assert found == expected(False)
    told = [json.loads(raw) for raw in found["evaluations"]]
    assert any(r["segment"]["value"] == "Lyon" for e in told for r in e["segments"])


def test_a_model_that_names_no_segments_is_watched_as_if_there_were_none() -> None:
    plain = dataclasses.replace(SETTINGS, segments=())
    whole = dataclasses.replace(known(), dimensions={}, segments={})
    one = told(story(), plain)["evaluations"]
    other = told(dataclasses.replace(story(), reference=whole), plain)["evaluations"]
    for found in (*one, *other):
        del found["reference_id"]
    assert one == other


def test_segments_that_the_reference_has_not_are_missed_in_words() -> None:
    more = dataclasses.replace(SETTINGS, segments=("site", "region"))
    notes = told(story(), more)["evaluations"][0]["notes"]
    assert any("the reference has none by 'region'" in note for note in notes)


def test_windows_before_are_compared_by_segment_too() -> None:
    s = dataclasses.replace(SETTINGS, reference="previous-window")
    found = told(story(4.0), s)["evaluations"]
    moved = [
        [(r["segment"]["value"], r["subject"]) for r in e["segments"] if r["verdict"] == "moved"]
        for e in found
    ]
    assert moved == [[], [], [("Lyon", "miles")], []]


# -- files


def test_a_table_gives_the_references_of_its_segments() -> None:
    miles, colour, sites = BEFORE
    given = {"place": column_of([site or None for site in sites])}
    answers = column_of([1.0 if c == "red" else 0.0 for c in colour])
    outcomes = {"said": answers, "label": column_of([float(m > 10) for m in miles])}
    times = {"t": column_of([START_MS + i * 1_000_000.0 for i in range(len(miles))])}
    found = Table({**columns(BEFORE), **given, **outcomes, **times}, {}, len(miles))
    roles = Roles("said", label="label", time="t", segments={"site": "place"})
    s = dataclasses.replace(SETTINGS, max_segments=2)
    reference, said = registration.build(found, "m", "1", roles, s)
    assert "place" not in reference.features
    assert [*reference.segments] == [("site", "Nice"), ("site", "Paris")]
    for (_, value), own in reference.segments.items():
        rows = np.array([site == value for site in sites])
        right = answers.numbers[rows] == outcomes["label"].numbers[rows]
        assert own.quality["accuracy"] == pytest.approx(right.mean())
        assert own.rows == rows.sum()
        assert own.calibration is not None
        assert own.calibration.rows_a_pane < DAY_S / 1_000
    assert any(note.startswith("2 values of site have a reference of their own") for note in said)
    feature = dataclasses.replace(roles, categorical=("place",), time=None)
    again, _ = registration.build(found, "m", "1", feature, s)
    assert "place" in again.features


def test_a_file_is_played_with_its_segments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def written(name: str, parts: list[Drawn]) -> str:
        lines = [
            f"{START_MS + (day * PER_DAY + i) * DAY_MS // PER_DAY},{m},{c},{s}"
            for day, part in enumerate(parts)
            for i, (m, c, s) in enumerate(zip(*part, strict=True))
        ]
        path = tmp_path / name
        path.write_text("\n".join(["t,miles,colour,place", *lines]) + "\n")
        return str(path)

    before = [drawn(PER_DAY, 100 + day) for day in range(12)]
    after = [drawn(PER_DAY, 10 + day, 3.0 if day >= 2 else 0.0) for day in range(DAYS)]
    words = [written("now.csv", after), "--reference", written("before.csv", before)]
    words += ["--time", "t", "--window", "2d", "--pane", "1d", "--segments", "site=place"]
    assert commands.run(["backtest", *words]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Of 4 segments 1 moved." in out
    assert "site=Lyon: miles: median" in out
    assert "site=Lyon ks: moved in 2 of 2 windows" in out
    assert commands.run(["backtest", *words, "--format", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    last = [e for e in events if e["type"] == "driftline.evaluation.v1"][-1]
    text = evaluation_text(msgspec.convert(last, Evaluation))
    assert "; 1 in 4 segments\n" in text
    assert "\n    site=Lyon: miles: median" in text
    assert commands.run(["backtest", *words[:-1], "site=nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_what_is_watched_is_explained() -> None:
    more = dataclasses.replace(SETTINGS, segments=("site", "region"))
    found = explain("m", "1", known(), more)
    assert found.segments == [
        "site: Paris, Nice, Lyon, Ulm; each by itself, with 12.5% of the budget",
        "region: not watched, the reference has none by this name",
    ]
    assert ("segments", found.segments[0]) in [*lines(found)]
    assert found.level == explain("m", "1", known(), WITHOUT).level / 2
