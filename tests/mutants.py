"""Mutants: Driftline with one of its safeguards broken, and the test that must notice.

`python -m tests.mutants NAME worker --config ...` is the command line with that fault in it;
`pytest --mutant NAME` runs tests on it, their workers too. Text of a script or of a function is
replaced, and must be there exactly once: a mutant that does not fit the code any more says so.
"""

import dataclasses
import importlib
import inspect
import sys
import textwrap
from types import FunctionType, ModuleType
from typing import Any

from agents import store
from agents.store import scripts, stores

LUA = ".lua"


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """Other text in a place: "commit.lua", or "package.module:Class.method" with its decorators."""

    place: str
    before: str
    after: str

    def text(self) -> str:
        """The changed script or function. Raises AssertionError where it does not fit."""
        text = _source(self.place)
        found = text.count(self.before)
        assert found == 1, f"{self.place} holds {self.before!r} {found} times, not once"
        return text.replace(self.before, self.after)


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, and its killer: a test's id without parameters, and words of `pytest -k`."""

    killer: str
    edits: tuple[Edit, ...]
    keyword: str = ""


def _off(place: str, check: str) -> Edit:
    """A check of a script that never holds."""
    return Edit(place, f"if {check}", "if false")


SEQ = "(m[2] or '0') ~= ARGV[2]"
EPOCH = "m[1] ~= ARGV[1]"
STORE = "tests/test_store.py::test_scenario"
KEEPERS = "tests/test_keepers.py::"
ORIGINS = "tests/test_origins.py::"
REFUSALS = "tests/test_refusals.py::"
MUTANTS: dict[str, Mutant] = {
    "seq check off": Mutant(
        STORE,
        (_off("stage.lua", SEQ), _off("commit.lua", SEQ)),
        "two_attempts_of_one_owner",
    ),
    "epoch check off": Mutant(
        STORE,
        (_off("stage.lua", EPOCH), _off("commit.lua", EPOCH)),
        "old_owner_is_refused",
    ),
    "relay by anyone": Mutant(
        STORE,
        (_off("outbox.lua", EPOCH), _off("remove.lua", EPOCH)),
        "old_owner_is_refused",
    ),
    "outbox with holes": Mutant(
        STORE,
        (Edit("remove.lua", "if first > head or", "if"),),
        "outbox_leaves_in_order",
    ),
    "lost answer unknown": Mutant(
        STORE,
        (_off("stage.lua", "m[3] == ARGV[3]"), _off("commit.lua", "m[3] == ARGV[4]")),
        "lost_answer and not second",
    ),
    "late apply": Mutant(
        STORE,
        (
            _off("apply.lua", "redis.call('HGET', KEYS[1], 'redo') ~= ARGV[1]"),
            Edit("apply.lua", "call('HDEL', KEYS[2], ARGV[2])", ""),
            _off("finish.lua", "redis.call('HLEN', KEYS[2]) > 0"),
        ),
        "zombie_applies_late",
    ),
    "seq check off, by schedules": Mutant(
        "tests/test_store_schedules.py::test_any_schedule_gives_the_sum_of_what_was_committed",
        (_off("stage.lua", SEQ), _off("commit.lua", SEQ)),
    ),
    "epoch check off, by schedules": Mutant(
        "tests/test_store_schedules.py::test_any_schedule_gives_the_sum_of_what_was_committed",
        tuple(_off(f"{name}.lua", EPOCH) for name in ("stage", "commit", "remove", "outbox")),
    ),
    "lost answer unknown, by schedules": Mutant(
        "tests/test_store_schedules.py::test_any_schedule_gives_the_sum_of_what_was_committed",
        (_off("commit.lua", "m[3] == ARGV[4]"),),
    ),
    "next written before the state": Mutant(
        "tests/test_store.py::test_a_crash_at_any_step_leaves_all_or_nothing",
        (
            Edit(
                "agents.store.partitions:Partition.checkpoint",
                "await self._stage(prepared)",
                "await self._client.hset(self.key('meta'), 'next', prepared.next or 0)\n"
                "    await self._stage(prepared)",
            ),
        ),
    ),
    "next written before the state, on workers": Mutant(
        "tests/test_crashes.py::test_a_crash_leaves_nothing_out_and_counts_nothing_twice",
        (
            Edit(
                "agents.store.partitions:Partition.checkpoint",
                "await self._stage(prepared)",
                "await self._client.hset(self.key('meta'), 'next', prepared.next or 0)\n"
                "    await self._stage(prepared)",
            ),
        ),
        "before and commit",
    ),
    "redo record not finished by its successor": Mutant(
        "tests/test_store.py::test_a_claim_may_die_and_the_next_one_finishes",
        (Edit("agents.store.partitions:Partition.claim", "if redo is not None:", "if False:"),),
    ),
    "memory kept after a refusal": Mutant(
        REFUSALS + "test_after_a_refusal_memory_is_that_of_redis_again",
        (
            Edit(
                "agents.keepers:Keeper.open",
                "await self._restore()",
                "self.refused or await self._restore()",
            ),
        ),
    ),
    "refusal ignored": Mutant(
        KEEPERS + "test_who_was_replaced_writes_nothing_and_says_so",
        (Edit("agents.keepers:Keeper._ending", "self.live, self.refused = False, True", ""),),
    ),
    "memory kept after an error": Mutant(
        REFUSALS + "test_half_a_chunk_is_never_written_with_the_work_before_it",
        (Edit("agents.keepers:Keeper._ending", "self.live = False\n        raise", "raise"),),
    ),
    "relay out of order": Mutant(
        KEEPERS + "test_messages_are_published_once_and_in_order",
        (
            Edit(
                "agents.keepers:Keeper._relay",
                "for _, message in found]",
                "for _, message in reversed(found)]",
            ),
        ),
    ),
    "publish outside the checkpoint": Mutant(
        REFUSALS + "test_what_was_never_committed_is_never_published",
        (
            Edit(
                "agents.keepers:Keeper._checkpoint",
                "changes = await self.context.beside.brief(self.core.changes)",
                "changes = await self.context.beside.brief(self.core.changes)\n"
                "        for m in self._stored(changes).outbox:\n"
                "            await self.context.producer.deliver([self._message(m)])",
            ),
        ),
    ),
    "ack before the checkpoint": Mutant(
        KEEPERS + "test_a_position_is_acknowledged_once_it_is_durable",
        (
            Edit(
                "agents.keepers:Keeper.handle",
                "self.next = after",
                "self.next = after\n            self.context.ack(self.tp, after)",
            ),
        ),
    ),
    "removed before it is published": Mutant(
        KEEPERS + "test_what_is_durable_is_published_by_the_successor_if_it_has_to_be",
        (
            Edit(
                "agents.keepers:Keeper._relay",
                'self.context.reach("before produce")',
                "await self.partition.remove([ref for ref, _ in found])",
            ),
        ),
    ),
    "lock not taken for a checkpoint": Mutant(
        REFUSALS + "test_a_partition_is_not_given_back_in_the_middle_of_a_chunk",
        (Edit("agents.keepers:Keeper.checkpoint", "async with self.lock:", "if True:"),),
    ),
    "holes passed over": Mutant(
        KEEPERS + "test_records_that_are_passed_over_or_cut_off_end_the_worker",
        (Edit("agents.keepers:Keeper.handle", "and base != self.next", "and False"),),
    ),
    "source high-water off": Mutant(
        "tests/test_ledger.py::"
        "test_a_batch_that_was_applied_is_not_counted_again_where_its_entries_had_no_room",
        (Edit("stream.sources:Sources.applied", "return mark.offset", "return -1"),),
    ),
    "messages of the ledgers not numbered": Mutant(
        "tests/test_clocks.py::test_a_hole_is_reported_and_not_passed_over",
        (
            Edit(
                "stream.clocks:Clocks.accept",
                "signals.sequence > last + 1",
                "False",
            ),
        ),
    ),
    "messages of the ledgers applied twice": Mutant(
        "tests/test_clocks.py::test_a_message_that_was_there_is_passed_over",
        (
            Edit(
                "stream.clocks:Clocks.accept",
                "return signals.sequence == last + 1",
                "return True",
            ),
        ),
    ),
    "challengers do not wait for others": Mutant(
        "tests/test_rivals.py::test_which_version_is_read_first_does_not_show",
        (Edit("stream.seals:advance", "if book.challenges else None", "if False else None"),),
    ),
    "ids by chance": Mutant(
        "tests/test_events.py::test_an_id_is_its_identity_and_nothing_else",
        (
            Edit(
                "stream.events.outputs:event_id",
                "uuid.uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=True))",
                "uuid.uuid4()",
            ),
        ),
    ),
    "void signals accepted": Mutant(
        REFUSALS + "test_a_message_of_a_checkpoint_that_redis_has_lost_is_passed_over",
        (
            Edit(
                "agents.origins:Origins.sift",
                "return [stamp is None or stands[stamp] for stamp in stamps]",
                "return [True for _ in stamps]",
            ),
        ),
    ),
    "void signals accepted by the watch": Mutant(
        ORIGINS + "test_what_redis_has_lost_is_passed_over",
        (
            Edit(
                "agents.origins:Origins.sift",
                "return [stamp is None or stands[stamp] for stamp in stamps]",
                "return [True for _ in stamps]",
            ),
        ),
    ),
    "checkpoints that rest on what was lost": Mutant(
        ORIGINS + "test_nothing_is_made_durable_that_rests_on_what_was_lost",
        (Edit("agents.origins:Origins.confirm", "if not self._confirming:", "if True:"),),
    ),
    "intake acknowledges before it has flushed": Mutant(
        REFUSALS + "test_a_chunk_that_kafka_does_not_have_is_not_acknowledged",
        (
            Edit(
                "agents.intake:Intake.handle",
                'self.context.reach("before forward")',
                "self.context.ack(chunk.tp, chunk.next)",
            ),
        ),
    ),
    "idle source partitions not told": Mutant(
        "tests/test_intake.py::"
        "test_idleness_is_told_as_of_the_look_before_and_only_where_nothing_came",
        (Edit("agents.intake:Intake.tell_idle", "if told:", "if False:"),),
    ),
    "committed chunks swept": Mutant(
        "tests/test_store.py::test_a_crash_at_any_step_leaves_all_or_nothing",
        (Edit("commit.lua", "redis.call('SREM', KEYS[2], ARGV[4])", ""),),
    ),
    "half a checkpoint committed": Mutant(
        "tests/test_store_limits.py::test_staged_chunks_that_redis_lost_are_staged_again",
        (Edit("commit.lua", "return {'incomplete', tail}", ""),),
    ),
    "epochs that repeat": Mutant(
        STORE,
        (Edit("claim.lua", ".. ':' .. ARGV[1]", ".. ':'"),),
        "restored_snapshot_repeats_an_epoch",
    ),
    "who was replaced reads on": Mutant(
        "tests/test_store.py::test_who_was_replaced_reads_nothing_any_more",
        (Edit("agents.store.partitions:Partition._check_owner", "if self._owner:", "if False:"),),
    ),
    "buckets forgotten": Mutant(
        "tests/test_buckets.py::test_every_entry_is_found_at_every_number_of_buckets",
        (Edit("pending.lua", "if at >= self.n then at = at - self.half end", ""),),
    ),
    "positions go back": Mutant(
        "tests/test_chunks.py::test_a_position_never_goes_back_within_an_assignment",
        (Edit("agents.chunks:Positions.ack", "max(next_offset, lane.acked or 0)", "next_offset"),),
    ),
    "chunks of an earlier assignment handled": Mutant(
        "tests/test_chunks.py::test_a_chunk_of_an_earlier_assignment_never_reaches_the_handler",
        (Edit("agents.chunks:Positions.handle", "if lane.live:", "if True:"),),
    ),
}


def apply(name: str) -> None:
    """Break what the mutant breaks, in this process."""
    for edit in MUTANTS[name].edits:
        if edit.place.endswith(LUA):
            _replace_script(edit)
        else:
            _replace_function(edit)


def _source(place: str) -> str:
    if place.endswith(LUA):
        return scripts.sources()[place.removesuffix(LUA)]
    owner, name, _ = _found(place)
    return textwrap.dedent(inspect.getsource(inspect.getattr_static(owner, name)))


def _found(place: str) -> tuple[Any, str, ModuleType]:
    """What a function belongs to, its name there, and its module."""
    module_name, _, path = place.partition(":")
    module = importlib.import_module(module_name)
    *owners, name = path.split(".")
    owner: Any = module
    for part in owners:
        owner = getattr(owner, part)
    return owner, name, module


def _replace_script(edit: Edit) -> None:
    texts = scripts.sources() | {edit.place.removesuffix(LUA): edit.text()}
    for module in (scripts, stores, store):
        vars(module)["sources"] = lambda: dict(texts)


def _replace_function(edit: Edit) -> None:
    owner, name, module = _found(edit.place)
    made: dict[str, Any] = {}
    code = compile(edit.text(), f"<mutant of {edit.place}>", "exec", dont_inherit=True)
    exec(code, vars(module), made)
    before = inspect.getattr_static(owner, name)
    if isinstance(before, FunctionType) and not hasattr(before, "__wrapped__"):
        before.__code__ = made[name].__code__  # also for those who imported it
    else:
        setattr(owner, name, made[name])


if __name__ == "__main__":
    from agents.commands import run

    apply(sys.argv[1])
    sys.exit(run(sys.argv[2:]))
