"""Finds the portfolio file of a command that was started without one."""

import os
from pathlib import Path

import click

from gateway.commands.notices import fatal

FILE = "portfolio.yaml"


class NoPortfolio(click.ClickException):
    """There is no portfolio file; the message says what to do. Ends the process like a wrong command line."""

    exit_code = 2


def places() -> tuple[Path, ...]:
    """The files that are tried, in this order: two of the working directory, one of the user's configuration folder."""
    return Path(FILE), Path("config", FILE), user_folder() / FILE


def user_folder() -> Path:
    """The folder of the user's settings, as the XDG Base Directory Specification has it."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.config")) / "locus"


def find_portfolio() -> Path | None:
    """Returns the first of `places` that exists, or None."""
    return next((path for path in places() if path.exists()), None)


def portfolio_path(config: Path | None) -> Path:
    """Returns the file that the command line names, or else the one that `find_portfolio` finds.

    Raises:
        NoPortfolio: there is none.
    """
    path = config or find_portfolio()
    if path is None:
        raise _no_portfolio()
    return path


def _no_portfolio() -> NoPortfolio:
    *others, last = map(str, places())
    text = fatal(
        f"There is no portfolio file: neither {', '.join(others)} nor {last}.\n"
        "`locus init` writes one from your API keys and your local models.\n"
        "`locus serve --demo` serves simulated models, to try the gateway."
    )
    return NoPortfolio(text.message)
