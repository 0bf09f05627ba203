"""Every password that the tests make, and the search for them in whatever was printed."""

import secrets
from pathlib import Path

SECRETS = {"swordfish"}  # one that stands in a source file; the others are made below


def new_secret() -> str:
    """A password that stands nowhere else, with what breaks careless quoting."""
    plain = f"pw{secrets.token_hex(12)}"
    SECRETS.add(plain)
    return f"{plain} 'x%40\\$#é"


def leaks(text: str) -> list[str]:
    """The beginnings of the passwords that stand in a text."""
    return [secret[:5] + "..." for secret in SECRETS if secret in text]


def leaks_in_logs(folder: Path) -> list[str]:
    """The log files below a folder in which a password stands."""
    return [
        f"{path}: {', '.join(found)}"
        for path in folder.rglob("*.log")
        if path.is_file() and (found := leaks(path.read_text(errors="replace")))
    ]
