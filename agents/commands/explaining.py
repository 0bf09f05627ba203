"""`driftline explain`: its options, and what it prints."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console

from agents import explain
from agents.commands.arguments import Config, wait_for
from agents.settings import load


def explain_command(
    model: Annotated[str, typer.Argument(help="The model's name, as in its predictions.")],
    version: Annotated[
        str | None, typer.Option(help="Only this version; else all that are watched.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    config: Config = None,
) -> None:
    """Say what of a model is watched, how often to expect a false alarm, and what is found when.

    Also what its reference lacks for the rate of false alarms to be a promise.
    """
    settings = load(config)
    found = wait_for(explain.gather(settings, model, version))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    console = Console(highlight=False)
    for one in found:
        explain.show(one, console)
