"""Labels that lie apart: every one is found by its id, the last one where there are several."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.files import File
from agents.labels import Labels
from agents.tables import BadTable


def test_labels_of_several_files_by_id(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_text("id,y,z\n1,yes,0\n2,no,0\n3,,0\n1,no,0\n")
    second.write_text('{"id": "x", "y": 7.5}\n{"id": 4.0, "y": true}\n{"y": 1}\n')
    labels = Labels([File(first), File(second)], "id", "y")
    assert labels.find(["1", "2", "3", "x", "4", "5"]) == ["no", "no", None, 7.5, True, None]
    assert labels.repeated == 1
    assert len(labels) == 4


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 3) | st.floats(0, 1) | st.booleans()))
def test_it_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, known: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "rows.jsonl"
    import msgspec  # noqa: PLC0415 - writes any text

    rows = [{"id": key, "y": value} for key, value in {**known, "there": 1}.items()]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    labels = Labels([File(path)], "id", "y")
    assert labels.find([*known, "there"]) == [row["y"] for row in rows if row["id"] in known] + [1]
    assert [type(x) for x in labels.find([*known])] == [type(x) for x in known.values()]


@pytest.mark.parametrize(("id_", "label", "option"), [("i", "y", "--id"), ("id", "yy", "--label")])
def test_a_missing_column_is_named_with_its_option(
    tmp_path: Path, id_: str, label: str, option: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,y\n1,2\n")
    with pytest.raises(BadTable, match=option):
        Labels([File(path)], id_, label)
