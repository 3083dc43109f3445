"""Runs one gateway process, alone or as a worker of several: opens everything in order, serves, closes it in reverse."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from starlette.routing import BaseRoute
from threadpoolctl import threadpool_limits

from gateway.config.portfolio import Portfolio
from gateway.console.app import with_console
from gateway.core.safe_logging import log_loop_exception
from gateway.http.app import create_app
from gateway.http.drift import drift_watcher
from gateway.http.feedback_jobs import feedback_jobs
from gateway.http.onboarding import onboarding_runner
from gateway.http.service import Service, open_service
from gateway.server.launch import Launch
from gateway.server.link import Link
from gateway.server.listener import for_listener
from gateway.server.log_writer import written_in_thread
from gateway.server.process import freeze_startup_objects
from gateway.server.reload import Fingerprint, Reloader
from gateway.server.server import Server
from gateway.upstream.proxy import Proxies
from gateway.upstream.reachability import Reachability


async def run(launch: Launch) -> None:
    """Serves until the process is asked to stop.

    Raises:
        RouterError: the checkpoint or a model space cannot be loaded.
        ReplicaRefused: another gateway uses the database.
        asyncio.CancelledError: it was asked to stop before it accepted requests.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_loop_exception)
    # The matrix products of a decision are small: more threads would cost more CPU time than they save.
    threadpool_limits(1, user_api="blas")
    stop = StopRequests(once=launch.worker is not None)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.signalled)
    async with AsyncExitStack() as stack:
        stack.enter_context(written_in_thread())
        link = await _open_link(launch, stop, stack)
        portfolio, extra_routes = await _portfolio(launch, stack)
        proxies = Proxies({} if launch.simulation else os.environ)
        metrics = None if link is None else link.metrics
        replica = launch.replica if launch.simulation is None else None
        service = await stack.enter_async_context(
            open_service(portfolio, metrics=metrics, proxies=proxies, environment=os.environ, replica=replica)
        )
        if launch.simulation is None:
            await stack.enter_async_context(_reachability(launch, service, proxies))
        await _watch_file(launch, service, link, stack)
        await stack.enter_async_context(feedback_jobs(service))
        if (runner := onboarding_runner(service)) is not None:
            await stack.enter_async_context(runner)
        if (watcher := drift_watcher(service)) is not None:
            await stack.enter_async_context(watcher)
        app = with_console(service, create_app(service, extra_routes))
        server = Server(app, lambda: service.in_force.portfolio.settings.shutdown_grace)
        stop.action = server.ask_to_stop
        freeze_startup_objects()
        if link is not None:
            link.ready()
        else:
            launch.announce(portfolio)
        service.failover.upstreams.prepare(portfolio)
        await server.serve(sockets=[launch.listener])


class StopRequests:
    """Turns signals and the supervisor's messages into calls of one action: the first stops gracefully, a second at once.

    Args:
        once: all signals together count as one request. A worker may get the signals that its supervisor gets and passes on,
            so that only the supervisor's message may count as the second request.

    Attributes:
        action: called for each request to stop; until the server exists it cancels the task that starts it.
    """

    def __init__(self, *, once: bool) -> None:
        starting = asyncio.current_task()
        assert starting is not None
        self.action: Callable[[], object] = starting.cancel
        self._once = once
        self._requests = 0

    def signalled(self) -> None:
        """The process got SIGTERM or SIGINT."""
        self._raise_to(1 if self._once else self._requests + 1)

    def from_supervisor(self, at_once: bool) -> None:
        """The supervisor asks this worker to stop."""
        self._raise_to(2 if at_once else 1)

    def _raise_to(self, requests: int) -> None:
        while self._requests < requests:
            self._requests += 1
            self.action()


async def _open_link(launch: Launch, stop: StopRequests, stack: AsyncExitStack) -> Link | None:
    if launch.worker is None:
        return None
    return await stack.enter_async_context(Link(launch.worker.link, stop.from_supervisor))


async def _portfolio(launch: Launch, stack: AsyncExitStack) -> tuple[Portfolio, list[BaseRoute]]:
    """The portfolio that this process serves: its share of the limits, or the simulated models; and their routes."""
    if launch.worker is not None:
        return launch.worker.share(launch.portfolio), []
    if launch.simulation is not None:
        return await stack.enter_async_context(launch.simulation(launch.portfolio))
    return launch.portfolio, []


def _reachability(launch: Launch, service: Service, proxies: Proxies) -> Reachability:
    # All workers log the same, so only the first one logs it visibly.
    level = logging.WARNING if launch.worker is None or launch.worker.index == 0 else logging.DEBUG
    return Reachability(lambda: service.in_force.deployments, service.clock, proxies, level=level)


async def _watch_file(launch: Launch, service: Service, link: Link | None, stack: AsyncExitStack) -> None:
    """Puts a changed portfolio file in force from now on; of simulated models only the settings change."""
    path = launch.portfolio.path
    if path is None:
        return

    async def apply(changed: Portfolio, file: Fingerprint) -> None:
        changed = for_listener(changed, service.in_force.portfolio)
        if launch.simulation is not None:
            changed = replace(service.in_force.file, settings=changed.settings.of_demo())
        await service.apply(launch.worker.share(changed) if launch.worker is not None else changed)
        if link is not None:
            link.reloaded(file)

    def report(problem: str | None) -> None:
        service.reload_error = problem

    reloader = await stack.enter_async_context(Reloader(path, os.environ, apply, report, seen=launch.file))
    if link is not None:
        link.reload = reloader.request
