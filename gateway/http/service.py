"""The objects that all endpoints share: portfolio with live state, upstream clients, stores and metrics."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from gateway.answering.failover import Failover
from gateway.answering.health_checks import HealthChecks
from gateway.api.responses.store import ResponseStore, StoreLimits
from gateway.bodies.offload import offloaded
from gateway.cache.answer_cache import AnswerCache
from gateway.config.access import Access, Limits
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio import Portfolio
from gateway.config.settings import Settings
from gateway.core.vocabulary import Clock
from gateway.feedback.graders import Graders
from gateway.feedback.outcomes import Outcomes
from gateway.http.in_force import InForce, in_force, load_router, same_router, trials_over
from gateway.http.model_watch import FILE_S, SERVER_S, ModelWatch
from gateway.keys.authentication import Authentication
from gateway.keys.store import KeyStore
from gateway.limits.deployments import DeploymentLimits
from gateway.limits.limiter import Limiter
from gateway.limits.output_lengths import OutputLengths
from gateway.limits.processes import Processes
from gateway.limits.sql import book
from gateway.limits.store import open_store
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import InUse
from gateway.record.loop_monitor import LoopMonitor
from gateway.record.metrics import Metrics
from gateway.record.recorder import Recorder
from gateway.replay.jobs import ReplayJobs
from gateway.replay.runner import ReplayRunner
from gateway.replicas.owner import process_name
from gateway.replicas.replicas import Replicas, open_replicas
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation, ConversationTable
from gateway.routing.routing import Routing
from gateway.routing.trials import Trials
from gateway.store.database import Database
from gateway.telemetry.telemetry import Telemetry
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.litellm_upstream import LitellmUpstream
from gateway.upstream.proxy import Proxies
from gateway.upstream.upstreams import Upstreams
from router.model.serving import Router

log = logging.getLogger("locus")


class Service:
    """The shared state of one gateway process; `open_service` makes it.

    Attributes:
        keys: finds the gateway keys.
        key_store: the keys that are made at run time; None without a database.
        outcomes: how good answers were; None without a record of requests.
        graders: grade answers; None while none do.
        models: versions of embeddings and states of models; None without a database.
        model_watch: puts changes of them in force; None without a database.
        replays: runs those that the operator asks for; None without a database.
        trials: keeps models on trial to their share.
        output_lengths: of recent answers, from which the cost of the next ones is expected.
        in_force: replaced when a changed portfolio, or a changed version or state of a model, comes into force.
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
        self.output_lengths = failover.lengths
        self.clock = clock
        self.database = database
        self.key_store: KeyStore | None = None
        self.outcomes: Outcomes | None = None
        self.graders: Graders | None = None
        if database is not None and in_force.portfolio.settings.record is not None:
            self.outcomes = Outcomes(database)
        self.models: ModelVersions | None = None
        self.model_watch: ModelWatch | None = None
        self.replays: ReplayRunner | None = None
        self.trials = in_force.routing.trials
        self._changing = asyncio.Lock()  # what is in force
        if database is not None:
            self.models = ModelVersions(database)
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
        async with self._changing:
            old = self.in_force
            router = old.file_router
            if not same_router(portfolio, old.file):
                router = await asyncio.to_thread(load_router, portfolio)
            await self._replace(portfolio, router, old.in_use)
        self.cache.apply(portfolio.settings.cache)
        self.failover.upstreams.prepare(portfolio)
        await self.telemetry.apply(portfolio.settings.otel)
        log.info("portfolio in force: %d models from %s", len(portfolio.models), portfolio.path)

    async def use_models(self, in_use: InUse) -> Mapping[str, str]:
        """Puts versions and states of models in force, as `apply` does with a portfolio.

        Returns:
            The models whose trial is over, since P(correct) is known well enough, with the reason.
        """
        async with self._changing:
            old = self.in_force
            await self._replace(old.file, old.file_router, in_use)
        log.info("models in force: %d versions, %d states", len(in_use.versions), len(in_use.states))
        return await asyncio.to_thread(trials_over, self.in_force)

    async def _replace(self, file: Portfolio, router: Router, in_use: InUse) -> None:
        """Replaces what is in force; made in a thread, since a portfolio of a thousand models takes a while."""
        old = self.in_force
        self.in_force = new = await asyncio.to_thread(
            in_force, file, router, in_use, self.trials, self.clock, old.deployments
        )
        self.replicas.watch(new.deployments)
        await self.health.watch(new.deployments)


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
        router = await asyncio.to_thread(load_router, portfolio)
    first = in_force(portfolio, router, InUse(), Trials(), clock, None)
    settings, metrics = portfolio.settings, metrics or Metrics()
    async with (
        _closing(settings.database) as database,
        open_replicas(settings, database, replica, clock) as replicas,
        _open_limiter(portfolio, database, metrics, clock, replicas) as limiter,
        _recorder(settings, database, replicas) as recorder,
        _closing(settings.responses_database, database) as responses_database,
        ResponseStore(responses_database, _store_limits(settings), leads=_prunes(settings, replicas)) as responses,
        LoopMonitor(metrics.loop_paused),
        DirectUpstream(proxies) as direct,
        Telemetry(environment or {}, (proxies or Proxies({})).proxy_for) as telemetry,
    ):
        failover = _failover(direct, lambda: service.in_force.routing, limiter, clock)
        async with HealthChecks(failover, clock, replicas.checks, replicas.works) as health:
            conversations, cache = ConversationTable(clock), AnswerCache(clock, settings.cache)
            service = Service(
                first, failover, health, recorder, metrics, conversations, responses, limiter, clock, cache, database
            )
            service.telemetry = telemetry
            service.share_with(replicas)
            await telemetry.apply(settings.otel)
            metrics.watch(lambda: service.in_force.deployments, recorder, lambda: cache.bytes)
            metrics.watch_spans(lambda: telemetry.lost)
            async with _watched(service):
                yield service


@asynccontextmanager
async def _watched(service: Service) -> AsyncIterator[None]:
    """Health is checked; versions and states of models are put in force, now and when they change; replays may run."""
    await service.health.watch(service.in_force.deployments)
    service.metrics.watch_states(lambda: {name: one.state for name, one in service.in_force.standings.items()})
    if service.models is None or service.database is None:
        yield
        return
    interval_s = SERVER_S if service.database.location.file is None else FILE_S
    async with (
        ModelWatch(service.models, service.use_models, service.trials, interval_s) as service.model_watch,
        ReplayRunner(ReplayJobs(service.database, process_name())) as service.replays,
    ):
        yield


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


def _prunes(settings: Settings, replicas: Replicas) -> Callable[[], bool]:
    """Whether this process deletes old stored responses: the leader, which is of another machine than a file may be."""
    database, responses = settings.database, settings.responses_database
    elsewhere = responses is not None and responses.file is not None and (database is None or database.file is None)
    return (lambda: True) if elsewhere else replicas.leads


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
            store,
            clock=clock,
            warned=metrics.budget_warned,
            local_if_away=local,
            processes=_processes(replicas),
        ) as limiter,
    ):
        metrics.watch_limits(limiter.budgets.gauges, lambda: limiter.settled_twice)
        yield limiter


def _processes(replicas: Replicas) -> Processes:
    return (
        Processes()
        if replicas.presence is None
        else Processes(replicas.presence.id, replicas.processes, replicas.killed)
    )


def _failover(direct: DirectUpstream, routing: Callable[[], Routing], limiter: Limiter, clock: Clock) -> Failover:
    """Calls to all upstreams; `routing` gives the routing in force, whose encoder is the built-in model."""
    upstreams = Upstreams(direct, LitellmUpstream(), lambda texts: routing().encoder_queue.embed(texts))
    return Failover(upstreams, DeploymentLimits(limiter), OutputLengths(), clock)
