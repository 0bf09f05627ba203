"""Imports run one way, schemas <- stream <- agents, and the core is pure: by linter and by name."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE_LIBRARIES = {"msgspec", "numpy", "river", "schemas", "scipy", "stream", "xxhash"}
FORBIDDEN = {
    "stream": {
        "agents", "faust", "redis", "confluent_kafka", "aiokafka", "time", "datetime.datetime.now",
        "os", "pickle",
    },
    "schemas": {"agents", "stream", "pickle"},
}  # fmt: skip


def banned(package: str) -> list[str]:
    path = ROOT / package / "ruff.toml"
    lint = tomllib.loads(path.read_text())["lint"]
    return list(lint["flake8-tidy-imports"]["banned-api"])


def using(name: str) -> str:
    """A module that imports what is banned, or calls it."""
    module, _, attributes = name.partition(".")
    return (
        f"import {module}\n\nprint({module}.{attributes})\n" if attributes else f"import {name}\n"
    )


def bans_that_bite(package: str, source: str) -> set[str]:
    words = ["check", "--select=TID251", "--output-format=json", "--no-cache"]
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", *words, f"--stdin-filename={package}/probe.py", "-"],
        input=source,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {found["message"].split("`")[1] for found in json.loads(ruff.stdout)}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node


@pytest.mark.parametrize("package", FORBIDDEN)
def test_what_is_forbidden_is_banned(package: str) -> None:
    assert set(banned(package)) >= FORBIDDEN[package]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_each_ban_bites(package: str) -> None:
    names = banned(package)
    source = "".join(using(name) for name in names)
    assert bans_that_bite(package, source) == set(names)


def test_the_rest_of_the_product_may_not_unpickle_either() -> None:
    source = "import pickle\nimport cloudpickle\nfrom tests import servers\n"
    assert bans_that_bite("agents", source) == {"pickle", "cloudpickle", "tests"}


@pytest.mark.parametrize("path", modules("stream"), ids=lambda path: path.name)
def test_the_core_knows_only_its_libraries(path: Path) -> None:
    assert set(imported(path)) <= CORE_LIBRARIES | sys.stdlib_module_names


@pytest.mark.parametrize("path", modules("schemas"), ids=lambda path: path.name)
def test_the_contracts_know_only_the_standard_library(path: Path) -> None:
    assert set(imported(path)) <= sys.stdlib_module_names


@pytest.mark.parametrize("path", modules("stream"), ids=lambda path: path.name)
def test_the_core_opens_prints_and_runs_nothing(path: Path) -> None:
    names = {call.func.id for call in calls(path) if isinstance(call.func, ast.Name)}
    assert not names & {"open", "print", "input", "eval", "exec", "breakpoint", "__import__"}


@pytest.mark.parametrize("path", modules("stream"), ids=lambda path: path.name)
def test_every_generator_in_the_core_is_seeded(path: Path) -> None:
    for call in calls(path):
        if ast.unparse(call.func).split(".")[-1] in {"default_rng", "Random", "RandomState"}:
            assert call.args or call.keywords, f"line {call.lineno}"
