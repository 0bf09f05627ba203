"""Topics made anew, records dropped before they were read: recognised, named, and repaired."""

import io
import json
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults import (
    PARTITIONS,
    REFERENCE,
    TABLES,
    Found,
    ended,
    exact,
    make_anew,
    mended,
    overtake,
    refused,
    repair,
    settle,
    status,
    story,
    tell,
)
from tests.workers import Deploy, Deployment

Fault = Callable[[Deployment, str], None]
PARTS = [(0, 500), (500, 1_000), (1_000, 1_500)]


def begun(deploy: Deploy, stages: str, tables: str = TABLES) -> Deployment:
    """The first part was taken in by all stages, the second only by some; then all stopped."""
    d = deploy(tables, topics={"partitions": PARTITIONS})
    worker = d.start()
    d.send("control", [REFERENCE])
    d.until_taken_in()
    tell(d, *PARTS[0])
    d.until_idle()
    assert worker.stop() == 0
    if stages:
        some = d.start(stages)
        tell(d, *PARTS[1])
        d.until_taken_in()
        if "ledger" in stages:
            d.until(lambda: d.done(["events"]))
        assert some.stop() == 0
    else:
        tell(d, *PARTS[1])
    return d


def finish(d: Deployment) -> None:
    """The rest of the story; all is exact."""
    d.start()
    tell(d, *PARTS[2])
    found = exact(d, PARTS)
    assert {event["window"]["revision"] for event in found.values()} == {0}


@pytest.mark.parametrize("fault", [make_anew, overtake])
def test_rows_that_are_gone_come_again_from_the_sources(
    deploy_forked: Deploy, fault: Fault
) -> None:
    d = begun(deploy_forked, "intake")
    fault(d, "events")
    ended(d, "driftline repair events")
    assert "lost: nothing" in mended(d, "repair events")
    finish(d)


def test_rows_that_look_right_come_again_where_it_is_told(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "intake")  # rows lie in the log, which nobody has read
    assert "nothing to repair" in repair(d, "events", "--yes")
    said = repair(d, "events", "--again", "--yes")
    assert said.count("the ledger goes on at its end") == PARTITIONS
    assert "lost: nothing" in said
    assert "nothing is wrong" in repair(d)
    finish(d)


def test_what_the_sources_have_dropped_too_is_given_up_and_said(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "intake")
    overtake(d, "events")
    for name in ("predictions", "ground-truth"):
        overtake(d, name, leave=10)
    refused(d, "driftline repair events")
    assert "run driftline repair skip next" in repair(d, "events", "--yes")
    refused(d, "driftline repair skip")
    said = mended(d, "repair skip")
    assert "lost: " in said
    assert "given up " in repair(d)
    d.start(http=True)
    tell(d, *PARTS[2])
    lost = 500 - 20  # of the second part, 10 records of each partition were left
    rows = {"inputs": 1_500 - lost, "quality": 200 + 4}  # both were left of the 4
    found = settle(d, lambda found: rows.items() <= rows_of(found).items())
    assert rows.items() <= rows_of(found).items()
    gauge = f'driftline_given_up_records{{topic="{d.topic("predictions")}"}}'
    assert d.counters()[gauge] == lost


def rows_of(found: Found) -> dict[str, int]:
    """By subject, in windows of one pane: each row is in one of them."""
    rows: Counter[str] = Counter()
    for event in found.values():
        if event["window"]["panes"] == 1:
            rows[event["subject"]] += event["rows"]
    return dict(rows)


def test_records_of_a_source_that_retention_took_are_named_and_given_up_once(
    deploy_forked: Deploy,
) -> None:
    d = begun(deploy_forked, "")
    overtake(d, "predictions", leave=10)
    said = refused(d, "driftline repair skip")
    assert "records 250 to 489 (240) were never counted" in said
    before = repair(d, code=1)
    assert before == repair(d, code=1)  # looking changes nothing
    said = mended(d, "repair skip")
    assert said.count("records 250 to 489 (240)") == PARTITIONS
    assert "nothing to repair" in repair(d, "skip", "--yes")
    d.start()
    tell(d, *PARTS[2])
    found = settle(d, lambda found: rows_of(found).get("inputs") == 1_500 - 480)
    assert rows_of(found)["inputs"] == 1_500 - 480


@pytest.mark.parametrize("fault", [make_anew, overtake])
def test_windows_of_signals_that_are_gone_are_judged_all_the_same(
    deploy_forked: Deploy, fault: Fault
) -> None:
    d = begun(deploy_forked, "intake,ledger")
    fault(d, "signals")
    refused(d, "driftline repair signals")
    assert "about m 1" in mended(d, "repair signals")
    finish(d)
    assert "lost-signals" in status(d)


def test_a_source_topic_made_anew_is_counted_from_its_beginning(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "intake")  # the second part is on its way, from the old topic
    make_anew(d, "predictions")
    make_anew(d, "ground-truth")
    refused(d, "driftline repair sources")
    assert "lost: nothing" in mended(d, "repair sources")
    finish(d)


def test_more_partitions_of_internal_topics_stay_unused(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "intake")
    d.add_partitions("events", PARTITIONS + 2)
    d.add_partitions("signals", PARTITIONS + 1)
    assert "the first 2 are used" in repair(d)
    finish(d)
    assert "the first 2 are used" in d.logs()


def test_more_partitions_of_source_topics_are_read(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "intake")
    d.add_partitions("predictions", PARTITIONS + 1)
    d.add_partitions("ground-truth", PARTITIONS + 2)
    d.start()
    for topic, events in zip(("predictions", "ground-truth"), story(*PARTS[2]), strict=True):
        for number in range(PARTITIONS + 1):
            d.send(topic, events[number :: PARTITIONS + 1], partition=number)
    exact(d, PARTS)


def test_a_topic_with_too_few_partitions_is_to_be_widened_first(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "intake")
    make_anew(d, "events", partitions=1)
    refused(d, "--alter --topic", "--partitions 2, then driftline repair events")
    assert "was made with 2" in repair(d, "events", "--yes", code=1)
    d.add_partitions("events", PARTITIONS)
    mended(d, "repair events")
    finish(d)


def test_repairs_wait_until_no_worker_runs(deploy_forked: Deploy) -> None:
    d = deploy_forked(TABLES, topics={"partitions": PARTITIONS})
    worker = d.start()
    tell(d, *PARTS[0])
    d.until_idle()
    assert "workers: " in repair(d)
    assert "stop them first" in repair(d, "events", "--yes", code=1)
    assert worker.stop() == 0
    assert "nothing to repair" in repair(d, "events", "--yes")
    overtake(d, "events")
    tell(d, *PARTS[1])
    assert "nothing is wrong" in repair(d)  # all that is gone was counted


def test_without_yes_it_asks_and_without_an_answer_does_nothing(
    deploy_forked: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    d = begun(deploy_forked, "")
    overtake(d, "predictions", leave=10)
    assert "Do it?" in repair(d, "skip", code=1)
    assert "driftline repair skip" in repair(d, code=1)


def test_the_diagnosis_as_json(deploy_forked: Deploy) -> None:
    d = begun(deploy_forked, "")
    overtake(d, "predictions", leave=10)
    found = json.loads(repair(d, "--json", code=1))
    assert [one["stage"] for one in found["stages"]] == ["ledger"] * 2 + ["watch"] * 2
    commands = {one["wrong"][1] for one in found["sources"] if one["wrong"]}
    assert commands == {"driftline repair skip"}
