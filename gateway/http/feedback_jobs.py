"""What a running service does with outcomes: grades answers, and refines embeddings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.vocabulary import CHECKPOINT_CHARS
from gateway.feedback.graders import Graders
from gateway.feedback.judging import CALLER, Judgement, Judging, NotJudged
from gateway.feedback.refinement_job import RefinementJob, Subject
from gateway.http.onboarding import probe_calls
from gateway.http.service import Service
from gateway.onboarding.budget import highest_known_nusd
from gateway.onboarding.probe_calls import ProbeFailed, Question
from gateway.record.predictions import pack_query


@asynccontextmanager
async def feedback_jobs(service: Service) -> AsyncIterator[RefinementJob | None]:
    """Grades the answers of a service and refines embeddings until the block ends; None without a record of requests."""
    database, outcomes, versions = service.database, service.outcomes, service.models
    if database is None or outcomes is None or versions is None:
        yield None
        return

    def subject() -> Subject:
        return Subject(service.in_force.file, service.in_force.file_router)

    async def encode(text: str) -> tuple[bytes, bytes] | None:
        encoding = await service.in_force.routing.encoder_queue.encode(text)
        return pack_query(encoding, service.in_force.router.encoder.text_dim)

    graders = Graders(
        outcomes,
        lambda: service.in_force.portfolio.feedback,
        Judging(database, JudgeCalls(service), service.clock),
        encode,
        lambda: service.in_force.router.checkpoint[:CHECKPOINT_CHARS],
        service.metrics.answer_graded,
    )
    job = RefinementJob(outcomes, versions, subject, service.replicas.leads, service.metrics.model_refined)
    async with job, graders:
        service.graders = graders
        try:
            yield job
        finally:
            service.graders = None


class JudgeCalls:
    """Asks models of the portfolio in force, through the upstreams, limits and record of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._calls = probe_calls(service)

    def highest_nusd(self, model: str, system: str, user: str, max_tokens: int) -> int | None:
        """What a call costs at most; see `AskModel`."""
        live = self._service.in_force.deployments.models.get(model)
        return None if live is None else highest_known_nusd(live.spec, Question(user, max_tokens, system=system))

    async def __call__(self, model: str, system: str, user: str, max_tokens: int) -> Judgement:
        live = self._service.in_force.deployments.models.get(model)
        if live is None:
            raise NotJudged("failed")
        try:
            reply = await self._calls.ask(live, Question(user, max_tokens, system=system), CALLER)
        except ProbeFailed as exc:
            raise NotJudged("failed") from exc
        return Judgement(reply.text, reply.part.cost_nusd)
