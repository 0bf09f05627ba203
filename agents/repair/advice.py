"""Advice: what an operator is told of repairs; `docs/operation.md` is made from it."""

REPAIR = """\
A worker ends with exit code 69, in words, where state and topics do not belong together any more:
it never counts what it cannot account for, and never passes over what it cannot read. The words
name the command. `driftline repair` alone says of every partition where its state goes on and what
Kafka has, changes nothing, and may be run at any time. The others act while no worker runs, say
first what they are going to do and what is lost, and ask, unless `--yes` is given.

| what happened | command | what is lost |
| --- | --- | --- |
| the topic `events` was deleted and made anew, was cut off, or dropped what was not counted yet | \
`driftline repair events` | nothing, as far as the source topics still have it; else it says what \
they have dropped, for `skip` |
| the topic `signals` likewise, or a message of it is missing | `driftline repair signals` | what \
ledgers have sealed is named again and every window is judged; values of the lost messages do not \
reach online detectors, and the messages are counted as `lost-signals` |
| a source topic was deleted and made anew, or was cut off | `driftline repair sources` | nothing \
that was taken in; the old topic's records are counted once, the new one's from the first on |
| retention took records of a source topic while all workers were stopped | \
`driftline repair skip` | these records: named by partition and offsets, remembered in Redis, \
shown by `driftline status` and as `driftline_given_up_records` |
| Redis was rolled back | none: the workers read again what Redis has lost | nothing, as long as \
Kafka has it; else as above |
| partitions were added to `events` or `signals` | none: they stay unused, and the worker \
says so | nothing |
| partitions were added to a source topic | none: they are read | nothing |

A repair begun again after it was interrupted does the rest. It writes through the same checkpoints
as workers do, so a worker that comes back in between is refused, not overwritten.
"""
