"""AsyncAPI's own JSON Schema, from npm's package of it, fetched once into a cache."""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.brokers import Unavailable

PACKAGE, VERSION = "@asyncapi/specs", "6.11.1"
FETCH_S = 120.0


def asyncapi_schema(version: str) -> dict[str, Any]:
    """The schema of AsyncAPI documents of one version. Raises Unavailable, saying why."""
    found: dict[str, Any] = json.loads((_folder() / f"{version}.json").read_text("utf-8"))
    return found


def _folder() -> Path:
    """DRIFTLINE_ASYNCAPI names a folder of its `schemas`; else the cache."""
    if given := os.environ.get("DRIFTLINE_ASYNCAPI"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "driftline" / f"asyncapi-{VERSION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            unpacked = _fetch(Path(work))
            try:
                unpacked.rename(folder)  # whole or not at all
            except OSError:
                if not folder.is_dir():  # unless somebody else was faster
                    raise
    return folder


def _fetch(work: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("no npm on PATH to fetch AsyncAPI's schema with")
    words = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts"]
    try:
        subprocess.run(words, cwd=work, check=True, capture_output=True, timeout=FETCH_S, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"npm cannot fetch {PACKAGE}: {error}") from None
    with tarfile.open(next(work.glob("*.tgz"))) as package:
        package.extractall(work, filter="data")
    return work / "package" / "schemas"
