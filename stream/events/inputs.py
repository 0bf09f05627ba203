"""What producers send: predictions, truths and control events, after decoding."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

Task = Literal["auto", "classification", "regression"]
Scalar = float | str | bool | None  # every number of a payload is a float64, also a whole one
FeatureValue = float | str | bool | list[float] | None


class Prediction(msgspec.Struct, frozen=True, gc=False):  # never part of a cycle
    """One answer of one model version. `time` is event time, epoch milliseconds UTC."""

    prediction_id: str
    model: str
    version: str
    time: int
    features: dict[str, FeatureValue]
    prediction: Scalar = None
    score: float | None = None
    probabilities: dict[str, float] | None = None
    segments: dict[str, str] | None = None
    weight: float | None = None
    request_id: str | None = None
    control_group: bool | None = None
    client: str | None = None


class Truth(msgspec.Struct, frozen=True, gc=False):
    """What really happened. `version` None: the truth of all versions. `time`: of the label."""

    prediction_id: str
    model: str
    time: int
    label: Scalar = None
    version: str | None = None
    source: str | None = None
    revision: int = 0
    retracted: bool = False


class ModelRegistered(msgspec.Struct, frozen=True, kw_only=True, tag="model-registered"):
    """A model version exists and has an owner."""

    type: ClassVar[str] = "model-registered"
    model: str
    version: str
    time: int
    id: str | None = None
    owner: str | None = None
    task: Task = "auto"


class ReferencePart(msgspec.Struct, frozen=True, kw_only=True, tag="reference"):
    """Part `part` (from 0) of `parts` of a reference; `stream.references` puts them together.

    active_from: event time (ms) from which it counts, None: from the event's own time.
    features, outputs: name -> summarised reference or {"values": [...]}; opaque here. calibration:
    see `stream.calibrations`, odds: see `stream.odds`; opaque too. weights: feature name -> how
    much its changes weigh.
    wholes: vector -> how it is looked at as a whole, see `stream.wholes`; opaque.
    dimensions, segments: see `stream.segments`; opaque too.
    reference_id: id of the content; "" where a sender of raw values leaves it to us.
    """

    type: ClassVar[str] = "reference"
    model: str
    version: str
    time: int
    features: dict[str, dict[str, Any]]
    reference_id: str = ""
    part: Annotated[int, msgspec.Meta(ge=0)] = 0
    parts: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    id: str | None = None
    active_from: int | None = None
    rows: Annotated[int, msgspec.Meta(ge=0)] = 0
    task: Task = "auto"
    outputs: dict[str, dict[str, Any]] = {}
    quality: dict[str, float] = {}
    calibration: dict[str, Any] | None = None
    weights: dict[str, float] = {}
    wholes: dict[str, dict[str, Any]] = {}
    dimensions: dict[str, dict[str, Any]] = {}
    segments: list[dict[str, Any]] = []
    odds: dict[str, Any] | None = None
    source: str | None = None


class Watermark(msgspec.Struct, frozen=True, kw_only=True, tag="watermark"):
    """No prediction or truth earlier than `time` will come; `version` None: of all versions."""

    type: ClassVar[str] = "watermark"
    model: str
    time: int
    version: str | None = None
    id: str | None = None


class Recalibration(msgspec.Struct, frozen=True, kw_only=True, tag="recalibration"):
    """What scores mean by live labels: see `stream.recalibrations`, which checks it.

    scores, labelled, right: of each score, how many predictions have a label, and of how many it is
    what the score is the probability of. learnt_from, learnt_until: when these were made.
    active_from: event time from which it counts, None: from the event's own time.
    """

    type: ClassVar[str] = "recalibration"
    model: str
    version: str
    time: int
    reference_id: str
    scores: list[float]
    labelled: list[int]
    right: list[int]
    learnt_from: int
    learnt_until: int
    id: str | None = None
    active_from: int | None = None
    source: str | None = None


class Retraining(msgspec.Struct, frozen=True, kw_only=True):
    """A retraining system's answer to the retrain request `request_id`."""

    type: ClassVar[str] = ""
    model: str
    version: str
    time: int
    request_id: str
    id: str | None = None
    reason: str | None = None
    new_version: str | None = None


class RetrainingAccepted(Retraining, frozen=True, kw_only=True, tag="retraining-accepted"):
    """It will be done."""

    type: ClassVar[str] = "retraining-accepted"


class RetrainingStarted(Retraining, frozen=True, kw_only=True, tag="retraining-started"):
    """It runs."""

    type: ClassVar[str] = "retraining-started"


class RetrainingFinished(Retraining, frozen=True, kw_only=True, tag="retraining-finished"):
    """It is done; `new_version` is the result."""

    type: ClassVar[str] = "retraining-finished"


class RetrainingRejected(Retraining, frozen=True, kw_only=True, tag="retraining-rejected"):
    """It will not be done; `reason` says why."""

    type: ClassVar[str] = "retraining-rejected"


Control = (
    ModelRegistered
    | ReferencePart
    | Watermark
    | Recalibration
    | RetrainingAccepted
    | RetrainingStarted
    | RetrainingFinished
    | RetrainingRejected
)
