import pytest

from stream.settings import ModelSettings
from stream.traffic import Traffic, traffic_readings

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
