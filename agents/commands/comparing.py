"""`driftline compare`: its options, and what it prints."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console

from agents import splits
from agents.commands.arguments import Config
from agents.settings import load


def compare_command(
    model: Annotated[str, typer.Argument(help="The model's name, as in its predictions.")],
    version: Annotated[str, typer.Argument(help="The version in question: a new one, say.")],
    beside: Annotated[str, typer.Argument(help="The version that it is held against.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    config: Config = None,
) -> None:
    """Show every metric of two versions side by side, for traffic that is split between them.

    Of the newest window that both have, by segment too, and of the newest predictions whose truth
    is in for both. Read from the evaluations in Kafka.
    """
    found = splits.gather(load(config), model, version, beside)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        splits.show(found, Console(highlight=False))
