"""`driftline replay`: its options, and what it prints."""

import time
from typing import Annotated

import typer

from agents import replay
from agents.commands.arguments import Config, Probabilities, Score, Segments, names, wait_for
from agents.commands.columns import (
    ROW,
    Categorical,
    Delimiter,
    Every,
    Id,
    Ignore,
    Label,
    LabelDelay,
    LabelDelayUnit,
    LabelTime,
    Prediction,
    Rows,
    Time,
    Truth,
    check,
    columns_of,
    every_ms,
    start_ms,
)
from agents.settings import load


def replay_command(  # noqa: PLR0913, PLR0917 - one argument an option
    file: Rows,
    model: Annotated[str, typer.Option(help="The model's name, as in its reference.")],
    version: Annotated[str, typer.Option(help="The version that made these predictions.")],
    id_column: Id = None,
    time_column: Time = ROW,
    start: Annotated[
        str | None,
        typer.Option(help="Time of the first row with --time row; so that the last is of now."),
    ] = None,
    every: Every = "1s",
    prediction: Prediction = None,
    score: Score = None,
    probabilities: Probabilities = None,
    label: Label = None,
    truth: Truth = None,
    label_delay: LabelDelay = "0s",
    label_delay_unit: LabelDelayUnit = "1s",
    label_time: LabelTime = None,
    shuffle_labels: Annotated[
        bool, typer.Option(help="Let labels change places: truth without any relation.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of --shuffle-labels.")] = 0,
    categorical: Categorical = None,
    ignore: Ignore = None,
    segments: Segments = None,
    delimiter: Delimiter = None,
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
    columns = columns_of(
        id_column=id_column,
        time_column=time_column,
        prediction=prediction,
        score=score,
        probabilities=probabilities,
        label=label,
        label_delay=label_delay,
        label_delay_unit=label_delay_unit,
        label_time=label_time,
        categorical=categorical,
        ignore=names(ignore) + settings.model(model).ignore,
        segments=segments,
        banded=settings.model(model).bands,
    )
    check(columns, truth)
    plan = replay.Plan(
        file,
        model,
        version,
        columns,
        truth=tuple(truth or ()),
        delimiter=delimiter,
        speed=_speed(speed),
        start_ms=start_ms("--start", start),
        every_ms=every_ms(every),
        shuffle=seed if shuffle_labels else None,
        max_lag=max_lag,
        close=close,
    )
    sent = wait_for(replay.run(settings, plan, int(time.time() * 1_000)))
    for line in sent.lines():
        typer.echo(line)
    if sent.lost:
        raise typer.Exit(1)


def _speed(text: str) -> float | None:
    try:
        return replay.speed_of(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint="--speed") from None
