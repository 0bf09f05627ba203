"""Garbage: Python looks for objects that only refer to each other, and where it need not look.

Every record that is fetched is an object that Python counts; every 700 of them it looks at the
young ones, and now and then at all there are. What the worker was built from is most of those, and
never garbage: looking at it again and again took a sixth of the time of ingest.
"""

import gc

YOUNG = 20_000  # objects made and not freed before the young ones are looked at


def look_seldom() -> None:
    """To be called once all is put together: what there is by now is not looked at any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
