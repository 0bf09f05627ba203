"""Pulses: how often a detector fires though nothing changes, and how many are too many for chance.

What a law says follows from `stream.rehearsals`, when a reference is registered.
"""

from collections.abc import Mapping

import msgspec
from scipy import special

from stream.settings import MONTH_S, DetectorSettings, ModelSettings

SHARE = 0.25  # of the budget, for all detectors whose pulses are judged
MOST = 1_000_000  # pulses in a window, beyond which nobody asks


class PulseLaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pulses of one detector in a reference in which nothing changes.

    detector: its settings in one line; the law is of no other. evidence_s: the length of windows.
    rows, pulses: of a stretch as long as the reference. dispersion: the variance of pulses in a
    window over their mean, at least 1.
    """

    detector: str
    evidence_s: int
    rows: int
    pulses: float
    dispersion: float

    def expected(self, rows: float) -> float:
        """Pulses in a window of so many rows, in the mean."""
        return self.pulses * rows / self.rows

    def p_value(self, count: int, rows: float) -> float:
        """Of so many pulses or more in a window of so many rows.

        The predictive law of a Poisson rate that is known from the reference alone, under
        Jeffreys' prior: negative binomial. Pulses that come in clusters count as so many fewer.
        """
        if count <= 0 or rows <= 0:
            return 1.0
        found, known = count / self.dispersion, self.pulses / self.dispersion + 0.5
        return float(special.betainc(found, known, rows / (rows + self.rows)))

    def alarm_from(self, level: float, rows: float) -> int:
        """The fewest pulses in a window whose p-value is at most `level`."""
        low, high = 0, 1
        while self.p_value(high, rows) > level and high < MOST:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.p_value(middle, rows) > level else (low, middle)
        return high


def in_one_line(of: DetectorSettings) -> str:
    """What a detector is, for comparison."""
    told = [of.name, of.signal, of.raw, of.cost_us, sorted(of.parameters.items())]
    return msgspec.json.encode(told).decode()


def causes(settings: ModelSettings) -> list[str]:
    """What the alerts of each detector are called by: those of one name and signal by number."""
    found: list[str] = []
    for d in settings.detectors:
        name = f"detector:{d.name}:{d.signal}"
        same = sum(cause == name or cause.startswith(f"{name}#") for cause in found)
        found.append(f"{name}#{same + 1}" if same else name)
    return found


def laws_of(known: Mapping[str, PulseLaw], settings: ModelSettings) -> dict[str, PulseLaw]:
    """The laws, by cause, of detectors that are configured as they were rehearsed."""
    found = {}
    for cause, of in zip(causes(settings), settings.detectors, strict=True):
        law = known.get(cause)
        if law and law.detector == in_one_line(of) and law.evidence_s == settings.evidence_s:
            found[cause] = law
    return found


def rest(known: Mapping[str, PulseLaw], settings: ModelSettings) -> float:
    """What the judged detectors leave of the budget to the checks, as a share."""
    return 1.0 - SHARE if laws_of(known, settings) else 1.0


def month_of(known: Mapping[str, PulseLaw], settings: ModelSettings) -> float:
    """Alarms a month that each of the judged detectors may spend."""
    return SHARE * settings.false_alarms_per_month / max(1, len(laws_of(known, settings)))


def level_of_pulses(known: Mapping[str, PulseLaw], settings: ModelSettings) -> float:
    """The level at which the pulses of a detector are judged, once a pane."""
    return min(settings.significance, month_of(known, settings) * settings.pane_s / MONTH_S)
