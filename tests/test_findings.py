"""Findings: first moved, fired, how late; twice the same event is once."""

import dataclasses
from typing import Literal

import msgspec

from agents.findings import Finding, Findings, Output
from stream.events import (
    Alert,
    Data,
    Effect,
    Evaluation,
    OffsetRange,
    Reading,
    RetrainRequest,
    Sureness,
    Verdict,
    Window,
    rfc3339,
)

MONTH_MS = 30 * 86_400_000
VERDICT = Verdict(
    inputs=True, kind="covariate-shift", meaning="The inputs moved.", action="Look at the source."
)


def month_of(start: str) -> int:
    return next(m for m in range(1, 99) if rfc3339((m - 1) * MONTH_MS) == start)


def window(month: int, revision: int = 0) -> Window:
    start, end = rfc3339((month - 1) * MONTH_MS), rfc3339(month * MONTH_MS)
    return Window(start=start, end=end, panes=1, revision=revision)


def reading(
    subject: str = "age",
    verdict: Literal["ok", "moved", "small", "not-enough-data"] = "moved",
    role: Literal["input", "output", "quality"] = "input",
) -> Reading:
    return Reading(
        check="ks",
        subject=subject,
        role=role,
        statistic=0.3,
        p_value=1e-9,
        level=0.001,
        effect=Effect(name="Wasserstein", value=0.31, floor=0.1, unit="sd"),
        n=1_500,
        n_reference=1_500,
        verdict=verdict,
        reason=f"{subject}: median 31.4 -> 35.0",
    )


def evaluation(month: int, *readings: Reading, revision: int = 0) -> Evaluation:
    return Evaluation(
        id=f"evaluation-{month}-{revision}",
        time=rfc3339(month * MONTH_MS),
        model="insurance",
        version="1",
        subject="inputs",
        window=window(month, revision),
        rows=1_500,
        readings=list(readings),
        verdict=VERDICT,
    )


def alert(
    month: int, state: Literal["pending", "firing", "resolved"] = "firing", subject: str = "age"
) -> Alert:
    found = reading(subject)
    return Alert(
        id=f"alert-{subject}-{month}-{state}",
        time=rfc3339(month * MONTH_MS),
        model="insurance",
        version="1",
        cause=f"input/{subject}",
        state=state,
        previous="firing" if state == "resolved" else "quiet",
        reason="good 2 times in a row" if state == "resolved" else "bad once",
        since=rfc3339((month - 1) * MONTH_MS),
        severity="notice",
        summary=f"{subject} moved [in all]: median 31.4 -> 35.0 years",
        how_sure=Sureness(p_value=1e-9, level=0.001, effect=found.effect, n=1_500),
        meaning=VERDICT.meaning,
        action=VERDICT.action,
        window=window(month),
        reading=found,
        verdict=VERDICT,
        evaluation_id=f"evaluation-{month}-0",
    )


def request(month: int) -> RetrainRequest:
    start, end = rfc3339((month - 6) * MONTH_MS), rfc3339(month * MONTH_MS)
    ranges = [OffsetRange(topic="predictions", partition=p, first=p, last=99) for p in range(6)]
    return RetrainRequest(
        id=f"request-{month}",
        time=end,
        model="insurance",
        version="1",
        reason="accuracy fell from 0.88 to 0.75",
        evidence=[reading("accuracy", role="quality")],
        alert_ids=[f"alert-accuracy-{month}-firing"],
        verdict=VERDICT,
        data=Data(start=start, end=end, offsets=ranges),
        labelled_rows=9_000,
        priority="high",
        deadline=rfc3339((month + 1) * MONTH_MS),
        idempotency_key=f"key-{month}",
    )


def only(findings: Findings) -> Finding:
    (found,) = findings.rows()
    return found


def test_first_moved_fired_and_how_late() -> None:
    findings = Findings(month_of, {"age": 3})
    findings.update(evaluation(4, reading(verdict="ok")))
    findings.update(evaluation(5, reading()))
    findings.update(evaluation(6, reading()))
    findings.update(alert(5, "pending"))
    findings.update(alert(6))
    found = only(findings)
    assert (found.checked, found.moved) == ({4, 5, 6}, {5, 6})
    assert (found.fired, found.late) == (6, 4)
    assert findings.fired(["age", "power"]) == {"age"}


def test_nothing_fired_is_never_late() -> None:
    findings = Findings(month_of, {"age": 3})
    findings.update(evaluation(4, reading()))
    assert only(findings).late is None


def test_too_little_data_is_not_a_check() -> None:
    findings = Findings(month_of, {})
    findings.update(evaluation(1, reading(verdict="not-enough-data")))
    found = only(findings)
    assert (found.checked, found.last) == (set(), None)


def test_a_later_revision_replaces_a_month() -> None:
    findings = Findings(month_of, {})
    findings.update(evaluation(2, reading()))
    findings.update(evaluation(2, reading(verdict="ok"), revision=1))
    assert only(findings).moved == set()


def test_twice_the_same_event_is_once() -> None:
    findings = Findings(month_of, {})
    events: list[Output] = [evaluation(1, reading()), alert(1), request(7)]
    assert [findings.update(event) for event in events] == [True] * 3
    before = [dataclasses.replace(row) for row in findings.rows()]
    assert [findings.update(event) for event in events] == [False] * 3
    assert findings.rows() == before


def test_features_come_before_outputs_and_quality() -> None:
    findings = Findings(month_of, {})
    roles = [reading("accuracy", role="quality"), reading("class", role="output"), reading("age")]
    findings.update(evaluation(1, *roles))
    assert [row.subject for row in findings.rows()] == ["age", "class", "accuracy"]


def test_resolved_is_noted_only_after_firing() -> None:
    findings = Findings(month_of, {})
    findings.update(alert(3))
    findings.update(alert(5, "resolved"))
    assert only(findings).resolved == 5


def test_rows_are_those_of_the_last_revision_of_each_window() -> None:
    findings = Findings(month_of, {})
    for month, revision, rows in [(1, 0, 10), (1, 1, 12), (2, 1, 20), (2, 0, 15)]:
        event = evaluation(month, reading(), revision=revision)
        findings.update(msgspec.structs.replace(event, rows=rows))
    assert findings.rows_of("inputs") == 32
    assert findings.rows_of("quality") == 0


def test_what_is_wrong_with_a_features_data_has_a_row_for_each_check() -> None:
    found = Findings(month_of, {"age": 2})
    data = [
        msgspec.structs.replace(reading(), role="data", check=check) for check in ("range", "type")
    ]
    found.update(evaluation(3, reading(), *data))
    rows = [(row.role, row.check, row.changed) for row in found.rows()]
    assert rows == [("input", "ks", 2), ("data", "range", None), ("data", "type", None)]
