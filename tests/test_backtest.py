"""Backtest: the same events as the pipeline's, what they add up to, and what is said about it."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from agents import commands
from agents.backtest.accounts import Account, Alarm
from agents.backtest.trials import Trial
from agents.findings import Output
from stream.events import Alert, Evaluation, rfc3339

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01
DAYS, PER_DAY = 20, 120
MOVED = 10  # the day from which the world is another one
OPTIONS = ["--id", "id", "--time", "t", "--prediction", "p", "--score", "s", "--label", "y"]
DAILY = ["--window", "1d", "--pane", "1d", "--label-delay", "1d"]


def rows(seed: int, days: int, moved: int, first_ms: int = START_MS) -> list[str]:
    """x moves and the answers become wrong from a day on."""
    rng = random.Random(seed)
    found = []
    for i in range(days * PER_DAY):
        late = i >= moved * PER_DAY
        x, answer = rng.gauss(2.0 * late, 1.0), int(rng.random() < 0.5)
        right = rng.random() < (0.5 if late else 0.9)
        time = rfc3339(first_ms + i * DAY_MS // PER_DAY)
        word, score = rng.choice("ab"), 0.9 if answer else 0.1
        found.append(
            f"{i},{time},{x:.6f},{word},{answer},{score},{answer if right else 1 - answer}"
        )
    return found


def table(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(["id,t,x,c,p,s,y", *lines]) + "\n")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """FILE, and its reference of forty days before."""
    before = rows(1, 40, 40, START_MS - 40 * DAY_MS)
    reference = table(tmp_path / "reference.csv", before)
    return [str(table(tmp_path / "rows.csv", rows(2, DAYS, MOVED))), "--reference", str(reference)]


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert commands.run(["backtest", *words]) == code, capsys.readouterr().err
    return capsys.readouterr()


def events(text: str) -> list[Output]:
    kinds: Any = {"evaluation": Evaluation, "alert": Alert}
    found = [(line, json.loads(line)["type"].split(".")[1]) for line in text.splitlines()]
    return [msgspec.json.decode(line, type=kinds[kind]) for line, kind in found if kind in kinds]


def test_one_event_a_line_and_nothing_else(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = told(capsys, *files, *OPTIONS, *DAILY, "--format", "json")
    account = Account(events(out))
    assert [len(account.ends[kind]) for kind in ("inputs", "quality")] == [DAYS, DAYS]
    moved_ms = START_MS + MOVED * DAY_MS
    assert [a.fired_ms for a in account.alarms if ("input", "x", "ks") in a.named] == [
        moved_ms + DAY_MS
    ]
    assert all(("quality", "accuracy", "accuracy") in a.named for a in account.pages)
    assert min(a.fired_ms for a in account.pages) == moved_ms + 2 * DAY_MS
    assert all(a.fired_ms > moved_ms for a in account.alarms)
    assert account.in_alarm() == pytest.approx(11 / 21)
    assert "Somebody would have been paged" in err


def test_the_same_again_gives_the_same_bytes(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*files, *OPTIONS, *DAILY, "--format", "json"]
    assert told(capsys, *words)[0] == told(capsys, *words)[0]


def test_it_says_what_would_have_happened(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = told(capsys, *files, *OPTIONS, *DAILY, "--changed", "2024-01-11")
    said = " ".join(out.split())
    assert "Looked at 2,400 predictions and 2,400 truths, from 2024-01-01 to 2024-01-22" in said
    assert "x: median" in said
    assert "from 2024-01-12 to the end" in said
    assert "Before 2024-01-11 nothing had changed: no alarm was false." in said
    assert "Watched without a word: c, prediction" in said
    assert "Retraining would have been asked for once: 2024-01-" in said


def test_rows_without_times_are_named_by_number(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*files, "--prediction", "p", "--score", "s", "--ignore", "id,t,y", "--window", "120s"]
    said = " ".join(told(capsys, *words)[0].split())
    assert "from row 0 to row 2,400: 20 evaluations of inputs and 0 of quality" in said
    assert "Somebody would have been paged: never." in said
    assert "from row 1,320 to the end" in said
    assert "Retraining would not have been asked for." in said


def test_a_reference_against_itself_measures_the_rate(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = " ".join(told(capsys, *files, *OPTIONS, *DAILY, "--a-a")[0].split())
    found = re.search(r"5 parts of 4,800 rows in turn: (\d+) false alarms in 1.3 months", said)
    assert found is not None, said
    assert int(found[1]) <= 4
    assert "the budget is 1: kept" in said
    assert "Clean time in alarm: " in said


@pytest.mark.parametrize(("alarms", "low", "high"), [(0, 0.0, 3.689), (3, 0.619, 8.767)])
def test_the_interval_is_that_of_a_poisson_count(alarms: int, low: float, high: float) -> None:
    one = Alarm(cast(Alert, None), 0)
    found = Trial(5, 100, 2.0, 10, [one] * alarms, 0.0, 1.0)
    assert found.rate == alarms / 2
    assert found.interval == pytest.approx((low / 2, high / 2), abs=1e-3)


def test_what_production_would_refuse_is_told(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text("[intake]\nunknown_models = 'refuse'\n[models.other]\n")
    _, err = told(capsys, *files, *OPTIONS, *DAILY, "--config", str(strict))
    assert "refused, as in production" in err


def test_a_reference_of_features_alone_will_do(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = [f"{i},{i % 7}" for i in range(500)]
    (tmp_path / "bare.csv").write_text("\n".join(["x,c", *bare]) + "\n")
    words = [files[0], "--reference", str(tmp_path / "bare.csv"), *OPTIONS, *DAILY]
    said = " ".join(" ".join(told(capsys, *words)).split())
    assert "outputs are not checked" in said
    assert "quality on the reference is not known" in said


def test_a_report_needs_nothing_else(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(files[0]).read_text().replace(",a,", ",<b>$a$,")
    Path(files[0]).write_text(text)
    path = tmp_path / "report.html"
    words = [*files, *OPTIONS, *DAILY, "--report", str(path)]
    told(capsys, *words)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", page)
    assert "<b>" not in page
    for said in ("Somebody would have been paged", "reference and the last window", "accuracy"):
        assert said in page
    features, metrics = 4, 6  # x, c, prediction, confidence; one metric is estimated, one its gap
    assert page.count("<svg") == 1 + metrics + 2 * features
    told(capsys, *words)
    assert path.read_text(encoding="utf-8") == page


def test_a_report_without_its_libraries_says_what_to_install(files: list[str]) -> None:
    code = "import sys; sys.modules['jinja2'] = None; from agents.commands import run; "
    code += f"sys.exit(run(['backtest', *{files!r}, '--report', 'r.html']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'driftline[report]'" in done.stderr
