"""What commands say on standard error beside their output: in whole words, also where the terminal is narrow."""

import shutil
import sys
import textwrap

import click

NARROWEST = 40  # columns; below that lines would be mostly indentation


def tell(text: str, *, fg: str | None = None, bold: bool | None = None) -> None:
    """Says one or more lines."""
    for line in text.splitlines():
        click.secho(wrapped(line), fg=fg, bold=bold, err=True)


def warn(text: str) -> None:
    tell(f"warning: {text}", fg="yellow")


def fatal(text: str) -> click.ClickException:
    """The error that ends a command; click puts `Error: ` in front."""
    prefix = "Error: "
    return click.ClickException("\n".join(map(wrapped, f"{prefix}{text}".splitlines()))[len(prefix) :])


def wrapped(line: str, indent: int = 4) -> str:
    """The line, wrapped and its rest indented where standard error is a terminal; in a file it stays one line."""
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
