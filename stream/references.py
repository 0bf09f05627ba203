"""References: the distributions one model version was trained on, frozen and named by content."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Self

import msgspec
import xxhash

from stream import calibrations, importances, odds, segments, wholes
from stream.calibrations import Calibration
from stream.columns import Column, Floats, column_of
from stream.features import (
    MAX_CATEGORIES,
    MAX_EDGES,
    FeatureReference,
    Kind,
    Role,
    from_document,
    guess_kind,
    summarise,
)
from stream.odds import Odds
from stream.pieces import pieces, together
from stream.settings import Seasonality
from stream.vectors import Vectors, left_out
from stream.wholes import Whole

FORMAT = 1
OUTPUTS = ("prediction", "confidence")
_TASKS: dict[Kind, str] = {"category": "classification", "number": "regression"}


class Event(msgspec.Struct):
    """What is read of a control event; other attributes are not the business of a reference."""

    model: str
    version: str
    reference_id: str = ""
    part: int = 0
    parts: int = 1
    task: str = "auto"
    rows: int = 0
    features: dict[str, dict[str, Any]] = {}
    outputs: dict[str, dict[str, Any]] = {}
    quality: dict[str, float] = {}
    calibration: dict[str, Any] | None = None
    weights: dict[str, float] = {}
    wholes: dict[str, dict[str, Any]] = {}
    dimensions: dict[str, dict[str, Any]] = {}
    segments: list[dict[str, Any]] = []
    odds: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """Features and outputs ("prediction", "confidence") of one model version.

    quality: metrics measured on the reference, by name. rows: rows it was made of. task: one of
    "classification", "regression", "auto" (not known). calibration: what its rows' order in time
    shows, where they have times. weights: how much a change of a feature weighs, by its name.
    wholes: how vectors are looked at as a whole, by name; references of earlier releases have none.
    dimensions: which values of each segment's name are counted, and how often it had them;
    segments: the references of these, by name and value in that order.
    odds: what scores meant, where labels tell.
    """

    model: str
    version: str
    features: Mapping[str, FeatureReference]
    outputs: Mapping[str, FeatureReference] = dataclasses.field(default_factory=dict)
    quality: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rows: int = 0
    task: str = "auto"
    calibration: Calibration | None = None
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    wholes: Mapping[str, Whole] = dataclasses.field(default_factory=dict)
    dimensions: Mapping[str, FeatureReference] = dataclasses.field(default_factory=dict)
    segments: "Mapping[segments.Key, Reference]" = dataclasses.field(default_factory=dict)
    odds: Odds | None = None

    @functools.cached_property
    def vectors(self) -> Vectors:
        """Which features are numbers of one vector."""
        return Vectors.of(name for name, f in self.features.items() if f.kind == "number")

    @functools.cached_property
    def id(self) -> str:
        """32 hexadecimal digits that depend on the content alone."""
        found = hashlib.sha256()
        for piece in pieces(self.document(), order="sorted"):
            found.update(piece)
        return found.hexdigest()[:32]

    @functools.cached_property
    def season(self) -> Seasonality:
        """By which hours its rows were counted too."""
        known = [f.hours for f in (*self.features.values(), *self.outputs.values())]
        return next((hours.season for hours in known if hours), "none")

    @property
    def units(self) -> set[str]:
        """What features are judged as: themselves, or the vector that they are numbers of."""
        return {self.vectors.unit(name, "input") for name in self.features}

    def watched(self, ignore: Collection[str]) -> Iterator[tuple[Role, FeatureReference]]:
        """What is checked: features and outputs but for those of these names, and vectors'."""
        roles: tuple[tuple[Role, Mapping[str, FeatureReference]], ...]
        roles = ("input", self.features), ("output", self.outputs)
        for role, known in roles:
            yield from ((role, f) for name, f in known.items() if not left_out(name, ignore))

    def document(self) -> dict[str, Any]:
        """The whole reference as plain values; nothing of what it was not given."""
        calibration = self.calibration and self.calibration.document()
        given = {"calibration": calibration} if calibration else {}
        given |= importances.part(self.weights, self.weights) | segments.document(self)
        given |= wholes.part(self.wholes, self.features)
        given |= {"odds": self.odds.document()} if self.odds else {}
        return {
            "model": self.model,
            "version": self.version,
            "task": self.task,
            "rows": self.rows,
            "features": {n: f.document() for n, f in self.features.items()},
            "outputs": {n: f.document() for n, f in self.outputs.items()},
            "quality": {n: float(x) for n, x in self.quality.items()},
        } | given

    @classmethod
    def build(  # noqa: PLR0913 - what a training job may know, by name
        cls,
        model: str,
        version: str,
        features: Mapping[str, Column],
        *,
        prediction: Column | None = None,
        confidence: Floats | None = None,
        label: Column | None = None,
        quality: Mapping[str, float] | None = None,
        task: str = "auto",
        categorical: Collection[str] = (),
        numeric: Collection[str] = (),
        max_edges: int = MAX_EDGES,
        max_categories: int = MAX_CATEGORIES,
        whole_vectors: bool = True,
    ) -> Self:
        """The reference of raw columns. `categorical` and `numeric` override the guessed kinds.

        whole_vectors: whether vectors are looked at as a whole too.

        The task follows from the labels, or else from the predictions, where it is "auto".
        """
        kinds: dict[str, Kind] = dict.fromkeys(Vectors.of(features).owners, "number")
        kinds |= dict.fromkeys(categorical, "category")
        kinds |= dict.fromkeys(numeric, "number")
        task = _task(task, label if label is not None else prediction)
        limits = {"max_edges": max_edges, "max_categories": max_categories}
        outputs = _outputs(prediction, confidence)
        rows = max(len(next(iter(c.values()), ())) for c in (features, outputs))
        found = cls(
            model=model,
            version=version,
            # one at a time: a mapping may read each from a file when it is asked for
            features={n: summarise(n, features[n], kinds.get(n), **limits) for n in features},
            outputs={n: summarise(n, c, _kind(n, task), **limits) for n, c in outputs.items()},
            quality={n: float(x) for n, x in (quality or {}).items() if math.isfinite(x)},
            rows=rows,
            task=task,
        )
        return found.with_wholes(features) if whole_vectors else found

    def to_parts(
        self, max_bytes: int, time: str | int | None = None, active_from: str | int | None = None
    ) -> list[dict[str, Any]]:
        """The reference as control events of about `max_bytes` of JSON each, for `stream.parts`.

        A feature is never split: an event is larger where one feature alone is.
        """
        groups: list[dict[str, Any]] = [{}]
        room = max_bytes
        for name, feature in self.features.items():
            document = feature.document()
            size = _size({name: document})
            if size > room and groups[-1]:
                groups.append({})
                room = max_bytes
            groups[-1][name] = document
            room -= size
        shared = self.document() | {"type": "reference", "reference_id": self.id}
        own = [*segments.groups(shared.pop("segments", []), max_bytes, _size)]
        several = len(groups) + len(own)
        shared |= {"parts": several} | ({} if time is None else {"time": time})
        shared |= {} if active_from is None else {"active_from": active_from}
        told: list[dict[str, Any]] = [{"features": group} for group in groups]
        told += [{"features": {}, "segments": group} for group in own]
        parts = [shared | {"part": i} | some for i, some in enumerate(told)]
        return [part | self._given(part["features"]) for part in parts]

    def _given(self, features: Collection[str]) -> dict[str, Any]:
        """What goes with some features in one event."""
        own = calibrations.part(self.calibration, features)
        return own | importances.part(self.weights, features) | wholes.part(self.wholes, features)

    def with_wholes(self, features: Mapping[str, Column]) -> Self:
        """The same with its vectors as wholes too, of the columns that it was made of."""
        known = wholes.all_learnt(self.vectors.elements, self.features, features)
        return dataclasses.replace(self, wholes=known)

    def to_bytes(self) -> bytes:
        """A checked envelope; `from_bytes` gives the same reference, with the same id."""
        return seal(self.document())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises ValueError where the bytes are not a whole reference of this format."""
        return cls.from_document(unseal(data))

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Raises ValueError, saying what is wrong. Raw `{"values": [...]}` are summarised."""
        try:
            e = msgspec.convert(document, Event)
        except msgspec.ValidationError as error:
            raise ValueError(f"reference: {error}") from None
        features = {n: _feature(n, d, None) for n, d in e.features.items()}
        outputs = {
            n: _feature(n, d, _kind(n, e.task)) for n, d in e.outputs.items() if n in OUTPUTS
        }
        counted = max((f.rows for f in [*features.values(), *outputs.values()]), default=0)
        task, known = e.task, outputs.get("prediction")
        if task == "auto" and known is not None:
            task = _TASKS[known.kind]
        rows = e.rows or counted
        told = e.calibration
        calibration = None if told is None else calibrations.from_document(told)
        plain = cls(e.model, e.version, features, outputs, e.quality, rows, task, calibration)
        own = wholes.read(e.wholes, plain.vectors.elements, features)
        weights = importances.checked(e.weights, plain.units)
        meant = None if e.odds is None else odds.from_document(e.odds)
        whole = dataclasses.replace(plain, weights=weights, wholes=own, odds=meant)
        return whole._divided(e) if e.dimensions or e.segments else whole

    def _divided(self, e: Event) -> Self:
        """The same with the segments of an event. Raises ValueError."""
        dimensions = {n: _feature(n, d, "category") for n, d in e.dimensions.items()}
        named = {"model": self.model, "version": self.version}
        own = segments.read(
            e.segments,
            {name: f.names for name, f in dimensions.items()},
            lambda document: self._part(Reference.from_document(document | named)),
        )
        return dataclasses.replace(self, dimensions=dimensions, segments=own)

    def _part(self, own: "Reference") -> "Reference":
        """A segment's reference, whose scores are counted with the whole's. Raises ValueError."""
        if own.odds is not None and (self.odds is None or own.odds.of != self.odds.of):
            raise ValueError("odds: of other scores than those of all rows")
        return own


def _feature(name: str, document: Mapping[str, Any], kind: Kind | None) -> FeatureReference:
    if "values" not in document:
        return from_document(name, document)
    kind = document.get("kind", kind)
    if kind not in (None, "number", "category"):
        raise ValueError(f"reference of {name!r}: kind {kind!r} must be number or category")
    values = document["values"]
    plain = isinstance(values, list) and all(
        v is None or isinstance(v, bool | int | float | str) for v in values
    )
    if not plain:
        raise ValueError(f"reference of {name!r}: values must be a list of plain values")
    try:
        return summarise(name, column_of(values), kind)
    except OverflowError:
        raise ValueError(f"reference of {name!r}: a value is out of range") from None


def _size(document: object) -> int:
    return len(msgspec.json.encode(document))


def _outputs(prediction: Column | None, confidence: Floats | None) -> dict[str, Column]:
    found = {} if prediction is None else {"prediction": prediction}
    return found if confidence is None else found | {"confidence": column_of(confidence)}


def _task(task: str, answers: Column | None) -> str:
    if task != "auto" or answers is None:
        return task
    return _TASKS[guess_kind(answers)]


def _kind(output: str, task: str) -> Kind | None:
    """What an output is by its nature; None where that must be guessed."""
    if output == "confidence":
        return "number"
    return next((kind for kind, found in _TASKS.items() if found == task), None)


def seal(document: Mapping[str, Any]) -> bytes:
    """A document in an envelope with its format and a checksum."""
    body = b"".join(pieces(document))
    return msgspec.msgpack.encode([FORMAT, xxhash.xxh3_64_intdigest(body), body])


def unseal(data: bytes) -> dict[str, Any]:
    """The document of an envelope. Raises ValueError where it is none, or damaged."""
    try:
        form, checksum, body = msgspec.msgpack.decode(data, type=tuple[int, int, bytes])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"reference: not an envelope: {error}") from None
    if form != FORMAT:
        raise ValueError(f"reference: format {form}, this release reads {FORMAT}")
    if xxhash.xxh3_64_intdigest(body) != checksum:
        raise ValueError("reference: checksum does not match")
    found: dict[str, Any] = together(body)
    return found
