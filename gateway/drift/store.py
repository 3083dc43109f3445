"""What is known of watched deployments in the database: their baselines, the answers to their probes, and events."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gateway.core.vocabulary import Clock
from gateway.drift.asked import Asked
from gateway.store.database import Database
from gateway.store.transactions import reading, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection

Kind = Literal["changed", "announced"]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a deployment; a row of `drift_watches`.

    Attributes:
        epoch: the number of the baseline.
        candidates: id and digest of each probe that the baseline chooses from.
        chosen: ids of the probes that are asked again and again; None until the baseline is complete.
        own_rate: how often its answers differed from themselves in the baseline.
        rounds: that have ended after the baseline.
        next: time of the next asks, seconds since the epoch of time.
        evidence: of a change, after the last round; 1 says nothing.
        reason: why it could not be asked the last time; empty if it was.
    """

    deployment: str
    model: str
    bank: str
    epoch: int
    candidates: tuple[tuple[str, str], ...]
    next: float
    chosen: tuple[str, ...] | None = None
    own_rate: float = 0.0
    rounds: int = 0
    evidence: float = 1.0
    reason: str = ""

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Watch":
        values = {name: row[name] for name in cls.__slots__}
        values["candidates"] = tuple((probe, digest) for probe, digest in row["candidates"])
        values["chosen"] = None if row["chosen"] is None else tuple(row["chosen"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is told of a deployment; a row of `drift_events`.

    Attributes:
        kind: changed: its answers have changed; announced: the provider's own data say so.
        evidence: None unless the answers have changed.
    """

    model: str
    deployment: str
    kind: Kind
    words: str
    evidence: float | None = None
    time: float = field(default=0.0)

    def fields(self) -> dict[str, object]:
        """As JSON has them."""
        return {name: getattr(self, name) for name in self.__slots__}


class DriftStore:
    """The tables of drift in a database. All methods raise StoreUnavailable if it cannot be used.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, database: Database, now: Clock = time.time) -> None:
        self._database = database
        self._now = now

    async def watches(self, model: str | None = None) -> dict[str, Watch]:
        """What is known of each deployment, by its id.

        Args:
            model: only its deployments; None: all.
        """
        async with reading(self._database, "drift") as connection:
            return {watch.deployment: watch for watch in await connection.run_sync(watches_in, model)}

    async def keep(self, watch: Watch) -> None:
        """Writes what is known of a deployment, in place of what was known."""
        async with writing(self._database, "drift") as connection:
            from sqlalchemy import delete, insert

            from gateway.store.drift_tables import DRIFT_WATCHES as table

            values = {name: getattr(watch, name) for name in Watch.__slots__}
            values |= {"candidates": [list(pair) for pair in watch.candidates]}
            values |= {"chosen": None if watch.chosen is None else list(watch.chosen)}
            await connection.execute(delete(table).where(table.c.deployment == watch.deployment))
            await connection.execute(insert(table).values(values))

    async def answers(self, deployment: str, epoch: int, since_round: int = 1) -> list[Asked]:
        """The answers of an epoch, in order: those of the baseline, and of the rounds from one on."""
        async with reading(self._database, "drift") as connection:
            from sqlalchemy import select

            from gateway.store.drift_tables import DRIFT_ASKS as table

            c = table.c
            wanted = (c.round == 0) | (c.round >= since_round)
            query = select(table).where(c.deployment == deployment, c.epoch == epoch, wanted).order_by(c.id)
            return [Asked.of(row) for row in (await connection.execute(query)).mappings()]

    async def add(self, deployment: str, epoch: int, asked: Asked, nusd: int) -> None:
        """Adds an answer and what it cost, nano-USD."""
        async with writing(self._database, "drift") as connection:
            from sqlalchemy import insert

            from gateway.store.drift_tables import DRIFT_ASKS as table

            values: dict[str, object] = {name: getattr(asked, name) for name in Asked.__slots__}
            values |= {"deployment": deployment, "epoch": epoch, "time": self._now(), "nusd": nusd}
            await connection.execute(insert(table).values(values))

    async def spent_nusd(self, since_s: float) -> int:
        """What answers have cost in the last `since_s` seconds."""
        async with reading(self._database, "drift") as connection:
            from sqlalchemy import func, select

            from gateway.store.drift_tables import DRIFT_ASKS as table

            query = select(func.coalesce(func.sum(table.c.nusd), 0)).where(table.c.time > self._now() - since_s)
            return int((await connection.execute(query)).scalar_one())

    async def tell(self, event: Event) -> Event:
        """Adds an event; returns it with its time."""
        told = Event(event.model, event.deployment, event.kind, event.words, event.evidence, self._now())
        async with writing(self._database, "drift") as connection:
            from sqlalchemy import insert

            from gateway.store.drift_tables import DRIFT_EVENTS as table

            await connection.execute(insert(table).values(told.fields()))
        return told

    async def states(self) -> dict[str, str]:
        """The states of deployments that were set, by id."""
        async with reading(self._database, "drift") as connection:
            return await connection.run_sync(states_in)

    async def events(self, limit: int = 100) -> list[Event]:
        """The newest events, the newest first."""
        async with reading(self._database, "drift") as connection:
            return await connection.run_sync(events_in, limit)

    async def forget_epochs(self, deployment: str, before: int) -> None:
        """Deletes the answers of older epochs."""
        async with writing(self._database, "drift") as connection:
            from sqlalchemy import delete

            from gateway.store.drift_tables import DRIFT_ASKS as table

            c = table.c
            await connection.execute(delete(table).where(c.deployment == deployment, c.epoch < before))


def watches_in(connection: "Connection", model: str | None = None) -> list[Watch]:
    """What a database knows of each deployment, by its id; with `model` of its deployments only."""
    from sqlalchemy import select

    from gateway.store.drift_tables import DRIFT_WATCHES as table

    query = select(table).order_by(table.c.deployment)
    if model is not None:
        query = query.where(table.c.model == model)
    return [Watch.of(row) for row in connection.execute(query).mappings()]


def states_in(connection: "Connection") -> dict[str, str]:
    """The states of deployments that were set, by id."""
    from sqlalchemy import select

    from gateway.store.tables import MODEL_STATES as table

    of_deployments = select(table.c.deployment, table.c.state).where(table.c.deployment != "")
    return {row.deployment: row.state for row in connection.execute(of_deployments)}


def events_in(connection: "Connection", limit: int) -> list[Event]:
    """The newest events of a database, the newest first."""
    from sqlalchemy import select

    from gateway.store.drift_tables import DRIFT_EVENTS as table

    rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(limit)).mappings()
    return [Event(**{name: row[name] for name in Event.__slots__}) for row in rows]


def watch_fields(watch: Watch, states: Mapping[str, str]) -> dict[str, object]:
    """What is shown of a watch, for JSON.

    Args:
        states: of deployments, by id; one that was never set is live.
    """
    return {
        "model": watch.model,
        "deployment": watch.deployment,
        "deployment_state": states.get(watch.deployment, "live"),
        "state": "baseline" if watch.chosen is None else "watching",
        "probes": len(watch.chosen or ()),
        "rounds": watch.rounds,
        "own_rate": watch.own_rate,
        "evidence": watch.evidence,
        "next": watch.next,
        "reason": watch.reason,
    }


def probes_of(watch: Watch, round: int, per_round: int) -> Sequence[str]:
    """The probes of a round: all in turn, the most telling first."""
    chosen = watch.chosen or ()
    first = (round - 1) * per_round
    return [chosen[(first + i) % len(chosen)] for i in range(min(per_round, len(chosen)))]
