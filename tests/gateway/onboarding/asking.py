"""Questions to models of a running gateway, for tests."""

from gateway.onboarding.probe_calls import ProbeCalls
from tests.gateway.running import Gateway


def calls_of(run: Gateway) -> ProbeCalls:
    """Questions through the gateway's own upstreams, limits and record."""
    service = run.service
    return ProbeCalls(service.failover, service.recorder, lambda: service.in_force.portfolio)
