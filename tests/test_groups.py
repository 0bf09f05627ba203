"""Groups of alerts, against what their members' own states say."""

import dataclasses
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from stream.alerts import QUIET, AlertState, Rule, Seen, Transition, step
from stream.groups import UNEASY, Group, Move, regroup

SEEN: tuple[Seen, ...] = get_args(Seen)
RULES = st.builds(Rule, st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
NAMES = ("a", "b", "c")
FIRING = Transition("firing", "ok", "moved in 1 window")
OVER = Transition("resolved", "firing", "not moved in 2 windows in a row")
WAITING = Transition("pending", "ok", "moved in 1 window; 2 in a row are needed to fire")


@dataclasses.dataclass
class Played:
    """One evaluation: members' moves, who is uneasy after it, and what was told."""

    moves: list[Move]
    uneasy: set[str]
    group: Group | None
    told: Transition | None


def played(history: list[tuple[Seen, ...]], rule: Rule) -> list[Played]:
    """Windows of length 1 that end at 1, 2, 3, ..., of three features."""
    states: dict[str, AlertState] = dict.fromkeys(NAMES, QUIET)
    group: Group | None = None
    found = []
    for i, seen in enumerate(history):
        moves = []
        for name, one in zip(NAMES, seen, strict=True):
            before = states[name]
            states[name], change = step(before, one, i, i + 1, rule)
            since = (before if states[name] == QUIET else states[name]).since_ms
            moves += [Move(name, change, since, name)] if change else []
        uneasy = {name for name in NAMES if states[name].state in UNEASY}
        told = None
        if moves:
            known = set(group.members if group else ()) | {move.cause for move in moves}
            group, told = regroup(group, moves, uneasy & known)
        found.append(Played(moves, uneasy, group, told))
    return found


HISTORIES = st.lists(st.tuples(*[st.sampled_from(SEEN)] * len(NAMES)), max_size=30)


@given(HISTORIES, RULES)
def test_a_group_is_open_while_any_member_is_uneasy(
    history: list[tuple[Seen, ...]], rule: Rule
) -> None:
    for one in played(history, rule):
        assert (one.group is not None) == bool(one.uneasy)
        assert one.uneasy <= set(one.group.members if one.group else ())


@given(HISTORIES, RULES)
def test_what_is_told_follows_from_the_members(history: list[tuple[Seen, ...]], rule: Rule) -> None:
    before: set[str] = set()
    for one in played(history, rule):
        change = one.told.change if one.told else None
        fired = any(move.change.change == "firing" for move in one.moves)
        assert (change == "firing") == fired
        assert (change == "resolved") == (bool(before) and not one.uneasy)
        assert (change == "pending") == (not before and bool(one.uneasy) and not fired)
        before = one.uneasy


@given(HISTORIES, RULES)
def test_each_change_knows_what_was_told_before(
    history: list[tuple[Seen, ...]], rule: Rule
) -> None:
    last = "ok"
    for one in played(history, rule):
        if one.told is None:
            continue
        assert one.told.previous == last
        assert one.told.reason
        last = "ok" if one.told.change == "resolved" else one.told.change


@given(HISTORIES, RULES)
def test_it_began_when_the_first_of_it_did(history: list[tuple[Seen, ...]], rule: Rule) -> None:
    since: list[int] = []
    for one in played(history, rule):
        since += [move.since_ms for move in one.moves if move.change.change != "resolved"]
        if one.group is None:
            since = []
        else:
            assert one.group.since_ms == min(since)


def test_twenty_features_that_fire_together_are_told_of_once() -> None:
    moves = [Move(f"input:f{i}", FIRING, 5, f"f{i}") for i in range(20)]
    group, told = regroup(None, moves, {move.cause for move in moves})
    assert told == FIRING
    assert group == Group("firing", 5, tuple(f"input:f{i}" for i in range(20)))


def test_what_joins_is_named_and_what_ends_early_is_not() -> None:
    group, _ = regroup(None, [Move("input:a", FIRING, 5, "a")], {"input:a"})
    group, told = regroup(group, [Move("input:b", FIRING, 6, "b")], {"input:a", "input:b"})
    assert told == Transition("firing", "firing", "joined by b: moved in 1 window")
    group, told = regroup(group, [Move("input:a", OVER, 5, "a")], {"input:b"})
    assert (group, told) == (Group("firing", 5, ("input:a", "input:b")), None)
    assert regroup(group, [Move("input:b", OVER, 6, "b")], set()) == (None, OVER)


def test_what_waits_beside_an_open_alert_keeps_it_open_without_a_word() -> None:
    group = Group("firing", 5, ("input:a",))
    moves = [Move("input:a", OVER, 5, "a"), Move("input:b", WAITING, 9, "b")]
    group_after, told = regroup(group, moves, {"input:b"})
    assert (group_after, told) == (Group("firing", 5, ("input:a", "input:b")), None)
