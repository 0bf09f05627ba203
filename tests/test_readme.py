"""README and docs say what the code does: tables and lists against registries, examples run.

A section is known by its heading, in README or in docs: see REGISTRIES. The first column of its
first table, between backticks, are the keys of the registry, each once.
"""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import typer

import schemas
from agents import keys
from agents.commands import EXITS, app
from agents.crashes import POINTS
from agents.settings import STAGES, TOPICS, Settings, load
from stream import events
from stream.checks import CHECKS
from stream.detectors import DETECTORS
from stream.quality import METRICS
from tests import pages
from tests.conftest import ROOT
from tests.pages import FILES, Block
from tests.test_configuration import COMMANDS

LEAVES = [
    name
    for name, command in COMMANDS
    if not hasattr(command, "commands") or getattr(command, "invoke_without_command", False)
]
REGISTRIES: dict[str, list[str]] = {
    "Checks": list(CHECKS),
    "Detectors": list(DETECTORS),
    "Metrics": list(METRICS),
    "Events": list(schemas.NAMES),
    "Topics": [Settings().topics.name(topic) for topic in TOPICS],
    "Commands": LEAVES,
    "Reasons for dead letters": list(events.REASONS),
    "Crash points": list(POINTS),
    "Exit codes": [str(code) for code in EXITS],
    "Stages": list(STAGES),
}
ELSEWHERE = {"Stages"}  # told in words
NEEDED_IN_README = ("Checks", "Detectors", "Metrics", "Events")
SHELL = ("", "sh", "shell", "bash", "console")
BLOCKS = [block for page in FILES for block in pages.blocks(page)]
KNOWN_TOPICS = {Settings().topics.name(topic) for topic in TOPICS}
# what looks like a topic and is none: the file of settings, types of events
OTHER_NAMES = {"driftline.toml", *(f"driftline.{name.partition('.')[0]}" for name in schemas.NAMES)}
VARIABLES = {key.variable for _, _, found in keys.sections() for key in found}
KEYS = {key.name for _, _, found in keys.sections() for key in found}
TABLES = {table.strip("[]").partition(".")[0] for table, _, _ in keys.sections()}


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind]


def listed() -> Iterator[tuple[str, str]]:
    for page in FILES:
        for heading, text in pages.sections(page).items():
            if heading in REGISTRIES and pages.tables(text):
                yield page, heading


@pytest.mark.parametrize(("page", "heading"), list(listed()))
def test_a_table_lists_its_registry(page: str, heading: str) -> None:
    rows = pages.tables(pages.sections(page)[heading])[0][1:]
    told = [(pages.words(row[0]) or [row[0]])[0] for row in rows]
    assert sorted(name.removeprefix("driftline ") for name in told) == sorted(REGISTRIES[heading])
    assert all(all(cell for cell in row[:2]) for row in rows)


def test_every_registry_is_listed_somewhere() -> None:
    assert set(REGISTRIES) - {heading for _, heading in listed()} <= ELSEWHERE


@pytest.mark.parametrize("heading", NEEDED_IN_README)
def test_readme_lists_what_a_reader_looks_for(heading: str) -> None:
    assert ("README.md", heading) in set(listed())


def readme_rows(heading: str) -> dict[str, list[str]]:
    rows = pages.tables(pages.sections("README.md")[heading])[0][1:]
    return {pages.words(row[0])[0]: row[1:] for row in rows}


def test_an_event_is_on_the_topic_that_readme_says() -> None:
    rows = readme_rows("Events")
    for name, channel in schemas.asyncapi()["channels"].items():
        for message in channel["messages"].values():
            payload = resolved(message)
            for schema in schemas.NAMES:
                if f"./{schema}.json" in payload:
                    assert rows[schema][0] == f"`{Settings().topics.name(name)}`"


def resolved(message: dict[str, str]) -> str:
    """All that one message of the AsyncAPI document says, as text."""
    name = message["$ref"].rpartition("/")[2]
    return str(schemas.asyncapi()["components"]["messages"][name])


def test_a_check_is_of_what_readme_says() -> None:
    of = {"number": "numbers", "category": "categories", "vector": "vectors", None: "any feature"}
    for name, row in readme_rows("Checks").items():
        assert row[0] == of[CHECKS[name].kind]


def test_a_metric_is_better_where_readme_says() -> None:
    words = {"higher": "higher", "lower": "lower", "none": "neither", "zero": "nearer to zero"}
    for name, row in readme_rows("Metrics").items():
        assert row[0].partition(":")[0] == words[METRICS[name].direction]


# -- examples


@pytest.mark.parametrize("block", of_kind("toml"), ids=str)
def test_settings_can_be_loaded(block: Block, tmp_path: Any) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text(block.text)
    settings = load(path)
    for name in settings.models:
        settings.model(name)


@pytest.mark.parametrize("block", of_kind("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", of_kind("python"), ids=str)
def test_events_in_python_are_valid(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Dict):
            names = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            whole = names & {"features", "label"}  # else a part of an event, put together later
            if {"prediction_id", "model"} <= names and whole:
                name = "prediction.v1" if "features" in names else "ground-truth.v1"
                document = literal(node)
                jsonschema.Draft202012Validator(schemas.load(name)).validate(document)


def literal(node: ast.Dict) -> dict[str, Any]:
    """The dictionary as far as it is written out."""
    found: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name = str(key.value) if isinstance(key, ast.Constant) else ""
        try:
            found[name] = ast.literal_eval(value)
        except ValueError:
            found[name] = {} if name == "features" else "a variable"
    return found


def test_json_is_json_and_an_event_valid() -> None:
    for block in of_kind("json"):
        document = json.loads(block.text)
        kind = str(document.get("type", "")) if isinstance(document, dict) else ""
        name = kind.removeprefix("driftline.")
        if name in schemas.NAMES:
            jsonschema.Draft202012Validator(schemas.load(name)).validate(document)


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every line of shell that runs driftline, and every one in the prose, as words."""
    for block in BLOCKS:
        if block.kind in SHELL:
            for number, line in enumerate(lines_of(block)):
                yield from ((f"{block}+{number}", found) for found in commands_in(line))
    for page in FILES:
        for code in re.findall(r"`(driftline [^`]+)`", pages.prose(page).replace("\n", " ")):
            yield f"{page}: {code}", shlex.split(code)[1:]


def lines_of(block: Block) -> list[str]:
    return block.text.replace("\\\n", " ").splitlines()


def commands_in(line: str) -> Iterator[list[str]]:
    for part in re.split(r"&&|\|\||[|;]", line.removeprefix("$ ")):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words[:1] == ["driftline"]:
            yield words[1:]


LINES = list(command_lines())


@pytest.mark.parametrize(("where", "words"), LINES, ids=[where for where, _ in LINES])
def test_a_command_exists_and_has_these_options(where: str, words: list[str]) -> None:
    _, command, rest = called(words)
    assert not hasattr(command, "commands") or not rest, f"{where}: driftline {rest}"
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
    for word in rest:
        if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
            assert word.partition("=")[0] in known, where


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind in SHELL], ids=str)
def test_a_command_line_can_be_run_as_it_is(block: Block) -> None:
    for words in (found for line in lines_of(block) for found in commands_in(line)):
        path, command, rest = called(words)
        if "--help" not in rest:
            command.make_context(path, rest)


def called(words: list[str]) -> tuple[str, Any, list[str]]:
    """Name of a command, itself, and the words that are for it."""
    command: Any = typer.main.get_command(app)
    rest = [word for word in words if word not in ("&", "...", "…")]
    path: list[str] = []
    while rest and rest[0].partition("|")[0] in getattr(command, "commands", ()):
        path.append(rest[0].partition("|")[0])
        command, rest = command.commands[path[-1]], rest[1:]
    return " ".join(path), command, rest


# -- names


@pytest.mark.parametrize("page", FILES)
def test_topics_exist(page: str) -> None:
    text = re.sub(r"urn:driftline[\w:.-]*", "", pages.text_of(page))
    found = set(re.findall(r"\bdriftline\.[a-z][a-z-]*", text))
    assert found - OTHER_NAMES <= KNOWN_TOPICS


@pytest.mark.parametrize("page", FILES)
def test_variables_of_the_environment_exist(page: str) -> None:
    for name in re.findall(r"DRIFTLINE__[A-Z_]*[A-Z]", pages.text_of(page)):
        if name not in VARIABLES:
            table, _, key = name.removeprefix("DRIFTLINE__").lower().partition("__")
            assert table == "models", name
            assert key.rpartition("__")[2] in KEYS, name


@pytest.mark.parametrize("page", FILES)
def test_keys_and_tables_of_the_settings_exist(page: str) -> None:
    for code in re.findall(r"`([^`\n]+)`", pages.prose(page)):
        if re.fullmatch(r"[a-z_]+_s", code):
            assert code in KEYS, code
        if found := re.fullmatch(r"\[\[?([a-z]+)(?:\.[A-Za-z.]+)?\]\]?", code):
            assert found[1] in TABLES | {"models"}, code


@pytest.mark.parametrize("page", FILES)
def test_files_exist(page: str) -> None:
    for path in pages.links(page):
        assert (ROOT / path).exists(), path
    for code in re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|json|yml))`", pages.prose(page)):
        if code.partition("/")[0] in ("agents", "stream", "schemas", "tests", "docs", "examples"):
            assert (ROOT / code).exists() or list(ROOT.glob(code)), code


def test_where_to_look_names_what_is_there() -> None:
    for row in pages.tables(pages.sections("README.md").get("Where to look", ""))[0][1:]:
        files = [ROOT / word for cell in row for word in pages.words(cell) if "/" in word]
        for name in (word for cell in row for word in pages.words(cell)):
            if re.fullmatch(r"[A-Z][A-Za-z_]+", name):
                texts = [file.read_text("utf-8") for file in files if file.is_file()]
                assert any(re.search(rf"\b{name}\b", text) for text in texts), row


# -- the tests' own reading


PAGE = """# One

Words with `code`.

    driftline demo \\
        --months 3 && echo done  # and a comment

```sh
# no heading
$ A=1 driftline tail alerts | head
```

| key | meaning |
|---|---|
| `a` | first |
| `b` | `second` |
"""


def test_pages_are_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "text_of", lambda _: PAGE)
    found = list(pages.blocks("page.md"))
    assert [(block.kind, block.line) for block in found] == [("", 5), ("sh", 8)]
    lines = [words for block in found for line in lines_of(block) for words in commands_in(line)]
    assert lines == [["demo", "--months", "3"], ["tail", "alerts"]]
    assert pages.tables(PAGE) == [[["key", "meaning"], ["`a`", "first"], ["`b`", "`second`"]]]
    assert list(pages.sections("page.md")) == ["", "One"]
    assert "driftline" not in pages.prose("page.md")


@pytest.mark.parametrize("words", [["demmo"], ["demo", "--month", "3"], ["topics", "make"]])
def test_a_wrong_command_is_noticed(words: list[str]) -> None:
    with pytest.raises(AssertionError):
        test_a_command_exists_and_has_these_options("here", words)


@pytest.mark.parametrize("name", ["predict", "consume"])
def test_the_examples_of_readme_are_those_that_are_run(name: str) -> None:
    text = (ROOT / "tests" / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert f"```python\n{text}```\n" in (ROOT / "README.md").read_text(encoding="utf-8")
