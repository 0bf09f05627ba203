"""Pages: those of the docs that are made from the code, so that they cannot say anything else.

`python -m agents.pages [FOLDER]` writes them into a folder, `docs` if none is given.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from agents import contracts, keys
from agents.counters import Counters
from agents.crashes import EXIT_CRASHED, POINTS, VARIABLE
from agents.health import CHECKS, ENDPOINTS
from agents.limits import LIMITS
from agents.relearning import ANEW
from agents.repair.advice import REPAIR
from agents.settings import PREFIX
from agents.store import sizes
from agents.waiting import AWAY

MADE = "<!-- Made by `python -m agents.pages`; change the code, not this page. -->\n"


MEMORY = """\
Redis keeps one entry for each prediction that waits for truth, matched or not, until the horizon
has passed. With `v` versions that predicted under one id, `s` scores each (classes with a
probability; 1 for `score`), and `t` truths of it, an entry has

    2 + v * (9 + (9 if s == 1 else 1 + 10 * s)) + t * 10   bytes,

where a ledger partition knows fewer than 256 model versions and words, and answers and labels are
words or whole numbers up to 65,535. Beyond 256: 3 more for each prediction with one score, 2 more
for others, 5 more for each truth. An answer that is another number: 7 more. A prediction of `g`
segments whose quality is judged (of `segments`, where the reference knows it): 2 + 4 * g more; such
predictions are packed one by one, which takes longer. Other segments, and
features, take nothing: they are counted, not kept. Of Redis an entry of `e` bytes takes about

    1.1 * (e + 12) + 2   bytes up to e = 64,      1.05 * e + 78   bytes beyond.

The number of buckets follows the number of entries, so this holds for ten thousand and for ten
million. While a checkpoint is written, what changed since the last one is there twice.
"""


LATE_TRUTH = """\
Truth that comes early is seldom like the rest of it: loans that end first, claims that are plain.
So every evaluation of quality says in `labels` what its figures rest on:

* **A cohort** is all predictions of one pane, or of several once they are older than 48 panes. It
  is complete once `complete_coverage` of its predictions have their truth, once it is as old as
  `complete_age_s`, or once less than the rest of its truth came in the second half of its age, so
  that a model of which only some predictions are ever labelled does not wait for the horizon.
* **Figures of a window are provisional** until complete cohorts make up that share of its outcomes,
  or were there when the window began: from then on slow truth comes beside the quick, and a window
  has of both what a cohort has. Provisional figures are shown, and are neither judged nor a reason
  to retrain (`judge_provisional`, `retrain_on_provisional`). So what is known early is never
  compared with a reference, all of whose truth is known.
* **Coverage by age and delays** are estimated from all cohorts that are remembered, up to
  `horizon_s`, by the method of Kaplan and Meier: a young prediction counts up to its own age. A
  delay is null where the truth of so many has not come yet, or never does.
* **By the time of prediction**: all metrics of each cohort are told once it is complete
  (`completed`), and again where more of its truth came since, or was corrected (`corrected`): not
  with every label, but when it is twice as old as it was, and for the last time when `horizon_s`
  has passed. What is told then is `final`: no truth about these predictions counts any more.

Where traffic grows or ends, a window of label time has more quick truth, or more slow, than a
cohort has; the figures of cohorts do not mind. Truth that no prediction ever came for is counted
once the horizon has passed: `driftline_rows_total`, outcome `orphan-truths`. How much
of the truth is in, over all models: `driftline_cohorts` and `driftline_cohort_predictions`, by age
`driftline_label_coverage`, and how long it takes `driftline_label_delay_seconds`; of one model:
`labels` of its evaluations.

Labels themselves are watched too (`watch_labels`), whatever they say of the model. Each of these is
a notice with a cause of its own, says what to look at, and asks for no retraining:

* **They stop** (`data:label-silence`): no label for longer than the longest pause so far and a
  quarter more, and for the shortest window, though by the delays of before 20 or more were due.
  Labels must have been known for seven times as long, and for eight days. It is told while it lasts
  by the clock of Kafka's records, as silence above; or as soon as truth of other versions, or a
  `watermark` event, shows that time has passed; at the latest when labels come again. What is told
  follows from event times alone, so it is the same. Labels of a day that are all sent at its end
  look like silence by the clock until Driftline has seen that they come after all. A pause that was
  told of once is usual from the second time on: truth may come once a quarter.
* **Their delay shifts** (`data:label-delay`): half of those that come take 1.5 times as long as
  before, or as short, or fewer come at all. A day of label time (or the longest window, if that is
  longer) is compared with the 7 to 40 before, age by age.
* **Their mix jumps** (`data:label-mix`): the odds of a class are twice what they were, or half, in
  labels of predictions of equal age: so that quick labels of one class are not news. That may be
  wrong or falsified labels, or a world that changed at once; accuracy moves with both. What a
  revision makes of labels that were known before is in no mix.

A day is told of where two things are out. One is chance: as many labels of the same law would not
differ so much (Mantel and Haenszel's log-rank test). The other is the way of this labelling: the
logarithm of what came over what was to come (of its odds, for a class) is forecast by least squares
from the day before and, once three weeks are known, from its weekday. The day must lie outside the
interval of prediction (Student's t), and further out by a quarter than any before. So a rhythm of
the week is no news, and of labelling that varies much, or is known for a few days only, much is
needed. All days count, the strange ones too: after one of them it takes more for 40 days. Whether a
notice lasts is seen beside the usual days alone, until fewer than seven of them are remembered.

The two comparisons may spend one hundredth of
`false_alarms_per_month`, which quality's half goes without: 0.005 a month each. Measured in 400
months of days without a change, of 500 predictions each (`python -m bench labelling`): nothing
where labelling is even; 0 to 0.005 a month of each where its speed and its mix vary by 30 or 60%
from day to day, also where each day is like the one before (AR(1)); up to 0.015 of the mix where
there is a rhythm of the week in it; 0.1 to 0.2 where such days have heavy tails. A delay that
doubles is told of on the first day where labelling is even or weekly, and not where it varies by
30%: of one that is four times as long a fifth is told of there. A share of .2 that becomes .4 is
told of on the first day where labelling is even, and hardly anywhere else.
"""

RETRAINED = """\
A request to retrain is closed when it is known what came of it. Where `retraining-finished` names a
`new_version`, its predictions of `retrain_trial_s` (four weeks) from the first one on are compared
with what was asked, metric by metric, also of single segments:

* **What it was to be** is the objective, or without one the old version's value on its own
  reference, less what begins to matter (`effect_floor_quality`).
* **What was before** is the old version's value in the window that the request was made for.
* **Retraining worked** where the whole 95% interval of the new value is as good as it was to be,
  and the change against before is for the better. The window before was not drawn but asked since
  it was bad, and chance had a part in that. So the change has to be one beside the worst of as many
  windows as are judged for half a false alarm of `false_alarms_per_month`, by intervals that hold
  for so many (Bonferroni). **It did not** where the interval lies wholly beyond, or the change is
  for the worse: of several metrics and segments by intervals that hold for all of them. All else is
  **not known**, also with fewer than `minimum_rows` labels. Each metric must work, and one that did
  not decides.

How much rows resemble each other is taken from the reference, with how well that is known
(Student's t). Measured on 2,000 trials each (`python -m bench retraining`; accuracy, at a promise
of 0.85, independent answers and autoregressive ones, one metric and ten segments):

* "Did not work" of a version that is exactly as good as promised: 0.4 to 3.6%, one in twenty at
  most; of one that is better by 0.01, 1.2% at most.
* "Worked" of a version that is as bad as the old one: none where both are bad, 0.6% at most where
  they are 0.02 below what was promised. Of one that is as promised, but no better than an old one
  that only looked worse: 0.9% at most. Where the window before tells no more than a dozen
  independent answers would, as 120 autoregressive ones a day do, it is 12%.
* Of a request that chance alone made, for the old version had not changed, nothing is promised:
  0.8% of independent answers, but 16 to 49% of autoregressive ones. Such requests are as rare as
  false alarms.
* **A reference without times** says nothing of how rows resemble each other, and the evaluation
  says so (`notes`). Where they do, both are said wrongly in up to a third of all trials.

The price is that less is known: of a version that is as good as ever (0.9 after 0.75), that
retraining worked is said in all trials with 480 independent answers a day, in 72% with 120, and in
53 to 56% where answers are autoregressive, or 27% of ten segments at once. Longer
windows (`windows_s`) tell more of before.

There is one look, for each more is a chance for chance: once the truth of `complete_coverage` of
these predictions is in, or `complete_age_s` (`horizon_s`) after the last of them. It is told once,
by an evaluation of the new version with `retrained` and no readings; where it did not work, by an
alert too (`retraining`). That is a notice and wakes nobody: where quality is bad, the new version's
own alerts of quality do. It costs nothing of `false_alarms_per_month`, for it is said once a
request at most. Nothing that comes later could make it untrue, so it ends after `evidence_s`.

All of it follows from sealed panes, whenever the answer comes, as long as the version's first panes
are remembered (`panes_kept`); what came late is not in it. A version that keeps its name
(`new_version` missing, or the same) cannot be told from what it was, and is not compared.
"""

BESIDE = """\
Where `challengers` names a version, its evaluations say how it does beside each other version
(`beside`), on the predictions that both have answered: the same `model` and `prediction_id`, at
most `horizon_s` apart, in either order. Only challengers are held against others, and only against
versions that are none.

* **What they answered**, of the pairs whose later answer was given in the window: how many there
  are, the share with different answers and which those are, or the mean distance of answers that
  are numbers. No truth is needed for that: it is told with the inputs, and with quality once more.
* **How good they are**, of pairs whose truths, of both predictions, were first known in the window,
  as they are known at its end: how many both, one or none got right, and every metric of both. The
  interval of the difference of `accuracy` is Newcombe's for pairs (method 10) and its p-value
  McNemar's exact one; those of `log_loss`, `brier`, `mae` and `rmse` are of the mean difference
  pair by pair (of `rmse`: of the squared errors, over the sum of both). Any other metric's
  difference has an interval as if the two were of different predictions (`paired` is false), which
  mostly is too wide. All are as much wider as the reference shows that outcomes resemble each
  other.
* **By segment**: the same of each watched segment with `minimum_rows` pairs, by the segments of the
  challenger's prediction; first where the challenger is worst beside the other version, or as long
  as nobody knows that, where they differ most.

So that a pair is there whichever version is read first, the windows of a challenger wait until the
others have come as far, as one source partition waits for another: what has been silent for
`idle_s` is waited for no more. A prediction that comes later all the same makes a revision.

It is told and not judged: one look of many, so 95% is that of each interval and not of all windows.
An answer that is missing is in no share, and its pair in no metric; a prediction sent twice is one
pair. Pairs are looked for among the predictions that wait for truth, so they take no more room
there, and of a sample (`max_pending`) each counts as many times. Sealed shares of a challenger take
three to four times the bytes of its own outcomes more, for each version beside it, and a pair some
30 µs. Where `expects_truth` is false predictions wait for each other alone, for `horizon_s` of
event time, so let that be as long as two answers can be apart; what comes twice counts once then.

Where versions answer different predictions (an A/B test) there are no pairs, and a note says so.
`driftline compare MODEL VERSION OTHER` then shows both side by side, each metric with its
difference: of the newest window of each length that both have figures of, of its segments, and of
the newest cohort whose truth is in for both. That last is the fairer one where a version is young:
of a window of truth it has the quick labels alone. It reads what both evaluations say, so the same
is shown to whoever looks; the interval of a difference is that of figures of different rows (Zou
and Donner), and those of cohorts take outcomes for independent. Where both also answered the same
predictions, what is known of these pairs follows.
"""

SILENCE = """\
Event time comes from rows, so a model that falls silent stands still: its last pane stays open,
and nothing is evaluated. That no rows come is told all the same, once for each length of
windows, by an evaluation of 0 rows with the check `silence` and by an alert (`data:rows`), where
each of the seven windows before had rows:

* **While it lasts**, by the clock of Kafka's records. Once all source partitions are known to
  have passed `idle_s` of record time without the model, its event time is taken to go on as fast
  as record time does. Records of other models show that, and where none come at all, the intake
  does: it looks every five seconds which partitions it has read to their end.
* **When rows come again**, by their event times, if it was not told before. Both say the same
  under the same id, so a consumer that keeps the ids it has seen hears of it once.

Nothing is sealed on that ground: rows that come after all are counted and judged as ever. Rows
that were sent late, such as all of a night together, look like silence by the clock. As soon as
they come, Driftline knows better, and takes the model for silent only after a quarter more than
that (at most ten days). A `watermark` event tells of no silence, for a replay ends with one.
Where no worker runs the intake, no time passes: `driftline_partitions` and the consumer lag show
that, and `driftline_watermark_delay_seconds` grows for whatever reason event time stands still.
"""


def configuration() -> str:
    """Every key of the settings."""
    parts = [
        MADE,
        "# Configuration\n",
        "A TOML file, named with `--config`; every key has a default. A variable of the environment"
        f"\n(`{PREFIX}` and the names of table and key, with two underscores between) counts more"
        " than the\nfile. A key or a variable that is not known is an error, never passed over."
        " Secrets are never shown.\n",
        'A duration is a number of seconds or text such as `"500ms"`, `"90s"`, `"15m"`, `"1h"`,'
        ' `"30d"`, `"2w"`.\nA list may be written as text with commas. Durations of `[defaults]`'
        " and `[models.NAME]` are event time.\n",
    ]
    for table, about, found in keys.sections():
        parts.append(f"## [{table}]\n")
        parts.append(f"{about}\n")
        parts.append(_keys_table(found))
    return "\n".join(parts)


def operation() -> str:
    """What the process says about itself: exit codes and counters."""
    from agents.commands import EXITS  # noqa: PLC0415 - the commands bring the whole product

    return "\n".join(
        [
            MADE,
            "# Operation\n",
            "## Exit codes\n",
            "Of every command.\n",
            table(("code", "meaning"), ((str(code), words) for code, words in EXITS.items())),
            "## Endpoints\n",
            "At the address of `[http]`, which is this machine's alone unless it is changed: there"
            " is no password.\n",
            table(("path", "answers"), _code(ENDPOINTS)),
            "`/readyz` looks every few seconds at these, and names those that do not hold. A worker"
            "\nto which the group gives no partition is ready too.\n",
            table(("check", "holds when"), _code(CHECKS)),
            "## Counters\n",
            "What `/metrics` answers, in Prometheus' text format, of this worker alone: add up"
            " the\nworkers of a group.\n",
            table(("name", "kind", "labels", "meaning"), counters()),
            "## Limits\n",
            "Whatever grows with what comes in has a bound; a test reaches each of them.\n",
            table(("what", "bound", "default", "what happens there", "counted as"), limits()),
            "## Memory of what waits\n",
            MEMORY,
            table(("what waits", "bytes of its entry", "bytes of Redis"), sizes.rows()),
            "## Outages\n",
            "What a worker does while Redis or Kafka does not do its work. Nothing is lost, and"
            " nothing is counted\ntwice.\n",
            table(("when", "then"), AWAY.items()),
            "## Silence\n",
            SILENCE,
            "## Late truth\n",
            LATE_TRUTH,
            "## Estimates learnt anew\n",
            ANEW,
            "## Whether retraining worked\n",
            RETRAINED,
            "## Two versions side by side\n",
            BESIDE,
            "## Repair\n",
            REPAIR,
            "## Crash points\n",
            f'For tests: a worker with `{VARIABLE}="after commit:3"` in its environment ends'
            " itself the third time\nthat it reaches the point `after commit`, with exit code"
            f" {EXIT_CRASHED}, as a loss of power would: nothing is\nflushed, nothing is"
            " committed. It says at its start that it will. A worker without the variable\ngoes on"
            " where it was, and nothing is lost or counted twice.\n",
            table(("point", "then"), _code(POINTS)),
        ]
    )


def events() -> str:
    """Topics, contracts, and the reasons of dead letters."""
    parts = [
        MADE,
        "# Events\n",
        "The contracts themselves are `schemas/*.json` (JSON Schema) and `schemas/asyncapi.json`"
        "\n(AsyncAPI 3); how they may change is in [compatibility.md](compatibility.md). Attributes"
        " of\nCloudEvents (`ce_id`, `ce_type`, `ce_source`, `ce_time`, `ce_specversion`) are"
        " headers of what\nDriftline sends, next to `content-type`.\n",
        "## Topics\n",
        "From Driftline's side; the prefix is a setting.\n",
        table(("topic", "Driftline", "messages", "what for"), contracts.topics()),
    ]
    for name, about, rows in contracts.contracts():
        parts += [f"## {name}\n", f"{about}\n"]
        parts += [table(("property", "type", "required", "meaning"), rows)] if rows else []
    parts += [
        "## Reasons for dead letters\n",
        "The header `driftline-reason`.\n",
        table(("reason", "meaning"), contracts.reasons()),
    ]
    return "\n".join(parts)


def commands() -> str:
    """Every command with its arguments and options."""
    from agents.commands import app  # noqa: PLC0415 - the commands bring the whole product

    found = list(_commands(typer.main.get_command(app)))
    listed = [(f"`{name}`", _first(command.help)) for name, command in found]
    parts = [MADE, "# Commands\n", table(("command", "what it does"), listed)]
    for name, command in found:
        text = inspect.cleandoc(command.help or "").replace("\b\n", "")
        parts += [f"## driftline {name}\n", f"{text}\n"]
        rows = [(_spelled(p), _shown(p), p.help or "") for p in command.params]
        parts += [table(("option", "default", "meaning"), rows)] if rows else []
    return "\n".join(parts)


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """All commands that do something, by name; those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield " ".join((*path, name)), command
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def _first(text: str | None) -> str:
    """The first sentence of a help text."""
    words = " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())
    return words.partition(". ")[0].rstrip(".") + "."


def _spelled(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _shown(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    default = parameter.default
    return "" if default is None or default in (False, ()) else f"`{default}`"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "configuration.md": configuration,
    "events.md": events,
    "operation.md": operation,
}


def limits() -> list[tuple[str, ...]]:
    """What is bounded, by what, and what happens there."""
    return [
        (name, _bound(limit.key), limit.default, limit.happens, limit.counted)
        for name, limit in LIMITS.items()
    ]


def _bound(key: str | int) -> str:
    if isinstance(key, int):
        return "fixed"
    owner, _, name = key.partition(".")
    return f"`{name}` of [{owner}]"


def counters() -> list[tuple[str, str, str, str]]:
    """Name, kind, labels and meaning of every counter, sorted by name."""
    found = []
    for collector in vars(Counters()).values():
        for metric in getattr(collector, "describe", list)():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            labels = ", ".join(getattr(collector, "_labelnames", ()))
            found.append((f"`{name}`", metric.type, labels, metric.documentation))
    return sorted(found)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in x)} |\n" for x in lines)


def _code(found: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", meaning) for name, meaning in found.items()]


def _keys_table(found: Sequence[keys.Key]) -> str:
    heads = ("key", "type", "default", "allowed", "meaning")
    rows = [(f"`{k.name}`", k.type, k.default, k.allowed, k.meaning) for k in found]
    variables = [k.variable for k in found]
    if not all(variables):
        return table(heads, rows)
    more = [(*row, f"`{name}`") for row, name in zip(rows, variables, strict=True)]
    return table((*heads, "variable"), more)


def write(folder: Path) -> None:
    """All pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
