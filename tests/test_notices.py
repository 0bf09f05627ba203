"""Alerts and requests as events, in words a person can act on."""

import dataclasses
import json

import jsonschema
import msgspec
import pytest

import schemas
from stream.alerts import Change, Transition
from stream.events import Alert, Data, Effect, Evaluation, Judged, Part, Reading, encode
from stream.notices import RESOLVED_MEANING, UNSEEN, Evidence, alert, ranges, retrain_request
from stream.settings import DAY_S, ModelSettings
from stream.subjects import Subject
from stream.verdicts import judge
from tests import tales
from tests.tales import SETTINGS, Way

DAY_MS = DAY_S * 1000
OF = Subject("m", "1", ModelSettings(pane_s=DAY_S), 10 * DAY_MS, 11 * DAY_MS)
FIRING = Transition("firing", "ok", "moved in 1 window")


def reading(
    role: str = "input", effect: float = 0.1, floor: float = 0.05, objective: float | None = None
) -> Reading:
    return Reading(
        check="ks",
        subject="age",
        role=role,  # type: ignore[arg-type]
        p_value=0.001,
        level=0.01,
        effect=Effect(name="gap", value=effect, floor=floor, unit="sd"),
        n=1_500,
        verdict="moved",
        reason="age: median 31.4 -> 35.0",
        details={"objective": objective},
    )


def evaluation(of: Subject = OF) -> Evaluation:
    return Evaluation(
        id="e",
        time="t",
        model="m",
        version="1",
        subject="inputs",
        window=of.window(),
        rows=1_500,
        readings=[],
        verdict=judge(True, False, None),
    )


def part(role: str = "input", name: str = "age", share: float | None = 1.0) -> Part:
    one = msgspec.structs.replace(reading(role), subject=name)
    return Part(cause=f"{role}:{name}", new=True, share=share, reading=one)


def told(change: Change = "firing", role: str = "input", of: Subject = OF) -> Alert:
    transition = dataclasses.replace(FIRING, change=change)
    return alert(of, "input", 9 * DAY_MS, transition, [part(role)], evaluation(of), "team")


def test_an_alert_names_all_that_the_issue_asks_for() -> None:
    found = told()
    assert (found.model, found.version, found.owner) == ("m", "1", "team")
    assert found.summary == "m 1: age: median 31.4 -> 35.0"
    assert found.since == "1970-01-10T00:00:00.000Z"
    sure = found.how_sure
    assert (sure.p_value, sure.level, sure.n) == (0.001, 0.01, 1_500)
    assert sure.effect == reading().effect
    assert found.meaning == judge(True, False, None).meaning
    assert found.action == judge(True, False, None).action
    assert (found.previous, found.reason) == ("ok", "moved in 1 window")


def test_what_is_resolved_says_so() -> None:
    found = told("resolved")
    assert found.summary == "m 1: resolved: age: median 31.4 -> 35.0"
    assert found.meaning == RESOLVED_MEANING
    assert told("resolved", "detector").meaning == judge(True, False, None).meaning


@pytest.mark.parametrize(
    ("verdict", "effect", "unseen"),
    [
        ("insignificant", 0.1, True),
        ("not-enough-data", 0.1, True),
        ("not-enough-data", 0.01, False),  # what is left of it would not matter
        ("ok", 0.01, False),
    ],
)
def test_what_too_few_rows_show_is_not_called_well(
    verdict: Judged, effect: float, unseen: bool
) -> None:
    one = msgspec.structs.replace(reading(effect=effect), verdict=verdict)
    some = [Part(cause="input:age", new=True, reading=one)]
    over = dataclasses.replace(FIRING, change="resolved")
    found = alert(OF, "input", 0, over, some, evaluation(), None)
    assert ((found.meaning, found.action) == UNSEEN) == unseen


def test_the_window_is_named_where_a_model_has_several() -> None:
    several = ModelSettings(pane_s=DAY_S, windows_s=(DAY_S, 7 * DAY_S))
    week = Subject("m", "1", several, 4 * DAY_MS, 11 * DAY_MS)
    assert told(of=week).summary == "m 1: age: median 31.4 -> 35.0 (window of 7 days)"


def test_an_id_is_of_what_changed_and_when() -> None:
    later = dataclasses.replace(OF, end_ms=12 * DAY_MS)
    assert told().id == told(role="output").id
    assert len({told().id, told("resolved").id, told(of=later).id}) == 3


@pytest.mark.parametrize(
    ("one", "priority"),
    [
        (reading(effect=0.05), "normal"),
        (reading(effect=0.1), "high"),  # twice what matters
        (reading(effect=0.05, objective=0.9), "high"),
    ],
)
def test_a_missed_objective_or_twice_the_loss_that_matters_is_urgent(
    one: Reading, priority: str
) -> None:
    data = Data(start="s", end="e", offsets=ranges({("b", 1): (5, 9), ("a", 2): (1, 2)}))
    evidence = Evidence([one], ["a1"], data, 500, "accuracy fell")
    found = retrain_request(OF, evidence, evaluation(), "team")
    assert found.priority == priority
    assert found.idempotency_key == found.id
    assert found.deadline == "1970-02-11T00:00:00.000Z"
    assert [(r.topic, r.partition, r.first, r.last) for r in data.offsets] == [
        ("a", 2, 1, 2),
        ("b", 1, 5, 9),
    ]
    assert found.id == retrain_request(OF, evidence, evaluation(), None).id


def test_a_promise_that_was_never_kept_is_not_urgent() -> None:
    below = msgspec.structs.replace(evaluation(), verdict=judge(None, None, True, fell=False))
    data = Data(start="s", end="e", offsets=[])
    evidence = Evidence([reading(effect=0.1, objective=0.9)], ["a1"], data, 500, "below")
    assert retrain_request(OF, evidence, below, None).priority == "normal"


@pytest.mark.parametrize(
    ("topic", "schema"),
    [
        ("alerts", "alert.v1"),
        ("evaluations", "evaluation.v1"),
        ("retrain-requests", "retrain-request.v1"),
    ],
)
def test_all_that_is_published_is_valid(topic: str, schema: str) -> None:
    validator = jsonschema.Draft202012Validator(schemas.load(schema))
    found = [tales.play(tales.tale(), SETTINGS, Way(), known=known) for known in (True, False)]
    events = [e for pipeline in found for e in tales.events(pipeline, topic)]
    assert events
    for e in events:
        validator.validate(e)
    assert json.loads(encode(told()))["cause"] == "input"
