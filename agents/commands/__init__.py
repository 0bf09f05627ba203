"""The command line: `driftline`."""

import importlib.metadata
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agents import registration, spools, supervisor
from agents.commands import (
    backtesting,
    bridging,
    comparing,
    explaining,
    operating,
    recalibrating,
    repairing,
    replaying,
)
from agents.commands.arguments import (
    INTERRUPTED,
    Config,
    Probabilities,
    Score,
    Segments,
    Weights,
    columns_by_name,
    duration,
    names,
    numbers,
    pairs,
    wait_for,
)
from agents.complaints import BadSettings
from agents.demo import DemoFailed, Plan
from agents.demo import run as demonstrate
from agents.embedded import CannotEmbed
from agents.explain import Unknown
from agents.gates import Stalled
from agents.pairs import PairEnded
from agents.portfolio import MONTHS, SEED
from agents.producers import DeliveryFailed
from agents.roles import Roles
from agents.settings import STAGES, Settings, Stage, load
from agents.store import Damaged, Unusable
from agents.tables import BadTable
from stream.lessons import Unfit
from stream.references import Reference
from stream.splits import Unmatched

OK, FAILED, USAGE, UNAVAILABLE, INTERNAL, LATE = 0, 1, 2, 69, 70, 75
EXITS = {
    OK: "done",
    FAILED: "it did not work; the message says why",
    USAGE: "wrong arguments or settings",
    UNAVAILABLE: "Kafka or Redis cannot be reached or used",
    INTERNAL: "an error in Driftline itself, please report it",
    LATE: "a worker was told to stop, and left work that the next one does again",
    INTERRUPTED: "stopped by Ctrl-C or SIGTERM",
}
MAX_WORKERS = 256
KAFKA = "Is Kafka running? Its addresses are `brokers` of [kafka] in the file for --config."
# whose fault it is, by the exception that says so, and what to do where it does not say that
FAULTS: tuple[tuple[type[Exception], int, str], ...] = (
    (BadSettings, USAGE, ""),
    (BadTable, FAILED, ""),
    (Unknown, FAILED, ""),
    (Unfit, FAILED, ""),
    (Unmatched, FAILED, ""),
    (CannotEmbed, UNAVAILABLE, ""),
    (Unusable, UNAVAILABLE, ""),
    (Damaged, UNAVAILABLE, ""),
    (DemoFailed, FAILED, ""),
    (Stalled, FAILED, ""),
    (PairEnded, FAILED, ""),
    (DeliveryFailed, UNAVAILABLE, KAFKA),
    (ConnectionError, UNAVAILABLE, KAFKA),
)
EPILOG = "Exit codes: " + "; ".join(f"{code} {words}" for code, words in EXITS.items()) + "."

app = typer.Typer(
    name="driftline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    help="Watches machine-learning models in production: predictions and, later, the truth come"
    " in through Kafka; alerts and retrain requests go out. Begin with `driftline demo`.",
)


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the published insurance files, instead of generated ones."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every event as one line of JSON, nothing else.")
    ] = False,
    months: Annotated[
        int, typer.Option(min=1, max=MONTHS, help="How many months the story lasts.")
    ] = MONTHS,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another portfolio.")] = SEED,
    label_delay: Annotated[
        str, typer.Option(help="How long the truth takes to arrive, such as 180d.")
    ] = "180d",
) -> None:
    """Show what Driftline does, on this machine alone: it brings its own Kafka and Redis.

    An insurer's model predicts the risk of 1,500 policies a month. Its world changes slowly, and
    the truth arrives half a year late. Takes less than two minutes and leaves nothing behind.
    """
    delay_s = duration("--label-delay", label_delay)
    plan = Plan(data, months, seed, delay_s, as_json)
    wait_for(demonstrate(plan))


@app.command()
def worker(
    config: Config = None,
    stages: Annotated[
        str | None,
        typer.Option(help=f"Which of {','.join(STAGES)} this worker runs; all if not given."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=MAX_WORKERS,
            help="Run so many as processes of this machine; one that dies is started again. The"
            " first answers at `port` of [http], each other at the port after the last one's.",
        ),
    ] = 1,
) -> None:
    """Run Driftline against your Kafka and Redis, until told to stop (SIGTERM or Ctrl-C).

    Start as many as you like, on as many machines: they share the work.
    """
    settings = load(config)
    chosen = _stages(stages) or settings.worker.stages
    if workers > 1:
        given = ["--stages", ",".join(chosen)]
        given += ["--config", str(config)] if config is not None else []
        sys.exit(supervisor.supervise(settings, given, workers))
    from agents import worker as service  # noqa: PLC0415 - Faust takes a second to import

    service.run(settings, chosen)


@app.command()
def reference(  # noqa: PLR0913, PLR0917 - one argument an option
    file: Annotated[Path, typer.Argument(help="Training data: CSV, JSON lines or Parquet.")],
    model: Annotated[str, typer.Option(help="The model's name, as in its predictions.")],
    version: Annotated[str, typer.Option(help="The version that was trained on this data.")],
    prediction: Annotated[
        str | None, typer.Option(help="Column of what the model answers for these rows.")
    ] = None,
    score: Score = None,
    probabilities: Probabilities = None,
    label: Annotated[str | None, typer.Option(help="Column of the truth.")] = None,
    time_column: Annotated[
        str | None,
        typer.Option(
            "--time",
            help="Column of the time of each row, or row: in order, a second apart. How often"
            " chance alone alarms is then worked out from these rows.",
        ),
    ] = None,
    categorical: Annotated[
        str | None, typer.Option(help="Columns whose numbers are names: zip,branch.")
    ] = None,
    ignore: Annotated[str | None, typer.Option(help="Columns to leave out: id,day.")] = None,
    segments: Segments = None,
    weights: Weights = None,
    delimiter: Annotated[
        str | None, typer.Option(help="What separates a CSV's columns; seen by itself.")
    ] = None,
    config: Config = None,
) -> None:
    """Tell Driftline what a model version was trained on; all is compared with that.

    Every column is a feature unless an option says what else it is. Take rows that the model was
    not trained on for --prediction and --label where you can: on its own it flatters itself.
    """
    settings = load(config)
    roles = Roles(
        prediction=prediction,
        score=score,
        probabilities=pairs(probabilities),
        label=label,
        positive=settings.model(model).positive,
        categorical=names(categorical),
        ignore=names(ignore) + settings.model(model).ignore,
        max_categories=settings.model(model).max_categories,
        time=time_column,
        weights=numbers("--weights", weights),
        segments=columns_by_name(
            "--segments", segments or ",".join(settings.model(model).segments)
        ),
        banded=tuple(settings.model(model).bands),
    )
    with spools.opened(file, delimiter) as table:
        try:
            found, notes = registration.build(table, model, version, roles, settings.model(model))
        except BadTable as error:
            raise BadTable(f"{file}: {error}") from None
    count = wait_for(registration.publish(settings, found, int(time.time() * 1_000)))
    _print_registered(settings, found, notes, count)


app.command("replay")(replaying.replay_command)
app.command("backtest")(backtesting.backtest_command)
app.command("tail")(operating.tail_command)
app.add_typer(operating.topic_commands, name="topics")
app.add_typer(repairing.repair_commands, name="repair")
app.command("embedded")(operating.embedded_command)
app.command("status")(operating.status_command)
app.command("explain")(explaining.explain_command)
app.command("compare")(comparing.compare_command)
app.command("recalibrate")(recalibrating.recalibrate_command)
app.command("bridge")(bridging.bridge_command)


@app.command()
def version() -> None:
    """Print the version."""
    try:
        number = importlib.metadata.version("driftline")
    except importlib.metadata.PackageNotFoundError:
        number = "(not installed: a source tree)"
    typer.echo(f"driftline {number}")


def main() -> None:
    """The console entry."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """One command; answers its exit code. Errors are said in words on standard error."""
    try:
        app(list(arguments), prog_name="driftline")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else OK
    except KeyboardInterrupt:
        typer.echo("driftline: stopped", err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place: words for known, a report for not
        return _say(error)
    return OK


def _say(error: Exception) -> int:
    for kind, code, advice in FAULTS:
        if isinstance(error, kind):
            typer.echo(f"driftline: {error}", err=True)
            if advice:
                typer.echo(advice, err=True)
            return code
    traceback.print_exception(error)
    typer.echo("driftline: this is an error in Driftline itself; please report it", err=True)
    return INTERNAL


def _stages(text: str | None) -> tuple[Stage, ...]:
    given = names(text)
    for name in given:
        if name not in STAGES:
            allowed = f"must be of {', '.join(STAGES)}"
            raise typer.BadParameter(f"{name!r} {allowed}", param_hint="--stages")
    return tuple(stage for stage in STAGES if stage in given)


def _print_registered(
    settings: Settings, found: Reference, notes: Sequence[str], count: int
) -> None:
    single = [n for n, f in found.features.items() if f.kind == "number"]
    vectors = found.vectors.elements
    numbers = [n for n in single if n not in found.vectors.owners]
    numbers += [f"{name} ({len(own)} numbers)" for name, own in vectors.items()]
    words = [n for n, f in found.features.items() if f.kind == "category"]
    lines: list[tuple[str, Any]] = [
        ("reference", f"{found.id} of {found.model} {found.version}, {found.rows:,} rows"),
        ("numbers", ", ".join(numbers) or "none"),
        ("categories", ", ".join(words) or "none"),
        ("outputs", ", ".join(found.outputs) or "none"),
        *((f"by {name}", ", ".join(f.names) or "none") for name, f in found.dimensions.items()),
        ("quality", ", ".join(f"{n} {x:.4g}" for n, x in found.quality.items()) or "not known"),
        ("sent to", f"{settings.topics.name('control')} in {count} event{'s' * (count > 1)}"),
    ]
    for name, value in lines:
        typer.echo(f"{name:11}{value}")
    for note in notes:
        typer.echo(f"note: {note}")
