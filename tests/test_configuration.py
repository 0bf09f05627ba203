"""The pages made from the code: current, complete, and true of what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from agents import keys, pages
from agents.commands import EXITS, FAULTS, app
from agents.counters import Counters
from agents.models import DetectorTable
from agents.settings import Settings, load
from stream.settings import ModelSettings
from tests.conftest import ROOT

FOUND = [(table, key) for table, _, found in keys.sections() for key in found]
NEEDS_OTHERS = {"mechanism"}  # of SASL: without a user it is refused
WRITTEN = [
    key
    for _, key in FOUND
    if key.variable and key.default.startswith("`") and key.name not in NEEDS_OTHERS
]


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_what_the_code_says_now(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert page == pages.PAGES[name](), "run python -m agents.pages"


def test_pages_are_written(tmp_path: Path) -> None:
    pages.write(tmp_path / "docs")
    assert {path.name for path in (tmp_path / "docs").iterdir()} == set(pages.PAGES)


def test_every_key_of_the_settings_is_there() -> None:
    told = {(table, key.name) for table, key in FOUND}
    for name, field in Settings.model_fields.items():
        if name not in ("defaults", "models"):
            fields = getattr(field.annotation, "model_fields", {})
            inner = {table.rpartition(".")[2] for table, _ in FOUND if table.startswith(f"{name}.")}
            assert {(name, key) for key in fields if key not in inner} <= told
    assert {("defaults", key) for key in ModelSettings.__slots__ if key != "detectors"} <= told
    assert {("[models.NAME.detectors]", key) for key in DetectorTable.model_fields} <= told


@pytest.mark.parametrize(("table", "key"), FOUND, ids=lambda x: getattr(x, "name", x))
def test_a_key_has_a_meaning(table: str, key: keys.Key) -> None:
    assert key.meaning, f"{table}.{key.name}: write what it means below the field"
    assert key.meaning.endswith(".")


@pytest.mark.parametrize("key", WRITTEN, ids=lambda key: key.variable)
def test_a_variable_sets_its_key(key: keys.Key, monkeypatch: pytest.MonkeyPatch) -> None:
    value = key.default.strip('`"')
    if key.type.startswith("list"):
        value = ",".join(re.findall(r'"(.*?)"', key.default))
    name = key.variable
    if key.type.startswith("table"):
        name, value = name.replace("__NAME", "__ACCURACY"), "0.9"
    if key.name == "bands":
        monkeypatch.setenv("DRIFTLINE__DEFAULTS__SEGMENTS", "accuracy")
    monkeypatch.setenv(name, value)
    table: object = load(None)
    for part in key.table.split("."):
        table = getattr(table, part)
    assert key.name in getattr(table, "model_fields_set", ())
    if not key.type.startswith("table"):
        assert load(None).model("m") == ModelSettings()


def test_a_default_in_the_page_is_the_default(tmp_path: Path) -> None:
    lines = []
    for table, _, found in keys.sections():
        if not table.startswith("[") and "NAME" not in table:
            shown = [key for key in found if key in WRITTEN]
            lines += [f"[{table}]", *(f"{key.name} = {key.default.strip('`')}" for key in shown)]
    path = tmp_path / "driftline.toml"
    path.write_text("\n".join(lines))
    found_settings, plain = load(path), load(None)
    for name in Settings.model_fields:
        if name not in ("defaults", "models"):
            assert getattr(found_settings, name) == getattr(plain, name)
    assert found_settings.model("m") == plain.model("m")


def test_the_page_has_every_exit_code() -> None:
    page = pages.operation()
    for code, words in EXITS.items():
        assert f"| {code} | {words} |" in page


def test_every_fault_ends_with_a_code_that_is_listed() -> None:
    assert {code for _, code, _ in FAULTS} <= set(EXITS)


def test_the_page_has_every_counter() -> None:
    exposed = {metric.name for metric in Counters().registry.collect()}
    told = {name.strip("`").removesuffix("_total") for name, *_ in pages.counters()}
    assert told == exposed
    assert all(meaning for *_, meaning in pages.counters())


# -- help


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """All commands by name, those of groups too."""
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        found.append((" ".join((*path, name)), command))
        if hasattr(command, "commands"):
            found += commands(command, (*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_and_its_options_say_what_they_do(name: str, command: Any) -> None:
    assert command.help, name
    assert command.help[0].isupper()
    for parameter in command.params:
        about = getattr(parameter, "help", None)
        assert about, f"driftline {name} {parameter.opts[0]}"
        assert about[0].isupper(), about
        assert about.endswith((".", "?")), about
