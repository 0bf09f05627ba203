"""Timelines: rows as events, in the order in which a service and its ledgers would send them."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import files, timelines
from agents.files import File
from agents.labels import Labels
from agents.mappings import Clock, Columns
from agents.tables import BadTable
from agents.timelines import Event, Timeline, shuffled
from stream.events import Limits, decode_prediction, decode_truth

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01
Make = Callable[..., Timeline]
CSV = "id,t,age,branch,p,s,y,months\n" + "".join(
    f"{i},{START_MS + i * DAY_MS},{20 + i},b{i % 2},{i % 2},0.{i},{(i + 1) % 2},{1 + i % 3}\n"
    for i in range(6)
)
ROLES = Columns(id="id", time="t", prediction="p", score="s", label="y")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(columns: Columns = ROLES, text: str = CSV, **more: Any) -> Timeline:
        path = tmp_path / "rows"
        path.write_text(text)
        timeline = Timeline(File(path), columns, "m", "1", **more)
        timeline.survey()
        return timeline

    return made


def events(timeline: Timeline) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for event in timeline.events():
        body = json.loads(event.value)
        assert event.key.decode() == body["prediction_id"]
        assert event.time_ms == body["time"]
        found.append((event.topic, body))
    return found


def test_a_row_is_a_prediction_and_its_truth(make: Make) -> None:
    first, second, *_ = events(make())
    assert first == (
        "predictions",
        {
            "prediction_id": "0",
            "model": "m",
            "version": "1",
            "time": START_MS,
            "features": {"age": 20, "branch": "b0", "months": 1},
            "prediction": 0,
            "score": 0.0,
        },
    )
    assert second[0] == "ground-truth"
    assert second[1]["label"] == 1


def test_what_is_sent_is_what_driftline_takes(make: Make) -> None:
    for event in make(Columns(id="id", time="t", probabilities={"b": "s"}, label="y")).events():
        decode = decode_prediction if event.topic == "predictions" else decode_truth
        assert decode(event.value, event.key, event.time_ms, Limits()).prediction_id


def order(timeline: Timeline) -> str:
    """p0 for the prediction of row 0, t0 for its truth."""
    names = {"predictions": "p", "ground-truth": "t"}
    return " ".join(f"{names[e.topic]}{e.key.decode()}" for e in timeline.events())


def test_truth_comes_when_it_is_known(make: Make) -> None:
    assert order(make()) == "p0 t0 p1 t1 p2 t2 p3 t3 p4 t4 p5 t5"
    late = Columns(id="id", time="t", label="y", delay_ms=2 * DAY_MS)
    assert order(make(late)) == "p0 p1 p2 t0 p3 t1 p4 t2 p5 t3 t4 t5"


def test_a_column_may_say_how_long_it_took(make: Make) -> None:
    columns = Columns(id="id", time="t", label="y", label_delay="months", delay_unit_ms=DAY_MS)
    assert order(make(columns)) == "p0 p1 t0 p2 p3 t1 p4 t3 p5 t2 t4 t5"
    assert make(columns).survey().longest_delay_ms == 3 * DAY_MS


def test_a_column_may_say_when_it_was_known(make: Make) -> None:
    text = "t,a,y,known\n2024-01-01,1,0,2024-03-01\n2024-01-02,2,1,2024-01-02T12:00:00Z\n"
    columns = Columns(time="t", label="y", label_time="known")
    assert order(make(columns, text)) == "p1 p2 t2 t1"


def test_truth_may_lie_apart(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("id,y\n5,a\n0,b\n99,c\n")
    text = "id,t,age\n" + "".join(f"{i},{START_MS + i},1\n" for i in range(6))
    labels = Labels([File(path)], "id", "y")
    timeline = make(Columns(id="id", time="t", label="y"), text, labels=labels)
    assert order(timeline) == "p0 t0 p1 p2 p3 p4 p5 t5"
    assert timeline.survey().truths == 2


def test_rows_without_id_and_time_are_numbered(make: Make) -> None:
    timeline = make(Columns(), "a\n1\n2\n", clock=Clock(START_MS, 500.0))
    found = [(body["prediction_id"], body["time"]) for _, body in events(timeline)]
    assert found == [("1", START_MS), ("2", START_MS + 500)]


def test_numbers_that_are_names_are_sent_as_words(make: Make) -> None:
    columns = Columns(categorical=("a",))
    found = events(make(columns, "a,b\n1,1\n2.0,2\n,3\n"))
    assert [body["features"]["a"] for _, body in found] == ["1", "2", None]


def test_a_file_out_of_order_is_sorted(make: Make) -> None:
    lines = CSV.splitlines()
    random.Random(1).shuffle(rows := lines[1:])
    timeline = make(ROLES, "\n".join([lines[0], *rows]))
    assert not timeline.survey().in_order
    assert order(timeline) == "p0 t0 p1 t1 p2 t2 p3 t3 p4 t4 p5 t5"


def test_too_large_a_file_out_of_order_is_refused(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timelines, "MAX_SORTED", 2)
    with pytest.raises(BadTable, match="sort them"):
        make(Columns(time="t"), "t,a\n2024-01-02,1\n2024-01-01,1\n2024-01-03,1\n")


def test_truth_on_its_way_has_a_limit(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "MAX_WAITING", 2)
    with pytest.raises(BadTable, match="--label-delay"):
        list(make(Columns(time="t", label="y", delay_ms=9 * DAY_MS)).events())


def test_shuffled_labels_are_the_same_ones_elsewhere(make: Make) -> None:
    def labels(seed: int | None) -> dict[str, Any]:
        found = events(make(shuffle=seed))
        return {body["prediction_id"]: body["label"] for t, body in found if t == "ground-truth"}

    assert sorted(labels(3).values()) == sorted(labels(None).values())
    assert labels(3) == labels(3)
    assert any(labels(seed) != labels(None) for seed in range(9))


@given(st.lists(st.none() | st.integers()), st.text())
def test_shuffling_moves_labels_among_rows_that_have_one(
    given_labels: list[int | None], seed: str
) -> None:
    found = shuffled(given_labels, seed)
    assert [x is None for x in found] == [x is None for x in given_labels]
    assert sorted(x for x in found if x is not None) == sorted(
        x for x in given_labels if x is not None
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1), st.integers(1, 9))
def test_events_are_in_order_of_time_and_complete(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]], block: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    lines = [f"{START_MS + at},{delay},1" for at, delay in rows]
    path.write_text("\n".join(["t,d,y", *lines]) + "\n")
    before, files.BLOCK_ROWS = files.BLOCK_ROWS, block
    try:
        columns = Columns(time="t", label="y", label_delay="d", delay_unit_ms=1.0)
        timeline = Timeline(File(path), columns, "m", "1")
        timeline.survey()
        found: list[Event] = list(timeline.events())
    finally:
        files.BLOCK_ROWS = before
    assert [e.time_ms for e in found] == sorted(e.time_ms for e in found)
    for topic in ("predictions", "ground-truth"):
        mine = {e.key: e.time_ms - START_MS for e in found if e.topic == topic}
        late = topic == "ground-truth"
        assert mine == {str(i + 1).encode(): at + late * d for i, (at, d) in enumerate(rows)}
    sent = [e.key for e in found if e.topic == "predictions"]
    assert all(found.index(e) > 0 and e.key in sent for e in found if e.topic == "ground-truth")


WRONG = {
    "no column": (Columns(time="when"), CSV, r"no column 'when' \(--time\)"),
    "no feature": (Columns(time="t"), "t\n2024-01-01\n", "no column is left"),
    "no time": (Columns(time="t"), "t,a\n2024-01-01,1\n,2\n", r"row 2: None is no time \(--time"),
    "seconds": (Columns(time="t"), "t,a\n1704067200,1\n", "seconds are not taken"),
    "no delay": (Columns(label="y", label_delay="d"), "a,d,y\n1,2,1\n1,-2,1\n", "row 2: -2 is no"),
    "words": (Columns(label="y", label_delay="d"), "a,d,y\n1,x,1\n", "'x' is no delay"),
    "long": (Columns(label="y", label_delay="d"), "a,d,y\n1,1e300,1\n", "too long"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_row(make: Make, case: str) -> None:
    columns, text, said = WRONG[case]
    with pytest.raises(BadTable, match=said):
        make(columns, text)


def test_a_row_without_an_id_is_named(make: Make) -> None:
    with pytest.raises(BadTable, match="row 2: has no id"):
        list(make(Columns(id="i"), "i,a\n1,1\n,2\n").events())
