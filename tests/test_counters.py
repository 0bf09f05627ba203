"""Counters belong to one worker and say what they count."""

import re

from prometheus_client import generate_latest

from agents.counters import Counters


def test_each_worker_has_counters_of_its_own() -> None:
    one, other = Counters(), Counters()
    one.rows.labels("predictions").inc(3)
    assert b'driftline_rows_total{outcome="predictions"} 3.0' in generate_latest(one.registry)
    assert b"driftline_rows_total{" not in generate_latest(other.registry)


def test_every_counter_has_a_help_text_and_our_name() -> None:
    text = generate_latest(Counters().registry).decode()
    helped = re.findall(r"^# HELP (\w+) (.+)$", text, re.MULTILINE)
    assert len(helped) >= 8
    assert all(name.startswith("driftline_") and about for name, about in helped)
