"""Roles: what the columns of a table of training data are."""

import dataclasses
from collections.abc import Mapping

from agents import complaints
from agents.tables import BadTable, Table
from stream.features import MAX_CATEGORIES
from stream.settings import CONTROL, ModelSettings

ROW = "row"


@dataclasses.dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table are. What is named nowhere is a feature.

    probabilities: the column of each class. score: that of the positive class. time: the column
    of when each row was, ROW where rows are in order and a second apart, None where they are not.
    weights: how much the changes of features weigh. segments: the column of each segment's name,
    which is a feature too where it is categorical, or banded: a number of which bands are made.
    """

    prediction: str | None = None
    score: str | None = None
    probabilities: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label: str | None = None
    positive: str = "1"
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    max_categories: int = MAX_CATEGORIES
    time: str | None = None
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    segments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    banded: tuple[str, ...] = ()

    def named(self) -> set[str]:
        """The columns that are no features."""
        return self.used() | {*self.ignore}

    def used(self) -> set[str]:
        """The columns that are something else."""
        single = {self.prediction, self.score, self.label, self.time} - {None, ROW}
        own = {column for name, column in self.segments.items() if name not in self.banded}
        segments = own - {*self.categorical}
        return {str(name) for name in single} | {*self.probabilities.values()} | segments


def check(table: Table, roles: Roles) -> None:
    """Whether the table has these columns, and they can be that. Raises BadTable."""
    known = [*table.columns, *table.names]
    for name in sorted(roles.named() | {*roles.categorical}):
        if name == roles.segments.get(CONTROL):
            continue
        if name not in known:
            raise BadTable(f"has no column {name!r}; {complaints.suggest(name, known)}")
        if name not in table.columns and name in roles.used() | {*roles.categorical}:
            kind = "lists of numbers" if name in table.vectors else "what is not supported yet"
            raise BadTable(f"column {name!r} holds {kind}: it can be a feature, or be left out")
    if roles.probabilities and roles.score:
        raise BadTable("has either a score or probabilities, not both")
    if (roles.probabilities or roles.score) and not roles.prediction:
        raise BadTable("scores say how sure a prediction is: name the column of the prediction too")
    for name in {*roles.probabilities.values()} | ({roles.score} if roles.score else set()):
        if table.columns[name].codes is not None:
            raise BadTable(f"column {name!r} holds words, must hold probabilities")


def check_times(roles: Roles, settings: ModelSettings) -> None:
    """Whether rows have hours, where they are compared by them. Raises BadTable."""
    if settings.seasonality != "none" and roles.time in (None, ROW):
        lacks = "no times" if roles.time is None else "no hours (--time row)"
        raise BadTable(
            f"seasonality = {settings.seasonality}, and the rows have {lacks}: name the column of "
            "their times with --time"
        )
