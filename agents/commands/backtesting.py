"""`driftline backtest`: its options, and what it prints."""

import dataclasses
import enum
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from agents import replay, spools
from agents.backtest import words
from agents.backtest.accounts import Account
from agents.backtest.runs import Run, Task, reference_of
from agents.backtest.trials import trial
from agents.backtest.words import Frame
from agents.bars import Bar
from agents.commands.arguments import (
    Config,
    Probabilities,
    Score,
    Segments,
    Weights,
    duration,
    names,
    numbers,
)
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
from agents.complaints import BadSettings
from agents.settings import load
from agents.show import WIDE
from stream.events import encode, rfc3339
from stream.settings import ModelSettings


class Format(enum.StrEnum):
    """What is printed."""

    table = "table"
    json = "json"


def backtest_command(  # noqa: PLR0913, PLR0917 - one argument an option
    file: Rows,
    reference: Annotated[Path, typer.Option(help="What the model was trained on; or tried on.")],
    model: Annotated[
        str,
        typer.Option(help="The model's name: [models.NAME] of --config says how it is watched."),
    ] = "model",
    version: Annotated[str, typer.Option(help="The version that made these predictions.")] = "1",
    id_column: Id = None,
    time_column: Time = ROW,
    start: Annotated[
        str | None, typer.Option(help="Time of the first row with --time row; any will do.")
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
    categorical: Categorical = None,
    ignore: Ignore = None,
    weights: Weights = None,
    segments: Segments = None,
    delimiter: Delimiter = None,
    window: Annotated[
        str | None,
        typer.Option(help="What is compared: 30d. Instead of windows_s of the settings."),
    ] = None,
    pane: Annotated[
        str | None,
        typer.Option(help="How often: 1d. Instead of pane_s; else the window, if need be."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Instead of false_alarms_per_month of the settings.")
    ] = None,
    changed: Annotated[
        str | None, typer.Option(help="When the world changed, if you know it: earlier is false.")
    ] = None,
    a_a: Annotated[
        bool, typer.Option("--a-a", help="Also play the reference against itself: all is false.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with plots too: result.html.")
    ] = None,
    output: Annotated[
        Format, typer.Option("--format", help="A table and words, or one event a line.")
    ] = Format.table,
    config: Config = None,
) -> None:
    """Play a file through the core of the worker, without Kafka and Redis, and say what comes out.

    The same events as in production, before anyone is paged. Options are those of `replay`; the
    reference is made as by `driftline reference` with the same --time, where it has such a column.
    """
    settings = load(config)
    watched = _model(settings.model(model), window, pane, budget)
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
        ignore=names(ignore) + watched.ignore,
        segments=segments or ",".join(watched.segments),
        banded=watched.bands,
    )
    watched = _changed(watched, segments=tuple(columns.segments))
    check(columns, truth)
    plan = replay.Plan(
        file,
        model,
        version,
        columns,
        truth=tuple(truth or ()),
        delimiter=delimiter,
        start_ms=start_ms("--start", start),
        every_ms=every_ms(every),
    )
    write = _writer() if report else None  # what it lacks is said before the work
    task = Task(settings, watched, plan, numbers("--weights", weights))
    frame = _play(task, reference, output, start_ms("--changed", changed))
    measured = trial(task, reference, say=_say) if a_a else None
    said = list(words.summary(frame, measured))
    _print(frame, said, output)
    if report and write:
        write(report, frame, said)
        _say(f"report: {report}")


def _model(
    model: ModelSettings, window: str | None, pane: str | None, budget: float | None
) -> ModelSettings:
    """The settings with what the options say instead. Raises BadSettings."""
    windows_s = (duration("--window", window),) if window else model.windows_s
    pane_s = duration("--pane", pane) if pane else model.pane_s
    if window and not pane and windows_s[0] % pane_s:
        pane_s = windows_s[0]
    alarms = model.false_alarms_per_month if budget is None else budget
    return _changed(model, windows_s=windows_s, pane_s=pane_s, false_alarms_per_month=alarms)


def _changed(model: ModelSettings, **keys: Any) -> ModelSettings:
    """The settings with some that are said otherwise. Raises BadSettings."""
    try:
        return dataclasses.replace(model, **keys)
    except ValueError as error:
        raise BadSettings(str(error)) from None


def _play(task: Task, reference: Path, output: Format, changed_ms: int | None) -> Frame:
    with spools.opened(reference, task.plan.delimiter) as table:
        known, notes = reference_of(task, table, reference)
    run, account = Run(task, known), Account()
    bar = Bar(Console(stderr=True, highlight=False))
    for note in (*notes, *run.notes):
        bar.say(f"note: {note}")

    def advance(done: int, total: int, time_ms: int) -> None:
        day = rfc3339(time_ms)[:10]
        bar.move(done, total, day, f"{day}: {done:,} of {total:,} events")

    bar.start()
    try:
        for event in run.published(advance):
            account.add(event)
            if output is Format.json:
                sys.stdout.write(encode(event).decode() + "\n")
    finally:
        bar.stop()
    if refused := run.refusals():
        bar.say(refused)
    return Frame(run, account, changed_ms)


def _writer() -> Callable[[Path, Frame, list[str]], None]:
    """What writes a report. Raises BadSettings where its libraries are not installed."""
    try:
        from agents.backtest import report  # noqa: PLC0415 - plots take a second to import
    except ModuleNotFoundError as error:
        raise BadSettings(
            f"--report needs {error.name}, which is not installed: pip install 'driftline[report]'"
        ) from None
    return report.write


def _print(frame: Frame, lines: Iterable[str], output: Format) -> None:
    """The table and the words; the words beside the events, where programs read these."""
    console = Console(stderr=output is Format.json, highlight=False)
    if output is Format.table:
        wide = console.width >= WIDE
        console.print(words.table(frame) if wide else words.listing(frame))
    for line in lines:
        console.print(Text(line))


def _say(text: str) -> None:
    typer.echo(text, err=True)
