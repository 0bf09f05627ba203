import pytest

from stream.settings import ModelSettings
from stream.signals import ShareName
from stream.traffic import EARLIER, Traffic, traffic_of, traffic_readings
from stream.windows import Windows

SETTINGS = ModelSettings()
USUAL = (1_000, 900, 1_200, 1_100, 950, 1_000, 1_050)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (1_000, None),
        (450, None),
        (2_400, None),
        (449, "too few rows: 449, 900 to 1,200 in the 7 windows before; the rule: beyond half of"),
        (2_401, "too many rows: 2,401, 900 to 1,200 in the 7 windows before; the rule: beyond tw"),
    ],
)
def test_far_fewer_or_more_rows_than_in_the_windows_before_are_said(
    rows: int, said: str | None
) -> None:
    found = traffic_readings(Traffic(rows, 0, USUAL), SETTINGS)
    assert [r.check for r in found] == ([] if said is None else ["volume"])
    assert all(r.reason.startswith(said or "") for r in found)
    assert all(r.verdict == "moved" and r.p_value is None for r in found)


def test_few_windows_before_say_nothing() -> None:
    assert traffic_readings(Traffic(10, 0, USUAL[1:]), SETTINGS) == []
    assert traffic_readings(Traffic(10, 0, (*USUAL[1:], 0)), SETTINGS) == []


def test_the_size_is_in_doublings_beyond_what_was_seen() -> None:
    (reading,) = traffic_readings(Traffic(4_800, 0, USUAL), SETTINGS)
    assert reading.effect is not None
    assert (reading.effect.value, reading.effect.floor) == (2, 1)
    assert reading.details["direction"] == "up"
    assert reading.details["severity"] == pytest.approx(2 / 3)


def test_many_late_rows_are_said() -> None:
    assert traffic_readings(Traffic(960, 40), SETTINGS) == []
    assert traffic_readings(Traffic(20, 20), SETTINGS) == []
    (reading,) = traffic_readings(Traffic(900, 100), SETTINGS)
    assert (reading.check, reading.subject, reading.n) == ("late", "late rows", 1_000)
    assert reading.reason == (
        "10.0% of 1,000 rows came late, after their pane was sealed; the rule: 5.0% or more. "
        "A longer `lateness_s` waits for them"
    )


def windows(*rows: int, late: int = 0) -> Windows:
    """Panes of 10 ms from 1,000 on, each of two partitions; `late` rows in the last one."""
    found = Windows("inputs", 10)
    names = [
        ShareName("inputs", 1_000 + 10 * i, 0, partition, "r", n // 2)
        for i, n in enumerate(rows)
        for partition in (0, 1)
    ]
    found.name([*names, ShareName("inputs", 1_000 + 10 * (len(rows) - 1), 1, 0, "r", late)])
    return found


def test_the_windows_before_are_as_long_and_do_not_overlap() -> None:
    known = windows(*[100] * 8, 6, 4, late=7)
    assert traffic_of(known, 1_100, 20, 10_000) == Traffic(10, 7, (200,) * 4)
    assert traffic_of(known, 1_100, 30, 10_000) == Traffic(110, 7, (300, 300))


def test_where_one_of_them_is_alike_no_others_are_looked_at() -> None:
    known = windows(10, 10, 500, 10, 10, 10)
    assert traffic_of(known, 1_060, 10, 10_000) == Traffic(10)


def test_no_further_back_than_panes_are_kept_or_windows_are_looked_at() -> None:
    known = windows(*[100] * 40, 10)
    assert traffic_of(known, 1_410, 10, 60).earlier == (100,) * 5
    assert traffic_of(known, 1_410, 10, 10_000).earlier == (100,) * EARLIER


def test_what_was_never_named_is_no_traffic() -> None:
    assert traffic_of(Windows("inputs", 10), 1_000, 10, 1_000) == Traffic(0)
