"""A story without an end: what model services and labellers send, step by step of event time.

Five models, one of them in two versions and one that nobody registered; some drift, turn back and
drift again. Truth comes before its prediction, after it, twice, revised, taken back, or never;
predictions come late and twice. Nothing is later than is allowed, so all of it is determined.
"""

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from stream.columns import column_of
from stream.references import Reference
from tests.workers import START_MS

STEP_MS = 60_000
PANE_STEPS = 20
TURN_STEPS = 9 * PANE_STEPS  # after so many, what drifts turns
EARLY_STEPS = 2  # truth may come so long before its prediction
MIXER = 2_654_435_761  # Knuth's multiplicative hash: the fate of a row by its number
TABLES = f"""
[defaults]
pane_s = {PANE_STEPS * STEP_MS // 1000}
windows_s = [{PANE_STEPS * STEP_MS // 1000}, {3 * PANE_STEPS * STEP_MS // 1000}]
lateness_s = 600
label_lateness_s = 600
idle_s = 1e12
horizon_s = {6 * PANE_STEPS * STEP_MS // 1000}
panes_kept = 100
minimum_rows = 40
reference_rows = 200
false_alarms_per_month = 1000
retrain_minimum_labels = 100
detectors = [{{ name = "ADWIN" }}, {{ name = "PageHinkley", signal = "x" }}]

[models.turning]
detectors = [
    {{ name = "ADWIN" }},
    {{ name = "KSWIN", signal = "x", raw = true, parameters = {{ alpha = 0.0001 }} }},
    {{ name = "DDM" }},
]

[models.prices]
task = "regression"
detectors = [{{ name = "PageHinkley" }}, {{ name = "ADWIN", signal = "x" }}]
"""
POISON = (b"no JSON", b"", None, b'{"model": "steady"}', b"\xff\xfe\x00", b"[" * 5_000, b"{}")


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """versions: that answer every request. turns: drifts and comes back. known: registered."""

    name: str
    versions: tuple[str, ...] = ("1",)
    turns: bool = False
    known: bool = True
    numeric: bool = False


MODELS = (  # their names hash to all of four partitions
    Model("steady"),
    Model("turning", turns=True),
    Model("prices", turns=True, numeric=True),
    Model("rivals", ("1", "2"), turns=True),
    Model("fresh", turns=True, known=False),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """One record to be sent."""

    topic: str
    partition: int
    value: bytes | None
    time_ms: int  # of the step, as the record's


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One request to a model, and what is true of it."""

    model: Model
    number: int
    partition: int
    time_ms: int
    x: float
    answer: Any
    score: float
    label: Any
    wrong: Any  # what is said of it where the truth is revised

    @property
    def id(self) -> str:
        return f"{self.model.name}-{self.number}"

    @property
    def fate(self) -> int:
        return self.number * MIXER % 2**32


class Story:
    """Steps in order; what was told is counted. poison: one in so many records, 0 for none."""

    def __init__(self, partitions: int = 4, seed: int = 1, poison: int = 0) -> None:
        self.partitions, self.seed, self.poison = partitions, seed, poison
        self.step = 0
        self.predictions: Counter[str] = Counter()  # by model, each once
        self.outcomes: Counter[str] = Counter()  # those still true at the end of their first pane
        self.told: Counter[str] = Counter()
        self.twice = 0  # records that say again what was said
        self.poisoned = 0
        self._agenda: defaultdict[int, list[Told]] = defaultdict(list)
        for step in range(EARLY_STEPS):
            self._plan(step)

    @property
    def end_ms(self) -> int:
        """All that was told is before it."""
        return START_MS + (self.step + 1) * STEP_MS

    def next(self) -> list[Told]:
        """What is sent in the next step."""
        self._plan(self.step + EARLY_STEPS)
        return self._take()

    def rest(self) -> Iterator[list[Told]]:
        """What is still to be said of the requests that were made."""
        while self._agenda:
            yield self._take()

    def _take(self) -> list[Told]:
        found = self._agenda.pop(self.step, [])
        self.step += 1
        for told in found:
            self.told[told.topic] += 1
        return list(self._poisoned(found)) if self.poison else found

    def _poisoned(self, found: list[Told]) -> Iterator[Told]:
        """At every place within a batch there is one sooner or later."""
        for told in found:
            if sum(self.told.values()) and (hash_of(told) + self.step) % self.poison == 0:
                self.poisoned += 1
                yield dataclasses.replace(told, value=POISON[self.poisoned % len(POISON)])
            yield told

    def _plan(self, step: int) -> None:
        rng = np.random.default_rng((self.seed, step))
        for at, model in enumerate(MODELS):
            for partition in range(self.partitions):
                number = (step * len(MODELS) + at) * self.partitions + partition
                self._enter(step, _row(model, number, partition, step, rng))

    def _enter(self, step: int, row: Row) -> None:
        """When what is said of a row. The numbers are coprime: all that can meet, meets."""
        fate = row.fate
        made = step + (1 + fate % 4 if fate % 19 == 0 else 0)
        for version in row.model.versions:
            self.predictions[row.model.name] += 1
            self._say(made, row, _prediction(row, version))
            if fate % 23 == 1:
                self._repeat(made + 2, row, _prediction(row, version))
        if fate % 11 != 2:
            self._label(step + fate // 256 % 12 - EARLY_STEPS, row)

    def _label(self, step: int, row: Row) -> None:
        fate, step = row.fate, max(0, step)
        taken_back = fate % 31 == 6 and _pane(row, step) == _pane(row, step + 9)
        self.outcomes[row.model.name] += 0 if taken_back else len(row.model.versions)
        self._say(step + (3 if fate % 13 == 3 else 0), row, _truth(row, step, row.label), "truth")
        if fate % 29 == 4:
            self._repeat(step + 4, row, _truth(row, step, row.label), "truth")
        if fate % 17 == 5:
            said = _truth(row, step + 6, row.wrong, revision=1)
            self._say(step + 6, row, said, "truth")
        if fate % 31 == 6:
            said = _truth(row, step + 9, row.label, revision=2, retracted=True)
            self._say(step + 9, row, said, "truth")

    def _repeat(self, step: int, row: Row, said: dict[str, Any], kind: str = "") -> None:
        self.twice += 1
        self._say(step, row, said, kind)

    def _say(self, step: int, row: Row, said: dict[str, Any], kind: str = "") -> None:
        topic = "ground-truth" if kind else "predictions"
        told = Told(topic, row.partition, msgspec.json.encode(said), START_MS + step * STEP_MS)
        self._agenda[step].append(told)


def hash_of(told: Told) -> int:
    """A number that depends on what is told."""
    return sum(told.value or b"") * MIXER % 2**32


def _row(model: Model, number: int, partition: int, step: int, rng: np.random.Generator) -> Row:
    late = model.turns and step // TURN_STEPS % 2 == 1
    time_ms = START_MS + step * STEP_MS + partition * 1_000 + number % 1_000
    return Row(model, number, partition, time_ms, *_drawn(model, late, rng))


def _drawn(
    model: Model, late: bool, rng: np.random.Generator
) -> tuple[float, Any, float, Any, Any]:
    """x, the answer, its score, the label, and a wrong one."""
    x = float(rng.normal(1.5 * late))
    if model.numeric:
        y = 10.0 + 2.0 * x + float(rng.normal())
        return x, 10.0 + 2.0 * x, 0.0, y + 3.0 * late, y + 1.0
    p = float(1.0 / (1.0 + np.exp(-2.0 * x)))
    label = bool(rng.random() < (0.5 if late else p))
    return x, str(int(p > 0.5)), p, str(int(label)), str(int(not label))


def _prediction(row: Row, version: str) -> dict[str, Any]:
    odd = version != "1"
    said = {
        "prediction_id": row.id,
        "model": row.model.name,
        "version": version,
        "time": row.time_ms,
        "features": {"x": row.x, "c": "abc"[row.fate % 3], "odd": odd},
        "prediction": row.answer,
    }
    return said if row.model.numeric else said | {"score": row.score}


def _pane(row: Row, step: int) -> int:
    """Where an outcome that became known at a step belongs."""
    return max(row.time_ms, _known_ms(row, step)) // (PANE_STEPS * STEP_MS)


def _known_ms(row: Row, step: int) -> int:
    return START_MS + step * STEP_MS + row.partition * 1_000 + row.number % 1_000


def _truth(row: Row, step: int, label: Any, **more: Any) -> dict[str, Any]:
    """What really happened, known at a step."""
    base = {"prediction_id": row.id, "model": row.model.name, "time": _known_ms(row, step)}
    return base | {"label": label} | more


@functools.cache
def references(rows: int = 400) -> tuple[Reference, ...]:
    """What the registered models were trained on."""
    rng = np.random.default_rng(99)
    return tuple(
        _reference(model, version, [_drawn(model, False, rng) for _ in range(rows)])
        for model in MODELS
        if model.known
        for version in model.versions
    )


def _reference(model: Model, version: str, drawn: list[tuple[float, Any, float, Any, Any]]) -> Any:
    columns = {
        "x": column_of([row[0] for row in drawn]),
        "c": column_of(["abc"[i % 3] for i in range(len(drawn))]),
        "odd": column_of([version != "1"] * len(drawn)),
    }
    right = [row[1] == row[3] for row in drawn]
    errors = [abs(row[1] - row[3]) for row in drawn] if model.numeric else []
    return Reference.build(
        model.name,
        version,
        columns,
        prediction=column_of([row[1] for row in drawn]),
        confidence=None if model.numeric else np.array([max(r[2], 1 - r[2]) for r in drawn]),
        quality={"mae": float(np.mean(errors))} if errors else {"accuracy": float(np.mean(right))},
        task="regression" if model.numeric else "classification",
    )
