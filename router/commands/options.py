"""Arguments and options that several commands share, and how they report errors of the router."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click

from router.errors import RouterError
from router.parallel import LOCAL

P = ParamSpec("P")

FILE = click.Path(path_type=Path, dir_okay=False)
DATA = click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)  # one folder or several
EXCLUDE = click.option(
    "--exclude-benchmark", "excluded", multiple=True, metavar="B", help="Leave a benchmark out; repeatable."
)
_CONFIG = click.option(
    "--config",
    type=FILE,
    help="Portfolio whose spaces and onboarded models are seen; default: as `locus serve` finds it.",
)
_SPACE = click.option("--space", type=FILE, help="Exactly this model space.")
ENGINE = click.option(
    "--engine",
    default=LOCAL,
    show_default=True,
    metavar="local|dask://HOST:PORT|ray://HOST:PORT",
    help="Compute on the cores of this machine, or on a Dask or Ray cluster.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
_CHECKPOINT = click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="Folder made by `locus train`; default: the shipped one."
)
_TRUST = click.option(
    "--trust", is_flag=True, help="Load the encoder that the checkpoint names, even if its files may run code."
)


def checkpoint_options(command: Callable[P, None]) -> Callable[P, None]:
    """Adds the options `--checkpoint` and `--trust`."""
    return _CHECKPOINT(_TRUST(command))


def space_options(command: Callable[P, None]) -> Callable[P, None]:
    """Adds the options `--space` and `--config`."""
    return _SPACE(_CONFIG(command))


def readable_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Reports errors of the router as one line on stderr, with exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RouterError as exc:
            raise click.ClickException(str(exc)) from exc

    return run
