"""Showing: plain words with and without a terminal, on narrow ones too; JSON is only JSON."""

import io
import json

import msgspec
import pytest
from rich.console import Console

import schemas
from agents.findings import Findings, Output
from agents.show import Json, Screen, Show
from stream.events import Evaluation
from tests.test_findings import alert, evaluation, month_of, reading, request


def when(time: str) -> str:
    return f"month {month_of(time)}"


def tell(show: Show) -> None:
    findings = Findings(month_of, {"age": 1, "power": 0})
    events: list[Output] = [
        evaluation(1, reading(verdict="ok"), reading("power", "ok")),
        evaluation(2, reading(), reading("power", "small")),
        alert(2),
        alert(3),
        alert(7, subject="accuracy"),
        request(7),
        alert(8, "resolved"),
    ]
    with show:
        show.say("the servers are up")
        for done in range(11):
            show.advance(done * 1_000, 10_000, "month 1")
        for event in events:
            findings.update(event)
            show.event(event)
        show.end(findings.rows(), "nothing was lost")


def shown(width: int, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=terminal, color_system=None, highlight=False
    )
    tell(Screen(when, console))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 100, 160])
@pytest.mark.parametrize("terminal", [True, False])
def test_everything_is_said_at_any_width(width: int, terminal: bool) -> None:
    words = " ".join(shown(width, terminal).replace("│", " ").split())
    for part in ("ALERT", "resolved", "age", "power", "labels", "priority", "nothing was lost"):
        assert part in words


def test_an_alert_is_a_sentence_with_how_large_the_change_is() -> None:
    text = " ".join(shown(160, False).split())
    assert (
        "month 2 ALERT age moved [in all]: median 31.4 -> 35.0 years "
        "(Wasserstein 0.31 sd, matters from 0.1 on, 1,500 rows)"
    ) in text
    assert "month 8 resolved age moved [in all]: median 31.4 -> 35.0 years (good 2 times" in text


def test_what_a_verdict_means_is_said_once() -> None:
    assert shown(160, False).count("The inputs moved. Look at the source.") == 1


def test_a_request_names_what_is_needed() -> None:
    text = shown(160, False)
    for part in (
        "month 7: retrain request for insurance 1",
        "accuracy fell from 0.88 to 0.75",
        "9,000 labelled rows",
        "predictions[0] 0-99",
        "and 2 more",
        "nobody is named",
    ):
        assert part in text


@pytest.mark.parametrize("width", [60, 160])
def test_the_end_says_what_moved_when_and_how_late(width: int) -> None:
    words = " ".join(shown(width, False).split())
    assert "1 of 2 months" in words
    assert "2 months late" in words
    assert "does not change" in words


def test_without_a_terminal_progress_is_a_few_lines() -> None:
    lines = [line for line in shown(80, False).splitlines() if "of 10,000 predictions" in line]
    assert 5 <= len(lines) <= 12


def test_json_is_one_event_a_line() -> None:
    out = io.StringIO()
    tell(Json(out))
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["type"].split(".")[1] for event in events] == [
        "evaluation",
        "evaluation",
        "alert",
        "alert",
        "alert",
        "retrain-request",
        "alert",
    ]


def test_what_became_of_a_request_is_shown() -> None:
    event = next(e for e in schemas.load("evaluation.v1")["examples"] if "retrained" in e)
    out = io.StringIO()
    screen = Screen(lambda time: time[:10], Console(file=out, width=200, highlight=False))
    screen.event(msgspec.convert(event, Evaluation))
    text = " ".join(out.getvalue().split())
    assert text.startswith("2026-03-15 claims-frequency 8: retraining worked (version 8,")
    assert text.endswith("at least 0.85 was promised Nothing to do.")
