"""Columns: the options that say what the columns of a file of predictions are."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from agents.commands.arguments import columns_by_name, duration, names, pairs
from agents.durations import seconds
from agents.files import time_of
from agents.mappings import Columns

ROW = "row"
DELAYS = 'a duration such as "30d", or a column of the file'

Rows = Annotated[Path, typer.Argument(help="Rows: CSV, JSON lines or Parquet, also packed.")]
Id = Annotated[
    str | None, typer.Option("--id", help="Column of the predictions' ids; else row numbers.")
]
Time = Annotated[
    str, typer.Option("--time", help="Column of the time of prediction, or row: see --every.")
]
Every = Annotated[str, typer.Option(help="From row to row, with --time row.")]
Prediction = Annotated[str | None, typer.Option(help="Column of what the model said.")]
Label = Annotated[str | None, typer.Option(help="Column of the truth.")]
Truth = Annotated[
    list[Path] | None,
    typer.Option(help="File of --id and --label, where truth lies apart; may be repeated."),
]
LabelDelay = Annotated[str, typer.Option(help=f"How long after it the truth is known: {DELAYS}.")]
LabelDelayUnit = Annotated[str, typer.Option(help="What 1 means in the column of --label-delay.")]
LabelTime = Annotated[
    str | None, typer.Option(help="Column of when the truth was known, instead of a delay.")
]
Categorical = Annotated[
    str | None, typer.Option(help="Columns whose numbers are names: zip,branch.")
]
Ignore = Annotated[str | None, typer.Option(help="Columns to leave out: day,note.")]
Delimiter = Annotated[
    str | None, typer.Option(help="What separates a CSV's columns; seen by itself.")
]


def columns_of(  # noqa: PLR0913 - one argument an option
    *,
    id_column: str | None,
    time_column: str,
    prediction: str | None,
    score: str | None,
    probabilities: str | None,
    label: str | None,
    label_delay: str,
    label_delay_unit: str,
    label_time: str | None,
    categorical: str | None,
    ignore: tuple[str, ...],
    segments: str | None,
    banded: Collection[str],
) -> Columns:
    """What the options say. Raises typer.BadParameter."""
    delay_ms, delay_column = _delay(label_delay)
    return Columns(
        id=id_column,
        time=None if time_column == ROW else time_column,
        prediction=prediction,
        score=score,
        probabilities=pairs(probabilities),
        label=label,
        label_time=label_time,
        label_delay=None if label_time else delay_column,
        delay_unit_ms=duration("--label-delay-unit", label_delay_unit) * 1_000,
        delay_ms=delay_ms,
        categorical=names(categorical),
        ignore=ignore,
        segments=columns_by_name("--segments", segments),
        banded=tuple(banded),
    )


def check(columns: Columns, truth: list[Path] | None) -> None:
    """Raises typer.BadParameter where one option lacks or forbids another."""
    if truth and not (columns.id and columns.label):
        raise typer.BadParameter("needs --id and --label", param_hint="--truth")
    if (columns.score or columns.probabilities) and not columns.prediction:
        said = "says how sure a prediction is: name its column with --prediction too"
        raise typer.BadParameter(said, param_hint="--score")
    if columns.score and columns.probabilities:
        raise typer.BadParameter("either it or --probabilities", param_hint="--score")


def start_ms(option: str, text: str | None) -> int | None:
    """The time of an option. Raises typer.BadParameter."""
    try:
        return None if text is None else time_of(text)
    except ValueError:
        said = f'{text!r} must be a time such as "2026-01-31" or "2026-01-31T12:00:00Z"'
        raise typer.BadParameter(said, param_hint=option) from None


def every_ms(text: str) -> float:
    """The step of --every. Raises typer.BadParameter."""
    try:
        return float(str(seconds(text))) * 1_000
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint="--every") from None


def _delay(text: str) -> tuple[int, str | None]:
    """Milliseconds, or the name of a column."""
    try:
        return round(float(str(seconds(text))) * 1_000), None
    except ValueError:
        return 0, text
