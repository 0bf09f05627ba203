"""Rows of a label, an answer and its scores, as outcomes and as a tally."""

from stream.outcomes import Answer, Outcomes, Scores, outcomes_of_rows
from stream.tallies import Tally

Row = tuple[Answer, Answer, Scores]


def outcomes_of(rows: list[Row], sign: int = 1) -> Outcomes:
    """Of classes or numbers; taken back where sign is -1."""
    labels, answers, scores = ([r[i] for r in rows] for i in range(3))
    return outcomes_of_rows(labels, answers, scores, [sign] * len(rows))  # type: ignore[arg-type]


def tally_of(rows: list[Row]) -> Tally:
    """Of all of them at once."""
    found = Tally()
    found.update(outcomes_of(rows))
    return found
