"""`retraining`: how often it is said wrongly that retraining worked, or that it did not.

A trial is a reference of 30 days, a day of the old version that asks, and the new version's first
weeks. The core's own functions calibrate, grade, ask and compare; only the joining of predictions
with their truth is left out.
"""

import dataclasses
import functools
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import signal, special

from bench.options import Options
from bench.tables import Cell, Table, Target
from bench.worlds import PHI
from stream.bootstraps import Plan, calibrate
from stream.calibrations import lengths
from stream.evaluations import level_of
from stream.events import Data, Kept, Reading, RetrainRequest, Segment
from stream.gradings import graded
from stream.references import Reference
from stream.retrainings import retrained_evaluation
from stream.segments import Key
from stream.settings import DAY_S, ModelSettings
from stream.slots import averaged, panes_of
from stream.subjects import Subject
from stream.tallies import Tally
from stream.trials import ALL, Strata, Trial, asked_of
from stream.verdicts import closed

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
TRIALS, FEWEST = 2_000, 20
REFERENCE_DAYS, POOL_ROWS, WARM_ROWS = 30, 4_000_000, 200
RIGHT, BAD = 0.9, 0.75
LEVEL = 0.05  # at most so often, as docs/operation.md says
SETTINGS = ModelSettings()
COLUMNS = ("answers", "the new version", "trials", "worked, %", "did not, %", "not known, %")


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """phi: of a latent autoregression that says which answers are right; 0: of none.

    rows: a day and segment. days: of a trial. parts: segments, each with a claim of its own; 1: all
    rows. calibrated: whether the reference's rows had times.
    """

    phi: float
    rows: int
    days: int = 28
    parts: int = 1
    calibrated: bool = True

    def right(self, random: np.random.Generator, n: int, share: float) -> Bools:
        """Whether each of n answers in order is right, a share of all that there could be."""
        new = random.normal(size=n + WARM_ROWS) * np.sqrt(1 - self.phi**2)
        found: Bools = signal.lfilter([1.0], [1.0, -self.phi], new)[WARM_ROWS:] < special.ndtri(
            share
        )
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """Right answers of the old version and of the new one: a share, or None for what is promised
    and a margin. wrong: what is to be said of it seldom.
    """

    name: str
    old: float
    new: float | None = None
    margin: float = 0.0
    wrong: Kept | None = None


WORLDS = (
    World(0.0, 120, days=1),
    World(0.0, 120),
    World(0.0, 480),
    World(0.0, 120, parts=10),
    World(PHI, 120),
    World(PHI, 480),
    World(PHI, 120, parts=10),
    World(PHI, 480, calibrated=False),
)
STORIES = (
    Story("exactly as promised", BAD, wrong="did-not"),
    Story("better by 0.01", BAD, margin=0.01, wrong="did-not"),
    Story("as good as the reference", BAD, RIGHT, wrong="did-not"),
    Story("as bad as the old one", BAD, BAD, wrong="worked"),
    Story("as the old one, 0.02 below", 0.83, 0.83, wrong="worked"),
    Story("as the old one, 0.02 above", 0.87, 0.87, wrong="worked"),
    Story("as the old one, never bad", RIGHT, RIGHT),
)


def run(options: Options) -> Table:
    """The table."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    numbers = range(max(FEWEST, round(TRIALS * options.scale)))
    for world in WORLDS:
        name = f"trials of {dataclasses.astuple(world)}"
        found = options.simulated(name, functools.partial(verdicts, world), numbers, list[str])
        for story, said in zip(STORIES, zip(*found, strict=True), strict=True):
            known = [one for one in said if one]
            shares = [known.count(one) / max(1, len(known)) for one in KEPT]
            rows.append([_words(world), story.name, len(known), *(100 * x for x in shares)])
            if world.calibrated and story.wrong and known:
                what = f"{_words(world)}; {story.name}: {story.wrong}"
                share = shares[KEPT.index(story.wrong)]
                targets.append(Target(what, share, at_most=LEVEL))
    return Table("retraining", "Of whether retraining worked", COLUMNS, rows, targets, NOTES)


KEPT: tuple[Kept, ...] = ("worked", "did-not", "not-known")
NOTES = (
    "Answers: how they follow each other, how many a day, days of a trial. Promised is the share "
    "of right ones in the reference, 0.9 but for chance, less 0.05. Days of the old version are "
    "those that ask; a trial for which none was drawn is not counted.",
    "No target: requests that chance alone made, which are as rare as false alarms; and references "
    "without times, of which the evaluation notes that nothing is known of how rows resemble each "
    "other.",
)


def _words(world: World) -> str:
    like = f"AR(1) {world.phi:g}" if world.phi else "independent"
    like += "" if world.calibrated else ", no times"
    parts = f", {world.parts} segments" if world.parts > 1 else ""
    return f"{like}, {world.rows} x {world.days}{parts}"


def verdicts(world: World, number: int) -> list[str]:
    """What is said in each story; "" where the old version has no day that asks."""
    random = np.random.default_rng([11, number])
    reference = reference_of(world, random)
    most = _most_hits(world, reference)
    return [_verdict(world, story, random, reference, most) for story in STORIES]


def reference_of(world: World, random: np.random.Generator) -> Reference:
    """A fresh reference in order, calibrated as `driftline reference --time` does."""
    n = REFERENCE_DAYS * world.rows
    right = world.right(random, n, RIGHT).astype(np.float64)
    found = Reference("m", "1", {}, quality={"accuracy": float(right.mean())}, rows=n)
    if world.calibrated:
        panes = panes_of(np.arange(n) * (DAY_S * 1000 // world.rows), SETTINGS.pane_s, -1)
        hits = averaged("accuracy", right, panes)
        assert hits is not None
        plan = Plan(SETTINGS.pane_s, lengths(SETTINGS), 0)
        made = calibrate([], plan, panes.first, [hits])
        found = dataclasses.replace(found, calibration=made)
    if world.parts > 1:
        found = dataclasses.replace(found, segments=dict.fromkeys(_keys(world), found))
    return found


def _keys(world: World) -> list[Key]:
    return [("site", str(i)) for i in range(world.parts)] if world.parts > 1 else [ALL]


def _reading(world: World, reference: Reference, hits: int) -> Reading:
    """Of a day of the old version."""
    level, of = level_of(SETTINGS) / world.parts, _tally(hits, world.rows)
    (found,) = graded(SETTINGS, reference, of, "classification", level, DAY_S)
    return found


def _tally(hits: int, n: int) -> Tally:
    return Tally(n=n, judged=n, hits=hits)


def _most_hits(world: World, reference: Reference) -> int:
    """Up to how many right answers a day asks; -1: it never does."""
    low, high = -1, world.rows
    while low < high:
        middle = (low + high + 1) // 2
        if _reading(world, reference, middle).verdict == "moved":
            low = middle
        else:
            high = middle - 1
    return low


@functools.lru_cache
def days(phi: float, rows: int, share: float) -> Ints:
    """Right answers of many days of the old version."""
    random, n = np.random.default_rng([12, rows]), POOL_ROWS // rows
    found = World(phi, rows).right(random, n * rows, share).reshape(n, rows)
    counts: Ints = found.sum(axis=1)
    return counts


def _verdict(
    world: World, story: Story, random: np.random.Generator, reference: Reference, most: int
) -> str:
    asking = days(world.phi, world.rows, story.old)
    asking = asking[asking <= most]
    if not len(asking):
        return ""
    n, readings, outcomes = world.rows * world.days, [], dict[Key, Strata]()
    promised = reference.quality["accuracy"] - SETTINGS.effect_floor_quality
    share = promised + story.margin if story.new is None else story.new
    for key in _keys(world):
        reading = _reading(world, reference, int(random.choice(asking)))
        of = msgspec.UNSET if key == ALL else Segment(name=key[0], value=key[1])
        readings.append(msgspec.structs.replace(reading, segment=of))
        outcomes[key] = {0: _tally(int(world.right(random, n, share).sum()), n)}
    return _told(world, readings, outcomes, reference)


def _told(
    world: World, readings: Sequence[Reading], outcomes: dict[Key, Strata], reference: Reference
) -> str:
    end_ms = world.days * DAY_S * 1000
    asked = asked_of(_request(readings), 0)
    trial = Trial(asked, 0, end_ms, end_ms, world.rows * world.days, outcomes)
    of = Subject("m", "2", SETTINGS, 0, end_ms)
    told = retrained_evaluation(of, trial, end_ms, reference).retrained
    assert told
    return told.verdict


def _request(readings: Sequence[Reading]) -> RetrainRequest:
    return RetrainRequest(
        id="r", time="", model="m", version="1", reason="", evidence=list(readings), alert_ids=[],
        verdict=closed("did-not"), data=Data(start="", end="", offsets=[]), labelled_rows=0,
        priority="normal", deadline="", idempotency_key="r",
    )  # fmt: skip
