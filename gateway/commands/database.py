"""The database of commands that read or upgrade it: the portfolio's, or a file that the command line names."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.commands.notices import warn
from gateway.commands.portfolio_path import find_portfolio, portfolio_path
from gateway.config.database_location import DatabaseLocation

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.config.portfolio import Portfolio
    from gateway.config.settings import Settings
    from gateway.model_versions.stored import InUse
    from gateway.store.database import Database

T = TypeVar("T")


def database_of(config: Path | None, db: Path | None, *, demo: bool = False) -> DatabaseLocation:
    """Return the file that the command line names, or else the database of the portfolio.

    Args:
        demo: that of `locus serve --demo` instead, which is also that of a folder without a portfolio.

    Raises:
        click.ClickException: the portfolio cannot be read, or stores nothing.
    """
    from gateway.config.portfolio_file import PortfolioError, load_portfolio
    from gateway.config.settings import Settings

    if db is not None:
        return DatabaseLocation(file=db)
    path = config or find_portfolio()
    try:
        settings = Settings() if path is None else load_portfolio(path, os.environ, writes=False).settings
        if demo or path is None:
            settings = settings.of_demo()
    except PortfolioError as exc:
        raise click.ClickException(str(exc)) from exc
    if settings.database is None:
        raise click.ClickException("this portfolio records nothing (`record: null`, and no `store`)")
    return settings.database


def read_portfolio(config: Path | None) -> "Portfolio":
    """The portfolio that the command line names, or that `locus serve` finds.

    Raises:
        click.ClickException: it cannot be read, or is wrong.
    """
    from gateway.config.portfolio_file import PortfolioError, load_portfolio

    try:
        return load_portfolio(portfolio_path(config), os.environ, writes=False)
    except PortfolioError as exc:
        raise click.ClickException(str(exc)) from exc


def in_database(portfolio: "Portfolio", of: str, call: Callable[["Database"], Awaitable[T]]) -> T:
    """What a call gives that uses the portfolio's database; its errors end the command.

    Args:
        of: what the database is needed for.

    Raises:
        click.ClickException: the portfolio has no database, or the call fails.
    """
    from gateway.core.errors import GatewayError
    from gateway.store.database import Database

    if portfolio.settings.database is None:
        raise click.ClickException(f"the portfolio has no database for {of}: set `record` or `store` under `gateway`")
    database = Database(portfolio.settings.database)

    async def run() -> T:
        try:
            return await call(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except GatewayError as exc:
        raise click.ClickException(exc.message) from exc


@contextmanager
def reading(location: DatabaseLocation) -> Iterator["Connection"]:
    """A connection that only reads.

    Raises:
        click.ClickException: there is no such database, it is of an older version, or it cannot be read.
    """
    if location.file is not None and not location.file.is_file():
        raise click.ClickException(
            f"{location}: no such record; it is written by `locus serve` when a request comes in."
        )
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.store.engines import sync_engine
    from gateway.store.schema import HEAD, current_version

    engine = sync_engine(location, read_only=True)
    try:
        with engine.connect() as connection:
            version = current_version(connection)
            if version is None:
                raise click.ClickException(f"{location}: no record yet; `locus serve` writes it.")
            if version < HEAD:
                raise click.ClickException(
                    f"{location}: of an older version; `locus migrate` upgrades it, as does `locus serve`."
                )
            yield connection
    except SQLAlchemyError as exc:
        raise click.ClickException(f"{location}: {plain_reason(location, exc)}") from exc
    finally:
        engine.dispose()


def models_in_use(settings: "Settings") -> "InUse":
    """Versions and states of models in the database of a portfolio; none, with a warning, if it cannot be read."""
    from gateway.model_versions.stored import InUse

    location = settings.database
    if location is None or (location.file is not None and not location.file.is_file()):
        return InUse()
    try:
        return read_models_in_use(location)
    except click.ClickException as exc:
        warn(f"versions and states of models are not known: {exc.message}")
        return InUse()


def read_models_in_use(location: DatabaseLocation) -> "InUse":
    """Versions and states of models in a database.

    Raises:
        click.ClickException: as `reading`.
    """
    with reading(location) as connection:
        from gateway.model_versions import rows
        from gateway.model_versions.stored import InUse

        live = [row._asdict() for row in connection.execute(rows.LIVE_VERSIONS)]
        return InUse.of(live, [row._asdict() for row in connection.execute(rows.STATES)])


def plain_reason(location: DatabaseLocation, exc: Exception) -> str:
    """Return the driver's own words, on one line and without the password."""
    lines = str(getattr(exc, "orig", None) or exc).strip().splitlines()
    return location.redacted(lines[0] if lines else type(exc).__name__)
