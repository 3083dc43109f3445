"""Measures everything in docs/performance.md anew, and writes the tables there, each with its command.

    make performance                                        # about 40 minutes; the machine should have no other work
    .venv/bin/python -m benchmarks.report --only pauses

A table stands between `<!-- measured: NAME -->` and `<!-- end -->`; what is between two such lines is replaced.
"""

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks import machine
from benchmarks.run import say

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/performance.md"
PARTS = "pytest benchmarks/parts.py -q -p no:cacheprovider --benchmark-sort=name --benchmark-columns=median,iqr,rounds"
COMMANDS = {
    "run": "benchmarks.run",
    "pairs": "benchmarks.pairs",
    "instructions": "benchmarks.instructions",
    "parts": PARTS,
    "bodies": "benchmarks.bodies",
    "pauses": "benchmarks.pauses",
    "growth": "benchmarks.growth docs/images/growth",
    "console": "benchmarks.console",
    "endurance": "benchmarks.endurance",
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(COMMANDS)))
@click.option("--run", "bench", default="", help="Options of `benchmarks.run`, such as other gateways.")
def main(only: Sequence[str], bench: str) -> None:
    """Measure, and write the tables."""
    for name, command in COMMANDS.items():
        if only and name not in only:
            continue
        whole = f"python -m {command}{f' {bench}' if name == 'run' and bench else ''}"
        say(f"{name}: {whole}")
        done = subprocess.run([sys.executable, *shlex.split(whole)[1:]], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{whole}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        PAGE.write_text(written(PAGE.read_text(), name, whole, done.stdout))


def written(page: str, name: str, command: str, output: str) -> str:
    """The page with a new table.

    Raises:
        ValueError: the page has no place for it.
    """
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    load = os.getloadavg()[1]
    where = f"{machine.cpu_name()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"
    table = output.strip() if "\n| " in f"\n{output}" else f"```\n{output.strip()}\n```"
    text = f"`{command}` at {commit.strip()} on {where}:\n\n{table}"
    begin = f"<!-- measured: {name} -->"
    found = re.compile(rf"{re.escape(begin)}\n.*?<!-- end -->", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"the page lacks a line `{begin}`")
    return found.sub(lambda _: f"{begin}\n\n{text}\n\n<!-- end -->", page, count=1)


if __name__ == "__main__":
    main()
