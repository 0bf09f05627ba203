"""Relearning: how what scores mean is learnt from live labels, as the docs tell it."""

ANEW = """\
What scores meant in the reference may be untrue by now. Live labels say what they mean, and it is
learnt from complete cohorts alone, for what comes early is seldom like the rest:

* **By hand**: `driftline recalibrate` learns from all complete cohorts that are kept, shows what
  that changes, and sends a control event that counts from an event time on. From then on
  `estimated-accuracy` goes by it, and `estimate-gap` is of predictions that it was not learnt
  from. The event is part of what came in, so whoever reads the topics anew finds the same.
* **By itself**: with `recalibrate_every_s` a lesson is made that often where quality is judged,
  once 500 labels are there: of the cohorts that have become complete since the one before, each as
  it was told of (`completed`). It counts for predictions from the event time on at which it was
  made. Evaluations of quality then have `recalibrated`: the lesson, what it lets expect of the
  newest predictions, and how far such estimates were from what came, each by the lesson that
  counted when it was told.

Why the second does not change the estimate that is told at once: that must not wait for labels,
and predictions may be read to their end before the first label is. What is told where quality is
judged follows from event times alone, for all predictions and all truth of before are known there;
so it is as late as labels are, and comes with them. A label that comes after its cohort was
complete, or corrects one, changes no lesson. While a notice says that labels are delayed or
falsified (`data:label-delay`, `data:label-mix`) nothing is learnt, nor later from cohorts that
became complete meanwhile or were waiting. It is told and not judged: it costs nothing of
`false_alarms_per_month`, and `estimate-gap` goes on to judge what was told at once. Counts of
predictions are read a second time for it; where predictions have gone on by more than `panes_kept`
before truth is read, they may not be kept any more, and `accuracy` is null.

On the insurer's 36 months of claims, with truth a year later and `recalibrate_every_s = "60d"`,
accuracy falls from .88 to .53 while the estimate by the reference stays at .88: in the last six
months it is 32 points too high, and the recalibrated one 16. What a lesson knows is a year old,
and the world has moved on since: `gap` says so, with 12 to 17 points in these months.
"""
