"""Environments of their own for tools whose dependencies would not live beside ours."""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

INSTALL_S = 900.0


class NotInstalled(RuntimeError):
    """A tool could not be installed here; the text says why. It was not measured."""


def python_with(name: str, requirements: Sequence[str], imports: str) -> Path:
    """The Python of an environment with exactly these packages, made at first use.

    requirements: with versions pinned. imports: a module that must be importable afterwards.
    Raises NotInstalled.
    """
    told = f"{sys.version_info[:2]} {sorted(requirements)}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "driftline" / "bench" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, clear=True, with_pip=True)
        _call([str(python), "-m", "pip", "install", "--quiet", *requirements])
        _call([str(python), "-c", f"import {imports}"])
        (folder / "done").touch()
    return python


def _call(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.CalledProcessError as error:
        raise NotInstalled(f"{' '.join(command[:6])} ...: {error.stderr[-500:]}") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{' '.join(command[:6])} ...: not within {INSTALL_S:.0f} s") from None
