"""Memory: what a monitor remembers, and what it wants to say."""

import dataclasses
import functools

from stream.ages import Ages
from stream.alerts import AlertState
from stream.books import model_key
from stream.changes import Changes, OutMessage
from stream.clocks import Clocks
from stream.courses import course_of
from stream.events import Alert, CohortFigures, Evaluation, Reading, RetrainRequest, encode, headers
from stream.groups import Group
from stream.hashes import id_hash
from stream.panes import BEFORE_ALL, pane_of
from stream.pauses import Pauses
from stream.pulses import causes
from stream.reaches import Needs, Reach, chosen, needs_of
from stream.recalibrations import Learnt, Recalibrations
from stream.references import Reference
from stream.retraining import RetrainState
from stream.settings import ModelSettings
from stream.signals import Kind, Signals
from stream.stints import Stints
from stream.tracks import Track, Watched
from stream.trials import Loop
from stream.verdicts import Moved
from stream.vintages import Vintages
from stream.windows import Ranges, Windows

TOPICS = {Alert: "alerts", RetrainRequest: "retrain-requests", Evaluation: "evaluations"}
KINDS: tuple[Kind, ...] = ("inputs", "quality")
SEALED: tuple[Kind, ...] = (*KINDS, "answers")  # told with inputs


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """What is remembered of a pane: offsets, and the panes [first, last] its cohorts are of."""

    sources: Ranges
    first: int
    last: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """The newest reading of a cause that is not ok, and the alert that told of its firing.

    window_s: of the window it was read in; 0 for a detector.
    """

    alert_id: str
    reading: Reading
    window_s: int


@dataclasses.dataclass(slots=True)
class Progress:
    """How far one kind of window has come.

    done_ms: all windows that end by then have been evaluated. late: ends of windows to which
    something came later. revisions: how often a window has been evaluated again, by its end.
    facts: by pane.
    """

    done_ms: int = BEFORE_ALL
    late: set[int] = dataclasses.field(default_factory=set)
    revisions: dict[int, int] = dataclasses.field(default_factory=dict)
    facts: dict[int, Fact] = dataclasses.field(default_factory=dict)


class Memory:
    """One model version. The modules beside this one read and change it.

    alerts, shown: by cause. groups: alerts that are open, by the cause that they are published by.
    history: what moved by window length and end. active: references, and the event time from
    which each counts. first: the one that was made of the model's own first rows.
    began_ms: start of the first pane, where there is a burn-in; None where that came later.
    silences: by length of windows, since when the silence lasted that was told last. patience_ms:
    the longest that was none, for its rows came after all.
    needs: what features need, by reference and length of windows; reached_ms: how far back
    the newest windows looked. Both are made again after a restart.
    fresh: messages whose values are held, and in no checkpoint yet, by partition and sequence.
    ages: how the truth of its cohorts has come, where truth is expected. vintages: quality by the
    time of prediction. completed: of which it was known with the pane that ends then, and those
    that were known before, and are others then.
    learnt: what scores mean by live labels, in the order in which they count. course: what they
    teach by themselves, where that is wanted.
    loop: from a request to retrain to what became of it.
    pauses, stints: how truth came, where that is watched.
    touched, judged: which parts of it a checkpoint has to write.
    """

    def __init__(self, model: str, version: str, settings: ModelSettings) -> None:
        self.model, self.version, self.settings = model, version, settings
        self.key = model_key(model, version)
        self.pane_ms = settings.pane_s * 1000
        self.clocks = Clocks()
        self.windows = {kind: Windows(kind, self.pane_ms) for kind in SEALED}
        self.progress = {kind: Progress() for kind in KINDS}
        self.tracks = _tracks(model, version, settings)
        self.alerts: dict[str, AlertState] = {}
        self.shown: dict[str, Shown] = {}
        self.groups: dict[str, Group] = {}
        self.retraining, self.loop = RetrainState(), Loop()
        self.history: dict[int, dict[int, tuple[Moved, Moved]]] = {}
        self.active: list[tuple[int, str]] = []
        self.references: dict[str, Reference] = {}
        self.first: tuple[int, str] | None = None
        self.began_ms: int | None = None
        self.silences: dict[int, int] = {}
        self.patience_ms = 0
        self.ages = Ages(settings) if settings.expects_truth else None
        self.vintages = Vintages(self.ages) if self.ages is not None else None
        self.pauses, self.stints = Pauses(), _stints(settings, self.ages)
        self.completed: tuple[int, list[CohortFigures], list[CohortFigures]] = BEFORE_ALL, [], []
        self.learnt, self.course = Recalibrations(), course_of(settings)
        self.owner, self.owner_ms = settings.owner, -1
        self.counts: dict[str, int] = {}
        self.needs: dict[tuple[str, int], Needs] = {}
        self.reached_ms, self.changes = 0, Changes()
        self.out: list[OutMessage] = []
        self.fresh: dict[tuple[int, int], Signals] = {}
        self.touched = self.judged = True

    @property
    def kept_ms(self) -> int:
        """How far back panes are remembered."""
        return self.settings.panes_kept * self.pane_ms

    @property
    def longest_ms(self) -> int:
        """The longest window."""
        return max(self.settings.windows_s) * 1000

    def reach_ms(self, kind: Kind) -> int:
        """How far back panes are needed to judge a window as long as configured."""
        return self.settings.reach_s * 1000 if kind == "inputs" else self.longest_ms

    def needs_of(self, reference: Reference, window_s: int) -> Needs:
        """What its features need in windows of a length."""
        key = reference.id, window_s
        if key not in self.needs:
            self.needs[key] = needs_of(reference, self.settings, window_s)
        return self.needs[key]

    def reach(self, end_ms: int, window_s: int) -> Reach:
        """How far back a window of inputs looks."""
        reference = self.reference_at(end_ms - self.pane_ms)
        if reference is None:
            return Reach(window_s, window_s)
        rows_of = functools.partial(self._rows_of, end_ms, reference.id)
        return chosen(
            reference, self.settings, window_s, rows_of, functools.partial(self.needs_of, reference)
        )

    def furthest_ms(self, end_ms: int) -> int:
        """How far back the windows look that end then; as far as they may, if their reference is
        not in memory.
        """
        ref = self._named_at(end_ms - self.pane_ms)
        if ref is None or ref in self.references:
            return max(self.reach(end_ms, w).window_s for w in self.settings.windows_s) * 1000
        return self.longest_ms * self.settings.reach_back

    def _rows_of(self, end_ms: int, reference_id: str, window_s: int) -> int:
        return self.windows["inputs"].rows_against(end_ms, window_s * 1000, reference_id)

    @property
    def collects(self) -> bool:
        """Whether its first rows are to become a reference: they have not all hours."""
        return not self.active and self.settings.seasonality == "none"

    def begin(self, pane: int) -> None:
        """Note the first pane of all that is judged."""
        if self.settings.burn_in_s and self.progress["inputs"].done_ms == BEFORE_ALL:
            self.began_ms = pane

    def burns_in(self, time_ms: int) -> int | None:
        """Until when nobody is told, if it is later than a time; None: tell.

        What comes before the first pane is judged is in it: that is the first to burn in.
        """
        began, burn_in_ms = self.began_ms, self.settings.burn_in_s * 1000
        if began is None and self.progress["inputs"].done_ms == BEFORE_ALL:
            began = pane_of(time_ms, self.pane_ms)
        if began is None or began + burn_in_ms <= time_ms:
            return None
        return began + burn_in_ms

    @property
    def watched(self) -> list[Watched]:
        """All detectors, those of inputs first."""
        return [w for kind in KINDS for w in self.tracks[kind].watched]

    def low_ms(self, kind: Kind) -> int:
        """Everything before it is known."""
        return self.clocks.low_ms() if kind == "inputs" else self.clocks.label_low_ms()

    def kept_from(self, kind: Kind) -> int:
        """The oldest pane that is remembered.

        Inputs are kept until quality has come as far, but not for twice as long. Quality looks
        back `kept_ms` at most, so what it finds does not depend on which of them came first.
        """
        quality = self.progress["quality"].done_ms
        done = self.progress["quality" if kind == "quality" else "inputs"].done_ms
        least = min(done, quality) - self.kept_ms
        return least if kind == "quality" else max(least, done - 2 * self.kept_ms)

    def reference_at(self, pane: int) -> Reference | None:
        """The reference that counts for a pane."""
        ref = self._named_at(pane)
        return None if ref is None else self.references[ref]

    def learnt_at(self, pane: int) -> Learnt | None:
        """What scores mean for a pane, where it is not what the reference says."""
        ref = self._named_at(pane)
        return None if ref is None else self.learnt.at(pane, ref)

    def _named_at(self, pane: int) -> str | None:
        return next((ref for since, ref in reversed(self.active) if since <= pane), None)

    def publish(self, event: Evaluation | Alert | RetrainRequest) -> None:
        """Say something, once the next checkpoint has been made."""
        topic, key = TOPICS[type(event)], self.model.encode()
        self.out.append(OutMessage(topic, key, encode(event), tuple(headers(event))))


def _stints(settings: ModelSettings, ages: Ages | None) -> Stints | None:
    return Stints(settings, ages.ends) if ages is not None and settings.watch_labels else None


def _tracks(model: str, version: str, settings: ModelSettings) -> dict[Kind, Track]:
    most = settings.max_held
    per_s = settings.max_signals_per_s
    watched = [
        Watched.of(d, cause, seed_of(model, version, cause), settings.task, per_s)
        for d, cause in zip(settings.detectors, causes(settings), strict=True)
    ]
    return {
        "inputs": Track([w for w in watched if w.settings.signal != "error"], most),
        "quality": Track([w for w in watched if w.settings.signal == "error"], most),
    }


def seed_of(model: str, version: str, cause: str) -> int:
    """The seed of a detector that draws at random: the same on every machine."""
    return id_hash(model, f"{version}\0{cause}") >> 1
