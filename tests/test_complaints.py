"""Complaints: the nearest known word, one line a wrong key, nothing secret."""

import pydantic
import pytest

from agents import complaints
from agents.complaints import BadSettings


class Inner(pydantic.BaseModel, extra="forbid"):
    count: int = 1


class Outer(pydantic.BaseModel, extra="forbid"):
    inner: Inner = Inner()
    many: dict[str, Inner] = {}
    url: int = 0


def said(**keys: object) -> list[str]:
    with pytest.raises(pydantic.ValidationError) as caught:
        Outer.model_validate(keys)
    return complaints.explain(caught.value, Outer, "file").splitlines()


def test_the_nearest_word_comes_first() -> None:
    assert complaints.suggest("brokes", ["url", "brokers"]).startswith("did you mean 'brokers'?")
    assert complaints.suggest("zzz", ["url"]) == "known: url"
    assert complaints.suggest("zzz", []) == "nothing is known here"


def test_keys_are_known_by_their_place() -> None:
    assert said(inner={"cuont": 1}) == [
        "file: inner.cuont: no such key; did you mean 'count'? known: count"
    ]
    assert "did you mean 'count'" in said(many={"a": {"coun": 1}})[0]
    assert "known: inner, many, url" in said(zzz=1)[0]


def test_value_and_what_is_allowed_are_named() -> None:
    assert said(inner={"count": "x"}) == [
        'file: inner.count = "x": must be a valid integer, unable to parse string as an integer'
    ]


def test_long_lists_end() -> None:
    lines = said(many={f"m{i}": {"count": "x"} for i in range(15)})
    assert len(lines) == complaints.SHOWN + 1
    assert lines[-1] == "file: and 5 more"


@pytest.mark.parametrize("value", ["redis://me:swordfish@h", {"password": "swordfish"}])
def test_nothing_secret_is_shown(value: object) -> None:
    for lines in (said(url=value), said(inner={"count": value})):
        assert "swordfish" not in "\n".join(lines)


def test_a_variable_that_would_be_ignored_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X__INER__COUNT", "1")
    with pytest.raises(BadSettings, match=r"X__INER__COUNT.*did you mean 'inner'"):
        complaints.check_environment("X__", ("inner", "many"))
    monkeypatch.delenv("X__INER__COUNT")
    complaints.check_environment("X__", ("inner", "many"))
