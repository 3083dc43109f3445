"""Notices, warnings and errors of commands on standard error. Lines are wrapped between words on a terminal."""

import shutil
import sys
import textwrap

import click

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
