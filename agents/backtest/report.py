"""Reports: a backtest as one page that needs nothing else, to be sent or kept.

Needs what `pip install 'driftline[report]'` brings: import it only where a report is wanted.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from agents.backtest import words
from agents.backtest.accounts import Point
from agents.backtest.plots import Plots, style
from agents.backtest.words import Frame
from stream.features import FeatureReference
from stream.references import Reference
from stream.stamps import span

TEMPLATE = "report.html"
MOST = 100  # features with plots of their own: those with alerts first


def write(path: Path, frame: Frame, summary: Sequence[str]) -> None:
    """Write the page. Raises OSError."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    with style():
        page = environment.get_template(TEMPLATE).render(**_content(frame, summary))
    path.write_text(page, encoding="utf-8")


def _content(frame: Frame, summary: Sequence[str]) -> dict[str, Any]:
    run, plots = frame.run, Plots(frame)
    settings = run.task.model
    return {
        "model": run.reference.model,
        "version": run.reference.version,
        "file": run.task.plan.file.name,
        "rows": f"{run.reference.rows:,}",
        "reference": run.reference.id,
        "windows": ", ".join(span(window_s) for window_s in settings.windows_s),
        "pane": span(settings.pane_s),
        "summary": summary,
        "alarms": plots.alarms() if frame.account.alarms else "",
        "quality": [
            {"name": name, "picture": plots.quality(name, points)}
            for (role, name), points in frame.account.readings.items()
            if role == "quality"
        ],
        "features": list(_features(frame, plots)),
        "columns": words.COLUMNS,
        "table": list(words.lines(frame)),
    }


def _features(frame: Frame, plots: Plots) -> Iterator[dict[str, Any]]:
    run, last = frame.run, frame.run.last_window()
    unit = run.reference.vectors.unit
    known = dict.fromkeys(("input", unit(name, "input")) for name in run.reference.features)
    known |= dict.fromkeys(("output", name) for name in run.reference.outputs)
    loud = {(role, name) for alarm in frame.account.alarms for role, name, _ in alarm.named}
    for role, name in sorted(known, key=lambda one: one not in loud)[:MOST]:
        points = frame.account.readings.get((role, name), [])
        points = [(end, r) for end, r in points if r.check == points[0][1].check]
        feature = _drawn(run.reference, role, name, points)
        pictures = [plots.distribution(feature, last.counts(feature.name, role))]
        pictures = [*(pictures if last.rows else []), plots.effect(role, name, points)]
        yield {"name": name, "pictures": pictures, "of": feature.name}


def _drawn(reference: Reference, role: str, name: str, points: Sequence[Point]) -> FeatureReference:
    """The feature itself; of a vector the number that its last reading found to differ most."""
    if role == "output":
        return reference.outputs[name]
    told = [r.details["most"] for _, r in points if "most" in r.details]
    most = str(told[-1]) if told else reference.vectors.elements.get(name, (name,))[0]
    return reference.features[most]
