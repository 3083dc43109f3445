"""What commands that replay the record need: the portfolio with its embeddings, and the record."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.database import database_of, read_models_in_use, reading
from gateway.commands.notices import problems_found
from gateway.commands.portfolio_path import find_portfolio, portfolio_path
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio import Portfolio

if TYPE_CHECKING:
    from gateway.model_versions.stored import InUse
    from gateway.replay.logged import Log
    from gateway.routing.placed_models import PlacedModels
    from router.model.serving import Router


@dataclass(frozen=True)
class Inputs:
    """The portfolio in force.

    Attributes:
        file: as it is in the file.
        file_router: of its checkpoint and model spaces.
        in_use: versions and states of its models, from the record.
        placed: the models in one space.
        location: of the record.
    """

    file: Portfolio
    file_router: "Router"
    in_use: "InUse"
    placed: "PlacedModels"
    location: DatabaseLocation

    def other(self, path: Path) -> "PlacedModels":
        """The models of another portfolio file, with the same versions and states.

        Raises:
            click.ClickException: the file is wrong, or needs another checkpoint.
        """
        portfolio = _loaded(path)
        router = _router(portfolio, path)
        if router.checkpoint != self.file_router.checkpoint:
            raise click.ClickException(f"{path}: has another checkpoint, whose predictions cannot be compared")
        return _placed(portfolio, router, self.in_use, path)


def inputs(config: Path | None, db: Path | None, *, demo: bool) -> Inputs:
    """Reads the portfolio that the command line names, or that `locus serve` finds.

    Args:
        demo: the simulated models instead, and their record.

    Raises:
        click.ClickException: a file cannot be read, or is wrong.
    """
    location = database_of(config, db, demo=demo)
    if demo:
        path, portfolio = Path("the demo"), _demo(config)
    else:
        path = portfolio_path(config)
        portfolio = _loaded(path)
    in_use = read_models_in_use(location)
    router = _router(portfolio, path)
    return Inputs(portfolio, router, in_use, _placed(portfolio, router, in_use, path), location)


@contextmanager
def log_of(
    location: DatabaseLocation, files: Path | None, since: float | None, until: float | None, most: int | None = None
) -> Iterator["Log"]:
    """The requests of a period, from the database, or from parquet files if they are given.

    Raises:
        click.ClickException: they cannot be read.
    """
    if files is not None:
        from gateway.replay.parquet import ParquetLog

        yield ParquetLog(files, since, until)
        return
    with reading(location) as connection:
        from gateway.replay.logged import DatabaseLog

        yield DatabaseLog(connection, since, until, most)


def _loaded(path: Path) -> Portfolio:
    from gateway.config.portfolio_file import PortfolioError, load_portfolio

    try:
        return load_portfolio(path, os.environ, writes=False)
    except PortfolioError as exc:
        raise problems_found(exc.problems, f"in {path}") from exc


def _demo(config: Path | None) -> Portfolio:
    from gateway.commands.demo_portfolio import demo_portfolio
    from gateway.demo.skills import MODELS

    path = config or find_portfolio()
    real = Portfolio(None, ()) if path is None else _loaded(path)
    return demo_portfolio({model.name: "http://127.0.0.1" for model in MODELS}, real)


def _router(portfolio: Portfolio, path: Path) -> "Router":
    from router.errors import RouterError
    from router.model.serving import Router

    try:
        return Router.load(portfolio.checkpoint, portfolio.spaces, trust=portfolio.trust_checkpoint)
    except RouterError as exc:
        raise click.ClickException(f"{path}: {exc}") from exc


def _placed(portfolio: Portfolio, router: "Router", in_use: "InUse", path: Path) -> "PlacedModels":
    from gateway.routing.placed_models import placed_models
    from router.errors import ArtifactError

    try:
        return placed_models(portfolio, router, in_use)
    except ArtifactError as exc:
        raise click.ClickException(f"{path}: {exc}") from exc
