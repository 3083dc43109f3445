"""The programs that check the files of `deploy/`. `make deploy-tools` installs them; without them their tests are skipped."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
APART = Path(f"{sys.prefix}-deploy/bin")  # as the Makefile has it


def tool(name: str) -> str:
    """The path of a program; skips the test if it is not installed."""
    found = shutil.which(name, path=str(APART)) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}, which `make deploy-tools` installs")
    return found


def run(name: str, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, and gives its output."""
    command = [tool(name), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
