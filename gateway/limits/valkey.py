"""Limits in Valkey or Redis, for gateways on several machines. `limits.lua` runs in the server and uses its clock.

What is stored there may be lost: the spending of a window is then summed from the ledger, and each process brings back its leases.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from gateway.core.vocabulary import Clock
from gateway.limits.engine import (
    Answer,
    Ask,
    BudgetTerm,
    LimitsAway,
    Owner,
    Refused,
    Swept,
    TermState,
    WindowKey,
    WindowState,
)
from gateway.limits.windows import FOREVER
from gateway.store.valkey import open_client

LIBRARY = "locus_limits_3"
EXCHANGE, EXPIRED, SWEEP = "locus_limits_exchange_3", "locus_limits_expired_3", "locus_limits_sweep_3"
# Of each command. Without an answer requests may be refused, so it is far longer than a busy gateway takes to read one.
TIMEOUT_S = 0.25
TAG = "locus:{limits}"  # the braces keep all keys in one slot of a cluster


class Recorded(NamedTuple):
    """What the ledger has of a window.

    Attributes:
        nusd: all that was spent in it.
        leases: of the leases that were in use lately, what was spent by each in all its life.
    """

    nusd: int
    leases: Mapping[str, int]


class Ledger(Protocol):
    """The ledger, from which lost counters are made again."""

    async def of_window(self, term: BudgetTerm) -> Recorded: ...

    async def of_leases(self, leases: Sequence[str]) -> Mapping[str, int]:
        """Nano-USD of the calls of each lease, without what was swept; a lease without calls may be missing."""
        ...

    async def add(self, swept: Sequence[Swept]) -> None:
        """Adds what was booked for leases that did not settle."""
        ...


class ValkeyEngine:
    """An engine over one server. The caller closes it.

    Args:
        url: "valkey://", "valkeys://", "redis://" or "rediss://", with host, port, database and credentials.
        clock: seconds since the epoch, for tests that move the time; None: the server's own clock.
    """

    def __init__(self, url: str, ledger: Ledger, clock: Clock | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = open_client(url, timeout_s)
        self._ledger = ledger
        self._clock = clock
        self._timeout_s = timeout_s
        self._unwritten: list[Swept] = []  # to the ledger

    async def aclose(self) -> None:
        await self._client.aclose(close_connection_pool=True)

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        sent = [_ask(ask) for ask in asks]
        answers = orjson.loads(await self._call(EXCHANGE, [orjson.dumps(sent)]))
        unknown = {i: answer["unknown"] for i, answer in enumerate(answers) if "unknown" in answer}
        if unknown:  # the first use of a window, or the server has lost its memory
            for i, terms in unknown.items():
                await self._complete(sent[i], asks[i], [number - 1 for number in terms])
            again = await self._call(EXCHANGE, [orjson.dumps([sent[i] for i in unknown])])
            answers = [*answers]
            for i, answer in zip(unknown, orjson.loads(again), strict=True):
                answers[i] = answer
        return [self._answer(ask, answer) for ask, answer in zip(asks, answers, strict=True)]

    async def windows(self, keys: Sequence[WindowKey]) -> Mapping[WindowKey, WindowState]:
        with _away():
            async with asyncio.timeout(self._timeout_s * 2), self._client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hmget(f"{TAG}:window:{_name(key)}", ["spent", "expected", "worst"])
                rows = await pipe.execute()
        return {key: WindowState(*map(int, row)) for key, row in zip(keys, rows, strict=True) if row[0] is not None}

    async def sweep(self, killed: Collection[str] = ()) -> list[Swept]:
        """See `Engine.sweep`; the ledger is written here already."""
        expired = [id.decode() for id in await self._call(EXPIRED, list(killed))]
        if expired:
            recorded = await self._ledger.of_leases(expired)
            pairs = [value for id in expired for value in (id, recorded.get(id, 0))]
            for lease, owner, began, nusd in orjson.loads(await self._call(SWEEP, pairs)):
                self._unwritten.append(Swept(lease, Owner(*orjson.loads(owner)), float(began), int(nusd)))
        if unwritten := [one for one in self._unwritten if one.nusd]:
            await self._ledger.add(unwritten)  # if the ledger does not answer, the next sweep tries again
        self._unwritten.clear()
        return []

    async def _complete(self, sent: dict[str, Any], ask: Ask, terms: list[int]) -> None:
        """Adds to an ask what the ledger has of the windows that the server does not know."""
        for number in terms:
            recorded = await self._ledger.of_window(ask.terms.budgets[number])
            sent["budgets"][number]["initial"] = str(recorded.nusd)
            sent.setdefault("reported", {}).update({lease: str(nusd) for lease, nusd in recorded.leases.items()})

    def _answer(self, ask: Ask, raw: dict[str, Any]) -> Answer:
        refused = raw.get("refused")
        if refused is not None:
            budget = refused.get("budget")
            term = ask.terms.budgets[budget - 1] if budget is not None else ask.terms.counts[refused["count"] - 1]
            refused = Refused(term, float(refused["at"]))
        if int(raw["correction"]):
            self._unwritten.append(Swept(ask.lease, ask.owner, float(raw["began"]), int(raw["correction"])))
        return Answer(
            float(raw["now"]),
            int(raw["expected"]),
            int(raw["worst"]),
            raw["places"],
            raw["requests"],
            raw["tokens"],
            int(raw["booked"]),
            refused,
            raw["tight"],
            tuple(map(_state, raw["budgets"])),
            tuple(map(_state, raw["counts"])),
            raw["leases"],
        )

    async def _call(self, function: str, arguments: Sequence[Any]) -> Any:
        from redis.exceptions import ResponseError

        with _away():
            async with asyncio.timeout(self._timeout_s * 2):
                try:
                    return await self._fcall(function, arguments)
                except ResponseError as exc:
                    if "Function not found" not in str(exc):
                        raise
                await self._load()
                return await self._fcall(function, arguments)

    async def _load(self) -> None:
        source = await asyncio.to_thread(Path(__file__).with_name("limits.lua").read_text)
        await self._client.function_load(source, replace=True)

    def _fcall(self, function: str, arguments: Sequence[Any]) -> Awaitable[Any]:
        now = "" if self._clock is None else repr(self._clock())
        called: Awaitable[Any] = self._client.fcall(function, 1, TAG, now, *arguments)
        return called


@contextmanager
def _away() -> Iterator[None]:
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as exc:  # TimeoutError is an OSError
        raise LimitsAway(f"{type(exc).__name__}: {exc}") from exc


def _ask(ask: Ask) -> dict[str, Any]:
    return {
        "lease": ask.lease,
        "owner": orjson.dumps(list(ask.owner)).decode(),
        "spent": str(ask.spent),
        "expected": str(ask.expected),
        "worst": str(ask.worst),
        "places": ask.places,
        "owed": list(map(str, ask.owed)),
        "need": list(map(str, ask.need)),
        "want": list(map(str, ask.want)),
        "ends": ask.ends,
        "budgets": [
            {
                "name": _name(term.key),
                "end": term.end,
                "ends": term.end < FOREVER,
                "limit": str(term.limit),
                "ceiling": str(term.ceiling),
            }
            for term in ask.terms.budgets
        ],
        "windows": [_name(term.key) for term in ask.terms.budgets],
        "counts": [{"scope": count.scope, "kind": count.kind, "limit": count.limit} for count in ask.terms.counts],
        "parallel": [count.scope for count in ask.terms.counts if count.kind == "parallel"],
    }


def _name(window: WindowKey) -> str:
    """The name of a window in the keys of the server; the scope is last, because it may contain anything."""
    return f"{window.period}:{window.start}:{window.scope}"


def _state(values: Sequence[Any]) -> TermState:
    spent, expected, worst, full_at = values
    return TermState(int(spent), int(expected), int(worst), float(full_at))
