"""One run of `locus onboard`: adds the jobs, shows how far they are, and reports at the end.

If a gateway uses the database, it does the work: its process has the limits of the deployments. Otherwise this process opens the
same service without announcing itself as a gateway, and does the work alone.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import click

from gateway.commands.onboarding_bars import Bars
from gateway.commands.onboarding_report import print_report
from gateway.config.onboarding import OnboardEntry
from gateway.config.portfolio import Model, Portfolio
from gateway.core.errors import NotFound
from gateway.http.in_force import load_router
from gateway.http.onboarding import onboarding_place
from gateway.http.service import open_service
from gateway.model_versions.model_versions import ModelVersions
from gateway.onboarding.course import Course
from gateway.onboarding.jobs import Job, JobStore
from gateway.onboarding.need import models_that_need_it
from gateway.replicas.presence import gateway_lives
from gateway.routing.placed_models import placed_models
from gateway.store.database import Database
from gateway.upstream.proxy import Proxies
from router.model.serving import Router

LOOK_S = 0.25  # between two looks at the jobs
TAKEN_S = 20.0  # within which a gateway takes a job

Work = asyncio.Task[None] | None
"""The job in this process; None if a gateway does it."""


class OnboardingRun:
    """Onboards models of a portfolio.

    Args:
        options: of a model.
        again: ask again what was asked before.
    """

    def __init__(self, portfolio: Portfolio, options: Callable[[Model], OnboardEntry], *, again: bool) -> None:
        self._portfolio = portfolio
        self._options = options
        self._again = again
        self._interrupts = 0

    async def run(self, names: Sequence[str] | None) -> list[Job]:
        """The jobs, which have ended.

        Args:
            names: of the models; None: all that need it.

        Raises:
            GatewayError: a job of one of the models runs already, or the database cannot be used.
            RouterError: the model space cannot be loaded.
        """
        location = self._portfolio.settings.database
        if location is None:
            raise click.ClickException(
                "the portfolio has no database for answers: set `record` or `store` under `gateway`"
            )
        database = Database(location)
        try:
            router = await asyncio.to_thread(load_router, self._portfolio)
            if names is None:
                in_use = await ModelVersions(database).in_use()
                placed = placed_models(self._portfolio, router, in_use)
                names = models_that_need_it(self._portfolio, placed, again=self._again)
            if not names:
                click.echo("All models have an embedding of their own; --again asks them again.", err=True)
                return []
            wanted = {model.name: self._options(model) for model in self._portfolio.models if model.name in names}
            ended = sorted(await self._onboard(database, wanted, router), key=lambda job: list(wanted).index(job.model))
            await print_report(ended, self._portfolio, router, database)
            return ended
        finally:
            await database.close()

    async def _onboard(self, database: Database, wanted: Mapping[str, OnboardEntry], router: Router) -> list[Job]:
        jobs = JobStore(database)
        gateway = await gateway_lives(database)
        work = self._by_gateway(jobs, wanted) if gateway else self._by_itself(wanted, router)
        with Bars(wanted) as bars:
            async with work as task:
                return await self._follow(jobs, list(wanted), task, bars)

    @asynccontextmanager
    async def _by_gateway(self, jobs: JobStore, wanted: Mapping[str, OnboardEntry]) -> AsyncIterator[Work]:
        await jobs.submit(wanted, "gateway", again=self._again)
        click.echo("the running gateway asks the probes", err=True)
        yield None

    @asynccontextmanager
    async def _by_itself(self, wanted: Mapping[str, OnboardEntry], router: Router) -> AsyncIterator[Work]:
        proxies = Proxies(os.environ)
        async with open_service(self._portfolio.without_health_checks, proxies=proxies, router=router) as service:
            service.failover.upstreams.prepare(service.in_force.portfolio)
            place = onboarding_place(service)
            assert place is not None, "the portfolio has a database"
            added = await place.jobs.submit(wanted, "command", again=self._again, owner=place.owner)
            task = asyncio.create_task(Course(place, added).run(), name="onboarding")
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def _follow(self, jobs: JobStore, models: list[str], work: Work, bars: Bars) -> list[Job]:
        """Shows the progress until all jobs have ended. Ctrl-C stops them; a second one does not wait for the calls that run."""
        loop, waited_s = asyncio.get_running_loop(), 0.0
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            while True:
                found = await jobs.all(models)
                bars.show(found)
                if not any(job.active for job in found) or self._interrupts > 1:
                    return found
                if work is not None and work.done():
                    work.result()  # raises what ended it
                    return await jobs.all(models)
                if self._interrupts:
                    await _stop(jobs, found)
                if work is None and any(job.state == "waiting" or job.gone for job in found):
                    waited_s += LOOK_S
                    if waited_s > TAKEN_S:
                        await _stop(jobs, found)
                        raise click.ClickException(
                            "a gateway uses the database, but it does not take the job; see its log"
                        )
                await asyncio.sleep(LOOK_S)
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def _interrupt(self) -> None:
        self._interrupts += 1
        click.echo("\nstopping; calls that run are waited for (Ctrl-C again: at once)", err=True)


async def _stop(jobs: JobStore, found: Sequence[Job]) -> None:
    for job in found:
        if job.state in ("waiting", "running"):
            try:
                await jobs.stop(job.model)
            except NotFound:  # it has just ended
                continue
