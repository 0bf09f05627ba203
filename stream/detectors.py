"""Detectors: river's online drift detectors by name, checked, seeded, and kept across restarts.

A detector takes one value at a time and answers whether it fired. river's `drift_detected` is a
pulse of one update, and so is `Detector.update`'s answer.
"""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, Self

from river import drift, stats
from river.__version__ import __version__ as river_version
from river._river_rust import drift as native_drift
from river._river_rust import stats as native_stats
from river.drift import binary
from river.drift.binary.hddm_w import SampleInfo

from stream.settings import DetectorSettings, Task
from stream.snapshots import Allowed, Corrupt, Identity, StateMismatch, dump, load

__all__ = ["DETECTORS", "Corrupt", "Detector", "Kind", "Rule", "StateMismatch"]

COST_US = 10.0  # that one value may cost in the mean, unless the settings say otherwise
LIMIT = 1e100  # magnitudes above it are cut: their squares would leave the floats
_BITS = frozenset((0, 1))


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What a parameter may be: a `kind` of value between `low` and `high`, or one of `choices`."""

    kind: type[float] | type[int] | type[bool] | type[str]
    low: float = -math.inf
    high: float = math.inf
    open_ends: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether a parameter may have this value."""
        if value is None:
            return self.optional
        if self.kind is bool or self.kind is str:
            return isinstance(value, self.kind) and (not self.choices or value in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.kind is int and not isinstance(value, int):
            return False
        low, high = self.low, self.high
        return low < value < high if self.open_ends else low <= value <= high

    def words(self) -> str:
        """The rule in words, for error messages."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.kind is bool:
            return "true or false"
        kind = "a whole number" if self.kind is int else "a number"
        ends = " (ends excluded)" if self.open_ends else ""
        return f"{kind} from {self.low:g} to {self.high:g}{ends}"


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One detector. binary: wants 0 or 1, where 1 is an error; else any number.

    falling: fires when the values fall, so it is fed 1 - error. parameters: what may be given.
    cost_us: what one value costs, about, at its defaults; cost_us_a_row: for each of `stat_size`.
    most_per_s: values a second of event time that it is fed of a hot model.
    """

    make: type[Any]
    parameters: Mapping[str, Rule]
    binary: bool = False
    falling: bool = False
    cost_us: float = 1.0
    cost_us_a_row: float = 0.0
    most_per_s: int = 10**9

    def cost_us_of(self, parameters: Mapping[str, Any]) -> float:
        """What one value costs with these parameters, in microseconds, about."""
        return self.cost_us + self.cost_us_a_row * int(parameters.get("stat_size", 0))


_SHARE = Rule(float, 0, 1, open_ends=True)
_COUNT = Rule(int, 0, 10**9)
_WINDOW = Rule(int, 2, 10_000)
_SEED = Rule(int, 0, 2**63 - 1)
_SIGMAS = Rule(float, 0, 1e6)
_FLAG = Rule(bool)
_BOUNDS = {"drift_confidence": _SHARE, "warning_confidence": _SHARE, "two_sided_test": _FLAG}

DETECTORS: dict[str, Kind] = {
    "ADWIN": Kind(
        drift.ADWIN,
        {
            "delta": _SHARE,
            "clock": Rule(int, 1, 10**6),
            "max_buckets": Rule(int, 1, 1_000),
            "min_window_length": Rule(int, 1, 10**6),
            "grace_period": Rule(int, 0, 10**6),
        },
    ),
    "PageHinkley": Kind(
        drift.PageHinkley,
        {
            "min_instances": _COUNT,
            "delta": Rule(float, 0, 1e100),
            "threshold": Rule(float, 0, 1e100),
            "alpha": Rule(float, 0, 1),
            "mode": Rule(str, choices=("up", "down", "both")),
        },
    ),
    "KSWIN": Kind(
        drift.KSWIN,
        {"alpha": Rule(float, 0, 1), "window_size": _WINDOW, "stat_size": _WINDOW, "seed": _SEED},
        cost_us=220.0,  # each runs a K-S test
        cost_us_a_row=1.0,
        most_per_s=1_000,
    ),
    "DDM": Kind(
        binary.DDM,
        {"warm_start": _COUNT, "warning_threshold": _SIGMAS, "drift_threshold": _SIGMAS},
        binary=True,
    ),
    "EDDM": Kind(
        binary.EDDM,
        {"warm_start": _COUNT, "alpha": Rule(float, 0, 1), "beta": Rule(float, 0, 1)},
        binary=True,
    ),
    "HDDMA": Kind(binary.HDDMA, _BOUNDS, binary=True, cost_us=4.0),
    "HDDMW": Kind(binary.HDDMW, {**_BOUNDS, "lambda_val": _SHARE}, binary=True, cost_us=4.0),
    "FHDDM": Kind(
        binary.FHDDM,
        {
            "sliding_window_size": _WINDOW,
            "confidence_level": _SHARE,
            "short_window_size": dataclasses.replace(_WINDOW, optional=True),
        },
        binary=True,
        falling=True,
    ),
}


class Detector:
    """One detector over one signal. n: values taken; skipped: values it could not take.

    cost_us: what each costs. share: of the values that it is to be fed, so that each of all of
    them costs what the settings allow.

    seed: passed to detectors that draw at random, unless the parameters name one.
    Raises ValueError, naming key, value and what is allowed, for a name, a parameter or a
    combination of signal and detector that cannot work.
    """

    def __init__(self, settings: DetectorSettings, seed: int = 0, task: Task = "auto") -> None:
        self.settings = settings
        self.kind = _kind_of(settings, task)
        self.parameters = _parameters_of(self.kind, settings, seed)
        self.cost_us = self.kind.cost_us_of(self.parameters)
        self.share = min(1.0, _allowed_us(settings) / self.cost_us)
        self._binary = self.kind.binary
        self._flip = self.kind.falling and settings.signal == "error" and not settings.raw
        self._state = _State(_make(self.kind, settings.name, self.parameters))

    @property
    def n(self) -> int:
        """Values taken."""
        return self._state.n

    @property
    def skipped(self) -> int:
        """Values not taken: not finite, or neither 0 nor 1 for a binary detector."""
        return self._state.skipped

    def update(self, x: float) -> bool:
        """Take one value; whether the detector fired on it. Never raises on a number."""
        state = self._state
        if self._binary:
            if x not in _BITS:
                state.skipped += 1
                return False
            x = int(1 - x if self._flip else x)
        elif not -LIMIT <= x <= LIMIT:
            if not math.isfinite(x):
                state.skipped += 1
                return False
            x = math.copysign(LIMIT, x)
        state.n += 1
        inner = state.inner
        inner.update(x)
        return bool(inner.drift_detected)

    def snapshot(self) -> bytes:
        """The state as bytes, for `restore`."""
        return dump(self._state, self._identity(), _ALLOWED)

    @classmethod
    def restore(
        cls, data: bytes, settings: DetectorSettings, seed: int = 0, task: Task = "auto"
    ) -> Self:
        """The detector of a snapshot, which continues as if it had never stopped.

        Raises Corrupt for damaged bytes; StateMismatch when the snapshot is of another river
        version, class or parameters, so that the caller starts afresh and says so.
        """
        new = cls(settings, seed, task)
        new._state = load(data, new._identity(), new._state, _ALLOWED)
        return new

    def _identity(self) -> Identity:
        s = self.settings
        parameters = {"signal": s.signal, "raw": s.raw, **self.parameters}
        if self.share < 1.0:
            parameters["share"] = self.share
        return Identity("river", river_version, s.name, parameters)


class _State:
    """What a snapshot keeps: river's object and our two counts."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.n = 0
        self.skipped = 0


def _kind_of(settings: DetectorSettings, task: Task) -> Kind:
    kind = DETECTORS.get(settings.name)
    if kind is None:
        raise ValueError(f"name = {settings.name!r}: must be one of {', '.join(DETECTORS)}")
    real = ", ".join(name for name, k in DETECTORS.items() if not k.binary)
    if kind.binary and settings.signal != "error":
        raise ValueError(
            f"signal = {settings.signal!r}: {settings.name} takes 0 or 1, so its signal must be "
            f"'error'; for other signals use one of {real}"
        )
    if kind.binary and task == "regression":
        raise ValueError(
            f"name = {settings.name!r}: it takes errors that are 0 or 1, and those of a regression "
            f"are numbers; must be one of {real}"
        )
    return kind


def _allowed_us(settings: DetectorSettings) -> float:
    if settings.cost_us is None:
        return math.inf if settings.raw else COST_US
    if not (settings.cost_us > 0 and math.isfinite(settings.cost_us)):
        raise ValueError(f"cost_us = {settings.cost_us!r}: must be more than 0")
    return settings.cost_us


def _parameters_of(kind: Kind, settings: DetectorSettings, seed: int) -> dict[str, Any]:
    """Every parameter of the class: the settings', the seed, and the class's own defaults."""
    given = dict(settings.parameters)
    if "seed" in kind.parameters:
        given.setdefault("seed", seed)
    for key, value in given.items():
        if key not in kind.parameters:
            allowed = ", ".join(kind.parameters)
            raise ValueError(f"{settings.name}: parameter {key!r}: must be one of {allowed}")
        if not kind.parameters[key].allows(value):
            words = kind.parameters[key].words()
            raise ValueError(f"{settings.name}: {key} = {value!r}: must be {words}")
    signature = inspect.signature(kind.make)
    defaults = {k: p.default for k, p in signature.parameters.items() if k in kind.parameters}
    return defaults | given


def _make(kind: Kind, name: str, parameters: Mapping[str, Any]) -> Any:
    for small, large, least in (
        ("stat_size", "window_size", 2),
        ("short_window_size", "sliding_window_size", 1),
        ("beta", "alpha", 1),
    ):
        low, high = parameters.get(small), parameters.get(large)
        if low is not None and high is not None and low * least > high:
            most = f"{large} / {least}" if least > 1 else large
            raise ValueError(f"{name}: {small} = {low!r}: must be at most {most} = {high / least}")
    return kind.make(**parameters)


_CLASSES: tuple[type, ...] = (
    *(kind.make for kind in DETECTORS.values()),
    _State,
    stats.Mean,
    stats.Var,
    stats.EWMean,
    SampleInfo,
)
_NATIVE: tuple[type, ...] = (native_drift.AdaptiveWindowing, native_stats.RsEWMean)
_ALLOWED = Allowed({k.__name__: k for k in _CLASSES}, {k.__name__: k for k in _NATIVE})
