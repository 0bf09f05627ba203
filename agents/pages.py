"""Pages: those of the docs that are made from the code, so that they cannot say anything else.

`python -m agents.pages [FOLDER]` writes them into a folder, `docs` if none is given.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from agents import keys
from agents.counters import Counters
from agents.settings import PREFIX

MADE = "<!-- Made by `python -m agents.pages`; change the code, not this page. -->\n"


def configuration() -> str:
    """Every key of the settings."""
    parts = [
        MADE,
        "# Configuration\n",
        "A TOML file, named with `--config`; every key has a default. A variable of the environment"
        f"\n(`{PREFIX}` and the names of table and key, with two underscores between) counts more"
        " than the\nfile. A key or a variable that is not known is an error, never passed over."
        " Secrets are never shown.\n",
        'A duration is a number of seconds or text such as `"500ms"`, `"90s"`, `"15m"`, `"1h"`,'
        ' `"30d"`, `"2w"`.\nA list may be written as text with commas. Durations of `[defaults]`'
        " and `[models.NAME]` are event time.\n",
    ]
    for table, about, found in keys.sections():
        parts.append(f"## [{table}]\n")
        parts.append(f"{about}\n")
        parts.append(_keys_table(found))
    return "\n".join(parts)


def operation() -> str:
    """What the process says about itself: exit codes and counters."""
    from agents.commands import EXITS  # noqa: PLC0415 - the commands bring the whole product

    return "\n".join(
        [
            MADE,
            "# Operation\n",
            "## Exit codes\n",
            "Of every command.\n",
            table(("code", "meaning"), ((str(code), words) for code, words in EXITS.items())),
            "## Counters\n",
            "What `/metrics` answers, in Prometheus' text format, at the address of `[http]`.\n",
            table(("name", "kind", "labels", "meaning"), counters()),
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "operation.md": operation,
}


def counters() -> list[tuple[str, str, str, str]]:
    """Name, kind, labels and meaning of every counter, sorted by name."""
    found = []
    for collector in vars(Counters()).values():
        for metric in getattr(collector, "describe", list)():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            labels = ", ".join(getattr(collector, "_labelnames", ()))
            found.append((f"`{name}`", metric.type, labels, metric.documentation))
    return sorted(found)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in x)} |\n" for x in lines)


def _keys_table(found: Sequence[keys.Key]) -> str:
    heads = ("key", "type", "default", "allowed", "meaning")
    rows = [(f"`{k.name}`", k.type, k.default, k.allowed, k.meaning) for k in found]
    variables = [k.variable for k in found]
    if not all(variables):
        return table(heads, rows)
    more = [(*row, f"`{name}`") for row, name in zip(rows, variables, strict=True)]
    return table((*heads, "variable"), more)


def write(folder: Path) -> None:
    """All pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
