"""How soon changes are found, beside river's detectors, and what that is worth.

A score has to count both kinds of failure. It is MTR of Bifet (2017), "Classifier concept drift
detection and the illusion of progress": mean time to a false alarm over mean time to detection,
times the share of changes that are found. Alarms without any reason, however many, have 1: they
come as often after a change as before. Silence has 0.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from bench.months import (
    HOUR_MS,
    HOUR_S,
    WARM_HOURS,
    Month,
    alarms_of,
    month_of,
    reference_of,
    settings_of,
)
from bench.options import Options
from bench.tables import Cell, Table, Target
from bench.worlds import HOURS_A_DAY, WORLDS, Values, World, columns
from stream.cohorts import Cohorts
from stream.columns import Column
from stream.detectors import Detector
from stream.evaluations import Known, quality_evaluation
from stream.references import Reference
from stream.settings import DAY_S, DetectorSettings, ModelSettings
from stream.subjects import Subject
from stream.tallies import Tally

MONTHS, FEWEST = 40, 2
HOURS = (
    10 * HOURS_A_DAY
)  # without a change, and again after it; what is not found by then is missed
WINDOWS_S = (HOUR_S, DAY_S)
SHIFTS_SD = (0.1, 0.25, 0.5, 1.0, 2.0)
ERROR_RATE, ERROR_RATES, LABELS_AN_HOUR = 0.10, (0.15, 0.20, 0.40), 200
OF_NUMBERS = ("ADWIN", "KSWIN", "PageHinkley")
OF_ERRORS = ("ADWIN", "PageHinkley", "DDM", "EDDM", "HDDMA", "HDDMW")  # KSWIN takes amounts
SLOW = {"KSWIN": 5_000}  # values without a change: each takes a quarter of a millisecond
OURS, STUDY, ALWAYS, NEVER = "driftline", "the study", "always", "never"
MISSED = math.inf


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """Rows of which the first number moves. study: median hours that a study measured.

    It had the same windows and, beside K-S, Page-Hinkley on hourly means. rivals: river's
    detectors, where one over one signal can be compared.
    """

    world: World
    study: tuple[float, ...]
    rivals: tuple[str, ...] = OF_NUMBERS
    fewer: int = 1


def _wide(name: str, rows: int) -> World:
    return dataclasses.replace(WORLDS[name], rows=rows)


STORIES: dict[str, Story] = {
    "i.i.d., 1,000 an hour": Story(_wide("i.i.d. normal", 1_000), (3, 1, 1, 1, 1)),
    "AR(1) .9, 1,000 an hour": Story(_wide("AR(1) .9", 1_000), (23.5, 9, 2, 1, 1)),
    "100 features, 200 an hour": Story(_wide("100 features", 200), (18, 7, 1, 1, 1), (), 4),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What one detector said of one model-month: alarms in `hours` without a change.

    delays: hours from each change to the first alarm, MISSED where there is none.
    """

    hours: float
    alarms: int
    delays: tuple[float, ...]


Watched = dict[str, Seen]
Rivals = Sequence[str] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """What a detector is worth over many months."""

    seen: Sequence[Seen]

    @property
    def calm(self) -> float:
        """Mean hours to a false alarm; of no alarm, all hours."""
        return sum(s.hours for s in self.seen) / max(1, sum(s.alarms for s in self.seen))

    @property
    def value(self) -> float:
        """MTR: see above."""
        every = [d for s in self.seen for d in s.delays]
        found = [d for d in every if d != MISSED]
        return self.calm / float(np.mean(found)) * len(found) / len(every) if found else 0.0

    def quantile(self, change: int, q: float) -> float:
        """Hours to find one of the changes; MISSED where fewer than q of them are found."""
        ordered = sorted(s.delays[change] for s in self.seen)
        return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)]


def tables(options: Options) -> list[Table]:
    """Of numbers that move, and of errors that become more."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    for name, story in STORIES.items():
        months = max(FEWEST, round(MONTHS / story.fewer * options.scale))
        one = functools.partial(numbers_month, name)
        found = options.simulated(f"delays of {name}", one, range(months), Watched)
        rows += _rows(name, found, story.study)
        targets += _targets(name, Score([one[OURS] for one in found]), story.study)
    notes = [
        f"Hours in the middle / in nine of ten of {HOURS} after the first number moved by so many "
        "deviations; –: not found. driftline: windows of an hour and of a day, budget 1, no effect "
        "floor. river's detectors at their defaults, a value at a time.",
        f"Hours to a false alarm: of {HOURS} hours a model-month without a change. Score: these "
        "hours over the mean hours to detection, times the share found (MTR, Bifet 2017): 1 for "
        "alarms without reason, 0 for none.",
    ]
    changes = tuple(f"{x:g} sd" for x in SHIFTS_SD)
    moved = Table("delays", "Hours to find a shift", _columns(changes), rows, targets, notes)
    return [moved, _errors_table(options)]


def _errors_table(options: Options) -> Table:
    months = max(FEWEST, round(MONTHS * options.scale))
    found = options.simulated("delays of errors", errors_month, range(months), Watched)
    name = f"errors, {LABELS_AN_HOUR} labels an hour"
    ours = Score([one[OURS] for one in found])
    changes = tuple(f"{ERROR_RATE:g} -> {x:g}" for x in ERROR_RATES)
    title = "Hours to find that errors are more"
    rows, targets = _rows(name, found), list(_targets(name, ours))
    return Table("delays-errors", title, _columns(changes), rows, targets)


def _columns(changes: Sequence[str]) -> tuple[str, ...]:
    return ("rows", "detector", "model-months", "hours to a false alarm", *changes, "score")


def _rows(name: str, found: Sequence[Watched], study: Sequence[float] = ()) -> list[list[Cell]]:
    rows = [_row(name, which, Score([one[which] for one in found])) for which in found[0]]
    if study:
        rows.insert(1, [name, STUDY, None, None, *(f"{x:g}" for x in study), None])
    return rows


def _row(name: str, which: str, score: Score) -> list[Cell]:
    least = "" if any(s.alarms for s in score.seen) else "over "
    changes = range(len(score.seen[0].delays))
    cells = [" / ".join(_hours(score.quantile(i, q)) for q in (0.5, 0.9)) for i in changes]
    return [name, which, len(score.seen), f"{least}{score.calm:,.3g}", *cells, score.value]


def _hours(x: float) -> str:
    return "–" if x == MISSED else f"{x:.2g}"


def _targets(name: str, ours: Score, study: Sequence[float] = ()) -> Iterator[Target]:
    for i, least in enumerate(study):
        said = f"{name}: median hours to find {SHIFTS_SD[i]:g} sd, the study's"
        yield Target(said, ours.quantile(i, 0.5), at_most=least)
    yield Target(f"{name}: score, of alarms without reason 1", ours.value, at_least=2.0)


def numbers_month(name: str, number: int, seed: int = 8, rivals: Rivals = None) -> Watched:
    """One month of a story: what each detector says of it. rivals: the story's unless given."""
    story, random = STORIES[name], np.random.default_rng([seed, number])
    world, settings = story.world, settings_of(1.0, WINDOWS_S)
    reference = reference_of(world, random, settings)
    live = columns(world, random, WARM_HOURS + 2 * HOURS)
    first, more = _parts(live, world.rows)
    month = month_of(reference, first, world.rows)
    calm = alarms_of(month.moved(settings), settings)
    deviation = reference.features["f0"].sd
    shifts = [shift * deviation for shift in SHIFTS_SD]
    ours = [_found(reference, more, world.rows, x, settings) for x in shifts]
    found = {OURS: Seen(calm.hours, calm.alarms, tuple(ours))}
    changes = [more[0][WARM_HOURS * world.rows :] + x for x in shifts]
    for which in story.rivals if rivals is None else rivals:
        found[which] = rival(which, number, first[0], changes, world.rows)
    return found | _baselines(len(shifts))


def _parts(live: Sequence[Values], rows: int) -> tuple[list[Values], list[Values]]:
    """Hours without a change, and those in which there is one after WARM_HOURS."""
    at = HOURS * rows
    return [x[: at + WARM_HOURS * rows] for x in live], [x[at:] for x in live]


def _found(
    reference: Reference, live: Sequence[Values], rows: int, shift: float, settings: ModelSettings
) -> float:
    """Hours until the first feature, which moves after WARM_HOURS, is found to have moved."""
    x = live[0].copy()
    x[WARM_HOURS * rows :] += shift
    month = Month(reference, [reference.features["f0"].codes(Column(x))], rows)
    return float(next((h for h in month.alarming(0, settings) if h), MISSED))


def _baselines(changes: int) -> Watched:
    """Alarms each hour, and none."""
    always = Seen(HOURS, HOURS, (1.0,) * changes)
    return {ALWAYS: always, NEVER: Seen(HOURS, 0, (MISSED,) * changes)}


def rival(which: str, seed: int, calm: Values, changes: Sequence[Values], rows: int) -> Seen:
    """One of river's detectors over one signal, `rows` values an hour."""
    settings, most = DetectorSettings(which, raw=True), SLOW.get(which, len(calm))
    detector, calm = Detector(settings, seed), calm[-most:]
    alarms = sum(detector.update(x) for x in calm.tolist())
    state = detector.snapshot()

    def delay(values: Values) -> float:
        again = Detector.restore(state, settings, seed)
        fired = (i for i, x in enumerate(values[:most].tolist(), 1) if again.update(x))
        return next(fired, MISSED) / rows

    return Seen(len(calm) / rows, alarms, tuple(delay(values) for values in changes))


def errors_month(number: int, seed: int = 9, rivals: Sequence[str] = OF_ERRORS) -> Watched:
    """One month of answers that are right or wrong, whose truth is known at once."""
    random, rows = np.random.default_rng([seed, number]), LABELS_AN_HOUR

    def wrong(rate: float, hours: int) -> Values:
        return (random.random(hours * rows) < rate).astype(np.float64)

    known = 1 - float(wrong(ERROR_RATE, 30 * HOURS_A_DAY).mean())
    reference = Reference("m", "1", {}, quality={"accuracy": known})
    settings = dataclasses.replace(settings_of(1.0, WINDOWS_S), effect_floor_quality=0.0)
    calm = wrong(ERROR_RATE, HOURS + WARM_HOURS)
    changes = [wrong(rate, HOURS) for rate in ERROR_RATES]
    moved = np.array([*quality_moved(reference, calm, settings)])[:, None]
    alarms = alarms_of(moved, settings)
    warm = calm[-WARM_HOURS * rows :]

    def delay(values: Values) -> float:
        every = quality_moved(reference, np.concatenate([warm, values]), settings)
        return float(next((hour for hour, bad in enumerate(every) if hour and bad), MISSED))

    found = {OURS: Seen(alarms.hours, alarms.alarms, tuple(map(delay, changes)))}
    for which in rivals:
        found[which] = rival(which, number, calm, changes, rows)
    return found | _baselines(len(changes))


def quality_moved(reference: Reference, wrong: Values, settings: ModelSettings) -> Iterator[bool]:
    """Whether the core calls the accuracy moved, at the end of each hour after WARM_HOURS."""
    up_to = np.concatenate([[0], wrong.reshape(-1, LABELS_AN_HOUR).sum(1).cumsum()]).astype(int)
    for hour in range(WARM_HOURS, len(up_to)):
        found = []
        for window_s in settings.windows_s:
            first, end = hour - window_s // HOUR_S, hour * HOUR_MS
            n, bad = (hour - first) * LABELS_AN_HOUR, int(up_to[hour] - up_to[first])
            of = Subject("m", "1", settings, end - window_s * 1000, end)
            cohorts = Cohorts({end - HOUR_MS: Tally(n=n, judged=n, hits=n - bad)})
            found += quality_evaluation(of, reference, cohorts, Known()).readings
        yield any(r.verdict == "moved" for r in found)
