"""What one process shares with the other gateways, and how it reaches them.

News are entries of a stream in the shared server. Each process reads what it has not read yet, every `POLL_S` and whenever it
writes: after an interruption nothing is missing, and the server's clock tells how old each entry is. Last answers of conversations
are written in the same round trip, and read one by one (`gateway.replicas.turns`).
"""

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from gateway.config.settings import Settings
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import Clock
from gateway.deployments.learned_refusals import LEARNED_S
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.replicas.news import News, NewsDesk
from gateway.replicas.presence import Presence, member
from gateway.replicas.shared_server import SharedServer
from gateway.replicas.turns import TTL_S, dump_turn, load_turns, turn_name
from gateway.request.conversation import Turn
from gateway.store.database import Database
from gateway.store.guard import StoreAway

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

log = logging.getLogger("locus.replicas")

STREAM = "locus:news:1"  # the number is that of the form
MOST_ENTRIES = 10_000  # of the stream, about
MOST_READ = 1_000  # entries in one round trip
MOST_WAITING = 2_000  # pieces of news or turns that could not be written yet; the oldest are dropped
POLL_S = 0.25
GATHER_S = 0.005  # what is written at about the same time goes together


class SharedState:
    """News and turns in the shared server. Use as an async context manager.

    Attributes:
        desk: makes and applies the news.
    """

    def __init__(self, server: SharedServer, replica: str, clock: Clock) -> None:
        self.desk = NewsDesk(secrets.token_hex(8), replica, self._post, clock)
        self._server = server
        self._clock = clock
        self._news: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._turns: deque[tuple[bytes, Turn]] = deque(maxlen=MOST_WAITING)
        self._read_to = "0"
        self._zero_at: float | None = None  # the server's clock when this process's clock was 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "SharedState":
        self._task = asyncio.create_task(self._run(), name="replicas")
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        with contextlib.suppress(StoreAway):
            await self._exchange()

    @property
    def away(self) -> bool:
        """True if the server did not answer the last time, or has not been asked yet."""
        return self._zero_at is None or self._server.away

    def keep(self, key: bytes, turn: Turn) -> None:
        """Writes the last answer of a conversation, soon."""
        self._turns.append((key, turn))
        self._wake.set()

    async def turns(self, keys: Sequence[bytes]) -> Mapping[bytes, Turn]:
        """The last answers that the server has under these keys; none if it does not answer. Takes one round trip."""
        zero_at = self._zero_at
        if zero_at is None or not keys:
            return {}
        try:
            (answers,) = await self._server.ask(lambda pipeline: pipeline.mget([turn_name(key) for key in keys]))
        except StoreAway:
            return {}
        return load_turns(keys, answers, zero_at)

    def _post(self, news: News) -> None:
        self._news.append(news.dump())
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                more = await self._exchange()
                while more:
                    more = await self._exchange()
            except StoreAway:
                await asyncio.sleep(POLL_S)
            except Exception as exc:  # of any kind: the next round tries again
                log_exception(log, "news of other gateways cannot be applied", exc)
                await asyncio.sleep(POLL_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            await asyncio.sleep(GATHER_S)
            self._wake.clear()

    async def _exchange(self) -> bool:
        """Writes what waits, and applies what others wrote; True if there is more to read."""
        zero_at = self._zero_at
        news, turns = list(self._news), [] if zero_at is None else list(self._turns)

        def commands(pipeline: "Pipeline") -> None:
            pipeline.time()
            pipeline.xread({STREAM: self._read_to}, count=MOST_READ)
            for one in news:
                pipeline.xadd(STREAM, {b"news": one}, maxlen=MOST_ENTRIES, approximate=True)
            if news:
                pipeline.expire(STREAM, int(2 * LEARNED_S))
            for key, turn in turns:
                assert zero_at is not None
                pipeline.set(turn_name(key), dump_turn(turn, zero_at), ex=TTL_S)

        (seconds, micros), streams, *_ = await self._server.ask(commands)
        for _ in news:
            self._news.popleft()
        for _ in turns:
            self._turns.popleft()
        now = seconds + micros / 1e6
        self._zero_at = now - self._clock()
        entries = _entries(streams)
        for id, text in entries:
            self._read_to = id
            item = News.load(text)
            if item is not None:
                self.desk.apply(item, now - int(id.partition("-")[0]) / 1000)
        return len(entries) == MOST_READ


class Replicas:
    """The other gateways, as the parts of this process use them. Each part works without them.

    Attributes:
        presence: of the gateways that use the database; None if no other one may use it.
        shared: None without `gateway.shared`.
    """

    def __init__(self, presence: Presence | None, shared: SharedState | None) -> None:
        self.presence = presence
        self.shared = shared

    def leads(self) -> bool:
        """True if this process does the jobs that are needed once for the database."""
        return self.presence is None or self.presence.leads

    def processes(self) -> int:
        """The number of processes of all gateways, as it was known last."""
        return 1 if self.presence is None else self.presence.processes

    def killed(self) -> Sequence[str]:
        """The ids of processes that were killed lately; see `Presence.killed`."""
        return () if self.presence is None else self.presence.killed

    def checks(self) -> bool:
        """True if this process checks the health of deployments: it leads, or would not hear what the leader finds."""
        return self.shared is None or self.shared.away or self.leads()

    def works(self, live: LiveDeployment) -> None:
        """Tells that a health check has succeeded."""
        if self.shared is not None:
            self.shared.desk.works(live)

    def watch(self, deployments: LiveDeployments) -> None:
        """Shares the states of these deployments from now on."""
        if self.shared is not None:
            self.shared.desk.watch(deployments)


@asynccontextmanager
async def open_replicas(
    settings: Settings, database: Database | None, replica: str | None, clock: Clock
) -> AsyncIterator[Replicas]:
    """Announces this process to the others, until the block ends.

    Args:
        database: in which gateways are announced; None: they are not.
        replica: names this gateway; None: it is not announced.
        clock: monotonic seconds.

    Raises:
        ReplicaRefused: another gateway uses the database, and would multiply the limits.
        MissingPackage: the client of the shared server is not installed.
    """
    async with AsyncExitStack() as stack:
        presence = shared = None
        if database is not None and replica is not None:
            presence = await stack.enter_async_context(Presence(database, member(replica, settings), clock))
        if settings.shared is not None:
            server = await stack.enter_async_context(SharedServer(settings.shared.reveal(), clock))
            shared = await stack.enter_async_context(SharedState(server, replica or secrets.token_hex(8), clock))
        yield Replicas(presence, shared)


def _entries(streams: Any) -> list[tuple[str, bytes]]:
    """Ids and texts of an answer to XREAD, in the form of either version of the protocol."""
    pairs = streams.items() if isinstance(streams, dict) else streams or []
    entries: list[tuple[str, bytes]] = []
    for _, found in pairs:
        rows = found[0] if len(found) == 1 and isinstance(found[0], list) else found
        entries += [(id.decode(), fields.get(b"news", b"")) for id, fields in rows]
    return entries
