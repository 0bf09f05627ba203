"""Accounts: what the events of a run add up to, of alarms above all."""

from typing import Any

import msgspec

from agents.backtest.accounts import Account, Alarm, causes
from stream.events import Alert, Part
from tests.test_findings import MONTH_MS, alert, reading


def told(month: int, state: Any, *subjects: str, previous: str = "ok") -> Alert:
    """One alert about the inputs, of which the first subject is new."""
    parts = [
        Part(cause=f"input:{name}", new=not i, share=1 / len(subjects), reading=reading(name))
        for i, name in enumerate(subjects)
    ]
    one = alert(month, state)
    return msgspec.structs.replace(
        one, cause="input", previous=previous, reading=parts[0].reading, parts=parts
    )


def names(alarm: Alarm) -> dict[str, int]:
    return {name: time_ms // MONTH_MS for (_, name, _), (time_ms, _) in alarm.named.items()}


STORY = [
    told(2, "firing", "age", "power"),
    told(3, "firing", "miles", "age", "power", previous="firing"),
    told(5, "resolved", "miles", "age", previous="firing"),
    told(7, "firing", "power"),
]


def test_what_joins_an_alarm_is_no_other_alarm() -> None:
    found = Account(STORY).alarms
    assert [alarm.fired_ms // MONTH_MS for alarm in found] == [2, 7]
    assert [alarm.until_ms and alarm.until_ms // MONTH_MS for alarm in found] == [5, None]
    assert [names(alarm) for alarm in found] == [{"age": 2, "power": 2, "miles": 3}, {"power": 7}]


def test_all_that_an_alert_names_has_fired() -> None:
    findings = Account(STORY).findings
    assert findings.fired(["age", "power", "miles", "training"]) == {"age", "power", "miles"}


def test_alarms_are_told_by_what_explained_most() -> None:
    found = causes(Account(STORY).alarms)
    assert [(key, len(alarms)) for key, alarms in found.items()] == [
        (("input", "age"), 1),
        (("input", "power"), 1),
    ]


def test_an_alert_of_an_earlier_release_is_about_its_reading() -> None:
    (found,) = Account([alert(2)]).alarms
    assert names(found) == {"age": 2}
