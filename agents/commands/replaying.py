"""`driftline replay`: its options, and what it prints."""

import time
from pathlib import Path
from typing import Annotated

import typer

from agents import replay
from agents.commands.arguments import Config, Probabilities, Score, duration, names, pairs, wait_for
from agents.durations import seconds
from agents.files import time_of
from agents.mappings import Columns
from agents.settings import load

ROW = "row"
DELAYS = 'a duration such as "30d", or a column of the file'


def replay_command(  # noqa: PLR0913, PLR0917 - one argument an option
    file: Annotated[Path, typer.Argument(help="Rows: CSV, JSON lines or Parquet, also packed.")],
    model: Annotated[str, typer.Option(help="The model's name, as in its reference.")],
    version: Annotated[str, typer.Option(help="The version that made these predictions.")],
    id_column: Annotated[
        str | None, typer.Option("--id", help="Column of the predictions' ids; else row numbers.")
    ] = None,
    time_column: Annotated[
        str, typer.Option("--time", help="Column of the time of prediction, or row: see --every.")
    ] = ROW,
    start: Annotated[
        str | None,
        typer.Option(help="Time of the first row with --time row; so that the last is of now."),
    ] = None,
    every: Annotated[str, typer.Option(help="From row to row, with --time row.")] = "1s",
    prediction: Annotated[str | None, typer.Option(help="Column of what the model said.")] = None,
    score: Score = None,
    probabilities: Probabilities = None,
    label: Annotated[str | None, typer.Option(help="Column of the truth.")] = None,
    truth: Annotated[
        list[Path] | None,
        typer.Option(help="File of --id and --label, where truth lies apart; may be repeated."),
    ] = None,
    label_delay: Annotated[
        str, typer.Option(help=f"How long after it the truth is known: {DELAYS}.")
    ] = "0s",
    label_delay_unit: Annotated[
        str, typer.Option(help="What 1 means in the column of --label-delay.")
    ] = "1s",
    label_time: Annotated[
        str | None, typer.Option(help="Column of when the truth was known, instead of a delay.")
    ] = None,
    shuffle_labels: Annotated[
        bool, typer.Option(help="Let labels change places: truth without any relation.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of --shuffle-labels.")] = 0,
    categorical: Annotated[
        str | None, typer.Option(help="Columns whose numbers are names: zip,branch.")
    ] = None,
    ignore: Annotated[str | None, typer.Option(help="Columns to leave out: day,note.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What separates a CSV's columns; seen by itself.")
    ] = None,
    speed: Annotated[
        str, typer.Option(help="As it happened (1x), so much faster (100x), or as fast as it goes.")
    ] = "max",
    max_lag: Annotated[
        int, typer.Option(min=0, help="Records that may lie unread; 0 is any number.")
    ] = replay.MAX_LAG,
    close: Annotated[
        bool, typer.Option(help="Say at the end that nothing earlier comes: the last window ends.")
    ] = True,
    config: Config = None,
) -> None:
    """Send a file's rows to Kafka, as predictions and as truth that comes later.

    Every column is a feature unless an option says what else it is, as in `driftline reference`.
    A worker must be running: it is never given more than it can take in.
    """
    settings = load(config)
    delay_ms, delay_column = _delay(label_delay)
    columns = Columns(
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
        ignore=names(ignore) + settings.model(model).ignore,
    )
    _check(columns, truth)
    plan = replay.Plan(
        file,
        model,
        version,
        columns,
        truth=tuple(truth or ()),
        delimiter=delimiter,
        speed=_speed(speed),
        start_ms=_start(start),
        every_ms=_every_ms(every),
        shuffle=seed if shuffle_labels else None,
        max_lag=max_lag,
        close=close,
    )
    sent = wait_for(replay.run(settings, plan, int(time.time() * 1_000)))
    for line in sent.lines():
        typer.echo(line)
    if sent.lost:
        raise typer.Exit(1)


def _check(columns: Columns, truth: list[Path] | None) -> None:
    if truth and not (columns.id and columns.label):
        raise typer.BadParameter("needs --id and --label", param_hint="--truth")
    if (columns.score or columns.probabilities) and not columns.prediction:
        said = "says how sure a prediction is: name its column with --prediction too"
        raise typer.BadParameter(said, param_hint="--score")
    if columns.score and columns.probabilities:
        raise typer.BadParameter("either it or --probabilities", param_hint="--score")


def _delay(text: str) -> tuple[int, str | None]:
    """Milliseconds, or the name of a column."""
    try:
        return round(float(str(seconds(text))) * 1_000), None
    except ValueError:
        return 0, text


def _speed(text: str) -> float | None:
    try:
        return replay.speed_of(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint="--speed") from None


def _start(text: str | None) -> int | None:
    try:
        return None if text is None else time_of(text)
    except ValueError:
        said = f'{text!r} must be a time such as "2026-01-31" or "2026-01-31T12:00:00Z"'
        raise typer.BadParameter(said, param_hint="--start") from None


def _every_ms(text: str) -> float:
    try:
        return float(str(seconds(text))) * 1_000
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint="--every") from None
