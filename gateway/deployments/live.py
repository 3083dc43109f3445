"""The live state of a portfolio's deployments: circuit breaker, limits, usual speed, and refusals learned from calls."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from gateway.config.portfolio import BUILT_IN, Deployment, Model, Portfolio
from gateway.config.providers import Prefill
from gateway.config.settings import BreakerSettings
from gateway.core.vocabulary import Clock
from gateway.deployments.breaker import Breaker, Refusal
from gateway.deployments.learned_refusals import LearnedRefusals
from gateway.deployments.own_limits import OwnLimits
from gateway.deployments.state_changes import StateChanges
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.requirements import Requirements

MAX_TIMES = 100  # latest times to the first token from which quantiles are computed
MIN_TIMES = 20
MAX_TAKEN_OUT = 0.5  # share of the deployments that refusals without words may take out: the requests may be at fault


class Tell(Protocol):
    """Tells other gateways of a failed call.

    Args:
        opened: the deployment is out of service because of it.
        checked: the gateway made the call by itself.
    """

    def __call__(self, failure: UpstreamFailure, *, opened: bool, checked: bool) -> None: ...


def _tell_none(failure: UpstreamFailure, *, opened: bool, checked: bool) -> None:
    """Without other gateways."""


class LiveDeployment:
    """One deployment and its state.

    Attributes:
        limits: those of the portfolio, which all processes share.
        quarantined: why it must not be called; None if it may.
        unreachable: why its server accepted no connection at the last test; None if it did, or was not tested.
        unknown_fields: names of the optional fields that are left out of its requests, and of the changes made in them.
        unknown_apis: API formats that its server does not have, although the portfolio says so.
        no_prefill: has a name once it has refused or ignored an assistant message that it was asked to continue.
        siblings: the deployments of its model, including itself.
        peers: all deployments for chats, or all for embeddings, including itself.
        stand_ins: gives the models that may stand in for its own, the fallbacks and then the nearest first.
        changes: logs the changes of its state.
        last_failure: the last one that may take it out of service; redacted.
        tell: called with each failed call.
    """

    def __init__(self, spec: Deployment, settings: BreakerSettings, clock: Clock) -> None:
        self.spec = spec
        self.breaker = Breaker(settings)
        self.limits = OwnLimits(spec, clock)
        self.quarantined: str | None = None
        self.unreachable: str | None = None
        self.unknown_fields = LearnedRefusals(clock)
        self.unknown_apis = LearnedRefusals(clock)
        self.no_prefill = LearnedRefusals(clock)
        self.siblings: tuple[LiveDeployment, ...] = (self,)
        self.peers: tuple[LiveDeployment, ...] = (self,)
        self.stand_ins: Callable[[], Iterable[LiveModel]] = tuple
        self.changes = StateChanges(spec.id, clock, self.meanwhile)
        self.last_failure: UpstreamFailure | None = None
        self.tell: Tell = _tell_none
        self._times: dict[bool, deque[float]] = {stream: deque(maxlen=MAX_TIMES) for stream in (False, True)}
        self._clock = clock

    @property
    def dropped_fields(self) -> frozenset[str]:
        """Names of the fields that are left out of its requests, and of the changes made in them."""
        return self.unknown_fields.names

    @property
    def apis(self) -> frozenset[str]:
        """The API formats that it has besides chat, without those that its server turned out to lack."""
        unknown = self.unknown_apis.names
        return self.spec.apis - unknown if unknown else self.spec.apis

    @property
    def prefill(self) -> Prefill:
        """The request fields with which its server continues an assistant message; empty if it does not support that."""
        return "" if self.no_prefill.names else self.spec.prefill

    def unavailable(self) -> str | None:
        """The reason why no call may be made now, or None."""
        now = self._clock()
        if self.spec.missing_key is not None:
            return f"{self.spec.missing_key} is not set"
        if self.quarantined is not None:
            return f"quarantined: {self.quarantined}"
        if not self.breaker.available(now):
            return f"{'taken out' if self.breaker.taken_out else 'cooling down'}: {self.unreachable or self.breaker.reason}"
        reached = self.limits.reached
        return None if reached is None else reached.reason

    def not_called_because(self) -> tuple[str, str]:
        """Why no call may be made now: a cause, as of a failed call, or `no_key`, `quarantined`, `at_limit`; and words."""
        reason = self.unavailable() or ""
        if self.spec.missing_key is not None:
            return "no_key", reason
        if self.quarantined is not None:
            return "quarantined", reason
        if self.breaker.available(self._clock()):
            return Cause.AT_LIMIT.value, reason
        if self.unreachable is not None or self.last_failure is None:
            return Cause.CONNECTION.value, reason
        said = self.last_failure.reason
        return self.last_failure.cause.value, f"{reason}: {said}" if said else reason

    @property
    def in_flight(self) -> int:
        """The number of running calls."""
        return self.limits.in_flight

    @property
    def at_limit(self) -> bool:
        """Return True if a limit of the portfolio, of parallel calls or per minute, forbids a call now."""
        reached = self.limits.reached
        return reached is not None and reached.limit is not None

    def can_serve(self, requirements: Requirements, *, named: bool = False) -> bool:
        """Return True if it has the capabilities in which the deployments of one model may differ.

        Args:
            named: the client named the model, so that only the API format is checked: its provider decides the rest.
        """
        spec, asked = self.spec, requirements.capabilities
        able = (spec.several or "several" not in asked) and (spec.logprobs or "logprobs" not in asked)
        return (able or named) and (requirements.api is None or requirements.api in self.apis)

    def wait_s(self) -> float | None:
        """Seconds until a call may be allowed; None without a key."""
        if self.spec.missing_key is not None:
            return None
        now, reached = self._clock(), self.limits.reached
        cooling_s = max(0.0, (self.breaker.open_until or 0.0) - now)
        return cooling_s if reached is None else max(cooling_s, reached.free_at - now)

    @property
    def needs_operator(self) -> bool:
        """Return True without a key, in quarantine, or while taken out: a refused key, an unknown model, a used-up quota."""
        barred = self.spec.missing_key is not None or self.quarantined is not None
        return barred or self._clock() < self.breaker.out_until

    @property
    def useless_to_call(self) -> bool:
        """Return True if a call would fail for certain, so that not even the last resort makes it."""
        barred = self.spec.missing_key is not None or self.quarantined is not None
        return barred or (self.breaker.confirmed and self.needs_operator)

    def refused(self, refusal: Refusal) -> None:
        """Records a refused call. It takes the deployment out if the refusal is clear enough and others can do the work."""
        if refusal.in_words:
            spare = any(live is not self and not live.needs_operator for live in self.siblings)
        else:
            usable = [live for live in self.peers if live.spec.missing_key is None]
            out = sum(live.breaker.taken_out and not live.breaker.confirmed for live in usable if live is not self)
            spare = out + 1 <= MAX_TAKEN_OUT * len(usable)
        self.breaker.refused(self._clock(), refusal, spare=spare)

    def start(self) -> None:
        """Records the start of a call; `finish` must follow."""
        self.breaker.start(self._clock())
        self.limits.start()

    def finish(self) -> None:
        """Records the end of a call."""
        self.limits.finish()

    def record_time(self, seconds: float, *, stream: bool) -> None:
        """Records the time to the first content of a stream, or to a complete answer, in seconds."""
        self._times[stream].append(seconds)
        if self.breaker.taken_out:  # other requests need not wait for the end of a long stream
            self.succeeded()

    def succeeded(self) -> None:
        """Records a call that succeeded."""
        self.breaker.success()
        self.changes.succeeded(self.breaker)

    def meanwhile(self) -> str:
        """Says which deployment or model answers while this one does not."""
        for live in self.siblings:
            if live is not self and live.unavailable() is None:
                return f"{live.spec.id} answers meanwhile"
        for model in self.stand_ins():
            if model.unavailable() is None:
                return f"stand-ins such as {model.name} answer meanwhile"
        return "no other deployment can answer meanwhile"

    def longest_time_s(self, *, stream: bool) -> float:
        """The longest of its recent times to the first content, in seconds; 0 if none is known."""
        return max(self._times[stream], default=0.0)

    def usual_time_s(self, quantile: float, *, stream: bool) -> float | None:
        """A quantile of its recent times to the first content, in seconds; None if too few are known."""
        times = sorted(self._times[stream])
        return times[int(quantile * len(times))] if len(times) >= MIN_TIMES else None


class LiveModel:
    """A portfolio model with its live deployments."""

    def __init__(self, spec: Model, deployments: Iterable[LiveDeployment]) -> None:
        self.spec = spec
        self.name = spec.name
        self.deployments = tuple(deployments)

    def unavailable(self) -> str | None:
        """The reasons why none of the deployments may be called now, or None."""
        reasons = []
        for deployment in self.deployments:
            reason = deployment.unavailable()
            if reason is None:
                return None
            reasons.append(reason)
        return "; ".join(dict.fromkeys(reasons))

    @property
    def needs_operator(self) -> bool:
        """Return True if all deployments do."""
        return all(deployment.needs_operator for deployment in self.deployments)

    @property
    def useless_to_call(self) -> bool:
        """Return True if all deployments are."""
        return all(deployment.useless_to_call for deployment in self.deployments)

    def callable_deployments(self, rng: random.Random) -> list[LiveDeployment]:
        """The deployments that may be called now, in a random order weighted by `weight`, which spreads the load."""
        ready = [d for d in self.deployments if d.unavailable() is None]
        if len(ready) > 1:
            ready.sort(key=lambda d: rng.random() ** (1.0 / d.spec.weight), reverse=True)
        return ready


class LiveDeployments:
    """All models of one portfolio with their live state, in its order.

    Args:
        previous: before a reload; deployments that the reload did not change keep their state.

    Attributes:
        models: those that answer chats, by name.
        embedding_models: by name; the built-in one is the last.
    """

    def __init__(
        self, portfolio: Portfolio, previous: "LiveDeployments | None" = None, clock: Clock = time.monotonic
    ) -> None:
        self.clock = clock
        settings = portfolio.settings
        known = {} if previous is None else {d.spec.id: d for m in previous.all_models() for d in m.deployments}

        def live(model: Model) -> LiveModel:
            return LiveModel(
                model,
                [
                    known[spec.id]
                    if spec.id in known and known[spec.id].spec == spec
                    else LiveDeployment(spec, settings, clock)
                    for spec in model.deployments
                ],
            )

        self.models: dict[str, LiveModel] = {model.name: live(model) for model in portfolio.models}
        self.embedding_models: dict[str, LiveModel] = {
            model.name: live(model) for model in (*portfolio.embedding_models, BUILT_IN)
        }
        for models in (self.models, self.embedding_models):
            peers = tuple(deployment for model in models.values() for deployment in model.deployments)
            for model in models.values():
                for deployment in model.deployments:
                    deployment.breaker.settings = settings
                    deployment.siblings, deployment.peers = model.deployments, peers

    def all_models(self) -> Iterator[LiveModel]:
        """The models for chats and those for embeddings; their names differ."""
        yield from self.models.values()
        yield from self.embedding_models.values()
