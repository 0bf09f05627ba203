"""Real data through `driftline backtest` at default settings but for the window: what is to be
found is found where it is, and nothing else.
"""

import contextlib
import io
import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents import classifier, commands, story
from agents.backtest.accounts import Account, at
from agents.findings import Output
from agents.outputs import TYPES
from agents.portfolio import FEATURES, GROUPS, Policies
from stream.columns import Floats
from stream.events import rfc3339

KINDS = {f"driftline.{topic.removesuffix('s')}.v1": kind for topic, kind in TYPES.items()}


def account(*words: str) -> Account:
    """What a backtest adds up to."""
    return Account(events(*words))


def events(*words: str) -> list[Output]:
    """What a backtest publishes."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as said:
        code = commands.run(["backtest", *words, "--format", "json"])
    assert code == 0, said.getvalue()
    return [decoded(line) for line in out.getvalue().splitlines()]


def decoded(line: str) -> Output:
    event: Output = msgspec.json.decode(line, type=KINDS[json.loads(line)["type"]])
    return event


# -- census data of Massachusetts: three chunks of people in institutions

CHUNK = 5_000
CENSUS = [
    *("--id", "id", "--prediction", "prediction", "--score", "predicted_probability"),
    *("--label", "employed", "--ignore", "year", "--time", "row", "--window", f"{CHUNK}s"),
]


def chunk_of(text: str) -> int:
    """Of the window that ends then, counted from 0. Rows begin with the first pane of 2000."""
    first = -(-946_684_800 // CHUNK)
    return at(text) // 1_000 // CHUNK - first - 1


@pytest.fixture(scope="module")
def census(data: Path) -> Account:
    files = data / "employment_ma"
    truth = files / "employment_MA_analysis_target.pq"
    rows, reference = files / "employment_MA_analysis.pq", files / "employment_MA_reference.pq"
    return account(str(rows), "--reference", str(reference), "--truth", str(truth), *CENSUS)


def test_institutions_are_seen_and_quality_is_paged(census: Account) -> None:
    assert len(census.ends["inputs"]) == 42
    assert census.pages
    for alarm in census.pages:
        assert {name for _, name, _ in alarm.named} >= {"accuracy", "brier"}
        assert {chunk_of(rfc3339(time_ms)) for time_ms, _ in alarm.named.values()} <= {26, 27, 28}


def test_nothing_else_of_the_census_is_an_alarm(census: Account) -> None:
    fired = [a for a in census.findings.alerts.values() if a.state == "firing"]
    assert {chunk_of(alert.time) for alert in fired} == {26, 27}


def test_what_institutions_cost_is_known_from_the_scores_at_once(census: Account) -> None:
    """No label is looked at: the estimate is part of the evaluation of inputs."""
    told = census.readings["quality", "estimated-accuracy"]
    moved = {chunk_of(rfc3339(end)) for end, reading in told if reading.verdict == "moved"}
    assert moved == {27, 28}
    realised = dict(census.readings["quality", "accuracy"])
    for end, reading in told:
        chunk, found, labels = chunk_of(rfc3339(end)), reading.statistic, realised[end].statistic
        assert found is not None
        assert labels is not None
        assert abs(found - labels) < 0.02
        assert (found < 0.8) == (chunk in (27, 28))


def test_an_estimate_tells_and_wakes_nobody(census: Account) -> None:
    alerts = [a for a in census.findings.alerts.values() if a.reading.check == "estimated-accuracy"]
    assert {alert.severity for alert in alerts} == {"notice"}
    assert {chunk_of(alert.time) for alert in alerts if alert.state == "firing"} == {27}


# -- car loans: four features move at row 75,000

CHANGED = at("2019-03-31T18:00:00Z")
DAY_MS = 86_400_000
LOANS = [
    *("--id", "id", "--time", "timestamp", "--prediction", "y_pred", "--score", "y_pred_proba"),
    *("--label", "repaid", "--label-delay", "14d", "--window", "30d", "--pane", "1d"),
]
MOVED = {"car_value", "loan_length", "salary_range", "repaid_loan_on_prev_car"}


def test_the_four_features_that_moved_are_named(data: Path) -> None:
    files = data / "car_loan"
    rows, reference, truth = (
        str(files / f"synthetic_car_loan_{name}.csv.gz")
        for name in ("analysis", "reference", "analysis_target")
    )
    found = account(rows, "--reference", reference, "--truth", truth, *LOANS)
    assert all(alarm.fired_ms > CHANGED for alarm in found.alarms)
    ends = [end for end in found.ends["inputs"] if end >= CHANGED]
    until = CHANGED + 30 * DAY_MS
    in_time = next(end for end in ends if end >= until)
    named = {
        name
        for alarm in found.alarms
        for (role, name, _), (time_ms, _) in alarm.named.items()
        if role == "input" and time_ms <= in_time
    }
    assert named == MOVED


# -- insurance: three features creep, and what is true for the same inputs changes

MONTH = ["--window", "30d", "--pane", "30d", "--label-delay", "30d"]
POLICIES = [
    *("--id", "id", "--time", "t", "--prediction", "group", "--label", "truth"),
    *("--probabilities", ",".join(f"{name}=p_{name}" for name in GROUPS)),
    *("--categorical", ",".join(story.CATEGORICAL)),
]
HEADER = ["id", "t", *FEATURES, *(f"p_{name}" for name in GROUPS), "group", "truth"]


def lines(policies: Policies, answers: Floats, first_ms: int, name: str) -> list[str]:
    step_ms = story.MONTH_MS / len(policies)
    found = []
    for row, answer in enumerate(answers):
        cells: list[Any] = [f"{name}-{row}", rfc3339(first_ms + round((row + 0.5) * step_ms))]
        cells += [*policies.features[row].tolist(), *answer.tolist()]
        said, truth = GROUPS[int(answer.argmax())], GROUPS[policies.groups[row]]
        found.append(",".join(map(str, [*cells, said, truth])))
    return found


def insured(told: story.Story, folder: Path) -> list[str]:
    """Words of a command: the months of the story, and what their columns are."""
    known = told.policies
    unseen = classifier.unseen(known.features, known.groups, len(GROUPS), told.seed)
    start = story.START_MS
    before = lines(known, unseen, start - story.MONTH_MS, "r")
    after = [
        lines(month, told.model.probabilities(month.features), start + i * story.MONTH_MS, f"m{i}")
        for i, month in enumerate(told.months)
    ]
    header = ",".join(HEADER)
    (folder / "reference.csv").write_text("\n".join([header, *before]) + "\n")
    (folder / "rows.csv").write_text("\n".join([header, *itertools.chain(*after)]) + "\n")
    return [str(folder / "rows.csv"), "--reference", str(folder / "reference.csv"), *POLICIES]


@pytest.fixture(scope="module")
def policies(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Account:
    told = story.load(data / "insurance", 36)
    return account(*insured(told, tmp_path_factory.mktemp("policies")), *MONTH)


def month(alarm_ms: int) -> int:
    """The number of the month that ends then."""
    return (alarm_ms - story.START_MS) // story.MONTH_MS


def test_what_creeps_is_found_in_time(policies: Account) -> None:
    first = {
        name: month(time_ms)
        for alarm in reversed(policies.alarms)
        for (role, name, _), (time_ms, _) in alarm.named.items()
        if role == "input"
    }
    assert first["miles"] <= 9
    assert first["age"] <= 12
    assert "emergency_braking" in first


def test_what_stays_is_never_an_alarm(policies: Account) -> None:
    names = {name for alarm in policies.alarms for _, name, _ in alarm.named}
    assert not names & {"power", "training", "braking_distance"}


def test_an_unlucky_reference_wakes_nobody(policies: Account) -> None:
    readings = [reading for _, reading in policies.readings["input", "braking_distance"]]
    plain = [r for r in readings if r.check == "ks" and r.p_value is not None and r.p_value < 0.05]
    assert len(plain) == 10
    assert all(reading.verdict != "moved" for reading in readings)


def test_the_truth_says_that_the_concept_drifted(policies: Account) -> None:
    assert policies.pages
    assert {alarm.alert.verdict.kind for alarm in policies.pages} == {"concept-drift"}
    assert policies.requests[0].verdict.kind == "concept-drift"


def test_where_scores_are_blind_the_estimate_is_said_to_be(policies: Account) -> None:
    """Accuracy falls from .88 to .53, and the model is as sure of itself as before."""
    estimates = [reading for _, reading in policies.readings["quality", "estimated-accuracy"]]
    assert {reading.verdict for reading in estimates} <= {"ok", "small"}
    assert min(reading.statistic or 0.0 for reading in estimates) > 0.85
    gaps = {month(end): r for end, r in policies.readings["quality", "estimate-gap"]}
    assert {gap.details["trusted"] for at, gap in gaps.items() if at <= 8} == {"yes"}
    assert {gap.details["trusted"] for at, gap in gaps.items() if at >= 13} == {"no"}
    assert "not to be trusted" in gaps[max(gaps)].reason
    assert any(alert.reading.check == "estimate-gap" for alert in policies.findings.alerts.values())
