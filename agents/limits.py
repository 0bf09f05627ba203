"""Limits: everything that grows with what comes in, what bounds it, and what happens there.

A table to be read (docs/operation.md is made from it) and to be tried: `tests/test_limits.py`
reaches every one of them.
"""

from typing import NamedTuple

from agents.arrows.messages import MAX_ROWS
from agents.settings import Settings
from stream import ovr, rivals, sections
from stream.joins import MAX_ITEMS, MAX_LABELS
from stream.monitor.receiving import MAX_COUNTS
from stream.names import FULL
from stream.parts import MAX_INCOMPLETE
from stream.settings import MAX_NAMES, ModelSettings

LETTERS = "`driftline_dead_letters_total`, reason"
ROWS = "`driftline_rows_total`, outcome"
STATUS = "`driftline status`:"


class Limit(NamedTuple):
    """key: of the settings, or the bound itself where it is part of a format. happens: at the
    bound. counted: where it shows.
    """

    key: str | int
    happens: str
    counted: str

    @property
    def default(self) -> str:
        """As a person reads it."""
        if isinstance(self.key, int):
            return f"{self.key:,}"
        table, _, name = self.key.partition(".")
        owner = ModelSettings() if table == "defaults" else getattr(Settings(), table)
        return f"{getattr(owner, name):,}"


def _refused(key: str, reason: str) -> Limit:
    return Limit(key, "the record is a dead letter", f"{LETTERS} `{reason}`")


LIMITS: dict[str, Limit] = {
    "bytes of a record": _refused("limits.max_bytes", "too-large"),
    "features of a prediction": _refused("limits.max_features", "too-many-features"),
    "elements of a vector": _refused("limits.max_vector", "vector-too-long"),
    "segments of a prediction": _refused("limits.max_segments", "too-many-segments"),
    "characters of a name": _refused("limits.max_name_chars", "name-too-long"),
    "seconds ahead of the record's time": _refused("limits.max_ahead_s", "time-in-future"),
    "rows of an Arrow message": Limit(
        MAX_ROWS, "the message is a dead letter", f"{LETTERS} `too-many-rows`"
    ),
    "model versions of a ledger partition": Limit(
        "limits.max_models", "rows of others are not counted", f"{ROWS} `too-many-models`"
    ),
    "categories of a feature": Limit(
        "defaults.max_categories",
        "the rarer ones are counted together, as one",
        "the count of that one, in the reading of the feature",
    ),
    "segments of one name that are watched": Limit(
        "defaults.max_segments",
        "rows of rarer values, and of those the reference has not, are in no segment",
        "`notes` of the evaluation and of `driftline reference`",
    ),
    "names of segments that are watched": Limit(
        MAX_NAMES, "settings with more are refused", "the message says so"
    ),
    "segments that an evaluation has all figures of": Limit(
        sections.MOST, "the worst are told of", "`notes` of the evaluation"
    ),
    "versions that a challenger is told of beside": Limit(
        rivals.MOST_CHAMPIONS,
        "those with the most pairs are told of",
        "`notes` of the evaluation",
    ),
    "different answers of two versions that are named": Limit(
        rivals.MOST_SWAPPED,
        "the most frequent are named",
        "`disagreement` of the evaluation is of all",
    ),
    "classes that are each ranked against the others": Limit(
        ovr.MOST, "`auroc` and `average_precision` are not told", "`notes` of the evaluation"
    ),
    "raw rows of a pane before there is a reference": Limit(
        "defaults.max_sample_rows",
        "those with the lowest hashes of ids are kept: a sample",
        "`rows` of the evaluation counts all",
    ),
    "panes that are remembered": Limit(
        "defaults.panes_kept",
        "rows of older panes are not counted",
        f"{ROWS} `too-old-predictions`, `too-old-truths`",
    ),
    "panes counted at once": Limit(
        "defaults.max_open_panes",
        "the oldest are sealed early, what comes for them later is a revision",
        f"{ROWS} `panes-sealed-early`",
    ),
    "revisions of a pane": Limit(
        "defaults.max_revisions",
        "what comes later is kept together and told once, when the pane is forgotten",
        f"{ROWS} `panes-put-off`",
    ),
    "predictions and truths that wait": Limit(
        "defaults.max_pending",
        "from half of them on, of a pane of predictions that would be too many a sample is joined:"
        " one in 2, 4, 8, ..., by the hash of the id, and each counts as many times; where there"
        " are so many all the same, what comes is counted and not joined",
        f"{ROWS} `predictions-sampled-out`, `truths-sampled-out`, `pending-full`; `notes` of the"
        " evaluation",
    ),
    "truths of one id": Limit(
        MAX_LABELS, "those that rank highest are kept", f"{ROWS} `duplicate-truths`"
    ),
    "versions that predict one id": Limit(
        MAX_ITEMS, "others are counted and not joined", f"{ROWS} `pending-full`"
    ),
    "names in waiting predictions": Limit(
        FULL, "new names share one number", "`(too many names)` in their place"
    ),
    "references being received at once": Limit(
        MAX_INCOMPLETE, "the oldest is forgotten, to be sent again", "the reference is not named"
    ),
    "values a second for a detector": Limit(
        "defaults.max_signals_per_s",
        "of a second that follows one with more, those with the lowest hashes of ids are fed: a "
        "sample; 1,000 at most to KSWIN, which besides gets a sample of all, by `cost_us`",
        f"`notes` and `left_out` of the reading; {STATUS} values-not-in-the-sample",
    ),
    "values for detectors that wait": Limit(
        "defaults.max_held", "messages beyond are not fed to detectors", f"{STATUS} values-left-out"
    ),
    "causes that are not ok": Limit(
        "defaults.max_alerts",
        "others are evaluated, no alert is raised",
        f"{STATUS} alerts-left-out",
    ),
    "kinds of counts of a model": Limit(
        MAX_COUNTS, "other kinds are not told to the watch", f"{ROWS} has all kinds"
    ),
    "bytes of a partition that are not durable": Limit(
        "worker.max_unsaved_bytes",
        "a checkpoint is made at once; nothing more is taken in until it is published, so that the"
        " outbox never holds more than one checkpoint",
        "`driftline_checkpoints_total`, `driftline_outbox_messages`",
    ),
    "bytes fetched ahead": Limit(
        "worker.max_buffer_bytes", "nothing more is fetched", "`driftline_lag_records`"
    ),
}
