"""The `truth` bench: its batch figures are the usual formulas, and the stream gives the same."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn import metrics

from agents.arrows import MEDIA_TYPE
from agents.backtest.runs import Raw
from agents.reading import Reader
from agents.settings import load
from bench.arrow import messages_of
from bench.truth import DAYS, PER_MESSAGE, TABLES, batch_figures, differing, log_of
from stream.pipeline import Pipeline

DAY_MS = 86_400_000
ROWS = 4 * PER_MESSAGE
HEADERS = [("content-type", MEDIA_TYPE.encode())]


def test_the_batch_figures_are_the_usual_formulas() -> None:
    log = log_of(ROWS, 1_700_000_000_000)
    y, p = log.labels, log.rows.scores
    found = batch_figures(log.outcomes())
    assert found["accuracy"] == metrics.accuracy_score(y, p >= 0.5)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(y, p), rel=1e-12)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-9)
    assert differing({"accuracy": 0.5} | found, found) == []
    assert differing({"accuracy": found["accuracy"]}, found) == ["brier", "log_loss"]


@pytest.mark.parametrize("partitions", [1, 4])
def test_truth_in_no_order_gives_them_from_the_stream(partitions: int, tmp_path: Path) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text(TABLES)
    settings, log = load(path), log_of(ROWS, 1_700_000_000_000)
    reader, pipeline = Reader(settings), Pipeline(settings.model, partitions)
    for topic, messages in (("predictions", messages_of(log.rows)), ("ground-truth", log.truth())):
        for offset, value in enumerate(messages):
            raw = Raw(offset, log.end_ms, None, value, HEADERS)
            pipeline.rows(topic, 0, reader.read(topic, [raw]).rows, log.end_ms)
            pipeline.checkpoint()
        pipeline.restart()
    pipeline.control({"type": "watermark", "model": "bench", "time": log.end_ms})
    pipeline.checkpoint()
    events = [msgspec.json.decode(m.value) for m in pipeline.published if m.topic == "evaluations"]
    last = [e for e in events if e["subject"] == "quality"][-1]
    assert last["rows"] == ROWS
    found = {r["check"]: r["statistic"] for r in last["readings"]}
    assert differing(found, batch_figures(log.outcomes())) == []
    assert int(np.ptp(log.labelled_ms)) > DAYS * DAY_MS
