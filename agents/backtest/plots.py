"""Plots: what a backtest found, as SVG to be put into a page. Needs matplotlib."""

import datetime
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from agents.backtest.accounts import Alarm, Point
from agents.backtest.words import DAY_MS, Frame
from stream.columns import Ints
from stream.features import FeatureReference

PAGE, NOTICE, WINDOW, REFERENCE, FLOOR = "#c0392b", "#e08e0b", "#1f5fa8", "#8a8f98", "#555555"
WIDTH = 4.6  # inches of one plot of a pair
MOST_BARS = 12  # categories side by side
MOST_STEPS = 400  # of a curve


class Plots:
    """Pictures of one run, to be drawn within `style`."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.rows = frame.run.task.plan.columns.time is None

    def alarms(self) -> str:
        """When which feature or metric was part of an alert that was firing."""
        found = _bars(self.frame.account.alarms)
        figure = Figure(figsize=(2 * WIDTH, 0.6 + 0.28 * max(1, len(found))))
        axes = figure.subplots()
        for place, alarms in enumerate(found.values()):
            for since_ms, alarm in alarms:
                start = self._at(since_ms)
                end = self._at(alarm.until_ms or self.frame.run.end_ms)
                colour = PAGE if alarm.pages else NOTICE
                axes.barh(place, end - start, left=start, height=0.6, color=colour)
        axes.set_yticks(range(len(found)), [name for _, name in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        span = self.frame.run.survey.first_ms, self.frame.run.end_ms
        axes.set_xlim(*(self._at(time) for time in span))
        self._times(axes)
        return svg(figure)

    def quality(self, name: str, points: Sequence[Point]) -> str:
        """A metric over time beside the reference's, which is what it decays from."""
        known = [(end, r) for end, r in points if r.statistic is not None]
        figure, axes = self._small()
        times = [self._at(end) for end, _ in known]
        measured = [_number(r.statistic) for _, r in known]
        axes.plot(times, measured, color=WINDOW, label="measured")
        low, high = ([_number(r.details.get(key)) for _, r in known] for key in ("low", "high"))
        if not np.isnan([*low, *high]).any():
            axes.fill_between(times, low, high, color=WINDOW, alpha=0.15, linewidth=0)
        reference = self.frame.run.reference.quality.get(name)
        if reference is not None:
            axes.axhline(reference, color=REFERENCE, linestyle="--", label="reference")
        self._marks(axes, "quality", name)
        axes.legend(frameon=False, fontsize=7)
        return svg(figure)

    def effect(self, role: str, name: str, points: Sequence[Point]) -> str:
        """How large the change is in each window, and from which size on it matters."""
        known = [(end, r.effect) for end, r in points if r.effect is not None]
        figure, axes = self._small()
        axes.plot([self._at(end) for end, _ in known], [e.value for _, e in known], color=WINDOW)
        if known:
            axes.set_title(f"{known[-1][1].name}, {known[-1][1].unit}", fontsize=7, loc="left")
            if known[-1][1].floor is not None:
                axes.axhline(known[-1][1].floor, color=FLOOR, linestyle=":")
        axes.set_ylim(bottom=0)
        self._marks(axes, role, name)
        return svg(figure)

    def distribution(self, feature: FeatureReference, counts: Ints) -> str:
        """The reference's values beside those of the last window."""
        figure, axes = self._small(times=False)
        draw = _numbers if feature.kind == "number" else _categories
        draw(axes, feature, counts)
        axes.legend(frameon=False, fontsize=7)
        return svg(figure)

    def _small(self, *, times: bool = True) -> tuple[Figure, Axes]:
        figure = Figure(figsize=(WIDTH, 1.9))
        axes = figure.subplots()
        if times:
            self._times(axes)
        axes.tick_params(labelsize=7)
        return figure, axes

    def _at(self, time_ms: int) -> float:
        """Where a time lies: days, or the number of the row."""
        clock = self.frame.run.timeline.clock
        if self.rows:
            return (time_ms - clock.start_ms) / clock.every_ms
        return time_ms / DAY_MS

    def _times(self, axes: Axes) -> None:
        if self.rows:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        else:
            axes.xaxis_date(datetime.UTC)
            locator = axes.xaxis.get_major_locator()
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.tick_params(labelsize=7)

    def _marks(self, axes: Axes, role: str, name: str) -> None:
        for alarm in self.frame.account.alarms:
            colour = PAGE if alarm.pages else NOTICE
            for (known, subject, _), (time_ms, _) in alarm.named.items():
                if (known, subject) == (role, name):
                    axes.axvline(self._at(time_ms), color=colour, linewidth=1)


def _bars(alarms: Sequence[Alarm]) -> dict[tuple[str, str], list[tuple[int, Alarm]]]:
    """Alarms by role and subject of what they name, with the time since when they name it."""
    found: dict[tuple[str, str], list[tuple[int, Alarm]]] = {}
    for alarm in alarms:
        for (role, subject, _), (time_ms, _) in alarm.named.items():
            found.setdefault((role, subject), []).append((time_ms, alarm))
    return found


def style() -> AbstractContextManager[None]:
    """How plots are drawn: text stays text and is no formula, ids are the same every time."""
    return matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "driftline", "text.parse_math": False}
    )


def svg(figure: Figure) -> str:
    """The figure as an element of a page: what stands before it in a file is left out."""
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _numbers(axes: Axes, feature: FeatureReference, counts: Ints) -> None:
    """Shares of values up to x, at values of the reference."""
    if not len(feature.edges):
        return
    step = -(-len(feature.edges) // MOST_STEPS)
    for found, colour, label in (
        (feature.counts, REFERENCE, "reference"),
        (counts, WINDOW, "last window"),
    ):
        values = found[: feature.cells]
        below = np.cumsum(values)[1::2] / max(1, values.sum())
        axes.step(feature.edges[::step], below[::step], where="post", color=colour, label=label)
    axes.set_title("share of values up to x", fontsize=7, loc="left")


def _categories(axes: Axes, feature: FeatureReference, counts: Ints) -> None:
    """Shares of the reference's most frequent names, and of all others together."""
    names = [*feature.names, "others"]
    cells = feature.cells + 1
    known, live = (c[:cells] / max(1, c[:cells].sum()) for c in (feature.counts, counts))
    order = np.argsort(-np.maximum(known, live), kind="stable")[:MOST_BARS]
    places = np.arange(len(order))
    axes.bar(places - 0.2, known[order], 0.4, color=REFERENCE, label="reference")
    axes.bar(places + 0.2, live[order], 0.4, color=WINDOW, label="last window")
    axes.set_xticks(places, [names[i] for i in order], rotation=30, ha="right", fontsize=7)
    axes.set_title("share of rows", fontsize=7, loc="left")
