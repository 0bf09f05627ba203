"""Options of benchmarks: what was simulated is kept, and not done again."""

import dataclasses
import math
from pathlib import Path

import pytest

from bench.options import Options


@dataclasses.dataclass(frozen=True)
class Result:
    number: int
    delay: float


def simulate(number: int) -> Result:
    return Result(number, math.inf if number % 2 else number / 3)


def unable(number: int) -> Result:
    raise AssertionError(f"{number} was kept")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_was_kept_is_gone_on_with(tmp_path: Path, jobs: int) -> None:
    options = Options(tmp_path, jobs=jobs, keep=tmp_path / "kept")
    first = options.simulated("a", simulate, range(3), Result)
    assert first == [simulate(number) for number in range(3)]
    assert options.simulated("a", unable, range(3), Result) == first
    assert options.simulated("a", simulate, range(5), Result)[3:] == [simulate(3), simulate(4)]
    assert options.simulated("b", simulate, range(1), Result) == first[:1]


def test_a_line_that_was_cut_short_is_simulated_again(tmp_path: Path) -> None:
    options = Options(tmp_path, keep=tmp_path)
    found = options.simulated("a", simulate, range(3), Result)
    path = tmp_path / "a.jsonl"
    path.write_text(path.read_text()[:-5])
    for _ in range(2):
        assert options.simulated("a", simulate, range(3), Result) == found


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    assert Options(tmp_path).simulated("a", simulate, range(2), Result)[0] == simulate(0)
    assert not [*tmp_path.iterdir()]
