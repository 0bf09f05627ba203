"""Garbage of one process: what there is, is left alone; what comes later is found."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from agents.garbage import look_seldom

class Cycle:
    def __init__(self):
        self.own = self

early = Cycle()
look_seldom()
print(gc.get_freeze_count() > 1_000, any(found is early for found in gc.get_objects()))
seen = weakref.ref(Cycle())
kept = [[] for _ in range(100_000)]
print(seen() is None)
"""


def test_what_a_worker_is_made_of_is_not_looked_at_and_later_garbage_is_found() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert found.stdout.split() == [b"True", b"False", b"True"]
