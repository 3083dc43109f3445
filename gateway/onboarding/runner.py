"""Runs the jobs of onboarding in the gateway that leads: those of the database, and those that the portfolio file wants."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway.config.onboarding import OnboardEntry
from gateway.core.errors import Conflict, StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.onboarding.course import Course, Place
from gateway.onboarding.jobs import Job
from gateway.replicas.owner import process_name

log = logging.getLogger("locus.onboarding")

POLL_S = 2.0


class OnboardingRunner:
    """Use as an async context manager; leaving it waits for the calls that run, and leaves the jobs to the next process.

    Args:
        wanted: the models that the portfolio in force wants to be onboarded, with the options.
        poll_s: between two looks at the jobs.

    Attributes:
        leads: False while another process runs the jobs.
        grace_s: how long calls that run are waited for at the end, seconds.
    """

    def __init__(
        self,
        place: Place,
        leads: Callable[[], bool],
        wanted: Callable[[], Mapping[str, OnboardEntry]],
        grace_s: Callable[[], float],
        poll_s: float = POLL_S,
    ) -> None:
        self._place = place
        self.leads = leads
        self._wanted = wanted
        self.grace_s = grace_s
        self._poll_s = poll_s
        self._courses: dict[asyncio.Task[None], Course] = {}
        self._task: asyncio.Task[None] | None = None
        self._away = False

    async def __aenter__(self) -> "OnboardingRunner":
        self._task = asyncio.create_task(self._run(), name="onboarding")
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        courses = dict(self._courses)
        for course in courses.values():
            course.stop("waiting")
        if courses:
            _, running = await asyncio.wait(courses, timeout=self.grace_s())
            for task in running:
                task.cancel()
            await asyncio.gather(*courses, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                if self.leads():
                    await self._submit_wanted()
                    # A name for each: after a long outage of the database a job is taken again, and the course before must notice.
                    place = replace(self._place, owner=process_name())
                    for jobs in await place.jobs.take(place.owner):
                        self._start(place, jobs)
                self._away = False
            except StoreUnavailable as exc:
                if not self._away:
                    log.warning("jobs cannot be read: %s", exc.message)
                self._away = True
            except Exception as exc:  # a defect; the next round tries again
                log_exception(log, "jobs cannot be started", exc)
            await asyncio.sleep(self._poll_s)

    async def _submit_wanted(self) -> None:
        """Adds a job for each model that the file wants to be onboarded, and that never was."""
        wanted = self._wanted()
        if not wanted:
            return
        known = {job.model for job in await self._place.jobs.all(list(wanted))}
        if known >= wanted.keys():  # as always but once: versions are read with their embeddings
            return
        live = await self._place.versions.live()
        for model, options in wanted.items():
            if model not in known and model not in live:
                try:
                    await self._place.jobs.submit({model: options}, "gateway")
                except Conflict:  # another process was faster
                    continue
                log.info("%s is onboarded, as the portfolio file says", model)

    def _start(self, place: Place, jobs: list[Job]) -> None:
        course = Course(place, jobs)
        task = asyncio.create_task(self._finish(course), name=f"onboarding of {', '.join(job.model for job in jobs)}")
        self._courses[task] = course
        task.add_done_callback(lambda done: self._courses.pop(done, None))

    async def _finish(self, course: Course) -> None:
        try:
            await course.run()
        except StoreUnavailable as exc:
            log.warning("onboarding is interrupted, and goes on once the database answers: %s", exc.message)
