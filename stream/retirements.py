"""Retirements: readings of quality that nobody asks for any more.

An alert ends where its reading is well. One that is never read again would fire for ever, and ask
for retraining on the ground of a promise that was taken back.
"""

from stream import blindness, estimates
from stream.events import Reading
from stream.gradings import judged_of
from stream.judgements import estimated
from stream.memberships import judged
from stream.objectives import OF_GROUPS
from stream.quality import metrics_of
from stream.references import Reference
from stream.settings import ModelSettings

OF_ESTIMATES = (blindness.GAP, estimates.ESTIMATED)


def retired(
    reading: Reading, reference: Reference | None, settings: ModelSettings, window_s: int
) -> bool:
    """Whether settings and reference do not judge such a reading in windows of a length.

    A metric that is judged and cannot be measured now is not retired: it may come again.
    """
    if reading.segment:
        return (reading.segment.name, reading.segment.value) not in judged(reference, settings)
    if reading.check in OF_ESTIMATES:
        return not estimated(reference, settings)
    if reading.check in OF_GROUPS:
        of = reading.subject.removeprefix(f"{reading.check} by ")
        return of not in settings.protected or settings.objective(reading.check, window_s) is None
    known = reading.check in metrics_of(settings)
    return known and reading.check not in judged_of(settings, window_s)
