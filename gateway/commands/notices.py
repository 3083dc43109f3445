"""Notices, warnings and errors of commands on standard error. Lines are wrapped between words on a terminal."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
NARROWEST = 40  # columns; on a narrower terminal, lines would be mostly indentation


def notify(text: str, *, fg: str | None = None, bold: bool | None = None) -> None:
    """Prints one or more lines."""
    for line in text.splitlines():
        click.secho(wrapped(line), fg=fg, bold=bold, err=True)


def warn(text: str) -> None:
    notify(f"warning: {text}", fg="yellow")


def fatal(text: str) -> click.ClickException:
    """Returns the error that ends a command; click prints `Error: ` before it."""
    prefix = "Error: "
    return click.ClickException("\n".join(map(wrapped, f"{prefix}{text}".splitlines()))[len(prefix) :])


def problems_found(problems: Sequence[str], where: str) -> click.ClickException:
    """Prints the problems of a file, and returns the error that counts them and ends the command."""
    for problem in problems:
        notify(problem, fg="red")
    plural = "problem" if len(problems) == 1 else "problems"
    return click.ClickException(f"{len(problems)} {plural} {where}")


def wrapped(line: str, indent: int = 4) -> str:
    """Returns the line wrapped, with its other lines indented, if standard error is a terminal; else as it is."""
    if not sys.stderr.isatty():
        return line
    width = max(shutil.get_terminal_size().columns, NARROWEST)
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
