"""Every safeguard that is taken away is missed by the test that is named for it."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.mutants import MUTANTS

FAILED, LIMIT_S = 1, 300
SEARCH = {"DRIFTLINE_SCHEDULES": "1000"}  # a search ends where it finds something
BITES = (  # how a test says that something is wrong with what it looked at
    "AssertionError",
    "assert ",
    "Failed: DID NOT RAISE",
    "agents.store.answers.Refused",
    "hypothesis.errors.FlakyFailure",
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    kept |= SEARCH
    return subprocess.run(
        [*command, *words],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_every_mutant_fits_the_code() -> None:
    for mutant in MUTANTS.values():
        assert all(edit.text() for edit in mutant.edits)


def test_every_killer_is_a_test() -> None:
    files = sorted({mutant.killer.partition("::")[0] for mutant in MUTANTS.values()})
    listed = run("--collect-only", *files).stdout.splitlines()
    known = {line.partition("[")[0] for line in listed}
    assert {mutant.killer for mutant in MUTANTS.values()} <= known


@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_the_test_that_is_named_for_it(name: str, tmp_path: Path) -> None:
    mutant, report = MUTANTS[name], tmp_path / "report.xml"
    options = ["--mutant", name, "--junitxml", str(report), "-x", "-p", "no:unraisableexception"]
    ended = run(*options, "-k", mutant.keyword, mutant.killer)
    assert ended.returncode == FAILED, ended.stdout + ended.stderr
    cases = list(ET.parse(report).iter("testcase"))
    failures = [case.find("failure") for case in cases]
    said = [found.get("message", "") for found in failures if found is not None]
    assert said, ended.stdout
    assert all(text.startswith(BITES) for text in said), said
    assert not [case for case in cases if case.find("error") is not None], ended.stdout
