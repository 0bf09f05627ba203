"""Examples: how many random schedules are played, the same ones each time."""

from hypothesis import HealthCheck, Phase, settings


def as_many_as(count: int, steps: int = 50) -> settings:
    """Hypothesis's settings for long schedules: none is shrunk, which would take hours.

    steps: of a state machine, at most.
    """
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
