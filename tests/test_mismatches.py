"""What is said where answers, labels and scores do not speak of the same classes."""

import numpy as np
import pytest

from agents import registration
from agents.roles import Roles
from agents.tables import Table
from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.evaluations import Known, quality_evaluation
from stream.joins import Answer
from stream.mismatches import notes
from stream.outcomes import Scores, outcomes_of_rows
from stream.settings import DAY_S, ModelSettings, Task
from stream.subjects import Subject
from stream.tallies import Tally

SAID: Scores = (("1", 0.8),)


def tally(labels: list[Answer], answers: list[Answer], given: Scores = SAID) -> Tally:
    found = Tally()
    found.update(outcomes_of_rows(labels, answers, [given] * len(labels)))
    return found


@pytest.mark.parametrize(
    ("labels", "answers", "positive", "words"),
    [
        (["1", "0", "0"], ["1", "1", "0"], "1", []),
        ([1.0, 0.0], ["1", "0"], "1", []),
        (["0"], ["0"], "1", []),  # nobody was positive
        (["no"], ["no"], "1", []),  # one class alone may be the other one
        (["yes", "no"], ["yes", "yes"], "1", ["'1', and no answer"]),
        (["true", "false"], ["1", "0"], "1", ["answers are 0, 1, labels false, true"]),
        (["true", "false"], ["yes", "no"], "1", ["no label names", "'1', and no answer"]),
        (["b", "c"], ["a", "a"], "b", ["no label names"]),
        (["1", "1"], ["0", "0"], "1", []),  # always wrong, but of the same two classes
    ],
)
def test_what_is_no_class_of_the_others_is_said(
    labels: list[Answer], answers: list[Answer], positive: str, words: list[str]
) -> None:
    given: Scores = ((positive, 0.8),)
    found = notes(tally(labels, answers, given), "auto", positive)
    assert len(found) == len(words)
    assert all(word in note for word, note in zip(words, found, strict=True))


@pytest.mark.parametrize("task", ["auto", "regression"])
def test_numbers_have_no_classes(task: Task) -> None:
    assert notes(tally([1.5, 2.0, 3.0], [4.0, 5.0, 6.0], ()), task, "1") == []


def test_of_two_probabilities_one_is_always_of_the_positive_class() -> None:
    found = tally(["no", "yes"], ["yes", "yes"], (("no", 0.3), ("yes", 0.7)))
    assert notes(found, "auto", "1") == []


def test_evaluations_say_so() -> None:
    cohorts = Cohorts()
    cohorts.cell(0).merge(tally(["yes", "no"], ["yes", "yes"]))
    of = Subject("m", "1", ModelSettings(pane_s=DAY_S, windows_s=(DAY_S,)), 0, 86_400_000)
    found = quality_evaluation(of, None, cohorts, Known())
    assert any("set `positive` to the class" in note for note in found.notes)


@pytest.mark.parametrize(("positive", "said"), [("1", True), ("yes", False)])
def test_so_does_a_registration(positive: str, said: bool) -> None:
    columns = {
        "x": column_of(np.arange(200.0)),
        "said": column_of(["yes", "no"] * 100),
        "label": column_of(["yes", "no"] * 100),
        "p": column_of(np.linspace(0.1, 0.9, 200)),
    }
    roles = Roles("said", label="label", score="p", positive=positive)
    _, told = registration.build(Table(columns, {}, 200), "m", "1", roles)
    assert any("set `positive` to the class" in note for note in told) == said
