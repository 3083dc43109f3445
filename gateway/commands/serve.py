"""`locus serve`: portfolio file -> running gateway.

Simulated models are served with `--demo` alone, or where a person on a terminal has no portfolio file at all. The models of a
portfolio file that do not answer yet are waited for.
"""

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

from gateway.commands.banner import banner
from gateway.commands.notices import fatal, tell, warn
from gateway.config.portfolio import Portfolio, is_loopback
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.core.client_limits import BACKLOG
from gateway.core.safe_logging import DefectFormatter, hide_texts, loop_defect
from gateway.server.reload import Fingerprint, Reloader, fingerprint
from gateway.server.workers import Link, Supervisor, Worker, below
from router.errors import RouterError

ENOUGH_FILES = 1 << 20


def default_config() -> Path:
    """The portfolio file of the working directory."""
    return Path("config/portfolio.yaml")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help=f"Portfolio file.  [default: {default_config()}]")
@click.option("--host", help="Address to listen on, instead of the portfolio's.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, instead of the portfolio's.")
@click.option("--demo", is_flag=True, help="Serve simulated models, to try the gateway; no answer is real.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, help="Processes that share the work.", show_default=True
)
def serve(config: Path | None, host: str | None, port: int | None, demo: bool, workers: int) -> None:
    """Start the gateway."""
    log_to_stderr()
    raise_descriptor_limit()
    if workers > 1 and not hasattr(os, "fork"):
        raise click.ClickException("--workers needs a system that can fork processes, such as Linux or macOS")
    path = config or default_config()
    try:
        seen = fingerprint(path)
        if config is None and seen is None and (demo or on_a_terminal()):
            if not demo:
                told = f"There is no {path}, so simulated models answer: no answer is real. See `locus serve --help`."
                tell(told, fg="yellow", bold=True)
            portfolio, demo = Portfolio(path=None, models=()), True
        else:
            portfolio = load_portfolio(path, os.environ)
        for warning in () if demo else portfolio.warnings:
            warn(warning)
        settings = portfolio.settings
        portfolio = replace(
            portfolio,
            settings=replace(settings, host=host or settings.host, port=settings.port if port is None else port),
        )
        listener = bind(portfolio)
    except PortfolioError as exc:
        more = "; `locus serve --demo` serves simulated models, to try the gateway" if seen is None else ""
        raise fatal(f"{exc}{more}") from exc
    try:
        if demo and workers > 1:
            warn("simulated models are served by one process, not several")
        if workers > 1 and not demo:
            for warning in below(portfolio, workers):
                warn(warning)
            sys.exit(_Several(portfolio, seen, listener, workers).run())
        sys.exit(_work(portfolio, seen, listener, demo=demo))
    finally:
        listener.close()


def on_a_terminal() -> bool:
    """Whether a person sees what this process says."""
    return sys.stdin.isatty() and sys.stderr.isatty()


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
        fatal(str(exc)).show()
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
        import gateway.http.app
        import gateway.http.service  # noqa: F401 - once, and shared by all

        settle()
        return self._supervisor.run()

    def _say_hello(self) -> None:
        click.echo(banner(self._portfolio, self._portfolio.path, self._listener.getsockname()), err=True)

    def _work(self, worker: Worker) -> int:
        log_to_stderr(f" [{worker.index + 1}]")
        return _work(self._portfolio, self._seen, self._listener, worker=worker)

    def _reloaded(self, file: Fingerprint) -> None:
        """A worker has put the file in force as it was then; where it has changed since, the workers will tell again."""
        path = self._portfolio.path
        assert path is not None
        if file == self._seen or file != fingerprint(path):
            return
        with contextlib.suppress(PortfolioError):
            changed = for_listener(load_portfolio(path, os.environ), self._portfolio)
            if file == fingerprint(path):
                self._portfolio, self._seen = changed, file


def for_listener(changed: Portfolio, in_force: Portfolio) -> Portfolio:
    """A changed portfolio for the listener that there is.

    Raises:
        PortfolioError: it lacks a key that is in force and does not say so, or would be open to a network without any key.
    """
    before, after = in_force.settings, changed.settings
    settings = replace(after, host=before.host, port=before.port)
    if before.keys and not after.keys and "keys" not in changed.stated:
        raise PortfolioError([f"{changed.path}: gateway: `keys` is gone; to serve without any key write `keys: []`"])
    if before.admin_key is not None and after.admin_key is None and "admin_key" not in changed.stated:
        told = "`admin_key` is gone; to do without one write `admin_key: null`"
        raise PortfolioError([f"{changed.path}: gateway: {told}"])
    if not settings.keys and not is_loopback(settings.host):
        raise PortfolioError([f"{changed.path}: without gateway keys {settings.host} would be open to all"])
    return replace(changed, settings=settings)


async def _run(
    portfolio: Portfolio, seen: Fingerprint, listener: socket.socket, demo: bool, worker: Worker | None
) -> None:
    from threadpoolctl import threadpool_limits

    from gateway.http.app import create_app
    from gateway.http.service import open_service
    from gateway.server.server import Server
    from gateway.upstream.proxy import Proxies
    from gateway.upstream.reachability import Reachability

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
        elif demo:
            from gateway.commands.demo_portfolio import demo_portfolio
            from gateway.demo.provider import SimulatedProvider
            from gateway.http.demo_controls import demo_routes

            provider = await stack.enter_async_context(SimulatedProvider())
            portfolio = demo_portfolio(provider.base_urls, portfolio.settings)
            controls = demo_routes(provider)
        proxies = Proxies({} if demo else os.environ)
        metrics = link.metrics if link is not None else None
        service = await stack.enter_async_context(open_service(portfolio, metrics=metrics, proxies=proxies))
        if not demo:
            level = logging.WARNING if worker is None or worker.index == 0 else logging.DEBUG  # each sees the same
            await stack.enter_async_context(
                Reachability(lambda: service.in_force.fleet, service.clock, proxies, level=level)
            )

        async def apply(changed: Portfolio, file: Fingerprint) -> None:
            changed = for_listener(changed, service.in_force.portfolio)
            if demo:
                changed = replace(service.in_force.portfolio, settings=changed.settings)
            await service.apply(worker.share(changed) if worker is not None else changed)
            if link is not None:
                link.reloaded(file)

        def report(problem: str | None) -> None:
            service.reload_error = problem

        if real.path is not None:
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
    """The log of all modules, without the texts of exceptions.

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


def bind(portfolio: Portfolio) -> socket.socket:
    """The listening socket.

    Raises:
        click.ClickException: the address cannot be used, or would be open to a network without any key.
    """
    host, port = portfolio.settings.host, portfolio.settings.port
    if not portfolio.settings.keys and not is_loopback(host):
        raise fatal(
            f"without gateway keys only a loopback address is served, not {host}: set `keys` in {portfolio.path}"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise fatal(cannot_listen(portfolio, exc)) from exc


def cannot_listen(portfolio: Portfolio, error: OSError) -> str:
    """What to tell where the system refuses the address, and what to do about it."""
    host, port = portfolio.settings.host, portfolio.settings.port
    told = f"cannot listen on {host}:{port}: {os.strerror(error.errno) if error.errno else error}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{told}: another program listens there; stop it, or choose another port: --port {port % 65535 + 1}"
        case errno.EACCES:
            return f"{told}: ports below 1024 need a privilege; choose another port: --port 4000"
        case errno.EADDRNOTAVAIL:
            return f"{told}: no network interface of this machine has it; choose another address: --host 127.0.0.1"
    return told
