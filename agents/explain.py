"""Explaining: what of a model is watched and what that makes one expect, in words.

Read from Redis as `driftline status` reads it: a running worker does not notice.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from agents.catalogs import Catalog
from agents.settings import Settings
from agents.status import memory_of
from agents.visits import visited
from stream import figures
from stream.explanations import DetectorExplained, Explanation, explain
from stream.monitor import Memory
from stream.outlooks import WindowExplained
from stream.prospects import Found
from stream.references import Reference
from stream.stamps import span

NAMED = 8  # features named in a line
CHECKS = {
    "ks": "numbers, by Kolmogorov-Smirnov",
    "mmd": "vectors as a whole, by maximum mean discrepancy",
    "chi-square": "categories, by chi-square",
    "missing": "shares of missing values",
    "quality": "quality, once truth is known",
    "detectors": "detectors",
}


class Unknown(ValueError):
    """No such model is watched; the text says which are."""


async def gather(settings: Settings, model: str, version: str | None) -> list[Explanation]:
    """Of each version that is watched. Raises ConnectionError, Unusable, Unknown."""
    layouts = await Catalog(settings.kafka).layouts()
    name = settings.topics.name("signals")
    partitions = layouts[name].partitions if name in layouts else 0
    async with visited(settings) as (_, store):
        found: list[Memory] = []
        for number in range(partitions):
            fields = await store.partition("watch", number).load("[mn][oa]*", [])
            found += _memories(settings, fields)
        chosen = [m for m in found if m.model == model and version in (None, m.version)]
        if not chosen:
            raise Unknown(_unknown(model, found))
        explained = []
        for m in sorted(chosen, key=lambda m: m.version):
            raw = await store.get_reference(m.active[-1][1]) if m.active else None
            reference = None if raw is None else Reference.from_bytes(raw)
            explained.append(explain(m.model, m.version, reference, m.settings, _rows_a_pane(m)))
    return explained


def _memories(settings: Settings, fields: Mapping[str, bytes]) -> Iterator[Memory]:
    for field in sorted(f for f in fields if f.startswith("monitor/")):
        key = field.removeprefix("monitor/")
        own = {f: raw for f, raw in fields.items() if f.startswith(f"names-inputs/{key}/")}
        try:
            yield memory_of(settings, {field: fields[field]} | own)
        except (ValueError, KeyError, TypeError):
            continue  # `driftline status` says so


def _unknown(model: str, found: Sequence[Memory]) -> str:
    known = sorted({m.model for m in found})
    others = f"there are {', '.join(known)}" if known else "none has been watched yet"
    return f"no model {model!r} is watched in this version; {others}"


def _rows_a_pane(m: Memory) -> float | None:
    """Usual rows of a pane: the middle of those that had any."""
    windows = m.windows["inputs"]
    rows = [n for pane in windows.named if (n := windows.rows(pane))]
    return statistics.median(rows) if rows else None


# for people


def show(found: Explanation, console: Console) -> None:
    """One model version."""
    grid = Table.grid(padding=(0, 2))
    for name, value in lines(found):
        grid.add_row(Text(f"  {name}", style="dim"), Text(value))
    parts: list[Any] = [Text(f"{found.model} {found.version}", style="bold"), grid]
    console.print(Group(*parts))


def lines(found: Explanation) -> Iterator[tuple[str, str]]:
    """What is said of it: a word for the line, and the line."""
    if found.reference_id:
        yield "reference", f"{found.reference_id[:12]}, {found.reference_rows:,} rows"
    yield "compared", found.compared_with
    for check, names in found.watched.items():
        yield "watched", f"{CHECKS[check]}: {figures.listed(names, NAMED)}"
    yield from (("matters", text) for text in _floors(found))
    if found.weights:
        told = [f"{name} {figures.number(weight)}" for name, weight in found.weights.items()]
        yield "weights", f"what moved is ranked by them: {figures.listed(told, NAMED)}"
    yield from (("segments", text) for text in found.segments)
    yield from (("labels", text) for text in found.labels)
    yield "budget", _budget(found)
    if found.burn_in_s:
        yield "burn-in", f"nobody is told for {span(found.burn_in_s)} after its first prediction"
    for window in found.windows:
        yield "windows", f"of {span(window.window_s)}, {_rows(window)}"
        yield from (("", text) for text in _window(window))
    yield from (("pulses", _pulses(one)) for one in found.detectors)
    yield from (("promise", text) for text in found.promises)
    yield from (("lacks", text) for text in found.lacks)


def _floors(found: Explanation) -> Iterator[str]:
    floors = found.floors
    yield (
        f"a number's change from {figures.number(floors['number'])} sd on, a category's from "
        f"{figures.share(floors['category'])} of rows, faults of the data from "
        f"{figures.share(floors['data'])} of rows, a fall of quality from "
        f"{figures.share(floors['quality'])}"
    )
    if found.own_floors:
        own = [f"{name} {figures.number(floor)}" for name, floor in found.own_floors.items()]
        yield f"in their own unit: {figures.listed(own, NAMED)}"


def _budget(found: Explanation) -> str:
    times = figures.number(found.false_alarms_per_month)
    alarms = "false alarm" if times == "1" else "false alarms"
    many = f"{found.evaluations_a_month:,.0f} evaluations"
    said = "kept" if found.promised else "not promised, see below"
    return f"{times} {alarms} a month over {many}: {said}"


def _rows(window: WindowExplained) -> str:
    if window.rows is None:
        return "rows not known yet"
    return f"about {window.rows:,} rows"


def _window(window: WindowExplained) -> Iterator[str]:
    if window.reach_s > window.window_s and window.rows is not None:
        rows = round(window.rows * window.reach_s / window.window_s)
        yield f"these are too few: it looks back {span(window.reach_s)}, about {rows:,} rows"
    if window.by_chance_a_month is None:
        yield "levels take rows for independent: if they are not, false alarms are more frequent"
    else:
        often = figures.months(window.by_chance_a_month)
        yield f"a number is called moved where chance does as much {often}"
    if window.inflation is not None:
        most, least = (f"{min(1_000, 1_000 / x):,.0f}" for x in window.inflation)
        yield f"of 1,000 rows {least} to {most} are worth as much as independent ones"
    if window.gap is not None:
        yield f"a gap of {figures.number(100 * window.gap)} points is beyond chance"
    if window.rows_needed is not None:
        yield (
            f"a change as large as the effect floor takes about {window.rows_needed:,} rows: with "
            'fewer, nothing found is "not enough data"'
        )
    for one in window.found:
        yield f"a shift of {figures.number(one.shift_sd)} sd: {_soon(one)}"


def _pulses(one: DetectorExplained) -> str:
    return (
        f"{one.name}: {figures.number(one.usual)} in {span(one.evidence_s)} are usual, "
        f"{one.alarm_from:,} are an alarm; chance makes it {figures.months(one.by_chance_a_month)}"
    )


def _soon(one: Found) -> str:
    if not one.matters:
        return "too small to matter, below the effect floor"
    if one.median_s is None:
        return "not found"
    half = f"found within {span(one.median_s)} in half of all cases"
    return half if one.p90_s is None else f"{half}, {span(one.p90_s)} in nine of ten"
