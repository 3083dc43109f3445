"""The objects that all endpoints share: portfolio with live state, upstream clients, stores and metrics."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.answering.failover import Failover
from gateway.answering.health_checks import HealthChecks
from gateway.api.responses.store import ResponseStore, StoreLimits
from gateway.bodies.offload import offloaded
from gateway.cache.answer_cache import AnswerCache
from gateway.cache.cache_key import portfolio_version
from gateway.config.access import Access, Limits
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio import Portfolio
from gateway.config.settings import Settings
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployments
from gateway.feedback.outcomes import Outcomes
from gateway.keys.authentication import Authentication
from gateway.keys.store import KeyStore
from gateway.limits.limiter import Limiter
from gateway.limits.output_lengths import OutputLengths
from gateway.limits.sql import book
from gateway.limits.store import open_store
from gateway.record.loop_monitor import LoopMonitor
from gateway.record.metrics import Metrics
from gateway.record.recorder import Recorder
from gateway.replicas.replicas import Replicas, open_replicas
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation, ConversationTable
from gateway.routing.model_embeddings import missing_embeddings, with_embeddings
from gateway.routing.routing import Routing
from gateway.store.database import Database
from gateway.telemetry.telemetry import Telemetry
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.litellm_upstream import LitellmUpstream
from gateway.upstream.proxy import Proxies
from gateway.upstream.upstreams import Upstreams
from router.errors import ArtifactError
from router.model.serving import Router

log = logging.getLogger("locus")


@dataclass(frozen=True, slots=True)
class InForce:
    """One portfolio and everything that is made from it. A request uses the same one from its beginning to its end.

    Attributes:
        version: a digest of what decides about the answers; stored answers of another version are not used.
    """

    portfolio: Portfolio
    router: Router
    deployments: LiveDeployments
    routing: Routing
    since: datetime
    version: bytes


class Service:
    """The shared state of one gateway process; `open_service` makes it.

    Attributes:
        keys: finds the gateway keys.
        key_store: the keys that are made at run time; None without a database.
        outcomes: how good answers were; None without a record of requests.
        output_lengths: of recent answers, from which the cost of the next ones is expected.
        in_force: replaced when a changed portfolio comes into force.
        telemetry: exports traces.
        replicas: the other gateways.
        database: of the record, the ledger, keys and budgets; None if nothing is stored.
        reload_error: the reason why the changed portfolio file is not in force; None if it is.
    """

    def __init__(
        self,
        in_force: InForce,
        failover: Failover,
        health: HealthChecks,
        recorder: Recorder,
        metrics: Metrics,
        conversations: ConversationTable,
        responses: ResponseStore,
        limiter: Limiter,
        clock: Clock,
        cache: AnswerCache,
        database: Database | None = None,
    ) -> None:
        self.in_force = in_force
        self.failover = failover
        self.health = health
        self.recorder = recorder
        self.metrics = metrics
        self.conversations = conversations
        self.responses = responses
        self.cache = cache
        self.limiter = limiter
        self.output_lengths = OutputLengths()
        self.clock = clock
        self.database = database
        self.key_store: KeyStore | None = None
        self.outcomes: Outcomes | None = None
        if database is not None and in_force.portfolio.settings.record is not None:
            self.outcomes = Outcomes(database)
        if database is not None:
            self.key_store = KeyStore(database, in_force.portfolio.settings.key_pepper, self._access)
        self.keys = Authentication(self._access, self.key_store, clock)
        self.telemetry = Telemetry({}, lambda url: None)
        self.reload_error: str | None = None
        self.replicas = Replicas(None, None)

    def share_with(self, replicas: Replicas) -> None:
        """Shares conversations and the states of deployments from now on."""
        self.replicas = replicas
        replicas.watch(self.in_force.deployments)
        if replicas.shared is not None:
            self.conversations.tell = replicas.shared.keep

    async def find_conversation(self, request: ChatRequest, headers: Mapping[bytes, bytes]) -> Conversation:
        """The conversation that a request continues; another gateway may have answered it so far."""
        conversation = await offloaded(len(request.body), self.conversations.find, request, headers)
        shared = self.replicas.shared
        if shared is not None and conversation.unknown and (turns := await shared.turns(conversation.unknown)):
            conversation = self.conversations.add(conversation, request, turns)
        return conversation

    def _access(self) -> Access:
        return self.in_force.portfolio.access

    async def apply(self, portfolio: Portfolio) -> None:
        """Puts a new portfolio in force. Requests in progress finish on the old one; unchanged deployments keep their state.

        Raises:
            RouterError: its checkpoint or model spaces cannot be loaded, or lack an embedding; the old portfolio stays in force.
        """
        old = self.in_force
        same = _router_files(portfolio) == _router_files(old.portfolio)
        router = old.router if same else await asyncio.to_thread(_load_router, portfolio)
        # A portfolio of a thousand models takes a while, so it is prepared in a thread.
        self.in_force = await asyncio.to_thread(_in_force, portfolio, router, self.clock, old.deployments)
        self.cache.apply(portfolio.settings.cache)
        self.replicas.watch(self.in_force.deployments)
        await self.health.watch(self.in_force.deployments)
        self.failover.upstreams.prepare(portfolio)
        await self.telemetry.apply(portfolio.settings.otel)
        log.info("portfolio in force: %d models from %s", len(portfolio.models), portfolio.path)


@asynccontextmanager
async def open_service(
    portfolio: Portfolio,
    clock: Clock = time.monotonic,
    metrics: Metrics | None = None,
    proxies: Proxies | None = None,
    environment: Mapping[str, str] | None = None,
    replica: str | None = None,
    router: Router | None = None,
) -> AsyncIterator[Service]:
    """Opens everything in order, and closes it in reverse.

    Args:
        metrics: shared with other worker processes; by default of this process only.
        proxies: for calls to providers and the collector of traces; by default none.
        environment: its OpenTelemetry variables are used; by default none.
        replica: names this gateway among those of one database; None: no other one uses the database.
        router: of the portfolio's checkpoint and model spaces, if other gateways of this process have loaded it already.

    Raises:
        RouterError: the checkpoint or a model space cannot be loaded, or lacks an embedding that the portfolio names.
        ReplicaRefused: another gateway uses the database, and would multiply the limits.
    """
    if router is None:
        router = await asyncio.to_thread(_load_router, portfolio)
    in_force = _in_force(portfolio, router, clock, None)
    settings, metrics = portfolio.settings, metrics or Metrics()
    async with (
        _closing(settings.database) as database,
        open_replicas(settings, database, replica, clock) as replicas,
        _open_limiter(portfolio, database, metrics, clock, replicas) as limiter,
        _recorder(settings, database, replicas) as recorder,
        _closing(settings.responses_database, database) as responses_database,
        ResponseStore(responses_database, _store_limits(settings)) as responses,
        LoopMonitor(metrics.loop_paused),
        DirectUpstream(proxies) as direct,
        Telemetry(environment or {}, (proxies or Proxies({})).proxy_for) as telemetry,
    ):
        failover = _failover(direct, lambda: service.in_force.routing, clock)
        async with HealthChecks(failover, clock, replicas.checks, replicas.works) as health:
            conversations, cache = ConversationTable(clock), AnswerCache(clock, settings.cache)
            service = Service(
                in_force, failover, health, recorder, metrics, conversations, responses, limiter, clock, cache, database
            )
            service.telemetry = telemetry
            service.share_with(replicas)
            await telemetry.apply(settings.otel)
            metrics.watch(lambda: service.in_force.deployments, recorder, lambda: cache.bytes)
            metrics.watch_spans(lambda: telemetry.lost)
            await health.watch(in_force.deployments)
            yield service


@asynccontextmanager
async def _closing(location: DatabaseLocation | None, shared: Database | None = None) -> AsyncIterator[Database | None]:
    """The database at a location, which is closed at the end; the shared one if it is there."""
    if shared is not None and shared.location == location:
        yield shared
        return
    database = None if location is None else Database(location)
    try:
        yield database
    finally:
        if database is not None:
            await database.close()


def _store_limits(settings: Settings) -> StoreLimits:
    return StoreLimits(settings.response_retention, conversation_bytes=settings.max_body_bytes)


def _recorder(settings: Settings, database: Database | None, replicas: Replicas) -> Recorder:
    with_requests, in_database = settings.record is not None, settings.shared is None
    return Recorder(
        database,
        requests=with_requests,
        retention_s=settings.record_retention,
        book=book if in_database else None,  # else processes report what they spend to the shared store
        leads=replicas.leads,
    )


@asynccontextmanager
async def _open_limiter(
    portfolio: Portfolio, database: Database | None, metrics: Metrics, clock: Clock, replicas: Replicas
) -> AsyncIterator[Limiter]:
    settings, access = portfolio.settings, portfolio.access
    limits = [key.limits for key in access.keys] + [team.limits for team in access.teams]
    limited, local = any(each != Limits() for each in limits), settings.when_shared_is_away == "local"
    async with (
        open_store(settings.shared, database, clock, needed=limited) as store,
        Limiter(
            store, clock=clock, warned=metrics.budget_warned, local_if_away=local, processes=replicas.processes
        ) as limiter,
    ):
        metrics.watch_limits(limiter.budgets.gauges, lambda: limiter.settled_twice)
        yield limiter


def _failover(direct: DirectUpstream, routing: Callable[[], Routing], clock: Clock) -> Failover:
    """Calls to all upstreams; `routing` gives the routing in force, whose encoder is the built-in model."""
    return Failover(Upstreams(direct, LitellmUpstream(), lambda texts: routing().encoder_queue.embed(texts)), clock)


def _router_files(portfolio: Portfolio) -> tuple[object, ...]:
    return portfolio.checkpoint, portfolio.spaces, portfolio.trust_checkpoint


def _load_router(portfolio: Portfolio) -> Router:
    return Router.load(portfolio.checkpoint, portfolio.spaces, trust=portfolio.trust_checkpoint)


def _in_force(portfolio: Portfolio, router: Router, clock: Clock, previous: LiveDeployments | None) -> InForce:
    if problems := missing_embeddings(portfolio, router.space):
        raise ArtifactError("\n".join(problems))
    portfolio = with_embeddings(portfolio, router.space)
    deployments = LiveDeployments(portfolio, previous, clock)
    routing = Routing(portfolio, router, deployments)
    return InForce(portfolio, router, deployments, routing, datetime.now(UTC), portfolio_version(portfolio, router))
