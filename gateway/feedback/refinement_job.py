"""The job that refines embeddings by outcomes: one process of a database does it, every hour or after 500 outcomes of a model."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.config.feedback import FeedbackEntry
from gateway.config.portfolio import Portfolio
from gateway.core.errors import StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import CHECKPOINT_CHARS, Clock
from gateway.feedback.base import Standing, standing_of
from gateway.feedback.outcomes import Outcomes
from gateway.feedback.rates import Rates, measured_rates
from gateway.feedback.refinement import Candidate, candidate, judge_source
from gateway.feedback.reports import Reports
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import Version
from gateway.routing.model_embeddings import find_embedding
from router.model.serving import Router

log = logging.getLogger("locus.feedback")

MOST_USED = 5_000  # outcomes of one model in one refinement, which then takes about two seconds of one core
LONGEST_PAUSE_S = 60.0  # between two looks


@dataclass(frozen=True, slots=True)
class Subject:
    """What is refined.

    Attributes:
        portfolio: as its file is.
        router: of its checkpoint and model spaces.
    """

    portfolio: Portfolio
    router: Router


class RefinementJob:
    """Refines embeddings. Use as an async context manager.

    Args:
        subject: returns what is in force.
        leads: False while another process of this database does it.
        refined: called with the model and "taken", "not_taken" or "unchecked" for each candidate.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        outcomes: Outcomes,
        versions: ModelVersions,
        subject: Callable[[], Subject],
        leads: Callable[[], bool] = lambda: True,
        refined: Callable[[str, str], None] = lambda model, result: None,
        now: Clock = time.time,
    ) -> None:
        self._outcomes = outcomes
        self._versions = versions
        self._subject = subject
        self._leads = leads
        self._refined = refined
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self._read: dict[str, float] = {}  # model -> when its outcomes were read last, by this process
        self._away = False

    async def __aenter__(self) -> "RefinementJob":
        self._task = asyncio.create_task(self._run(), name="refinement")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            settings = self._subject().portfolio.feedback
            every_s = LONGEST_PAUSE_S if settings is None else settings.refine_every
            await asyncio.sleep(min(every_s, LONGEST_PAUSE_S))
            try:
                if self._leads():
                    await self.look()
                self._away = False
            except StoreUnavailable as exc:
                if not self._away:
                    log.warning("no embedding is refined now: %s", exc.message)
                self._away = True
            except Exception as exc:  # of any kind: the next look tries again
                log_exception(log, "embeddings cannot be refined", exc)

    async def look(self) -> None:
        """Refines the models that have new outcomes and whose turn it is.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        subject = self._subject()
        retention_s = subject.portfolio.settings.record_retention
        await self._outcomes.forget(None if retention_s is None else self._now() - retention_s)
        settings = subject.portfolio.feedback
        if settings is None:
            return
        written = await self._outcomes.written()
        for model in subject.portfolio.models:
            if model.name not in written:
                continue
            versions = await self._versions.history(model.name)
            since = self._last(model.name, versions)
            if await self._due(model.name, settings, since, *written[model.name]):
                name = find_embedding(model, subject.router.space).name
                standing = standing_of(versions, subject.router, name)
                if standing is not None and not standing.gone_back:
                    await self._refine(model.name, subject, settings, standing)

    def _last(self, model: str, versions: list[Version]) -> float:
        """When the model's outcomes were read last; 0: never, or not since the model was onboarded or embedded again."""
        times = (v.time for v in versions if v.source == "refinement" and v.deployment is None)
        last = self._read.get(model) or max(times, default=0.0)
        live = next((v for v in versions if v.live and v.deployment is None), None)
        return 0.0 if live is not None and live.source != "refinement" and live.time > last else last

    async def _due(self, model: str, settings: FeedbackEntry, since: float, first: float, last: float) -> bool:
        if last < since:
            return False
        if self._now() - (since or first) >= settings.refine_every:
            return True
        return await self._outcomes.number_since(model, since) >= settings.refine_outcomes

    async def _refine(self, model: str, subject: Subject, settings: FeedbackEntry, standing: Standing) -> None:
        router = subject.router
        self._read[model] = now = self._now()
        rows = await self._outcomes.of_model(model, router.checkpoint[:CHECKPOINT_CHARS], MOST_USED)
        rates = await measured(self._outcomes, settings)

        def work() -> Candidate | None:
            reports = Reports.of(rows, router.encoder.dim)
            return candidate(router, standing.base, standing.live, reports, rates, settings, now)

        found = await asyncio.to_thread(work)
        if found is None:
            return
        await self._versions.add(
            model,
            found.embedding,
            checkpoint=router.checkpoint,
            source="refinement",
            note=found.note,
            live=found.taken,
        )
        self._refined(model, "unchecked" if found.check is None else "taken" if found.taken else "not_taken")


async def measured(outcomes: Outcomes, settings: FeedbackEntry) -> dict[str, Rates]:
    """The error rates of the judges of the portfolio file, by source."""
    return {
        source: measured_rates(await outcomes.compared(source), grader.sensitivity, grader.specificity)
        for grader in settings.graders
        if grader.model is not None and (source := judge_source(grader.name))
    }
