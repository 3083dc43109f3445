"""News of deployments that replicas tell each other: failures, recoveries found by health checks, refusals that were learned.

What the account of a deployment meets, every replica meets: a wait that the provider asks for, a refused key, a used-up quota, an
unknown model. So that is taken over at once. Any other failure may be one of a replica's own network: a deployment is taken out of
service when two replicas have met one within `AGREE_S`, and what one alone says counts as one failure.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import Literal, NamedTuple

import orjson

from gateway.config.portfolio import Deployment
from gateway.core.vocabulary import Clock
from gateway.deployments.learned_refusals import LEARNED_S, LearnedRefusals
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.provider_errors.failures import NEEDS_OPERATOR, Cause, UpstreamFailure

log = logging.getLogger("locus.replicas")

AGREE_S = 10.0
REASON_CHARS = 500
NAME_CHARS = 200
_COUNTED = frozenset(
    {Cause.CONNECTION, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.OVERLOADED, Cause.UNREADABLE, Cause.RATE_LIMITED}
)
Kind = Literal["failed", "works", "learned"]


class News(NamedTuple):
    """One piece of news.

    Attributes:
        process, replica: which tells it.
        deployment: names the deployment with its address and key; see `fingerprint`.
        seconds: for how long the deployment is out of service, or what was learned counts; 0: it still is in service.
        confirmed: the provider has refused key, model or account twice.
        cause, status, reason: of the failure; the reason is redacted.
        what, name: which kind of refusal was learned, and what of.
    """

    kind: Kind
    process: str
    replica: str
    deployment: str
    seconds: float = 0.0
    confirmed: bool = False
    cause: str = ""
    status: int | None = None
    reason: str = ""
    what: str = ""
    name: str = ""

    def dump(self) -> bytes:
        """As text."""
        return orjson.dumps(self._asdict())

    @classmethod
    def load(cls, text: bytes) -> "News | None":
        """From text; None if it is of another version."""
        try:
            return cls(**orjson.loads(text))
        except (ValueError, TypeError):
            return None


class NewsDesk:
    """Tells what this process meets, and applies what others tell.

    Args:
        process, replica: of this process.
        post: sends a piece of news.
        clock: monotonic seconds.
    """

    def __init__(self, process: str, replica: str, post: Callable[[News], None], clock: Clock) -> None:
        self._process = process
        self._replica = replica
        self._post = post
        self._clock = clock
        self._lives: dict[str, LiveDeployment] = {}
        self._met: dict[str, dict[str, float]] = {}  # by deployment and replica, when it met a failure last

    def watch(self, deployments: LiveDeployments) -> None:
        """Is for these deployments from now on."""
        self._lives = {}
        for model in deployments.all_models():
            for live in model.deployments:
                self._lives[fingerprint(live.spec)] = live
                live.tell = partial(self._failed, live)
                for what, refusals in _learned_by(live).items():
                    refusals.tell = partial(self._learned, live, what)
        self._met = {name: met for name, met in self._met.items() if name in self._lives}

    def works(self, live: LiveDeployment) -> None:
        """Tells that a health check has succeeded."""
        self._post(News("works", self._process, self._replica, fingerprint(live.spec)))

    def _failed(self, live: LiveDeployment, failure: UpstreamFailure, *, opened: bool, checked: bool) -> None:
        """Tells a failure of this process that has taken the deployment out of service, or that a health check has met."""
        name = fingerprint(live.spec)
        self._met.setdefault(name, {})[self._replica] = self._clock()
        if opened or checked:
            until = live.breaker.open_until if opened else None
            self._post(
                News(
                    "failed",
                    self._process,
                    self._replica,
                    name,
                    seconds=0.0 if until is None else until - self._clock(),
                    confirmed=live.breaker.confirmed,
                    cause=failure.cause.value,
                    status=failure.status,
                    reason=failure.reason[:REASON_CHARS],
                )
            )

    def _learned(self, live: LiveDeployment, what: str, name: str) -> None:
        if len(name) <= NAME_CHARS:
            news = News("learned", self._process, self._replica, fingerprint(live.spec), LEARNED_S)
            self._post(news._replace(what=what, name=name))

    def apply(self, news: News, age_s: float) -> None:
        """Applies a piece of news of another process.

        Args:
            age_s: how old it is.
        """
        live = self._lives.get(news.deployment)
        if live is None or news.process == self._process:
            return
        left_s = news.seconds - max(0.0, age_s)
        if news.kind == "learned":
            refusals = _learned_by(live).get(news.what)
            if refusals is not None and left_s > 0:
                refusals.take_over(news.name, left_s)
        elif news.kind == "works":
            if age_s < AGREE_S:
                live.breaker.try_now(self._clock())
        elif news.cause in (cause.value for cause in Cause):
            self._apply_failure(live, news, left_s, age_s)

    def _apply_failure(self, live: LiveDeployment, news: News, left_s: float, age_s: float) -> None:
        cause, now, breaker = Cause(news.cause), self._clock(), live.breaker
        met = {replica: at for replica, at in self._met.get(news.deployment, {}).items() if now - at <= AGREE_S}
        met[news.replica] = max(met.get(news.replica, now - age_s), now - age_s)
        self._met[news.deployment] = met
        of_account = cause in NEEDS_OPERATOR or cause is Cause.RATE_LIMITED
        agreed = sum(now - at <= AGREE_S for at in met.values()) >= 2
        if left_s > 0 and (of_account or agreed):
            breaker.take_over(now, cause.value, left_s, refused=cause in NEEDS_OPERATOR, confirmed=news.confirmed)
        elif age_s < AGREE_S and cause in _COUNTED and breaker.state(now) == "closed":
            breaker.failure(now, cause.value)
        else:
            return
        failure = UpstreamFailure(cause, news.status, detail="told by another gateway", reason=news.reason)
        if breaker.open_until is not None:
            live.last_failure = failure
        live.changes.failed(breaker, str(failure), failure.reason)


def fingerprint(spec: Deployment) -> str:
    """Names a deployment with its address and key, so that news of an old key do not reach replicas that have a new one."""
    key = "" if spec.api_key is None else spec.api_key.reveal()
    headers = sorted((name, value.reveal()) for name, value in spec.headers.items())
    told = repr((spec.id, spec.upstream_model, spec.api_base, key, headers))
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _learned_by(live: LiveDeployment) -> Mapping[str, LearnedRefusals]:
    return {"fields": live.unknown_fields, "apis": live.unknown_apis, "prefill": live.no_prefill}
