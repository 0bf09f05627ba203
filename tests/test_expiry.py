"""What waits in a ledger past its horizon goes, and no figure is another for it."""

import dataclasses

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.ledgers import (
    SETTINGS,
    Kept,
    batch_of,
    prediction,
    truth,
)


def moved_on(kept: Kept, time_ms: int) -> None:
    known = kept.ledger.sources
    kept.apply(
        batch_of(prediction(90, time_ms), first=known.applied(("predictions", 0), "") + 1),
        batch_of(truth(90, time_ms), first=known.applied(("truths", 0), "") + 1),
    )


def test_entries_go_when_the_horizon_has_passed_and_pending_stays_right() -> None:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5), prediction(2, 30_000)), batch_of(truth(3, 7)))
    kept.checkpoint()
    kept.expire()
    assert len(kept.checkpoint().pending_deletes) == 0
    moved_on(kept, 5 + 1_000_000 + 3)
    kept.checkpoint()
    kept.expire()
    kept.expire()  # the same slice again
    assert len(kept.checkpoint().pending_deletes) == 2
    assert len(kept.state.pending) == kept.ledger.matches.pending == 2
    assert kept.ledger.counted()["orphan-truths"] == 1
    kept.restart()
    assert kept.ledger.matches.pending == 2


def test_an_entry_that_is_asked_for_again_before_the_checkpoint_stays() -> None:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5)))
    moved_on(kept, 2_000_000)
    kept.checkpoint()
    kept.expire()
    kept.apply(batch_of(truth(1, 2_000_000), first=1))
    changes = kept.checkpoint()
    assert not changes.pending_deletes
    assert len(kept.state.pending) == kept.ledger.matches.pending == 2


def test_predictions_wait_for_lagging_truth_while_there_is_room() -> None:
    for max_pending, left in ((100, 2), (2, 1)):
        kept = Kept(dataclasses.replace(SETTINGS, max_pending=max_pending))
        kept.apply(batch_of(prediction(1, 5), prediction(2, 5_000_000)))
        kept.checkpoint()
        kept.expire()
        kept.checkpoint()
        assert len(kept.state.pending) == kept.ledger.matches.pending == left


Move = tuple[int, int, bool]  # event time, id, whether it is truth


@st.composite
def moves(draw: st.DrawFn) -> list[Move]:
    """Predictions and truth in order of time, no prediction twice."""
    times = sorted(draw(st.lists(st.integers(0, 5_000_000), min_size=1, max_size=12)))
    found, made = list[Move](), set[int]()
    for time_ms in times:
        number, is_truth = draw(st.integers(0, 4)), draw(st.booleans())
        found.append((time_ms, number, is_truth or number in made))
        made |= set() if is_truth else {number}
    return found


def played(events: list[Move], expiring: bool) -> Kept:
    """A ledger after events; beside each, one of the other kind moves event time on."""
    kept, counts = Kept(), {True: 0, False: 0}
    for time_ms, number, is_truth in events:
        event = truth(number, time_ms, revision=1) if is_truth else prediction(number, time_ms)
        other = prediction(100 + counts[False], time_ms) if is_truth else truth(99, time_ms)
        for one, kind in ((event, is_truth), (other, not is_truth)):
            kept.apply(batch_of(one, first=counts[kind]))
            counts[kind] += 1
        kept.checkpoint()
        if expiring:
            kept.expire()
            kept.checkpoint()
            assert len(kept.state.pending) == kept.ledger.matches.pending
    return kept


def hits(kept: Kept) -> int:
    return sum(cohorts.total().hits for cohorts in kept.quality().values())


@given(moves())
@example([(0, 0, False), (1_000_000, 1, False), (1_000_000, 0, True)])  # at the horizon
@example([(0, 0, True), (1_000_000, 1, True), (1_000_000, 0, False)])
@example([(0, 0, False), (1_000_001, 1, False), (1_000_001, 0, True), (1_000_002, 0, True)])
@settings(max_examples=60)
def test_expiry_changes_no_tally_where_nothing_is_late(events: list[Move]) -> None:
    totals = [
        {pane: cohorts.total() for pane, cohorts in played(events, expiring).quality().items()}
        for expiring in (False, True)
    ]
    assert totals[0] == totals[1]


def test_what_a_producer_sends_again_after_the_horizon_is_new_once_its_entry_is_gone() -> None:
    again = [(0, 0, False), (1_500_000, 0, False), (1_600_000, 0, False), (1_700_000, 0, True)]
    assert [hits(played(again, expiring)) for expiring in (False, True)] == [0, 1]
