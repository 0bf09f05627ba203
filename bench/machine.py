"""The machine that figures were taken on."""

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("aiokafka", "faust-streaming", "msgspec", "numpy", "pyarrow", "redis")


def machine() -> dict[str, str]:
    """Processor, cores, memory and the versions that matter."""
    found = {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "load": " ".join(f"{x:.1f}" for x in os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    return found | {name: metadata.version(name) for name in PACKAGES}


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")
