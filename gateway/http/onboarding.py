"""Onboarding by the models, upstreams and database of a running service."""

from collections.abc import Callable, Mapping

from gateway.config.onboarding import OnboardEntry
from gateway.config.portfolio import NO_EMBEDDING
from gateway.http.service import Service
from gateway.onboarding.answers import AnswerStore
from gateway.onboarding.asking import Desk
from gateway.onboarding.course import Place
from gateway.onboarding.jobs import JobStore
from gateway.onboarding.probe_calls import ProbeCalls
from gateway.onboarding.runner import POLL_S, OnboardingRunner
from gateway.record.request_record import Part
from gateway.replicas.owner import process_name

LONGEST_GRACE_S = 10.0  # for calls that run when the gateway stops; their probes are asked again


def probe_calls(service: Service, billed: Callable[[Part], None] = lambda part: None) -> ProbeCalls:
    """Questions through the upstreams, limits and record of a service.

    Args:
        billed: called with each billed call, also of questions without an answer.
    """

    def counted(part: Part) -> None:
        service.metrics.call_billed(part)
        billed(part)

    return ProbeCalls(service.failover, service.recorder, lambda: service.in_force.portfolio, counted)


def onboarding_place(service: Service) -> Place | None:
    """What onboarding needs of a service; None if it has no database."""
    database, versions = service.database, service.models
    if database is None or versions is None:
        return None
    desk = Desk(
        probe_calls(service),
        AnswerStore(database),
        lambda: service.in_force.deployments.models,
        service.clock,
        service.metrics.probe_asked,
    )
    return Place(
        desk,
        JobStore(database),
        versions,
        database,
        lambda: service.in_force.file_router,
        lambda name: next((model for model in service.in_force.file.models if model.name == name), None),
        process_name(),
        service.metrics.onboarding_error,
    )


def onboarding_runner(service: Service, poll_s: float = POLL_S) -> OnboardingRunner | None:
    """Runs the jobs of the database and of the portfolio file; None without a database.

    Args:
        poll_s: between two looks at the jobs.
    """
    place = onboarding_place(service)
    if place is None:
        return None

    def wanted() -> Mapping[str, OnboardEntry]:
        models = service.in_force.file.models
        return {
            model.name: model.onboard
            for model in models
            if model.onboard is not None and model.embedding != NO_EMBEDDING
        }

    def grace_s() -> float:
        return min(service.in_force.portfolio.settings.shutdown_grace, LONGEST_GRACE_S)

    return OnboardingRunner(place, service.replicas.leads, wanted, grace_s, poll_s)
