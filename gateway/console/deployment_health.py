"""How the deployments of a model are now, as this process knows it."""

from dataclasses import dataclass

from gateway.deployments.live import LiveDeployment
from gateway.http.service import Service
from gateway.limits.standing import counted_standings
from gateway.model_versions.states import State

MEDIAN = 0.5
_LIMITS = {"requests": "rpm", "tokens": "tpm", "parallel": "max_parallel_requests"}


@dataclass(frozen=True, slots=True)
class LimitInUse:
    """A limit of a deployment.

    Attributes:
        name: the field of the portfolio.
        used: None before the store of limits was asked.
    """

    name: str
    limit: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Health:
    """One deployment.

    Attributes:
        calls: the model's name at its provider.
        state: as the operator or the gateway set it.
        unavailable: why no call is made now, in the provider's words where it gave any; empty if calls are made.
        wait_s: until a call may be tried again; None if only the operator can help, or if none waits.
        tested: why it was not called before; the next call tests it. Empty for one that is in service.
        first_token_ms, answer_ms: medians of recent calls; None if too few are known.
        version: of an embedding of its own; None: it has that of the model.
        left_out: fields that it refused, and that are left out of its requests.
    """

    id: str
    calls: str
    provider: str
    state: State
    unavailable: str
    wait_s: float | None
    tested: str
    in_flight: int
    limits: tuple[LimitInUse, ...]
    first_token_ms: float | None
    answer_ms: float | None
    version: int | None
    left_out: tuple[str, ...]


def deployments_of(service: Service, model: str) -> list[Health]:
    """The deployments of a chat model of the portfolio in force, in its order."""
    in_use = service.in_force.in_use
    found = []
    for live in service.in_force.deployments.models[model].deployments:
        state = in_use.of_deployments.get((model, live.spec.id))
        version = in_use.versions_of_deployments.get((model, live.spec.id))
        unavailable = live.unavailable() is not None
        health = Health(
            live.spec.id,
            live.spec.upstream_model,
            live.spec.provider,
            "live" if state is None else state.state,
            live.not_called_because()[1] if unavailable else "",
            live.wait_s() if unavailable and live.quarantined is None else None,
            "" if unavailable or live.breaker.open_until is None else live.breaker.reason,
            live.in_flight,
            _limits(service, live),
            _milliseconds(live.usual_time_s(MEDIAN, stream=True)),
            _milliseconds(live.usual_time_s(MEDIAN, stream=False)),
            None if version is None else version.version,
            tuple(sorted(live.dropped_fields)),
        )
        found.append(health)
    return found


def _limits(service: Service, live: LiveDeployment) -> tuple[LimitInUse, ...]:
    grant = live.limits.grant
    if grant is None:
        return ()
    standings = counted_standings(service.limiter.standing(grant))
    found = []
    for kind, name in _LIMITS.items():
        limit: int | None = getattr(live.spec, name)
        if limit is None:
            continue
        standing = next((one for counted, one in standings.items() if counted == kind), None)
        used = None if standing is None else standing.limit - standing.remaining
        found.append(LimitInUse(name, limit, live.in_flight if kind == "parallel" and used is None else used))
    return tuple(found)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
