"""Bars: a line now and then where there is no terminal, a bar where there is one."""

import io

from rich.console import Console

from agents import bars
from agents.bars import Sending

START_MS = 1_704_067_200_000  # 2024-01-01


def test_without_a_terminal_progress_is_a_line_now_and_then() -> None:
    out = io.StringIO()
    with Sending(1_000, Console(file=out, width=80)) as bar:
        for done in range(1, 1_001):
            bar.advance(done, START_MS, 5)
    lines = out.getvalue().splitlines()
    assert len(lines) == bars.LINES
    assert lines[-1] == "2024-01-01: 1,000 of 1,000 events sent, 5 unread"


def test_with_a_terminal_it_is_a_bar() -> None:
    out = io.StringIO()
    with Sending(10, Console(file=out, width=80, force_terminal=True)) as bar:
        bar.advance(3, START_MS, 5)
        bar.say("note: something")
    assert "3/10" in out.getvalue()
    assert "note: something" in out.getvalue()
