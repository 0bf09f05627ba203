"""What `driftline reference FILE` does before it sends anything.

`python -m bench.registrant FILE` prints processor seconds, the peak of resident
memory in bytes, and the rows.
"""

import json
import resource
import sys
from pathlib import Path

from agents import registration, spools
from agents.roles import Roles


def peak_bytes() -> int:
    """Of this program's memory; what getrusage says begins with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(path: Path) -> None:
    """The reference of a file in which every column is a feature."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with spools.opened(path) as table:
        found, _ = registration.build(table, "bench", "1", Roles())
    spent = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "rows": found.rows,
        "cpu_s": spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
