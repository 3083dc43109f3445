"""`locus serve`: portfolio file -> running gateway. Falls back to the simulated provider where nothing real answers."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import click
from starlette.routing import BaseRoute

from gateway.defects import DefectFormatter, hide_texts, loop_defect
from gateway.limits import BACKLOG
from gateway.portfolio import Portfolio, is_loopback
from gateway.portfolio_file import PortfolioError, load_portfolio
from router.errors import RouterError

ENOUGH_FILES = 1 << 20


def default_config() -> Path:
    """The portfolio file of the working directory."""
    return Path("config/portfolio.yaml")


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), default=default_config, help="Portfolio file.", show_default=True
)
@click.option("--host", help="Address to listen on, instead of the portfolio's.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of the portfolio's.")
@click.option("--demo", is_flag=True, help="Serve the simulated provider even if real models can be reached.")
def serve(config: Path, host: str | None, port: int | None, demo: bool) -> None:
    """Start the gateway."""
    log_to_stderr()
    raise_descriptor_limit()
    try:
        portfolio = load_portfolio(config, os.environ)
        for warning in portfolio.warnings:
            click.secho(f"warning: {warning}", fg="yellow", err=True)
        settings = portfolio.settings
        portfolio = replace(
            portfolio,
            settings=replace(settings, host=host or settings.host, port=settings.port if port is None else port),
        )
        listener = bind(portfolio)
    except PortfolioError as exc:
        raise click.ClickException(str(exc)) from exc
    try:
        import uvloop

        uvloop.run(_run(portfolio, listener, demo=demo))
    except RouterError as exc:
        raise click.ClickException(str(exc)) from exc
    except asyncio.CancelledError:
        click.echo("stopped before it had started", err=True)
    finally:
        listener.close()


async def _run(portfolio: Portfolio, listener: socket.socket, *, demo: bool) -> None:
    from gateway.app import create_app
    from gateway.demo.portfolio import reachable
    from gateway.reload import Reloader
    from gateway.server import Server
    from gateway.service import open_service

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(loop_defect)
    starting = asyncio.current_task()
    assert starting is not None
    stop: Callable[[], object] = starting.cancel
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stop())
    async with AsyncExitStack() as stack:
        controls: list[BaseRoute] = []
        real = portfolio
        if demo or not await reachable(portfolio):
            from gateway.demo.controls import demo_routes
            from gateway.demo.portfolio import demo_portfolio
            from gateway.demo.provider import SimulatedProvider

            provider = await stack.enter_async_context(SimulatedProvider())
            portfolio = demo_portfolio(provider.base_urls, portfolio.settings)
            controls = demo_routes(provider)
        service = await stack.enter_async_context(open_service(portfolio))

        async def apply(changed: Portfolio) -> None:
            if service.in_force.portfolio.simulated and not await reachable(changed):
                return  # the demo goes on until there is something real to serve
            settings = replace(changed.settings, host=real.settings.host, port=real.settings.port)
            if not settings.keys and not is_loopback(settings.host):
                raise PortfolioError([f"{real.path}: without gateway keys {settings.host} would be open to everybody"])
            await service.apply(replace(changed, settings=settings))

        def report(problem: str | None) -> None:
            service.reload_error = problem

        assert real.path is not None
        await stack.enter_async_context(Reloader(real.path, os.environ, apply, report))
        server = Server(create_app(service, controls), lambda: service.in_force.portfolio.settings.shutdown_grace_s)
        stop = server.ask_to_stop
        # What is there now stays: looking through it again and again would stop all requests for tens of milliseconds.
        gc.collect()
        gc.freeze()
        click.echo(banner(portfolio, real.path, listener.getsockname()), err=True)
        await server.serve(sockets=[listener])


def log_to_stderr() -> None:
    """Everybody's log, without the texts of exceptions."""
    handler = logging.StreamHandler()
    handler.setFormatter(DefectFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    hide_texts()


def raise_descriptor_limit() -> None:
    """As many open files as the system allows this process: every connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def banner(portfolio: Portfolio, path: Path, address: tuple[object, ...]) -> str:
    """Three lines: what is served, how to call it, how to plug in real models."""
    host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
    url = f"http://{host}:{address[1]}/v1"
    key = ' -H "authorization: Bearer $LOCUS_KEY"' if portfolio.settings.keys else ""
    names = ", ".join(model.name for model in portfolio.models)
    body = '{"model": "auto", "messages": [{"role": "user", "content": "%s"}]}'
    if portfolio.simulated:
        served = f"SIMULATED models, since none in {path} can be reached: {names}"
        question = "Tom drives 50 miles per hour for 3 hours, rests, and then drives 40 miles per hour for 2 hours. "
        question += "How many miles does Tom drive in total?"
        plug_in = (
            f"set a key that {path} names (such as OPENROUTER_API_KEY) or start Ollama, and restart; stop a model "
        )
        plug_in += f"to see its stand-in: curl -X POST {url.removesuffix('/v1')}/demo/stop/sim-math"
    else:
        served = f"{len(portfolio.models)} models from {path}: {names}"
        question = "Why is the sky blue?"
        plug_in = f"edit {path}, it is read again when it changes; `locus check` says what is wrong with it"
    return (
        f"locus  {served}\n"
        f"try    curl -i {url}/chat/completions -H 'content-type: application/json'{key} -d '{body % question}'\n"
        f"models {plug_in}"
    )


def bind(portfolio: Portfolio) -> socket.socket:
    """The listening socket.

    Raises:
        click.ClickException: the address cannot be used, or would be open to a network without any key.
    """
    host, port = portfolio.settings.host, portfolio.settings.port
    if not portfolio.settings.keys and not is_loopback(host):
        raise click.ClickException(
            f"without gateway keys only a loopback address is served, not {host}: set `keys` in {portfolio.path}"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise click.ClickException(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
