"""`driftline bridge`: its options."""

import logging
import os
import signal
import sys
from typing import Annotated

import typer

from agents.bridge import Bridge, Plan
from agents.commands.arguments import Config, duration, names
from agents.settings import load
from agents.sinks import SINKS, BadAddress

ALLOWED = ("alerts", "retrain-requests", "evaluations")


def bridge_command(
    sink: Annotated[
        str, typer.Argument(metavar="|".join(SINKS), help="Where events are delivered to.")
    ],
    address: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            envvar="DRIFTLINE_WEBHOOK_URL",
            show_envvar=True,
            help="Of a webhook. Better in the variable where it holds a secret.",
        ),
    ] = "",
    topics: Annotated[
        str, typer.Option(help=f"What to deliver, of {','.join(ALLOWED)}.")
    ] = "alerts,retrain-requests",
    group: Annotated[
        str | None,
        typer.Option(help="Name of this bridge; bridges of one name share the work."),
    ] = None,
    new_only: Annotated[
        bool, typer.Option(help="At the very first start, leave out what is already there.")
    ] = False,
    patience: Annotated[
        str, typer.Option(help="How long an event is tried before it is a dead letter.")
    ] = "1d",
    config: Config = None,
) -> None:
    """Deliver what Driftline publishes to a program or a web address, until Ctrl-C or SIGTERM.

    Every event once and in order, as a CloudEvent: what cannot be reached is tried again, slower
    and slower; what is refused for ever becomes a dead letter. Where it stops, it goes on.
    """
    settings = load(config)
    if sink not in SINKS:
        raise typer.BadParameter(f"{sink!r} must be of {', '.join(SINKS)}", param_hint="SINK")
    chosen = names(topics)
    if not chosen or not set(chosen) <= set(ALLOWED):
        raise typer.BadParameter(
            f"{topics!r} must be of {', '.join(ALLOWED)}", param_hint="--topics"
        )
    try:
        made = SINKS[sink]("" if sink == "stdout" else address)
    except BadAddress as error:
        raise typer.BadParameter(str(error), param_hint="URL") from None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    plan = Plan(
        chosen,
        f"{settings.kafka.group_id}-{group or f'bridge-{sink}'}",
        new_only,
        duration("--patience", patience),
    )
    bridge = Bridge(settings, made, plan)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: bridge.stop())
    try:
        bridge.run()
    except BrokenPipeError:  # who read our output has had enough; what it got is committed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
