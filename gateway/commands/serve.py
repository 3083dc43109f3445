"""`locus serve`: reads the portfolio file, opens the listening socket, and runs the gateway.

It serves simulated models only with `--demo`. Deployments that do not answer yet do not stop it: they are used as soon as they
accept connections.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click
from starlette.routing import BaseRoute

from gateway.commands.banner import banner, banner_fields
from gateway.commands.notices import fatal, warn
from gateway.commands.portfolio_path import find_portfolio, portfolio_path
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.settings import Settings
from gateway.core.log_formats import Format
from gateway.replicas.presence import ReplicaRefused
from gateway.server.launch import Launch
from gateway.server.listener import CannotListen, listen
from gateway.server.process import LogSettings, log_to_stderr, raise_descriptor_limit
from gateway.server.reload import Fingerprint, fingerprint
from gateway.server.worker import check_shareable
from gateway.server.worker_group import WorkerGroup
from router.errors import RouterError

log = logging.getLogger("locus.server")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Portfolio file.")
@click.option("--host", help="Address to listen on, instead of the portfolio's.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of the portfolio's.")
@click.option("--demo", is_flag=True, help="Serve simulated models, to try the gateway. No answer is real.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, help="Processes that share the work.", show_default=True
)
@click.option(
    "--log-format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Lines for people, or a JSON object per line.",
    show_default=True,
)
@click.option(
    "--log-level",
    "level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    help="Lowest level that is logged; info has a line for each request.",
    show_default=True,
)
def serve(
    config: Path | None,
    host: str | None,
    port: int | None,
    demo: bool,
    workers: int,
    form: Format,
    level: Literal["debug", "info", "warning", "error"],
) -> None:
    """Start the gateway.

    Without --config it serves portfolio.yaml or config/portfolio.yaml of the working directory, or else
    locus/portfolio.yaml of your configuration folder ($XDG_CONFIG_HOME, by default ~/.config).
    """
    log_settings = LogSettings(form, level)
    log_to_stderr(log_settings)
    raise_descriptor_limit()
    if workers > 1 and not hasattr(os, "fork"):
        raise click.ClickException("--workers needs a system that can fork processes, such as Linux or macOS")
    say = warn if form == "text" else log.warning
    portfolio, file = read_portfolio(config, say, demo=demo)
    settings = portfolio.settings
    address = {"host": host or settings.host, "port": settings.port if port is None else port}
    portfolio = replace(portfolio, settings=settings.model_copy(update=address))
    try:
        listener = listen(portfolio)
    except CannotListen as exc:
        raise fatal(str(exc)) from exc

    def announce(served: Portfolio) -> None:
        address = listener.getsockname()
        if form == "text":
            click.echo(banner(served, portfolio.path, address), err=True)
        else:
            log.info("listening", extra={"fields": banner_fields(served, address)})

    with listener:
        simulation = simulated if demo else None
        sys.exit(run_gateway(Launch(portfolio, file, listener, announce, simulation, log=log_settings), workers, say))


def read_portfolio(config: Path | None, say: Callable[[str], None], *, demo: bool) -> tuple[Portfolio, Fingerprint]:
    """Reads the portfolio file and reports its warnings; an empty portfolio if there is no file and the demo needs none.

    Args:
        config: as given on the command line.
        say: reports a warning.

    Returns:
        the portfolio and the fingerprint of its file.

    Raises:
        click.ClickException: there is no portfolio file, or it cannot be used.
    """
    if config is None and demo and find_portfolio() is None:
        return Portfolio(path=None, models=(), settings=Settings(responses=None)), None
    path = portfolio_path(config)
    file = fingerprint(path)
    try:
        portfolio = load_portfolio(path, os.environ)
    except PortfolioError as exc:
        advice = "; `locus serve --demo` serves simulated models, to try the gateway" if file is None else ""
        raise fatal(f"{exc}{advice}") from exc
    for warning in () if demo else portfolio.warnings:
        say(warning)
    return portfolio, file


def run_gateway(launch: Launch, workers: int, say: Callable[[str], None]) -> int:
    """Serves until a stop, in one process or several; gives the exit status.

    Args:
        say: reports a warning.

    Raises:
        click.ClickException: several processes could not share the limits.
    """
    if launch.simulation is not None and workers > 1:
        say("simulated models are served by one process, not several")
    if launch.simulation is not None or workers == 1:
        return run_process(launch)
    try:
        check_shareable(launch.portfolio)
    except PortfolioError as exc:
        raise fatal(str(exc)) from exc
    import gateway.server.run  # noqa: F401 - once, before the fork, so that all workers share its memory

    return WorkerGroup(launch, workers, run_process).run()


def run_process(launch: Launch) -> int:
    """Serves in this process until a stop; gives the exit status."""
    import uvloop

    async def run() -> None:
        # Imported within the event loop, which turns Ctrl-C into a cancellation during these seconds, too.
        from gateway.server.run import run

        await run(launch)

    try:
        uvloop.run(run())
    except (RouterError, ReplicaRefused) as exc:
        fatal(str(exc)).show()
        return 1
    except asyncio.CancelledError:
        if launch.worker is None:
            click.echo("stopped before it had started", err=True)
    return 0


@asynccontextmanager
async def simulated(portfolio: Portfolio) -> AsyncIterator[tuple[Portfolio, list[BaseRoute]]]:
    """Runs simulated models; gives their portfolio, with the settings of the real one, and the routes that control them.

    Their requests are recorded in files of their own.
    """
    from gateway.commands.demo_portfolio import demo_portfolio
    from gateway.demo.provider import SimulatedProvider
    from gateway.http.demo_controls import demo_routes

    async with SimulatedProvider() as provider:
        yield demo_portfolio(provider.base_urls, portfolio), demo_routes(provider)
