"""`driftline repair`: what is wrong with positions and topics, and the commands that repair it."""

from typing import Annotated

import msgspec
import typer

from agents.commands.arguments import Config, wait_for
from agents.repair import surveys, works
from agents.repair.acts import ACTS
from agents.repair.judgements import Log
from agents.repair.surveys import Survey
from agents.settings import Settings, load

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
repair_commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@repair_commands.callback()
def look(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Say of every partition where its state goes on, what Kafka has, and what is wrong.

    Changes nothing, and workers may run. Exit code 1 where something is wrong; the command that
    repairs it is named. The commands below act, while no worker runs: each says first what it is
    going to do and what is lost.
    """
    if context.invoked_subcommand is not None:
        if as_json or config is not None:
            raise typer.BadParameter("options of a repair come after its name")
        return
    found = wait_for(surveys.with_members(load(config)))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _show(found)
    if found.wrongs or found.redis:
        raise typer.Exit(1)


@repair_commands.command("events")
def events(
    yes: Yes = False,
    again: Annotated[
        bool, typer.Option("--again", help="Of all partitions, though nothing looks wrong.")
    ] = False,
    config: Config = None,
) -> None:
    """The internal log of rows was made anew, cut off, or dropped what was still to be read.

    Ledgers go on at its end, and the source topics are taken in again from the first record that
    one of them has not counted. What was counted is not counted twice: exact as far as the
    source topics go back, and what they have dropped is named.
    """
    _do("events", load(config), yes=yes, again=again)


@repair_commands.command("signals")
def signals(yes: Yes = False, config: Config = None) -> None:
    """The signals were made anew, cut off, dropped what was still to be read, or have a hole.

    The watch goes on at the first message there is. All that ledgers have sealed is named again,
    so every window is judged; only values for online detectors are lost with a message, and
    counted as `lost-signals`.
    """
    _do("signals", load(config), yes=yes)


@repair_commands.command("sources")
def sources(yes: Yes = False, config: Config = None) -> None:
    """A source topic was deleted and made anew under the same name, or its log was cut off.

    The new topic is counted from its first record on; what is still on its way from the old one
    is counted too, and nothing twice.
    """
    _do("sources", load(config), yes=yes)


@repair_commands.command("skip")
def skip(yes: Yes = False, config: Config = None) -> None:
    """Kafka dropped records of a source topic before they were taken in: go on without them.

    What is given up is remembered, and shown by `driftline repair` and `driftline status`.
    """
    _do("skip", load(config), yes=yes)


def _do(name: str, settings: Settings, *, yes: bool, again: bool = False) -> None:
    try:
        wait_for(_work(name, settings, yes=yes, again=again))
    except works.Refusal as refusal:
        typer.echo(f"driftline: not repaired: {refusal}", err=True)
        raise typer.Exit(1) from None


async def _work(name: str, settings: Settings, *, yes: bool, again: bool) -> None:
    async with works.at_work(settings, again=again) as work:
        plan = await ACTS[name](work)
        if not plan.steps or plan.act is None:
            typer.echo("nothing to repair")
            return
        for line in (*plan.steps, *plan.notes):
            typer.echo(line)
        for loss in plan.losses:
            typer.echo(f"lost: {loss.topic}/{loss.partition}: {loss.about} ({loss.records:,})")
        if not plan.losses:
            typer.echo("lost: nothing")
        if not yes:
            typer.confirm("Do it?", abort=True)
        await plan.act()
        typer.echo("repaired")


def _show(found: Survey) -> None:
    for one in found.stages:
        at = "no state yet" if one.next is None else f"goes on at {one.next} (checkpoint {one.seq})"
        waits = f", {one.backlog} messages to be published" if one.backlog else ""
        typer.echo(f"{one.stage:6} {one.log.where}: {at}{waits}; {_log(one.log)}")
    for source in found.sources:
        low = "nothing counted yet" if source.low is None else f"all counted up to {source.low}"
        typer.echo(f"source {source.log.where}: {low}; {_log(source.log)}")
    for loss in found.lost:
        typer.echo(f"given up {loss.time}: {loss.topic}/{loss.partition} {loss.about}")
    if found.members:
        typer.echo(f"workers: {', '.join(found.members)}")
    for note in found.notes():
        typer.echo(f"note: {note}")
    for wrong in [*([found.redis] if found.redis else []), *found.wrongs]:
        typer.echo(f"WRONG: {wrong}")
    if not (found.wrongs or found.redis):
        typer.echo("nothing is wrong")


def _log(log: Log) -> str:
    committed = "nothing committed" if log.committed is None else f"committed {log.committed}"
    return f"Kafka has {log.begin} to {log.end}, {committed}, topic id {log.topic_id or 'unknown'}"
