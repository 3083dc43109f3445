"""The jobs that onboard models, in the database: who wants them, which process runs them, how far they are.

Each model has one row, that of its last job. A process that runs a job renews the row; if it was killed, another one takes the job
over. So a job survives a restart, and no model is onboarded by two processes at once.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gateway.config.onboarding import OnboardEntry
from gateway.core.errors import Conflict, NotFound
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.replicas.owner import is_gone
from gateway.store.clock import database_clock, locked_clock
from gateway.store.database import Database
from gateway.store.transactions import reading, writing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Runner = Literal["gateway", "command"]
Ending = Literal["stopped", "done", "failed", "waiting"]
ACTIVE = ("waiting", "running", "stopping")
_LOCK_ID = 0x10C7  # of PostgreSQL's advisory lock: one process at a time takes or adds jobs


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        asked: probes whose calls have ended.
        graded: those with a score.
        right: the sum of the scores.
        unanswered: those without one after the last try.
        nusd: what was spent, nano-USD.
        unpriced_calls: calls without a known price, which are not in it.
        error: mean standard error of P(correct) after the last probes; None before.
    """

    asked: int = 0
    graded: int = 0
    right: float = 0.0
    unanswered: int = 0
    nusd: int = 0
    unpriced_calls: int = 0
    error: float | None = None

    def fields(self) -> JsonObject:
        """As JSON has them."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Job:
    """The last job of a model.

    Attributes:
        id: the same for models that are onboarded together.
        ask: the number of the round of answers; see `gateway.onboarding.answers.Round`.
        state: waiting, running, stopping, stopped, done or failed.
        runner: a gateway runs it, or the command that wants it.
        owner: the process that runs it.
        beat: when that process was seen last, by the database's clock.
        ended: None while it has not ended.
        reason: why it is in this state.
        version: of the embedding that came of it; None without one.
        gone: it should run, but its process is gone.
    """

    model: str
    id: str
    options: OnboardEntry
    ask: int
    state: str
    runner: str
    owner: str | None
    beat: float
    created: float
    ended: float | None
    progress: Progress = field(default_factory=Progress)
    reason: str = ""
    version: int | None = None
    gone: bool = False

    @property
    def active(self) -> bool:
        """True if it waits or runs."""
        return self.state in ACTIVE


class JobStore:
    """The jobs in a database. All methods raise StoreUnavailable if it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(
        self, wanted: Mapping[str, OnboardEntry], runner: Runner, *, again: bool = False, owner: str | None = None
    ) -> list[Job]:
        """Adds a job for models that are onboarded together; it goes on where the last job of a model has stopped.

        Args:
            wanted: the options of each model.
            runner: what runs it. A command runs it only while no gateway uses the database.
            again: ask probes again that an earlier job has asked to its end.
            owner: the process that runs it now; None: it waits for one.

        Raises:
            Conflict: a job of one of the models waits or runs; nothing is added.
        """
        together = secrets.token_hex(8)
        async with writing(self._database, "onboarding") as connection:
            now = await locked_clock(connection, _LOCK_ID)
            known = {job.model: job for job in await _all(connection, now, list(wanted))}
            for model, job in known.items():
                if job.active and not _may_be_replaced(job, runner):
                    raise Conflict(f"{model} is being onboarded already: {progress_text(job)}.")
            jobs = []
            for model, options in wanted.items():
                last = known.get(model)
                ask = 1 if last is None else last.ask + (again and last.state == "done")
                state = "waiting" if owner is None else "running"
                jobs.append(Job(model, together, options, ask, state, runner, owner, now, now, None))
                await _replace(connection, jobs[-1])
        return jobs

    async def take(self, owner: str) -> list[list[Job]]:
        """The jobs that wait for a gateway, or whose gateway is gone; from now on `owner` runs them. Models of one job together."""
        async with writing(self._database, "onboarding") as connection:
            now = await locked_clock(connection, _LOCK_ID)
            jobs = [job for job in await _all(connection, now) if job.runner == "gateway"]
            taken = [job for job in jobs if job.state == "waiting" or (job.gone and job.state == "running")]
            await _update(connection, [job.model for job in taken], {"state": "running", "owner": owner, "beat": now})
            stopped = [job.model for job in jobs if job.gone and job.state == "stopping"]
            await _update(connection, stopped, {"state": "stopped", "ended": now})
        together: dict[str, list[Job]] = {}
        for job in taken:
            together.setdefault(job.id, []).append(job)
        return list(together.values())

    async def beat(self, owner: str, progress: Mapping[str, Progress]) -> set[str]:
        """Renews the rows of models that `owner` runs; returns those that must stop: asked to, or taken over by another process."""
        async with writing(self._database, "onboarding") as connection:
            now = await database_clock(connection)
            for model, done in progress.items():
                await _update(connection, [model], {"beat": now, "progress": done.fields()}, owner)
            rows = await _all(connection, now, list(progress))
        own = {job.model for job in rows if job.owner == owner and job.state == "running"}
        return progress.keys() - own

    async def end(
        self, owner: str, model: str, state: Ending, reason: str, progress: Progress, version: int | None = None
    ) -> None:
        """Ends a job that `owner` runs, or with "waiting" leaves it to the next process."""
        async with writing(self._database, "onboarding") as connection:
            now = await database_clock(connection)
            values = {"state": state, "reason": reason, "progress": progress.fields(), "owner": None, "beat": now}
            values |= {"ended": None if state == "waiting" else now}
            if version is not None:
                values["version"] = version
            await _update(connection, [model], values, owner)

    async def stop(self, model: str) -> Job:
        """Asks the process that runs a job to stop, or ends a job that waits.

        Raises:
            NotFound: no job of the model waits or runs.
        """
        async with writing(self._database, "onboarding") as connection:
            now = await locked_clock(connection, _LOCK_ID)
            jobs = await _all(connection, now, [model])
            if not jobs or not jobs[0].active:
                raise NotFound(f"{model} is not being onboarded.")
            values: JsonObject = {"state": "stopping"}
            if jobs[0].state == "waiting" or jobs[0].gone:
                values = {"state": "stopped", "reason": "stopped", "ended": now, "owner": None}
            await _update(connection, [model], values)
            return (await _all(connection, now, [model]))[0]

    async def of(self, model: str) -> Job | None:
        """The last job of a model."""
        return next(iter(await self.all([model])), None)

    async def all(self, models: Sequence[str] | None = None) -> list[Job]:
        """The last jobs of these models; None: of all."""
        async with reading(self._database, "onboarding") as connection:
            return await _all(connection, await database_clock(connection), models)


def _may_be_replaced(job: Job, runner: Runner) -> bool:
    """True if no process runs a job or will: its command has ended, or the command that asks has found no gateway."""
    return (job.gone or job.state == "waiting") and "command" in (job.runner, runner)


def progress_text(job: Job) -> str:
    """How far a job is, for people."""
    done = job.progress
    return f"{job.state}, {done.asked} of {job.options.probes} probes asked, {done.nusd / NUSD_PER_USD:.4f} USD spent"


async def _all(connection: "AsyncConnection", now: float, models: Sequence[str] | None = None) -> list[Job]:
    from sqlalchemy import select

    from gateway.store.onboarding_tables import ONBOARDING_JOBS as table

    query = select(table).order_by(table.c.created, table.c.model)
    if models is not None:
        query = query.where(table.c.model.in_(list(models)))
    return [_job(row, now) for row in (await connection.execute(query)).mappings()]


def _job(row: Mapping[Any, Any], now: float) -> Job:
    values = {name: row[name] for name in Job.__slots__ if name != "gone"}
    values["options"] = OnboardEntry.model_validate(row["options"])
    values["progress"] = Progress(**(row["progress"] or {}))
    gone = row["state"] in ("running", "stopping") and is_gone(row["owner"], now - row["beat"])
    return Job(**values, gone=gone)


async def _replace(connection: "AsyncConnection", job: Job) -> None:
    from sqlalchemy import delete, insert

    from gateway.store.onboarding_tables import ONBOARDING_JOBS as table

    values = {name: getattr(job, name) for name in Job.__slots__ if name != "gone"}
    values |= {"options": job.options.model_dump(), "progress": job.progress.fields()}
    await connection.execute(delete(table).where(table.c.model == job.model))
    await connection.execute(insert(table).values(values))


async def _update(
    connection: "AsyncConnection", models: Collection[str], values: JsonObject, owner: str | None = None
) -> None:
    """Changes the rows of these models; with `owner` only those that it runs."""
    from sqlalchemy import update

    from gateway.store.onboarding_tables import ONBOARDING_JOBS as table

    if models:
        query = update(table).where(table.c.model.in_(list(models)))
        await connection.execute((query if owner is None else query.where(table.c.owner == owner)).values(values))
