"""Events: what comes in and what goes out, as frozen structs, and how they are read and written.

Everything that comes in is decoded here, once: it becomes a struct or a `Rejected` with a stable
reason code, and never another exception. The contracts themselves are `schemas/*.json`.
"""

from stream.events.decode import decode_control, decode_prediction, decode_truth
from stream.events.inputs import (
    Control,
    FeatureValue,
    ModelRegistered,
    Prediction,
    ReferencePart,
    Retraining,
    RetrainingAccepted,
    RetrainingFinished,
    RetrainingRejected,
    RetrainingStarted,
    Scalar,
    Truth,
    Watermark,
)
from stream.events.outputs import (
    Alert,
    Coverage,
    Data,
    Effect,
    Evaluation,
    Labels,
    OffsetRange,
    Part,
    Reading,
    RetrainRequest,
    Segment,
    Sureness,
    Verdict,
    Window,
    encode,
    event_id,
    headers,
)
from stream.events.rejections import REASONS, Limits, Rejected
from stream.events.times import milliseconds, rfc3339

__all__ = [
    "REASONS",
    "Alert",
    "Control",
    "Coverage",
    "Data",
    "Effect",
    "Evaluation",
    "FeatureValue",
    "Labels",
    "Limits",
    "ModelRegistered",
    "OffsetRange",
    "Part",
    "Prediction",
    "Reading",
    "ReferencePart",
    "Rejected",
    "RetrainRequest",
    "Retraining",
    "RetrainingAccepted",
    "RetrainingFinished",
    "RetrainingRejected",
    "RetrainingStarted",
    "Scalar",
    "Segment",
    "Sureness",
    "Truth",
    "Verdict",
    "Watermark",
    "Window",
    "decode_control",
    "decode_prediction",
    "decode_truth",
    "encode",
    "event_id",
    "headers",
    "milliseconds",
    "rfc3339",
]
