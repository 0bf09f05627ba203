"""The table of verdicts, over all that can be known."""

import itertools

import pytest

from stream.verdicts import BELOW, INCIDENT, LETTERS, RULES, Moved, early_sign, judge

ALL = (None, False, True)
COMBINATIONS = list(itertools.product(ALL, repeat=4))


def expected(inputs: Moved, outputs: Moved, quality: Moved, sure: Moved) -> str:
    """The kind, asked as a person would: quality first, then inputs, then outputs."""
    if quality:
        kind = "covariate-shift-with-loss" if inputs else "quality-loss"
        return "concept-drift" if sure is False else kind
    if quality is False:
        kind = "harmless-shift-in-outputs" if outputs else "healthy"
        return "harmless-covariate-shift" if inputs else kind
    if inputs:
        return "shift-in-inputs-and-outputs" if outputs else "covariate-shift"
    if outputs:
        return "outputs-moved"
    return "unknown" if inputs is None and outputs is None else "healthy"


@pytest.mark.parametrize("known", COMBINATIONS)
def test_every_combination_has_its_kind(known: tuple[Moved, ...]) -> None:
    verdict = judge(*known)
    assert verdict.kind == expected(*known)
    assert (verdict.inputs, verdict.outputs, verdict.quality) == known[:3]


@pytest.mark.parametrize("known", COMBINATIONS)
def test_no_sentence_claims_what_is_not_known(known: tuple[Moved, ...]) -> None:
    inputs, outputs, quality, _ = known
    said = judge(*known).meaning.lower()
    if inputs is not True:
        assert "inputs moved" not in said.replace("whether the inputs moved", "")
    if inputs is not False:
        assert "inputs look as before" not in said
        assert "no watched input" not in said
    if outputs is not True:
        assert "answers moved" not in said
        assert "answers with them" not in said
    if quality is not True:
        assert "quality fell" not in said
    if quality is not False:
        assert "quality holds" not in said
        assert "quality is as it should be" not in said


def test_only_what_moved_asks_for_something_to_be_done() -> None:
    for known in COMBINATIONS:
        idle = judge(*known).action == "Nothing to do."
        assert idle == (judge(*known).kind == "healthy")


def test_no_row_of_the_table_is_dead() -> None:
    hit = {judge(*known).meaning for known in COMBINATIONS}
    assert hit == {rule.meaning for rule in RULES}
    assert all(set(rule.pattern) <= {*LETTERS.values(), "*"} for rule in RULES)


def test_missing_values_are_an_incident_before_anything_else() -> None:
    assert judge(True, True, None, incident=True).kind == INCIDENT.kind
    assert judge(True, True, None, incident=False).kind == "shift-in-inputs-and-outputs"


def test_what_is_worse_than_promised_alone_has_not_fallen() -> None:
    below = {judge(*known, fell=False).kind for known in COMBINATIONS if known[2]}
    assert below == {BELOW.kind}
    assert all(judge(*known, fell=True) == judge(*known) for known in COMBINATIONS)
    assert all(judge(*known, fell=False) == judge(*known) for known in COMBINATIONS if not known[2])


def test_a_detector_gives_an_early_sign_and_no_judgement() -> None:
    assert early_sign(None, None, True).kind == "early-sign"
    assert early_sign(None, None, None).kind == "no-sign"
