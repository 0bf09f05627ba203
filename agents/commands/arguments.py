"""Arguments: what several commands take, and how a command waits for its work."""

import asyncio
import contextlib
import math
import signal
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from agents.durations import seconds

Answer = TypeVar("Answer")
INTERRUPTED = 130  # the exit code of a command that was told to stop
Config = Annotated[
    Path | None,
    typer.Option(help="Settings, a TOML file. Without it: defaults and DRIFTLINE__ variables."),
]

Score = Annotated[str | None, typer.Option(help="Column of the probability of the positive class.")]
Probabilities = Annotated[
    str | None, typer.Option(help="Columns of the classes' probabilities: high=p_high,low=p_low.")
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="How much a change of a feature weighs beside the others, such as its importance for"
        " the model: age=0.3,miles=0.1. Alerts name first what explains most."
    ),
]
Segments = Annotated[
    str | None,
    typer.Option(
        help="Columns of segments, each value of which is compared with its own rows of the"
        " reference: site,region, or name=column. No features, but for those in --categorical and"
        " those of `bands`. control_group: a column of yes and no; a reference needs none."
    ),
]


def wait_for(work: Coroutine[Any, Any, Answer], interrupted: int = INTERRUPTED) -> Answer:
    """Run to the end. interrupted: the exit code of being stopped before it."""
    try:
        return asyncio.run(_stoppable(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(interrupted) from None


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Within it, SIGTERM does as Ctrl-C does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _stoppable(work: Coroutine[Any, Any, Answer]) -> Answer:
    """SIGTERM stops it as Ctrl-C does: in order, with what it started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def duration(option: str, text: str) -> int:
    """Seconds of a duration such as "30d". Raises typer.BadParameter."""
    try:
        return int(float(str(seconds(text))))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint=option) from None


def names(text: str | None) -> tuple[str, ...]:
    """The names of a list such as "id,day"."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def pairs(text: str | None) -> dict[str, str]:
    """Columns by class, of "high=p_high,low=p_low". Raises typer.BadParameter."""
    found = dict(word.partition("=")[::2] for word in names(text))
    if not all(name and column for name, column in found.items()):
        raise typer.BadParameter(
            f"{text!r} must be class=column,class=column", param_hint="--probabilities"
        )
    return found


def columns_by_name(option: str, text: str | None) -> dict[str, str]:
    """Columns by name, of "site,region=REGION". Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for word in names(text):
        name, same, column = word.partition("=")
        if not name or (same and not column) or name in found:
            raise typer.BadParameter(
                f"{text!r} must be name,name=column, each name once", param_hint=option
            )
        found[name] = column if same else name
    return found


def numbers(option: str, text: str | None) -> dict[str, float]:
    """Numbers of 0 or more by name, of "age=0.3,miles=2". Raises typer.BadParameter."""
    found: dict[str, float] = {}
    for word in names(text):
        name, _, number = word.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = math.nan
        if not name or not 0 <= found[name] < math.inf:
            raise typer.BadParameter(
                f"{word!r} must be name=number, the number 0 or more", param_hint=option
            )
    return found
