"""The state machine of alerts: a table tried over all pairs, and against brute force."""

import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.alerts import QUIET, TRANSITIONS, AlertState, Rule, Seen, State, step

SEEN: tuple[Seen, ...] = get_args(Seen)
STATES: tuple[State, ...] = get_args(State)
Told = tuple[int, str, str, int]  # index, change, previous, since


def played(seen: list[Seen], rule: Rule) -> tuple[AlertState, list[Told]]:
    """Windows of length 1 that end at 1, 2, 3, ..."""
    now = QUIET
    told: list[Told] = []
    for i, one in enumerate(seen):
        before = now
        now, change = step(now, one, i, i + 1, rule)
        if change:
            told.append(
                (i, change.change, change.previous, (now if now.since_ms else before).since_ms)
            )
    return now, told


def by_brute_force(seen: list[Seen], rule: Rule) -> list[Told]:
    """The same by looking for runs in the whole history."""
    known = [(i, one == "bad") for i, one in enumerate(seen) if one != "unknown"]
    told: list[Told] = []
    at = 0
    while (first := _run(known, at, True, 1)) is not None:
        since = known[first][0]
        fired = _run(known, first, True, rule.hold)
        stopped = _run(known, first, False, 1)
        if rule.hold > 1:
            told.append((since, "pending", "ok", since))
        if fired is None or (stopped is not None and stopped < fired):
            if stopped is None:
                break
            told.append((known[stopped][0], "resolved", "pending", since))
            at = stopped + 1
            continue
        told.append((known[fired][0], "firing", "pending" if rule.hold > 1 else "ok", since))
        over = _run(known, fired + 1, False, rule.clear)
        if over is None:
            break
        told.append((known[over][0], "resolved", "firing", since))
        at = over + 1
        while at < len(known) and known[at][0] - known[over][0] < rule.cooldown_ms:
            at += 1
    return told


def _run(known: list[tuple[int, bool]], start: int, bad: bool, length: int) -> int | None:
    """Where the first run of so many, that begins at `start` or later, is complete."""
    for end in range(start + length - 1, len(known)):
        if all(known[i][1] == bad for i in range(end - length + 1, end + 1)):
            return end
    return None


RULES = st.builds(Rule, st.integers(1, 4), st.integers(1, 4), st.integers(0, 6))


@given(st.lists(st.sampled_from(SEEN), max_size=40), RULES)
def test_any_history_tells_what_brute_force_tells(seen: list[Seen], rule: Rule) -> None:
    _, told = played(seen, rule)
    assert [t[:3] for t in told] == [t[:3] for t in by_brute_force(seen, rule)]
    assert [t[3] for t in told if t[1] != "resolved"] == [
        t[3] for t in by_brute_force(seen, rule) if t[1] != "resolved"
    ]


def test_the_table_has_a_row_for_every_pair() -> None:
    assert set(TRANSITIONS) == set(itertools.product(STATES, SEEN))
    assert all(reached in STATES and until in STATES for _, reached, until in TRANSITIONS.values())


@pytest.mark.parametrize("state", STATES)
def test_too_little_data_neither_fires_nor_resolves(state: State) -> None:
    now = AlertState(state, bad=1, good=1, since_ms=1, changed_ms=5)
    assert step(now, "unknown", 5, 6, Rule(1, 1, 100)) == (now, None)


@given(st.lists(st.sampled_from(SEEN), max_size=40), RULES)
def test_a_cause_that_is_ok_has_no_memory(seen: list[Seen], rule: Rule) -> None:
    state, _ = played(seen, rule)
    assert (state.state == "ok") == (state == QUIET)


def test_every_change_says_why() -> None:
    rule = Rule(hold=2, clear=2)
    now, reasons = QUIET, []
    for i, seen in enumerate(("bad", "good", "bad", "bad", "good", "good")):
        now, change = step(now, seen, i, i + 1, rule)  # type: ignore[arg-type]
        reasons += [change.reason] if change else []
    assert reasons == [
        "moved in 1 window; 2 in a row are needed to fire",
        "not moved again after 1 of the 2 windows needed to fire",
        "moved in 1 window; 2 in a row are needed to fire",
        "moved in 2 windows in a row",
        "not moved in 2 windows in a row",
    ]
