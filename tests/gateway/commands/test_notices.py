import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gateway.commands.notices import fatal, wrapped

REPOSITORY = Path(__file__).parents[3]
SAY = "from gateway.commands.notices import fatal, warn; warn('one of two lines with a-long-name ' * 3); fatal('no such file: here ' * 4).show()"


def test_a_line_in_a_file_stays_one() -> None:
    line = "word " * 60
    assert wrapped(line) == line
    assert fatal(line).message == line


@pytest.mark.parametrize("columns", [60, 41])
def test_words_stay_whole_on_a_terminal(columns: int) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "PYTHONPATH": str(REPOSITORY), "TERM": "dumb"}
    subprocess.run([sys.executable, "-c", SAY], stderr=theirs, env=environment, check=True)
    os.close(theirs)
    said = click.unstyle(os.read(ours, 4096).decode()).splitlines()
    os.close(ours)
    assert said[0].startswith("warning: one of")
    assert all(len(line) <= columns for line in said)
    told = "warning: " + "one of two lines with a-long-name " * 3 + "Error: " + "no such file: here " * 4
    assert " ".join(said).split() == told.split()
