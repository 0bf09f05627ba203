"""Pages: README and docs, taken apart for the tests that hold them against the code."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

FILES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A block of code. kind: what stands after the fence; "" for one that is indented."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def text_of(page: str) -> str:
    """The page as it is."""
    return (ROOT / page).read_text("utf-8")


def sections(page: str) -> dict[str, str]:
    """Text by heading, of all levels; blocks of code are no headings."""
    found: dict[str, list[str]] = {"": []}
    heading, fenced = "", False
    for line in text_of(page).splitlines():
        fenced ^= line.startswith("```")
        if not fenced and (title := re.fullmatch(r"#+ (.+?) *", line)):
            heading = title[1]
        found.setdefault(heading, []).append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a text as rows of cells, the heads first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not inside:
            found.append([])
        inside = True
        if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            found[-1].append(cells)
    return found


def words(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(page: str) -> Iterator[Block]:
    """All blocks of code: fenced ones, and those that are indented below an empty line."""
    lines = text_of(page).splitlines()
    number = 0
    while number < len(lines):
        line, start = lines[number], number
        if line.startswith("```"):
            number += 1
            while not lines[number].startswith("```"):
                number += 1
            yield Block(page, start + 1, line[3:].strip(), "\n".join(lines[start + 1 : number]))
        elif line.startswith("    ") and not lines[number - 1].strip():
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number]):
                number += 1
            text = "\n".join(one[4:] for one in lines[start:number]).strip()
            yield Block(page, start + 1, "", text)
            continue
        number += 1


def prose(page: str) -> str:
    """The page without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def links(page: str) -> list[Path]:
    """Files that the page points to, as paths from the root of the project."""
    found = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    return [(Path(page).parent / name) for name in found]
