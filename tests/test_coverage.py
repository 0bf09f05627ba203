"""Coverage: how many predictions the outcomes are of, in words."""

from stream.cohorts import Cohorts
from stream.coverage import coverage
from stream.tallies import Tally

DAY_MS = 86_400_000


def cohorts_of(*some: tuple[int, int, int]) -> Cohorts:
    """some: exponent, day, outcomes."""
    found = Cohorts()
    for exponent, day, n in some:
        found.sample(exponent).cell(day * DAY_MS).merge(Tally(n=n, judged=n, hits=n))
    return found


def told(cohorts: Cohorts, predictions: int = 0) -> list[str]:
    return coverage(cohorts, cohorts.total(), predictions, DAY_MS)


def test_all_were_joined() -> None:
    days = "of predictions made from 1970-01-01 to 1970-01-03"
    assert told(cohorts_of((0, 0, 5), (0, 1, 7))) == [f"truth for 12 {days}"]
    assert told(cohorts_of((0, 0, 5), (0, 1, 7)), 20) == [f"truth for 12 {days}, 20 in all"]
    assert told(Cohorts()) == []


def test_a_sample_was_joined() -> None:
    days = "from 1970-01-01 to 1970-01-03"
    assert told(cohorts_of((2, 0, 5), (2, 1, 7)), 90) == [
        f"truth for 12, which stand for 48, of predictions made {days}, 90 in all",
        f"1 in 4 of the predictions {days} were joined: max_pending",
    ]


def test_samples_of_several_rates_are_weighted() -> None:
    first, second = told(cohorts_of((0, 0, 40), (1, 1, 20), (3, 2, 10)))
    assert first.startswith(
        "truth for 70, which stand for 160, of predictions made from 1970-01-01"
    )
    assert second == (
        "1 in 2 to 1 in 8 of the predictions from 1970-01-02 to 1970-01-04 were joined: max_pending"
        f"; weighted, they tell as much as {160**2 / (40 + 4 * 20 + 64 * 10):,.0f} of equal weight"
    )
