"""Backtest: a file through the same core as in production, before anyone is paged."""

from agents.backtest.accounts import Account, Alarm
from agents.backtest.runs import Run, Task, reference_of

__all__ = ["Account", "Alarm", "Run", "Task", "reference_of"]
