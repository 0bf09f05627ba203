"""`driftline recalibrate`: its options, and what it prints."""

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agents import recalibration
from agents.commands.arguments import Config, wait_for
from agents.files import time_of
from agents.settings import load
from stream.appraisals import Accuracy, Appraisal
from stream.lessons import Asked
from stream.points import MINIMUM_LABELS
from stream.stamps import stamp


def recalibrate_command(
    model: Annotated[str, typer.Argument(help="The model's name, as in its predictions.")],
    version: Annotated[
        str | None, typer.Option(help="Its version, where several are watched.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", help="Learn from predictions made from this time on: 2026-03-01."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Learn from predictions made before this time.")
    ] = None,
    active_from: Annotated[
        str | None,
        typer.Option(
            help="Event time from which the new curve counts; else from the pane after the one"
            " that is being counted."
        ),
    ] = None,
    minimum_labels: Annotated[
        int, typer.Option(min=1, help="With fewer labels nothing is learnt.")
    ] = MINIMUM_LABELS,
    yes: Annotated[bool, typer.Option("--yes", help="Send it without asking.")] = False,
    config: Config = None,
) -> None:
    """Learn anew from labels what a model's scores mean, for its quality estimated without labels.

    Only predictions teach whose truth is complete and still kept. Prints the curve so far and the
    new one, and what they make of the accuracy; then the new one is sent as a control event. The
    reference stays as it is.
    """
    settings = load(config)
    asked = Asked(
        _time("--from", since),
        _time("--to", until),
        _time("--active-from", active_from),
        minimum_labels,
        int(time.time() * 1_000),
    )
    found = wait_for(recalibration.gather(settings, model, version, asked))
    show(found, Console(highlight=False))
    if not yes:
        typer.confirm("Send it?", abort=True)
    wait_for(recalibration.publish(settings, found.lesson.learnt))
    typer.echo(f"sent to {settings.topics.name('control')}")


def show(found: Appraisal, console: Console) -> None:
    """What was learnt, and what it changes."""
    for line in _lines(found):
        console.print(line, markup=False)
    headings = ("  score from", "labels", "came true", "so far said", "new")
    table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
    for row in found.rows:
        shares = (f"{share:.1%}" for share in (row.came, row.before, row.now))
        table.add_row(f"  {row.low:.1f}", f"{row.labels:,}", *shares)
    console.print(table)


def _lines(found: Appraisal) -> Iterator[str]:
    learnt, lesson = found.lesson.learnt, found.lesson
    event = learnt.event
    yield f"{event.model} {event.version}, reference {found.reference_id[:12]}"
    yield (
        f"learnt from {learnt.words}: {lesson.cohorts:,} complete cohorts; "
        f"{lesson.left_out:,} are left out, for their truth is not complete"
    )
    yield f"so far scores mean what {found.before} said"
    if found.learnt is not None:
        yield f"accuracy on these labels: {_accuracy(found.learnt)}"
    if found.tried is not None:
        yield (
            f"tried on the newer half of them, learnt from the older half: {_accuracy(found.tried)}"
        )
    if found.window is not None:
        was, now = found.window.before, found.window.now
        yield (
            f"estimated accuracy of the window to {found.window.end}: so far {was.value:.3f}, new "
            f"{now.value:.3f} (95% interval {now.low:.3f} to {now.high:.3f}), {now.n:,} predictions"
        )
    yield f"the new curve counts for windows from {stamp(learnt.since_ms)} on"


def _accuracy(found: Accuracy) -> str:
    return (
        f"realised {found.realised:.3f}, estimated so far {found.before:.3f}, by the new curve "
        f"{found.now:.3f}, {found.labels:,} labels"
    )


def _time(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else time_of(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} must be a time such as 2026-03-01", param_hint=option
        ) from None
