"""Splits: two versions of a model side by side, from the evaluations that lie in Kafka."""

import contextlib
from collections.abc import Iterator, Sequence

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.contests import contest_lines
from agents.scorecards import METRICS
from agents.settings import Settings
from agents.tail import Tail, printable
from stream import figures
from stream.comparisons import words
from stream.events import Compared, Evaluation
from stream.rivals import MAIN
from stream.splits import Split, Splits
from stream.stamps import day

MOST_SEGMENTS = 5
DIFFERENT = (
    "The versions answered different predictions: split them at random, for easier cases make a "
    "version look better. An interval of 95% misses the truth one time in twenty."
)


def gather(settings: Settings, model: str, version: str, beside: str) -> list[Split]:
    """Of each length of windows. Raises ConnectionError, Unusable, Unmatched."""
    found = Splits(model)
    with contextlib.closing(Tail(settings, "evaluations", beginning=True)) as reader:
        for record in reader.all(follow=False):
            with contextlib.suppress(msgspec.DecodeError, RecursionError):  # none of Driftline's
                found.update(msgspec.json.decode(record.value or b"", type=Evaluation))
    return found.between(version, beside)


# for people


def show(found: Sequence[Split], console: Console) -> None:
    """Each length of windows, the pairs if there are any, and a cohort."""
    for one in found:
        console.print(Text(printable(headline(one)), style="bold"))
        console.print(table(one.metrics, one.version, one.beside))
        for line in segment_lines(one):
            console.print(Text(f"  {printable(line)}"))
    last = found[-1]
    if last.cohort is not None:
        console.print(Text(cohort_text(last), style="bold"))
        console.print(table(last.cohort.metrics, last.version, last.beside))
    if last.pairs:
        console.print(Text("Of the predictions that both have answered:", style="bold"))
        for line in contest_lines(last.pairs, last.version):
            console.print(Text(f"  {printable(line)}"))
    console.print(Text(DIFFERENT, style="dim"))


def headline(found: Split) -> str:
    """Whose figures these are, of which window, and what is not known yet."""
    span = f"{day(found.window.start)} to {day(found.window.end)}"
    said = f"{found.model}: version {found.version} beside {found.beside}, truth of {span}"
    if found.provisional:
        said += f"; provisional: {' and '.join(found.provisional)}, slow truth is still to come"
    return said


def cohort_text(found: Split) -> str:
    """Of which predictions figures are that rest on all their truth."""
    assert found.cohort is not None
    span = f"{day(found.cohort.start)} to {day(found.cohort.end)}"
    state = "final" if found.cohort.final else "complete, corrections may come"
    return f"Predictions made {span}, the newest whose truth is in for both ({state}):"


def table(metrics: Sequence[Compared], version: str, beside: str) -> Table:
    """A row a metric."""
    names = [Text(printable(name)) for name in (version, beside)]
    found = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in (Text("  metric"), *names, Text("difference"), Text("95%"), Text("n"), Text("")):
        found.add_column(head)
    for one in metrics:
        found.add_row(*(Text(printable(cell)) for cell in _row(one)), _better(one, version, beside))
    return found


def _row(m: Compared) -> Iterator[str]:
    yield f"  {METRICS[m.metric].words if m.metric in METRICS else m.metric}"
    yield from figures.pair(m.challenger.value, m.champion.value)
    yield f"{m.change.value:+.3g}"
    yield f"{m.change.low:+.3g} to {m.change.high:+.3g}"
    yield f"{m.challenger.n:,} and {m.champion.n:,}"


def _better(m: Compared, version: str, beside: str) -> Text:
    """Which of them, where the interval says so and the metric has a better side."""
    direction = METRICS[m.metric].direction if m.metric in METRICS else ""
    if direction not in ("higher", "lower") or m.change.low <= 0 <= m.change.high:
        return Text("")
    rose = m.change.low > 0
    return Text(printable(f"{version if rose == (direction == 'higher') else beside} is better"))


def segment_lines(found: Split) -> list[str]:
    """Of each segment the metric that is told first, the worst segments first."""
    lines = []
    for one in found.segments[:MOST_SEGMENTS]:
        named = {m.metric: m for m in one.metrics}
        m = next((named[name] for name in MAIN if name in named), None)
        if m is not None:
            called, new, old, change, ends, n = _row(m)
            values = f"{called.strip()} {new} against {old}, difference {change} ({ends})"
            lines.append(f"{words(one.segment)}: {values}, n {n}")
    more = len(found.segments) - MOST_SEGMENTS
    return lines + [f"and {more:,} more segments"] * (more > 0)
