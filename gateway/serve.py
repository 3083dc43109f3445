"""`locus serve`: portfolio file -> running gateway. Falls back to the simulated provider where nothing real answers."""

import asyncio
import contextlib
import ctypes
import errno
import gc
import logging
import os
import signal
import socket
import sys
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
from gateway.reload import Fingerprint, Reloader, fingerprint
from gateway.workers import Link, Supervisor, Worker, below
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
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, help="Processes that share the work.", show_default=True
)
def serve(config: Path, host: str | None, port: int | None, demo: bool, workers: int) -> None:
    """Start the gateway."""
    log_to_stderr()
    raise_descriptor_limit()
    if workers > 1 and not hasattr(os, "fork"):
        raise click.ClickException("--workers needs a system that can fork processes, such as Linux or macOS")
    try:
        seen = fingerprint(config)
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
        if workers > 1 and not simulated(portfolio, demo=demo):
            for warning in below(portfolio, workers):
                click.secho(f"warning: {warning}", fg="yellow", err=True)
            sys.exit(_Several(portfolio, seen, listener, workers).run())
        sys.exit(_work(portfolio, seen, listener, demo=demo))
    finally:
        listener.close()


def simulated(portfolio: Portfolio, *, demo: bool) -> bool:
    """Is the simulated provider served? It has state, so that it stays in one process."""
    from gateway.demo.portfolio import reachable

    if not demo and asyncio.run(reachable(portfolio)):
        return False
    click.secho("warning: simulated models are served by one process, not several", fg="yellow", err=True)
    return True


def _work(
    portfolio: Portfolio,
    seen: Fingerprint,
    listener: socket.socket,
    *,
    demo: bool = False,
    worker: Worker | None = None,
) -> int:
    """Serves until it is told to stop; gives the exit status."""
    import uvloop

    try:
        uvloop.run(_run(portfolio, seen, listener, demo, worker))
    except RouterError as exc:
        click.ClickException(str(exc)).show()
        return 1
    except asyncio.CancelledError:
        if worker is None:
            click.echo("stopped before it had started", err=True)
    return 0


class _Several:
    """A supervisor and its workers. Keeps the newest portfolio that was put in force, for those that are started again."""

    def __init__(self, portfolio: Portfolio, seen: Fingerprint, listener: socket.socket, number: int) -> None:
        self._portfolio = portfolio
        self._seen = seen
        self._listener = listener
        self._supervisor = Supervisor(
            number,
            listener,
            self._work,
            ready=self._say_hello,
            reloaded=self._reloaded,
            grace_s=lambda: self._portfolio.settings.shutdown_grace_s,
        )

    def run(self) -> int:
        import gateway.app
        import gateway.server
        import gateway.service  # noqa: F401 - once, and shared by all

        settle()
        return self._supervisor.run()

    def _say_hello(self) -> None:
        assert self._portfolio.path is not None
        click.echo(banner(self._portfolio, self._portfolio.path, self._listener.getsockname()), err=True)

    def _work(self, worker: Worker) -> int:
        log_to_stderr(f" [{worker.index + 1}]")
        return _work(self._portfolio, self._seen, self._listener, worker=worker)

    def _reloaded(self) -> None:
        assert self._portfolio.path is not None
        seen = fingerprint(self._portfolio.path)
        if seen != self._seen:
            with contextlib.suppress(PortfolioError):  # it changed once more; the workers will tell
                changed = load_portfolio(self._portfolio.path, os.environ)
                self._portfolio, self._seen = at_same_address(changed, self._portfolio), seen


def at_same_address(changed: Portfolio, real: Portfolio) -> Portfolio:
    """A changed portfolio for the listener that there is.

    Raises:
        PortfolioError: it would be open to a network without any key.
    """
    settings = replace(changed.settings, host=real.settings.host, port=real.settings.port)
    if not settings.keys and not is_loopback(settings.host):
        raise PortfolioError([f"{real.path}: without gateway keys {settings.host} would be open to everybody"])
    return replace(changed, settings=settings)


async def _run(
    portfolio: Portfolio, seen: Fingerprint, listener: socket.socket, demo: bool, worker: Worker | None
) -> None:
    from threadpoolctl import threadpool_limits

    from gateway.app import create_app
    from gateway.demo.portfolio import reachable
    from gateway.server import Server
    from gateway.service import open_service

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(loop_defect)
    # The products of a decision are small: more threads would cost more CPU than they save, and take it from requests.
    threadpool_limits(1, user_api="blas")
    starting = asyncio.current_task()
    assert starting is not None
    stop: Callable[[], object] = starting.cancel
    asked = 0

    def ask_to_stop(times: int) -> None:
        nonlocal asked
        while asked < times:
            asked += 1
            stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        # A worker may get a signal that its supervisor gets, and passes on, too: only the latter's word counts twice.
        loop.add_signal_handler(number, lambda: ask_to_stop(asked + 1 if worker is None else 1))
    async with AsyncExitStack() as stack:
        controls: list[BaseRoute] = []
        real = portfolio
        link: Link | None = None
        if worker is not None:
            told = Link(worker.link, lambda at_once: ask_to_stop(2 if at_once else 1))
            link = await stack.enter_async_context(told)
            portfolio = worker.share(portfolio)
        elif demo or not await reachable(portfolio):
            from gateway.demo.controls import demo_routes
            from gateway.demo.portfolio import demo_portfolio
            from gateway.demo.provider import SimulatedProvider

            provider = await stack.enter_async_context(SimulatedProvider())
            portfolio = demo_portfolio(provider.base_urls, portfolio.settings)
            controls = demo_routes(provider)
        service = await stack.enter_async_context(open_service(portfolio, metrics=link.metrics if link else None))

        async def apply(changed: Portfolio) -> None:
            if service.in_force.portfolio.simulated and not await reachable(changed):
                return  # the demo goes on until there is something real to serve
            changed = at_same_address(changed, real)
            await service.apply(worker.share(changed) if worker is not None else changed)
            if link is not None:
                link.reloaded()

        def report(problem: str | None) -> None:
            service.reload_error = problem

        assert real.path is not None
        reloader = await stack.enter_async_context(Reloader(real.path, os.environ, apply, report, seen=seen))
        if link is not None:
            link.reload = reloader.ask
        server = Server(create_app(service, controls), lambda: service.in_force.portfolio.settings.shutdown_grace_s)
        stop = server.ask_to_stop
        settle()
        if link is not None:
            link.ready()
        else:
            click.echo(banner(portfolio, real.path, listener.getsockname()), err=True)
        await server.serve(sockets=[listener])


def log_to_stderr(who: str = "") -> None:
    """Everybody's log, without the texts of exceptions.

    Args:
        who: named in each line; replaces the log that there is.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(DefectFormatter(f"%(asctime)s{who} %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=bool(who))
    hide_texts()


# Every request leaves something behind that stays a while, its conversation and its record, so that Python's own thresholds
# would have all of that looked through every few hundred requests: a tenth of the time of each.
COLLECT = (20_000, 20, 20)


def settle() -> None:
    """Start-up is over: what is there now stays, and what loading needed goes back to the system.

    To look through it again and again would stop all requests for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)
    with contextlib.suppress(OSError, AttributeError):  # glibc would keep some 25 MB
        ctypes.CDLL(None).malloc_trim(0)


def raise_descriptor_limit() -> None:
    """As many open files as the system allows this process: every connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def banner(portfolio: Portfolio, path: Path, address: tuple[object, ...]) -> str:
    """Four lines: where the gateway listens, what it serves, how to call it, how to plug in real models."""
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
        f"listening on {url.removesuffix('/v1')}\n"
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
        raise click.ClickException(cannot_listen(portfolio, exc)) from exc


def cannot_listen(portfolio: Portfolio, error: OSError) -> str:
    """What to tell where the system refuses the address, and what to do about it."""
    host, port = portfolio.settings.host, portfolio.settings.port
    told = f"cannot listen on {host}:{port}: {error.strerror or error}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{told}: another program listens there; stop it, or choose another port: --port {port % 65535 + 1}"
        case errno.EACCES:
            return f"{told}: ports below 1024 need a privilege; choose another port: --port 4000"
        case errno.EADDRNOTAVAIL:
            return f"{told}: no network interface of this machine has it; choose another address: --host 127.0.0.1"
    return told
