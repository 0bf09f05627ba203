"""Verdicts: which of inputs, outputs and quality moved, what that usually means, what to do.

A rule is a row of a table; the first that fits holds. None in a verdict means "not known", and a
rule asks for what is known only.
"""

import dataclasses

from stream.events import Verdict

Moved = bool | None


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """None: any. sure: whether the model's confidence moved."""

    kind: str
    inputs: Moved
    outputs: Moved
    quality: Moved
    sure: Moved
    meaning: str
    action: str


RULES: tuple[Rule, ...] = (
    Rule(
        "concept-drift",
        None,
        None,
        True,
        False,
        "Quality fell while the model is as confident as before: what is true for the same "
        "inputs has changed, and the model cannot see it.",
        "Retrain on recent labelled data. Until then do not trust the model's scores; consider a "
        "simpler rule or a person for costly decisions.",
    ),
    Rule(
        "covariate-shift-with-loss",
        True,
        None,
        True,
        None,
        "Quality fell and the inputs moved: the model is asked about cases that it has seldom "
        "seen.",
        "Retrain with recent data. Look first at the features that moved most.",
    ),
    Rule(
        "quality-loss",
        None,
        None,
        True,
        None,
        "Quality fell and the inputs look as before: the truth has changed, or how it is "
        "labelled, or something in the data that is not watched.",
        "Check a few recent labels by hand; if they are right, retrain.",
    ),
    Rule(
        "harmless-covariate-shift",
        True,
        None,
        False,
        None,
        "The inputs moved but quality holds: the model copes with the new mix so far.",
        "Nothing urgent. Plan to retrain if the shift goes on.",
    ),
    Rule(
        "covariate-shift",
        True,
        False,
        None,
        None,
        "The inputs moved, what the model answers did not. Whether quality suffers will be known "
        "when the truth arrives.",
        "Find out whether the change is real or a fault in the data (a new source, a unit, a "
        "default value). No retraining on this alone.",
    ),
    Rule(
        "shift-in-inputs-and-outputs",
        True,
        None,
        None,
        None,
        "The inputs moved and the answers with them. Whether quality suffers will be known when "
        "the truth arrives.",
        "Check the moved features at their source, and what decisions the changed answers "
        "trigger. No retraining on this alone.",
    ),
    Rule(
        "outputs-moved",
        False,
        True,
        None,
        None,
        "The answers moved although no watched input did: a changed model or pre-processing, a "
        "joint change of several inputs, or a feature that is not watched.",
        "Check what was deployed, and features that are not watched.",
    ),
    Rule(
        "healthy",
        False,
        False,
        None,
        None,
        "Nothing moved that matters.",
        "Nothing to do.",
    ),
    Rule(
        "healthy-quality",
        None,
        None,
        False,
        None,
        "Quality is as it should be.",
        "Nothing to do.",
    ),
    Rule(
        "unknown",
        None,
        None,
        None,
        None,
        "There is not enough data, or no reference, to judge.",
        "Wait for more data, or register a reference with `driftline reference`.",
    ),
)


def judge(inputs: Moved, outputs: Moved, quality: Moved, sure: Moved = None) -> Verdict:
    """The verdict for what moved. sure: whether the confidence moved, where it is known."""
    seen = (inputs, outputs, quality, sure)
    for rule in RULES:
        asked = (rule.inputs, rule.outputs, rule.quality, rule.sure)
        if all(a is None or a == s for a, s in zip(asked, seen, strict=True)):
            return Verdict(
                inputs=inputs,
                outputs=outputs,
                quality=quality,
                kind=rule.kind,
                meaning=rule.meaning,
                action=rule.action,
            )
    raise AssertionError("the last rule fits everything")
