"""The live side of a portfolio: per deployment its breaker, its rate limits and what it has refused before."""

import random
import time
from collections.abc import Callable, Iterable

from gateway.breaker import Breaker, BreakerSettings
from gateway.portfolio import Deployment, Model, Portfolio

Clock = Callable[[], float]
MINUTE_S = 60.0


class LiveDeployment:
    """One deployment and its state. `in_flight` counts calls under way."""

    def __init__(self, spec: Deployment, settings: BreakerSettings, clock: Clock) -> None:
        self.spec = spec
        self.breaker = Breaker(settings)
        self.in_flight = 0
        self.dropped: frozenset[str] = frozenset()
        self._clock = clock
        self._minute_start = float("-inf")
        self._requests = 0
        self._tokens = 0

    def unavailable(self) -> str | None:
        """Why no call may be made now; None where one may."""
        spec, now = self.spec, self._clock()
        if spec.missing_key is not None:
            return f"{spec.missing_key} is not set"
        if not self.breaker.available(now):
            return f"{'taken out' if self.breaker.taken_out else 'cooling down'}: {self.breaker.reason}"
        if spec.max_parallel_requests is not None and self.in_flight >= spec.max_parallel_requests:
            return "max_parallel_requests reached"
        if spec.rpm is not None or spec.tpm is not None:
            self._roll(now)
            if spec.rpm is not None and self._requests >= spec.rpm:
                return "rpm reached"
            if spec.tpm is not None and self._tokens >= spec.tpm:
                return "tpm reached"
        return None

    @property
    def needs_operator(self) -> bool:
        """No key, a refused key, an unknown model, a used-up quota: nothing that time heals."""
        return self.spec.missing_key is not None or self.breaker.taken_out

    def start(self) -> None:
        """A call begins; `finish` must follow."""
        now = self._clock()
        self.breaker.start(now)
        self.in_flight += 1
        self._roll(now)
        self._requests += 1

    def finish(self) -> None:
        self.in_flight -= 1

    def count_tokens(self, tokens: int) -> None:
        self._roll(self._clock())
        self._tokens += tokens

    def _roll(self, now: float) -> None:
        if now - self._minute_start >= MINUTE_S:
            self._minute_start = now
            self._requests = self._tokens = 0


class LiveModel:
    """A portfolio model with its live deployments."""

    def __init__(self, spec: Model, deployments: Iterable[LiveDeployment]) -> None:
        self.spec = spec
        self.name = spec.name
        self.deployments = tuple(deployments)

    def unavailable(self) -> str | None:
        """Why none of the deployments can be called now; None where one can."""
        reasons = []
        for deployment in self.deployments:
            reason = deployment.unavailable()
            if reason is None:
                return None
            reasons.append(reason)
        return "; ".join(dict.fromkeys(reasons))

    @property
    def needs_operator(self) -> bool:
        return all(deployment.needs_operator for deployment in self.deployments)

    def order(self, rng: random.Random) -> list[LiveDeployment]:
        """Callable deployments, in a weighted random order, so that load spreads by `weight`."""
        ready = [d for d in self.deployments if d.unavailable() is None]
        if len(ready) > 1:
            ready.sort(key=lambda d: rng.random() ** (1.0 / d.spec.weight), reverse=True)
        return ready


class Fleet:
    """All live models of one portfolio, in its order. Deployments that a reload did not change keep their state."""

    def __init__(self, portfolio: Portfolio, previous: "Fleet | None" = None, clock: Clock = time.monotonic) -> None:
        settings = portfolio.settings.breaker
        known = {} if previous is None else {d.spec.id: d for m in previous.models.values() for d in m.deployments}
        self.models: dict[str, LiveModel] = {
            model.name: LiveModel(
                model,
                [
                    known[spec.id]
                    if spec.id in known and known[spec.id].spec == spec
                    else LiveDeployment(spec, settings, clock)
                    for spec in model.deployments
                ],
            )
            for model in portfolio.models
        }
