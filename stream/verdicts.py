"""Verdicts: which of inputs, outputs and quality moved, what that usually means, what to do.

A rule is a row of a table; the first that fits holds. What is not known is never claimed: a
sentence speaks of inputs, outputs or quality only where its row asks for them.
"""

import dataclasses

from stream.events import Judged, Reading, Verdict
from stream.objectives import OF_GROUPS

Moved = bool | None
LETTERS: dict[Moved, str] = {True: "T", False: "F", None: "?"}


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A row. pattern: a letter each for inputs, outputs, quality and confidence.

    T: moved. F: did not. ?: not known. *: any of them.
    """

    pattern: str
    kind: str
    meaning: str
    action: str


INCIDENT = Rule(
    "****",
    "data-quality-incident",
    "Values are missing, cannot be used or stand still far more or less often than in the "
    "reference: a fault on the data's way is likelier than a change in the world.",
    "Check the source of the features that are named, and what was deployed there. Do not "
    "retrain on these rows.",
)
RULES: tuple[Rule, ...] = (
    Rule(
        "**TF",
        "concept-drift",
        "Quality fell while the model is as confident as before: what is true for the same "
        "inputs has changed, and the model cannot see it.",
        "Retrain on recent labelled data. Until then do not trust the model's scores; consider a "
        "simpler rule or a person for costly decisions.",
    ),
    Rule(
        "T*T*",
        "covariate-shift-with-loss",
        "Quality fell and the inputs moved: the model is asked about cases that it has seldom "
        "seen.",
        "Retrain with recent data. Look first at the features that moved most.",
    ),
    Rule(
        "F*T*",
        "quality-loss",
        "Quality fell and the inputs look as before: the truth has changed, or how it is "
        "labelled, or something in the data that is not watched.",
        "Check a few recent labels by hand; if they are right, retrain.",
    ),
    Rule(
        "?*T*",
        "quality-loss",
        "Quality fell. Whether the inputs moved is not known.",
        "Check a few recent labels by hand; if they are right, retrain.",
    ),
    Rule(
        "T*F*",
        "harmless-covariate-shift",
        "The inputs moved but quality holds: the model copes with the new mix so far.",
        "Nothing urgent. Plan to retrain if the shift goes on.",
    ),
    Rule(
        "*TF*",
        "harmless-shift-in-outputs",
        "The answers moved but quality holds: they follow the world so far.",
        "Nothing urgent. Check what decisions the changed answers trigger.",
    ),
    Rule(
        "TT?*",
        "shift-in-inputs-and-outputs",
        "The inputs moved and the answers with them. Whether quality suffers will be known when "
        "the truth arrives.",
        "Check the moved features at their source, and what decisions the changed answers "
        "trigger. No retraining on this alone.",
    ),
    Rule(
        "TF?*",
        "covariate-shift",
        "The inputs moved, what the model answers did not. Whether quality suffers will be known "
        "when the truth arrives.",
        "Find out whether the change is real or a fault in the data (a new source, a unit, a "
        "default value). No retraining on this alone.",
    ),
    Rule(
        "T??*",
        "covariate-shift",
        "The inputs moved. Whether quality suffers will be known when the truth arrives.",
        "Find out whether the change is real or a fault in the data (a new source, a unit, a "
        "default value). No retraining on this alone.",
    ),
    Rule(
        "FT?*",
        "outputs-moved",
        "The answers moved although no watched input did: a changed model or pre-processing, a "
        "joint change of several inputs, or a feature that is not watched.",
        "Check what was deployed, and features that are not watched.",
    ),
    Rule(
        "?T?*",
        "outputs-moved",
        "The answers moved. Whether the inputs did is not known.",
        "Check what was deployed, and the inputs.",
    ),
    Rule("**F*", "healthy", "Quality is as it should be.", "Nothing to do."),
    Rule(
        "???*",
        "unknown",
        "There is not enough data, or no reference, to judge.",
        "Wait for more data, or register a reference with `driftline reference`.",
    ),
    Rule(
        "****",
        "healthy",
        "Nothing moved that matters. Quality will be known when the truth arrives.",
        "Nothing to do.",
    ),
)
BELOW = Rule(
    "****",
    "below-objective",
    "Quality is worse than was promised. That it fell is not shown: by chance alone it may be as "
    "it was in the reference.",
    "Hold the objective against the metric's value in the reference: if that misses it too, the "
    "model never kept it, and needs more than new data, or another objective.",
)
SILENCE = Rule(
    "****",
    "silence",
    "The model answers nobody, or its answers do not arrive. Nothing is known of its inputs and "
    "its quality.",
    "Check that the service runs, that it is called, and that its producer reaches Kafka.",
)
LABELLING: dict[str, Rule] = {
    "label-silence": Rule(
        "****",
        "labelling-incident",
        "Truth that was due has not come: whoever labels has stopped, or labels are lost on their "
        "way. Nothing new is known of quality.",
        "Check that labels are still made, that their producer reaches Kafka, and that they name "
        "the predictions by the same ids (outcome `orphan-truths`). Do not take quiet for health.",
    ),
    "label-delay": Rule(
        "****",
        "labelling-incident",
        "Truth takes longer or shorter than it did for predictions of equal age, or less of it "
        "comes: how labels are made has changed. Figures of quality are of another sample.",
        "Ask those who label what they changed. Until then compare complete cohorts alone, and do "
        "not retrain on this change.",
    ),
    "label-mix": Rule(
        "****",
        "labelling-incident",
        "The classes that labels name are others than before for predictions of equal age: labels "
        "are made wrongly or falsified, or the world changed at once.",
        "Check a few recent labels by hand, and what was changed where they are made, before you "
        "believe figures of quality or retrain on these labels.",
    ),
}
SIGN = Rule(
    "****",
    "early-sign",
    "A detector that watches the values one by one saw a change. It sees changes before the "
    "periodic checks do, in either direction, and cannot say how much they matter.",
    "Wait for the next evaluation, which says how much it matters; look at what was deployed or "
    "changed at that time.",
)
NO_SIGN = Rule(
    "****", "no-sign", "The detector has seen no further change for a while.", "Nothing to do."
)


USUAL = Rule(
    "****",
    "no-sign",
    "The detector fires no more often than it does where nothing changes.",
    "Nothing to do.",
)

# what estimates mean and ask for, by check: they say nothing of what moved
ESTIMATES: dict[str, tuple[str, str]] = {
    "estimated-accuracy": (
        "By its own scores the model is less often right than in the reference: it is asked "
        "about cases of which it is less sure. Labels have yet to confirm it.",
        "Look at the inputs that moved, and label some recent predictions by hand. No retraining "
        "on this alone.",
    ),
    "estimate-gap": (
        "Labels say something else than the scores let expect: what is true for the same inputs "
        "has changed, or how it is labelled, and the scores do not know it. The estimated accuracy "
        "is blind to it.",
        "Do not trust the estimated accuracy of later windows. Go by the labels, until a version "
        "with a new reference runs.",
    ),
}
# what a gap between groups means and asks for: whether all rows together are as they should be or
# not, it may be there
GAP = (
    "Groups of a protected attribute are treated more differently than was promised. Whether that "
    "is just depends on what the groups are like; the figures say that it is no chance.",
    "Look at the groups' figures in the evaluation, and since when they are so; ask who "
    "decides with the answers. Retraining alone seldom closes a gap.",
)
# what a request to retrain came to where that was nothing good
RETRAINED: dict[str, tuple[str, str]] = {
    "retraining": (
        "The version that was trained because quality fell is not as good as it was to be.",
        "Do not train the same way once more. Look at what the new version was trained on, whether "
        "its labels are right, and whether what the inputs say of the truth has changed for good. "
        "Consider the old version, a simpler rule, or another objective.",
    ),
}
ADVICE: dict[str, tuple[str, str]] = ESTIMATES | dict.fromkeys(OF_GROUPS, GAP) | RETRAINED
# what became of a request to retrain, by what is said of it
CLOSED: dict[str, Rule] = {
    "worked": Rule(
        "****",
        "retraining-worked",
        "The version that was trained because quality fell is as good as it was to be.",
        "Nothing to do.",
    ),
    "did-not": Rule("****", "retraining-failed", *RETRAINED["retraining"]),
    "not-known": Rule(
        "****",
        "retraining-not-known",
        "Too little is known of the new version to tell, or it is within chance of what it was to "
        "be.",
        "Go by the evaluations of the new version, and by your own comparison where it matters.",
    ),
}


def weighed(p: float, level: float, *, large: bool) -> Judged:
    """What a reading says: it moved only where chance is out and the effect is large enough."""
    if p < level or p == 0.0:
        return "moved" if large else "small"
    return "insignificant" if large else "ok"


def sort_of(reading: Reading) -> str:
    """Which alerts a reading belongs to: those of its role, of estimates, or of gaps of groups.

    What became of a request to retrain is told by itself.
    """
    if reading.check in RETRAINED:
        return reading.check
    if reading.check in ESTIMATES:
        return "estimate"
    return "groups" if reading.check in OF_GROUPS else reading.role


def judge(
    inputs: Moved,
    outputs: Moved,
    quality: Moved,
    sure: Moved = None,
    *,
    incident: Moved = None,
    fell: Moved = None,
) -> Verdict:
    """The verdict for what moved. sure: whether the confidence fell with the quality.

    incident: whether what moved of the inputs is the share of values that can be used. fell:
    whether what moved of the quality is worse than in the reference; not, where it is worse than
    was promised alone; None: the reference does not tell.
    """
    if quality and fell is False:
        return _verdict(BELOW, inputs, outputs, quality)
    seen = [LETTERS[moved] for moved in (inputs, outputs, quality, sure)]
    fitting = (rule for rule in RULES if _fits(rule.pattern, seen))
    return _verdict(INCIDENT if incident else next(fitting), inputs, outputs, quality)


def early_sign(inputs: Moved, outputs: Moved, quality: Moved) -> Verdict:
    """The verdict of an online detector: one of them moved, or none of them is claimed to."""
    rule = NO_SIGN if (inputs, outputs, quality) == (None, None, None) else SIGN
    return _verdict(rule, inputs, outputs, quality)


def silent() -> Verdict:
    """The verdict of a window without rows, of a model that usually has some."""
    return _verdict(SILENCE, None, None, None)


def labelling(check: str) -> Verdict:
    """The verdict of what is wrong with the labels themselves."""
    return _verdict(LABELLING[check], None, None, None)


def usual_sign() -> Verdict:
    """The verdict of a detector that fired no more often than chance makes it."""
    return _verdict(USUAL, None, None, None)


def closed(kept: str) -> Verdict:
    """The verdict of what became of a request to retrain. It says nothing of inputs or outputs."""
    return _verdict(CLOSED[kept], None, None, {"worked": False, "did-not": True}.get(kept))


def _fits(pattern: str, seen: list[str]) -> bool:
    return all(asked in ("*", letter) for asked, letter in zip(pattern, seen, strict=True))


def _verdict(rule: Rule, inputs: Moved, outputs: Moved, quality: Moved) -> Verdict:
    return Verdict(
        inputs=inputs,
        outputs=outputs,
        quality=quality,
        kind=rule.kind,
        meaning=rule.meaning,
        action=rule.action,
    )
