"""The live side of a portfolio: per deployment its breaker, its limits, its usual speed and what it has refused before."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator

from gateway.config.portfolio import BUILT_IN, BreakerSettings, Deployment, Model, Portfolio
from gateway.config.providers import Prefill
from gateway.core.vocabulary import Clock
from gateway.deployments.breaker import Breaker, Refusal
from gateway.deployments.learned_refusals import LearnedRefusals
from gateway.request.requirements import Requirements

log = logging.getLogger("locus.deployments")

MINUTE_S = 60.0
TIMES = 100  # first-token times that a deployment's usual one is taken from
TIMES_NEEDED = 20
MOST_OUT = 0.5  # of all deployments, so many may be taken out by what may be the requests' own fault


class LiveDeployment:
    """One deployment and its state.

    Attributes:
        in_flight: calls under way.
        unreachable: why its server accepted no connection when it was last looked at; None where it did, or was not looked at.
        unknown_fields: optional request fields, and harmless changes of a request, that it is not asked with, or without.
        unknown_apis: formats that it turned out not to speak.
        no_prefill: holds a name once it has refused, or not heeded, to go on from an assistant message.
        siblings: the deployments of its model, with itself.
        peers: all deployments of its kind, with itself.
    """

    def __init__(self, spec: Deployment, settings: BreakerSettings, clock: Clock) -> None:
        self.spec = spec
        self.breaker = Breaker(settings)
        self.in_flight = 0
        self.unreachable: str | None = None
        self.unknown_fields = LearnedRefusals(clock)
        self.unknown_apis = LearnedRefusals(clock)
        self.no_prefill = LearnedRefusals(clock)
        self.siblings: tuple[LiveDeployment, ...] = (self,)
        self.peers: tuple[LiveDeployment, ...] = (self,)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._times: dict[bool, deque[float]] = {stream: deque(maxlen=TIMES) for stream in (False, True)}
        self._clock = clock
        self._minute_start = float("-inf")
        self._requests = 0
        self._tokens = 0

    @property
    def dropped(self) -> frozenset[str]:
        """What is left out of requests to it, or changed in them, as it has asked for."""
        return self.unknown_fields.names

    @property
    def apis(self) -> frozenset[str]:
        """The formats that it speaks besides chat, less those that turned out to be unknown to it."""
        unknown = self.unknown_apis.names
        return self.spec.apis - unknown if unknown else self.spec.apis

    @property
    def prefill(self) -> Prefill:
        """How it is told to go on from an assistant message; empty where it does not do that."""
        return "" if self.no_prefill.names else self.spec.prefill

    def unavailable(self) -> str | None:
        """Why no call may be made now; None where one may."""
        spec, now = self.spec, self._clock()
        if spec.missing_key is not None:
            return f"{spec.missing_key} is not set"
        if not self.breaker.available(now):
            return f"{'taken out' if self.breaker.taken_out else 'cooling down'}: {self.unreachable or self.breaker.reason}"
        if self.busy:
            return "max_parallel_requests reached"
        if spec.rpm is not None or spec.tpm is not None:
            self._roll(now)
            if spec.rpm is not None and self._requests >= spec.rpm:
                return "rpm reached"
            if spec.tpm is not None and self._tokens >= spec.tpm:
                return "tpm reached"
        return None

    @property
    def busy(self) -> bool:
        """Whether as many calls are under way as may be."""
        return self.spec.max_parallel_requests is not None and self.in_flight >= self.spec.max_parallel_requests

    @property
    def limited(self) -> bool:
        """Whether a limit of the portfolio file, of calls at once or per minute, forbids a call now."""
        spec = self.spec
        self._roll(self._clock())
        over = (spec.rpm is not None and self._requests >= spec.rpm) or (
            spec.tpm is not None and self._tokens >= spec.tpm
        )
        return over or self.busy

    def serves(self, requirements: Requirements, *, named: bool = False) -> bool:
        """Whether it can do what not every deployment of a model can. Where the client named it, only its formats are certain."""
        spec, asked = self.spec, requirements.capabilities
        able = (spec.several or "several" not in asked) and (spec.logprobs or "logprobs" not in asked)
        return (able or named) and (requirements.api is None or requirements.api in self.apis)

    def wait_s(self) -> float | None:
        """Seconds until it may be worth asking; None where it has no key."""
        if self.spec.missing_key is not None:
            return None
        now = self._clock()
        cooling_s = max(0.0, (self.breaker.open_until or 0.0) - now)
        return max(cooling_s, self._minute_start + MINUTE_S - now if self.limited and not self.busy else 0.0)

    async def place(self, limit_s: float, most: int) -> bool:
        """Waits for one of the calls under way to end, first come, first served.

        Args:
            limit_s: longest wait, seconds.
            most: so many may wait; False at once where they do.
        """
        if len(self._waiting) >= most:
            return False
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit_s):
                first = True
                while self.busy:
                    turn: asyncio.Future[None] = loop.create_future()
                    (self._waiting.append if first else self._waiting.appendleft)(turn)  # a newer request was quicker
                    first = False
                    try:
                        await turn
                    except asyncio.CancelledError:
                        if turn.cancelled():
                            self._waiting.remove(turn)
                        else:  # its turn has come, but it cannot take it
                            self._wake()
                        raise
        except TimeoutError:
            return False
        return True

    @property
    def needs_operator(self) -> bool:
        """No key, or taken out: a refused key, an unknown model, a used-up quota. After its time it may be asked again."""
        return self.spec.missing_key is not None or self._clock() < self.breaker.out_until

    @property
    def hopeless(self) -> bool:
        """Whether it is useless to ask it even where no other deployment is left."""
        return self.spec.missing_key is not None or (self.breaker.confirmed and self.needs_operator)

    def refused(self, refusal: Refusal) -> None:
        """A call was refused; the deployment is taken out where that says enough and others can do its work."""
        if refusal.in_words:
            spare = any(live is not self and not live.needs_operator for live in self.siblings)
        else:
            usable = [live for live in self.peers if live.spec.missing_key is None]
            out = sum(live.breaker.taken_out and not live.breaker.confirmed for live in usable if live is not self)
            spare = out + 1 <= MOST_OUT * len(usable)
        self.breaker.refused(self._clock(), refusal, spare=spare)

    def start(self) -> None:
        """A call begins; `finish` must follow."""
        now = self._clock()
        self.breaker.start(now)
        self.in_flight += 1
        self._roll(now)
        self._requests += 1

    def finish(self) -> None:
        self.in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)

    def began(self, seconds: float, *, stream: bool) -> None:
        """A call had its first content, or its whole answer, after so many seconds."""
        self._times[stream].append(seconds)
        if self.breaker.taken_out:  # a long stream need not end before others are let in again
            self.succeeded()

    def succeeded(self) -> None:
        """A call was answered."""
        if self.breaker.open_until is not None:
            log.info("%s answers again", self.spec.id)
        self.breaker.success()

    def usual_s(self, quantile: float, *, stream: bool) -> float | None:
        """That quantile of its recent times to the first content; None where too few are known."""
        times = sorted(self._times[stream])
        return times[int(quantile * len(times))] if len(times) >= TIMES_NEEDED else None

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

    @property
    def hopeless(self) -> bool:
        return all(deployment.hopeless for deployment in self.deployments)

    def order(self, rng: random.Random) -> list[LiveDeployment]:
        """Callable deployments, in a weighted random order, so that load spreads by `weight`."""
        ready = [d for d in self.deployments if d.unavailable() is None]
        if len(ready) > 1:
            ready.sort(key=lambda d: rng.random() ** (1.0 / d.spec.weight), reverse=True)
        return ready


class LiveDeployments:
    """All live models of one portfolio, in its order. Deployments that a reload did not change keep their state.

    Attributes:
        models: by name, those that answer chats.
        embedding_models: by name; the built-in one is the last.
    """

    def __init__(
        self, portfolio: Portfolio, previous: "LiveDeployments | None" = None, clock: Clock = time.monotonic
    ) -> None:
        self.clock = clock
        settings = portfolio.settings.breaker
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
        """Those of both kinds; their names differ."""
        yield from self.models.values()
        yield from self.embedding_models.values()
