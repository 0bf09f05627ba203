"""What `driftline reference FILE` does before it sends anything.

`python -m bench.registrant FILE` prints processor seconds, the peak of resident memory before and in all,
in bytes, and the rows.
"""

import json
import resource
import sys
from pathlib import Path

from agents import registration, spools
from agents.registration import Roles


def main(path: Path) -> None:
    """The reference of a file in which every column is a feature."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with spools.opened(path) as table:
        found, _ = registration.build(table, "bench", "1", Roles())
    spent = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "rows": found.rows,
        "cpu_s": spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime,
        "before_bytes": before.ru_maxrss * 1024,
        "peak_bytes": spent.ru_maxrss * 1024,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
