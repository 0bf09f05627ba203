"""stream.pauses: how long a pause must be before it is more than usual."""

from stream.pauses import LEAST_MS, Pauses

DAY_MS = 86_400_000


def daily(days: list[int]) -> Pauses:
    found = Pauses()
    for day in days:
        found.came(day * DAY_MS, (day + 1) * DAY_MS)
    return found


def test_a_pause_is_long_beside_the_longest_of_before() -> None:
    assert daily([*range(7)]).length_ms(DAY_MS, DAY_MS) is None
    assert daily([*range(8)]).length_ms(DAY_MS, DAY_MS) == DAY_MS
    assert LEAST_MS == 8 * DAY_MS
    assert daily([*range(8), 12, *range(13, 40)]).length_ms(DAY_MS, DAY_MS) == 5 * DAY_MS
    assert daily([*range(8), 12, *range(13, 20)]).length_ms(DAY_MS, DAY_MS) is None
    assert daily([*range(9)]).length_ms(3 * DAY_MS, DAY_MS) is None


def test_what_was_told_of_is_usual_from_the_second_time_on() -> None:
    found = daily([*range(10)])
    for start in (30, 60, 90):
        found.told_ms = found.last_ms
        found.came(start * DAY_MS, (start + 1) * DAY_MS)
        usual = {30: 0, 60: 20 * DAY_MS, 90: 29 * DAY_MS}[start]
        assert found.usual_ms == usual
    assert Pauses.load(found.dump()) == found
