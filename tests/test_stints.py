"""stream.stints: days of labels by age, as bytes and back, and which are compared."""

import dataclasses

import numpy as np
import pytest

from stream.cohorts import Cohorts
from stream.confusions import Confusion
from stream.delays import ends_of
from stream.settings import DAY_S, ModelSettings
from stream.stints import ENOUGH, MOST, Stint, Stints
from stream.tallies import Tally

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
WISH = ModelSettings(horizon_s=10 * DAY_S)
ENDS = ends_of(241)


def outcomes(made: int, **labels: int) -> Cohorts:
    found = Cohorts()
    tally = Tally(n=sum(labels.values()))
    tally.breakdown.confusion = Confusion({(name, "a"): n for name, n in labels.items()})
    found.cell(made).merge(tally)
    return found


def stints(days: int) -> Stints:
    """Ten labels a day, 3 of them "b"; ten predictions, of which 8 get theirs at once."""
    found = Stints(WISH, ENDS)
    for day in range(days):
        found.add(day * DAY_MS + HOUR_MS, outcomes(day * DAY_MS, a=7, b=3), classes=True)
        risk, came = np.zeros_like(ENDS), np.zeros_like(ENDS)
        risk[0], came[0] = 10, 8
        found.close(risk, came)
    return found


def test_a_stint_is_a_day_or_the_longest_window() -> None:
    assert Stints(WISH, ENDS).length_ms == DAY_MS
    assert Stints(dataclasses.replace(WISH, windows_s=(3_600,)), ENDS).panes == 24
    assert Stints(dataclasses.replace(WISH, windows_s=(7 * DAY_S,)), ENDS).length_ms == 7 * DAY_MS
    odd = dataclasses.replace(WISH, pane_s=7 * 3_600, windows_s=(7 * 3_600,))
    assert Stints(odd, ENDS).panes == 4


def test_labels_are_counted_by_class_and_age() -> None:
    found = Stints(WISH, ENDS)
    found.add(5 * HOUR_MS, outcomes(5 * HOUR_MS, a=2), classes=True)
    found.add(9 * HOUR_MS, outcomes(6 * HOUR_MS, a=1, b=4), classes=True)
    found.add(9 * HOUR_MS, outcomes(6 * HOUR_MS, c=9), classes=False)
    (stint,) = found.found.values()
    assert {name: counts[:5].tolist() for name, counts in stint.mix.items()} == {
        "a": [2, 0, 0, 1, 0],
        "b": [0, 0, 0, 4, 0],
    }


def test_it_comes_back_from_bytes() -> None:
    found = stints(3)
    found.found[DAY_MS].odd.add("label-mix")
    again = Stints(WISH, ENDS)
    for start, raw in found.save():
        assert raw is not None
        again.load(start, raw)
    for start, stint in found.found.items():
        assert again.found[start].to_bytes() == stint.to_bytes()
    assert [*found.save()] == []
    with pytest.raises(ValueError, match="stint"):
        Stint.from_bytes(b"\xc1", len(ENDS))


def test_no_more_than_so_many_are_kept() -> None:
    found = stints(MOST + 20)
    assert len(found.found) == MOST
    assert sum(raw is None for _, raw in found.save()) == 20


def test_what_was_odd_is_left_out_only_to_tell_whether_it_lasts() -> None:
    """Beside the usual ones alone, what varies much would look odd again and again."""
    found, now = stints(12), 12 * DAY_MS
    for day in range(8, 12):
        found.found[day * DAY_MS].odd.add("label-mix")
    assert len(found.before(now, "label-mix")) == 8 > ENOUGH
    assert len(found.before(now, "label-delay")) == 12
    for day in range(5):
        del found.found[day * DAY_MS]
    assert len(found.before(now, "label-mix")) == 7
    found.found[11 * DAY_MS].odd.clear()
    assert [*found.before(now, "label-mix")] == [day * DAY_MS for day in range(5, 12)]
    for day in range(5):
        found.found[day * DAY_MS] = found.found[11 * DAY_MS]
    assert len(found.before(now, "label-mix")) == 12


def test_weekdays_are_told_apart_once_three_weeks_are_known() -> None:
    found = Stints(WISH, ENDS)
    monday = 4 * DAY_MS  # 1970-01-05
    starts = [monday + day * DAY_MS for day in range(22)]
    kinds, kind = found.kinds(starts, monday + 22 * DAY_MS)
    assert (kinds[:8].tolist(), kind) == ([4, 5, 6, 0, 1, 2, 3, 4], 5)
    few, none = found.kinds(starts[:-1], monday + 21 * DAY_MS)
    assert (set(few.tolist()), none) == ({0}, 0)
    offices = [at for at in starts + [at + 21 * DAY_MS for at in starts] if at // DAY_MS % 7 < 6]
    alike, none = found.kinds(offices, 6 * DAY_MS + 42 * DAY_MS)
    assert (set(alike.tolist()), none) == ({0}, 0)
    weekly = Stints(dataclasses.replace(WISH, windows_s=(7 * DAY_S,)), ENDS)
    assert set(weekly.kinds(starts, monday + 22 * DAY_MS)[0].tolist()) == {0}


def test_what_is_known_of_delays_leaves_out_what_may_be_open() -> None:
    found = stints(4)
    assert found.known(3 * DAY_MS)[0] == pytest.approx(0.8)
    assert found.known(DAY_MS)[0] == 0.0
    assert np.array_equal(found.known(3 * DAY_MS), found.known(3 * DAY_MS + HOUR_MS))
