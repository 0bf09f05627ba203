"""The control group: quality where nobody acted upon the answer, beside where somebody did."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import commands, registration
from agents.roles import Roles
from agents.tables import Table
from stream.columns import column_of
from stream.contrasts import Group, difference
from stream.events import Prediction, Truth
from stream.references import Reference
from stream.settings import CONTROL
from tests import tales
from tests.tales import DAILY, DAY_MS, START_MS, Tale, Way

PER_DAY, DAYS = 800, 3
SETTINGS = dataclasses.replace(
    DAILY,
    minimum_rows=50,
    power=0,
    segments=(CONTROL,),
    estimate="off",
    complete_coverage=0.0,
)


@functools.cache
def day(number: int) -> list[tuple[float, str, str, bool]]:
    """Score, answer, label and flag: what is acted upon mostly comes out as it was said."""
    rng = np.random.default_rng(30 + number)
    found = []
    for _ in range(PER_DAY):
        score, apart = float(rng.uniform()), bool(rng.random() < 0.15)
        answer, label = str(int(score > 0.5)), str(int(rng.random() < score))
        if number >= 0 and not apart and rng.random() < 0.6:
            label = answer
        found.append((score, answer, label, apart))
    return found


@functools.cache
def reference(numbers: bool = False) -> Reference:
    """Made of rows that nobody acted upon: no column says so."""
    rows = [row for n in range(1, 8) for row in day(-n)]
    columns = {
        "x": column_of([score for score, *_ in rows]),
        "said": column_of([s * 3.5 if numbers else a for s, a, *_ in rows]),
        "label": column_of([s * 3.5 + float(y) if numbers else y for s, _, y, _ in rows]),
    }
    roles = Roles("said", label="label", segments={CONTROL: CONTROL})
    return registration.build(Table(columns, {}, len(rows)), "m", "1", roles, SETTINGS)[0]


@functools.cache
def story(numbers: bool = False) -> Tale:
    events: list[Prediction | Truth] = []
    for number in range(DAYS):
        for i, (score, answer, label, apart) in enumerate(day(number)):
            at = START_MS + number * DAY_MS + i * DAY_MS // PER_DAY
            key, flag = f"{number}-{i}", True if apart else (False if i % 2 else None)
            said: Any = score * 3.5 if numbers else answer
            truth: Any = score * 3.5 + float(label) if numbers else label
            events += [
                Prediction(key, "m", "1", at, {"x": score}, prediction=said, control_group=flag),
                Truth(key, "m", at + DAY_MS, truth),
            ]
    end_ms = START_MS + (DAYS + 1) * DAY_MS
    ordered = sorted((e for e in events if e.time < end_ms), key=lambda e: e.time)
    return Tale(reference(numbers), ordered, end_ms)


def quality(found: Any) -> list[dict[str, Any]]:
    return [e for e in tales.events(found, "evaluations") if e["subject"] == "quality"]


def test_both_sides_are_compared_with_all_rows_of_the_reference() -> None:
    yes, no = (reference().segments[CONTROL, side] for side in ("yes", "no"))
    assert yes.rows == no.rows == reference().rows
    assert yes.quality == no.quality
    assert yes.quality["accuracy"] == reference().quality["accuracy"]
    assert reference().dimensions[CONTROL].names == ("no", "yes")
    again = Reference.from_bytes(reference().to_bytes())
    assert again.id == reference().id


def test_quality_of_the_control_group_is_told_beside_the_rest() -> None:
    found = quality(tales.play(story(), SETTINGS, Way(2, 3, 77)))
    assert len(found) == DAYS
    for number, event in enumerate(found):
        sides = {side: [row for row in day(number) if row[3] == (side == "yes")] for side in
                 ("no", "yes")}  # fmt: skip
        right = {s: [a == y for _, a, y, _ in rows] for s, rows in sides.items()}
        by_side = {r["segment"]["value"]: r for r in event["segments"]}
        for side, hits in right.items():
            assert by_side[side]["statistic"] == pytest.approx(np.mean(hits))
            assert by_side[side]["n"] == len(hits)
        (gap,) = event["disparities"]
        assert (gap["metric"], gap["segment"]) == ("accuracy_difference", CONTROL)
        groups = [Group(s, sum(x) / len(x), len(x), len(x)) for s, x in right.items()]
        expected = difference(groups)
        assert expected is not None
        assert (gap["value"], gap["low"], gap["high"]) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )
        (note,) = [n for n in event["notes"] if n.startswith("control group: ")]
        assert f"on {len(right['yes'])} rows that nobody acted upon" in note
        assert note.endswith("what is acted upon makes its own truth: go by the control group")


def test_where_the_truth_is_not_made_there_is_no_such_claim() -> None:
    """Numbers whose errors know nothing of the flag."""
    for event in quality(tales.play(story(numbers=True), SETTINGS, Way())):
        (gap,) = event["disparities"]
        assert gap["metric"] == "mae_difference"
    flags = np.random.default_rng(1).random(len(story().events)) < 0.2
    apart = {
        e.prediction_id: bool(flag)
        for e, flag in zip(story().events, flags, strict=True)
        if isinstance(e, Prediction)
    }
    events = [
        Prediction(
            e.prediction_id, "m", "1", e.time, e.features, prediction=e.prediction,
            control_group=apart[e.prediction_id],
        )
        if isinstance(e, Prediction)
        else e
        for e in story().events
    ]  # fmt: skip
    tale = dataclasses.replace(story(), events=events)
    for event in quality(tales.play(tale, SETTINGS, Way())):
        (note,) = [n for n in event["notes"] if n.startswith("control group: ")]
        assert "go by" not in note


WAYS = st.builds(
    Way, st.sampled_from((1, 2, 4)), st.sampled_from((1, 3)), st.sampled_from((61, 900)),
    st.integers(0, 99), st.booleans(),
)  # fmt: skip


@functools.cache
def expected(known: bool) -> tales.Published:
    found = tales.play(story(), SETTINGS, Way(), known=known)
    return tales.without_offsets(tales.published(found))


@pytest.mark.parametrize("known", [True, False])
@settings(max_examples=3, deadline=None)
@given(way=WAYS)
def test_the_same_rows_give_the_same_bytes_however_they_come(known: bool, way: Way) -> None:
    found = tales.published(tales.play(story(), SETTINGS, way, known=known))
    assert tales.without_offsets(found) == expected(known)


def test_a_file_says_who_is_of_the_control_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def written(name: str, first: int, days: int, flagged: bool) -> str:
        lines = []
        for number in range(days):
            for i, (score, answer, label, apart) in enumerate(day(first + number)):
                at = START_MS + (number * PER_DAY + i) * DAY_MS // PER_DAY
                flag = "Yes" if apart else ("no" if i % 2 else "")
                lines.append(f"{at},{score},{answer},{label}" + f",{flag}" * flagged)
        path = tmp_path / name
        head = "t,x,said,y" + ",held" * flagged
        path.write_text("\n".join([head, *lines]) + "\n")
        return str(path)

    before, now = written("before.csv", -9, 8, False), written("now.csv", 0, 3, True)
    words = ["backtest", now, "--reference", before, "--time", "t", "--prediction", "said"]
    words += ["--label", "y", "--label-delay", "1d", "--window", "1d", "--pane", "1d"]
    words += ["--segments", f"{CONTROL}=held", "--format", "json"]
    assert commands.run(words) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [e for e in events if e["type"] == "driftline.evaluation.v1"]
    gaps = [gap for event in told for gap in event["disparities"]]
    assert {gap["metric"] for gap in gaps} == {"accuracy_difference"}
    counts = {g["n"] for gap in gaps for g in gap["groups"] if g["group"] == "yes"}
    assert sum(apart for *_, apart in day(0)) in counts
    text = Path(now).read_text("utf-8").replace(",Yes", ",perhaps", 1)
    Path(now).write_text(text)
    assert commands.run(words) == 1
    assert "'perhaps' is no yes or no" in capsys.readouterr().err
