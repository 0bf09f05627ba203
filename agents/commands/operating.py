"""`driftline tail`, `topics`, `embedded` and `status`: their options, and what they print."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import typer
from rich.console import Console

from agents import pairs, status, tail, topics
from agents.catalogs import Catalog
from agents.clusters import Cluster
from agents.commands.arguments import Config, stop_on_sigterm, wait_for
from agents.settings import load

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Topic = Literal["alerts", "retrain-requests", "evaluations", "dead-letters"]
Start = Literal["beginning", "now"]
topic_commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make the topics that Driftline needs, or look whether they are as they must be.",
)


def tail_command(
    topic: Annotated[
        Topic, typer.Argument(help="What to print.", metavar="|".join(get_args(Topic)))
    ],
    start: Annotated[
        Start, typer.Option("--from", help="What is there already too, or only what comes now.")
    ] = "beginning",
    follow: Annotated[
        bool, typer.Option(help="Go on until Ctrl-C, or end with what is there.")
    ] = True,
    model: Annotated[str | None, typer.Option(help="Only what is about this model.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One object a line, as it was published.")
    ] = False,
    config: Config = None,
) -> None:
    """Print what Driftline publishes: alerts, retrain requests, evaluations, dead letters.

    Nobody else misses anything by it. Dead letters are records that could not be used.
    """
    settings = load(config)
    reader = tail.Tail(settings, topic, beginning=start == "beginning")
    with contextlib.closing(reader), stop_on_sigterm():
        for record in reader.all(follow=follow):
            text = tail.line(topic, record, model, as_json=as_json)
            if text is not None:
                typer.echo(text)
                sys.stdout.flush()


@topic_commands.command("create")
def create_topics(
    repair: Annotated[
        bool, typer.Option("--repair", help="Also change settings of topics that are there.")
    ] = False,
    config: Config = None,
) -> None:
    """Make the topics that are missing; with --repair also set right what `check` finds wrong."""
    settings = load(config)

    async def work() -> None:
        catalog = Catalog(settings.kafka)
        made = await topics.create(settings, Cluster(settings.kafka), catalog)
        for name, new in made.items():
            typer.echo(f"{name}: {'made' if new else 'was there'}")
        for name, changed in (await topics.repair(settings, catalog) if repair else {}).items():
            for one in changed:
                typer.echo(f"{name}: {one.key} changed from {one.value} to {one.wanted}")

    wait_for(work())


@topic_commands.command("check")
def check_topics(as_json: AsJson = False, config: Config = None) -> None:
    """Say of each topic whether it is as it must be, and if not, the command that repairs it.

    Exit code 1 where something must change.
    """
    settings = load(config)
    found = wait_for(topics.check(settings, Catalog(settings.kafka)))
    if as_json:
        typer.echo(json.dumps([msgspec.to_builtins(one) for one in found]))
    else:
        for one in found:
            typer.echo(f"{one.standing:8} {one.topic}: {one.said}")
            if one.repair:
                typer.echo(f"         repair: {one.repair}")
    if any(one.standing != "ok" for one in found):
        raise typer.Exit(1)


def embedded_command(
    config: Annotated[
        Path | None,
        typer.Option(help="Write settings here; the file goes when the command ends."),
    ] = None,
    include: Annotated[
        Path | None, typer.Option(help="File with more settings to put into it, [models] say.")
    ] = None,
) -> None:
    """Keep an embedded Kafka and Redis up, for trying things out, until Ctrl-C or SIGTERM.

    Both listen on this machine only and keep nothing: what was in them is gone when they end. The
    Kafka keeps 5 MiB a partition and drops the oldest records then.
    """
    wait_for(pairs.keep(config, include, _say), interrupted=0)


def _say(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()


def status_command(as_json: AsJson = False, config: Config = None) -> None:
    """Show what Driftline knows now: models, references, lags, watermarks, alerts, retraining."""
    settings = load(config)
    found = wait_for(status.gather(settings))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        status.show(found, Console(highlight=False))
