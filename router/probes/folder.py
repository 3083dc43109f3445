"""The folder of the user's banks, and how a bank is named."""

import os
from importlib.resources import files
from pathlib import Path

from router.errors import DataError

SHIPPED = "locus-bank"
_SUFFIXES = (".jsonl", ".csv")


def user_folder() -> Path:
    """Where fetched banks are, as the XDG Base Directory Specification has it: `~/.local/share/locus/banks` by default."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.local/share")) / "locus" / "banks"


def shipped_path() -> Path:
    """The file of the shipped bank."""
    return Path(str(files("router.probes") / "shipped" / f"{SHIPPED}.jsonl"))


def user_banks() -> list[Path]:
    """The files in the user's folder, by name."""
    folder = user_folder()
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES) if folder.is_dir() else []


def bank_path(path_or_name: str | Path) -> Path:
    """The file of a bank: a path, "locus-bank" for the shipped one, or the name of one in the user's folder.

    Raises:
        DataError: a name without a file; the message has the names that there are.
    """
    text = str(path_or_name)
    if text == SHIPPED:
        return shipped_path()
    path = Path(path_or_name)
    if path.suffix.lower() in _SUFFIXES or os.sep in text or path.exists():
        return path
    for own in user_banks():
        if own.stem == text:
            return own
    names = ", ".join([SHIPPED, *(own.stem for own in user_banks())])
    raise DataError(f"{text}: no bank of that name; there are {names}, and `locus probes fetch` fetches more")
