"""The join: predictions and truth of one id, in either order, duplicated, revised or retracted.

Everything known of an id is one *entry*: forecasts (one a version) and labels. The outcome of a
forecast is a function of the set in the entry, so the order of arrival cannot matter.
"""

from bisect import insort

import msgspec

MAX_LABELS = 8  # of one subject: those that rank highest
MAX_ITEMS = 64  # forecasts of one id; labels of one id

Answer = float | str | None
Scores = tuple[tuple[str, float], ...]
Rank = tuple[int, int, bool, str]


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """A prediction that waits for truth, or has met it. scores: (class, probability) pairs.

    exponent: it is one of a sample of one in 2**exponent (`stream.thinning`). segments: those that
    its truth is counted by, names and values.
    """

    subject: int
    time_ms: int
    answer: Answer
    scores: Scores = ()
    control_group: bool = False
    exponent: int = 0
    segments: tuple[tuple[str, str], ...] = ()


class Label(msgspec.Struct, frozen=True, gc=False):
    """One statement of the truth. subject: of one version, or of the model as a whole.

    exponent: of the sample that it had to be in to be kept.
    """

    subject: int
    time_ms: int
    answer: Answer
    revision: int = 0
    retracted: bool = False
    exponent: int = 0

    def rank(self) -> Rank:
        """The total order in which competing truths resolve; the highest holds."""
        return (self.revision, self.time_ms, self.retracted, repr(self.answer))


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A forecast and the truth about it."""

    forecast: Forecast
    label: Label

    @property
    def exponent(self) -> int:
        """It is known of one prediction in 2**exponent."""
        return max(self.forecast.exponent, self.label.exponent)


class Step(msgspec.Struct, frozen=True, gc=False):
    """An outcome that became known (sign 1) or was taken back (sign -1) at a time.

    first_ms: when anything became known of the prediction, so where a correction belongs.
    """

    time_ms: int
    sign: int
    outcome: Outcome
    first_ms: int


Steps = tuple[Step, ...]


class Entry(msgspec.Struct, gc=False):
    """Everything known of one id. labels: in order of rank, then subject."""

    forecasts: list[Forecast] = []
    labels: list[Label] = []

    def forecast(self, subject: int) -> Forecast | None:
        """The forecast of one version."""
        for found in self.forecasts:
            if found.subject == subject:
                return found
        return None

    def add_label(self, label: Label) -> bool:
        """Take a label in; False where the same was there, or where higher ones leave no room."""
        if not self.labels:
            self.labels.append(label)
            return True
        if label in self.labels:
            return False
        twin = self._twin(label)
        if twin is not None:
            if twin.exponent < label.exponent:
                return False
            self.labels.remove(twin)
        insort(self.labels, label, key=_place)
        if len(self.labels) > MAX_LABELS:
            self._cut(label.subject)
        return label in self.labels

    def _twin(self, label: Label) -> Label | None:
        """The same statement, kept as one of another sample."""
        k = label.exponent
        others = (known for known in self.labels if known.exponent != k)
        twins = (x for x in others if msgspec.structs.replace(x, exponent=k) == label)
        return next(twins, None)

    @property
    def exponent(self) -> int:
        """Of the sample that an id had to be in for its entry to be here; 0 of an empty one."""
        items: list[Forecast | Label] = [*self.forecasts, *self.labels]
        return min((item.exponent for item in items), default=0)

    def _cut(self, subject: int) -> None:
        """Keep the highest few. What stays depends on the set that came, not on its order."""
        own = [x for x in self.labels if x.subject == subject]
        if len(own) > MAX_LABELS:
            self.labels.remove(own[0])
        del self.labels[: max(0, len(self.labels) - MAX_ITEMS)]

    def steps(self, forecast: Forecast, model: int, horizon_ms: int) -> Steps:
        """How the truth about a forecast became known: one step a change, in order of label time.

        model: the subject of labels for all versions. Truth and forecast belong together where at
        most the horizon lies between them. A later label that outranks the one before is booked
        when it was stated, as a correction of what was known first: the old outcome is taken back,
        the new one added.
        """
        subjects, made_ms = (forecast.subject, model), forecast.time_ms
        fitting = [
            x
            for x in self.labels
            if x.subject in subjects and -horizon_ms <= x.time_ms - made_ms <= horizon_ms
        ]
        if len(fitting) == 1:
            return _change(forecast, None, fitting[0])
        return _story(forecast, fitting) if fitting else ()

    def newest_ms(self) -> int:
        """The highest time in the entry."""
        times = [f.time_ms for f in self.forecasts] + [label.time_ms for label in self.labels]
        return max(times)


def _place(label: Label) -> tuple[Rank, int]:
    return label.rank(), label.subject


def _story(forecast: Forecast, labels: list[Label]) -> Steps:
    found: Steps = ()
    best: Label | None = None
    for label in sorted(labels, key=lambda x: (x.time_ms, x.rank(), x.subject)):
        if best is None or label.rank() > best.rank():
            found += _change(forecast, best, label, found[0].first_ms if found else None)
            best = label
    return found


def _change(
    forecast: Forecast, before: Label | None, after: Label, known_ms: int | None = None
) -> Steps:
    made_ms, said_ms = forecast.time_ms, after.time_ms
    time_ms = said_ms if said_ms > made_ms else made_ms
    first_ms = time_ms if known_ms is None else known_ms
    new: Steps = ()
    if not after.retracted and after.answer is not None:
        new = (Step(time_ms, 1, Outcome(forecast, after), first_ms),)
    if before is None or before.retracted or before.answer is None:
        return new
    return (Step(time_ms, -1, Outcome(forecast, before), first_ms), *new)
