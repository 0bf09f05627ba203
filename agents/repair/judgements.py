"""Judgements: whether a position still means what it meant, and if not, which command helps.

Everything here is pure: the worker says the same words at its start, and when it finds out later.
"""

from typing import NamedTuple

STOP = "Stop all workers and run:"
REPAIRS = {"events": "driftline repair events", "signals": "driftline repair signals"}
SOURCES = "driftline repair sources"
SKIP = "driftline repair skip"


class Wrong(NamedTuple):
    """What is wrong, and the command that repairs it."""

    said: str
    command: str

    def __str__(self) -> str:
        return f"{self.said}. {STOP} {self.command}"


class Log(NamedTuple):
    """One partition in Kafka now. partitions: of its topic. begin, end: offsets."""

    topic: str
    partition: int
    topic_id: str
    partitions: int
    begin: int
    end: int
    committed: int | None = None

    @property
    def where(self) -> str:
        """Its name."""
        return f"{self.topic}/{self.partition}"


def of_identity(stage_topic: str, topic: str, recorded: str, now: str) -> Wrong | None:
    """recorded, now: "id:partitions" of the topic under a state. stage_topic: events, signals."""
    (before, _, count), (after, _, count_now) = recorded.rpartition(":"), now.rpartition(":")
    if before and after and before != after:
        said = (
            f"topic {topic} was deleted and made anew (its id was {before}, is {after}): the state "
            "in Redis speaks of records that are gone"
        )
        return Wrong(said, REPAIRS[stage_topic])
    if count != count_now:
        said = (
            f"topic {topic} had {count} partitions and has {count_now}: what the state in Redis "
            "knows of an id or a model lies with another partition now"
        )
        return Wrong(said, REPAIRS[stage_topic])
    return None


def of_position(stage_topic: str, where: str, next_: int, begin: int, end: int) -> Wrong | None:
    """next_: where the state goes on. begin, end: what Kafka has."""
    if next_ > end:
        said = (
            f"{where}: the state in Redis reaches up to offset {next_}, but Kafka's log ends "
            f"before it and goes on at {end}: it was cut off or made anew"
        )
        return Wrong(said, REPAIRS[stage_topic])
    if next_ < begin:
        return overtaken(stage_topic, where, next_, begin)
    return None


def overtaken(stage_topic: str, where: str, next_: int, begin: int) -> Wrong:
    """Kafka has dropped what was still to be read."""
    said = (
        f"{where}: records {next_} to {begin - 1} ({begin - next_:,}) were never counted, and "
        f"Kafka has dropped them: its log begins at {begin}"
    )
    return Wrong(said, REPAIRS.get(stage_topic, SKIP))


def of_inner(stage_topic: str, log: Log, next_: int | None, recorded: str | None) -> Wrong | None:
    """A partition of events or signals against the state of its stage, None where there is none."""
    if recorded:
        count = int(recorded.rpartition(":")[2])
        if count > log.partitions:
            said = (
                f"topic {log.topic} has {log.partitions} partitions, the state in Redis was made "
                f"with {count}"
            )
            more = f"kafka-topics.sh --alter --topic {log.topic} --partitions {count}"
            return Wrong(said, f"{more}, then {REPAIRS[stage_topic]}")
        wrong = of_identity(stage_topic, log.topic, recorded, f"{log.topic_id}:{count}")
        if wrong is not None:
            return wrong
    if next_ is not None:
        return of_position(stage_topic, log.where, next_, log.begin, log.end)
    if log.committed is not None and log.begin > 0:
        said = (
            f"{log.where}: Redis has no state of it, though its group has read up to "
            f"{log.committed}, and Kafka has dropped records 0 to {log.begin - 1}"
        )
        return Wrong(said, REPAIRS[stage_topic])
    return None


def of_bases(where: str, ledger: str, seq: int) -> Wrong:
    """where: a partition of the watch; ledger, seq: a checkpoint it rests on and that is lost."""
    said = (
        f"{where} has counted what {ledger} has lost (checkpoint {seq}): Redis was rolled back in "
        "part, so that its partitions contradict each other"
    )
    return Wrong(said, REPAIRS["signals"])


def needed(log: Log, low: int | None) -> int | None:
    """The next record of a source to be taken in; None where none ever was. low: see of_source."""
    if log.committed is not None:
        return log.committed
    return None if low is None else low + 1


def of_source(log: Log, ids: set[str], low: int | None) -> Wrong | None:
    """A partition of a source topic. ids: identities that the ledgers know; low: the lowest mark
    of all ledgers, None where none has any.
    """
    others = {one for one in ids if one} - {log.topic_id}
    if others and log.topic_id:
        said = (
            f"topic {log.topic} was deleted and made anew (its id was {min(others)}, is "
            f"{log.topic_id}): its offsets mean other records"
        )
        return Wrong(said, SOURCES)
    next_ = needed(log, low)
    if next_ is not None and next_ < log.begin:
        return overtaken("", log.where, next_, log.begin)
    if low is not None and low >= log.end:
        said = (
            f"{log.where}: records up to offset {low} were counted, but Kafka's log ends before "
            f"them, at {log.end}: it was cut off"
        )
        return Wrong(said, SOURCES)
    return None
