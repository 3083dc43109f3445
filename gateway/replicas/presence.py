"""Which gateways use a database: each process has a row there, which it renews. From the rows follow who may start and who leads.

A *replica* is one gateway: a process, or a supervisor with its workers. The rows tell gateways that know of each other from those
that do not, or that even count their limits in different places. The process with the oldest row leads: it does the jobs that need
to be done once. The row of a process that was killed ends by time, by the database's clock. One mechanism serves SQLite and
PostgreSQL.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.config.settings import Settings
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import Clock
from gateway.store.clock import locked_clock
from gateway.store.database import Database, DatabaseUnavailable
from gateway.store.valkey import server_name

log = logging.getLogger("locus.replicas")

BEAT_S = 2.0
BEATS = 4  # after so many times without a beat a process is gone
LOOK_S = 0.25  # between two looks at a row whose process may have been killed
LEAVE_S = 2.0  # for the deletion of the row
SETTLED_S = 1.0  # until what a killed process had sent to the database is written
KNOWN_S = 60.0  # for so long others are told of it
ALONE, INDEPENDENT = "", "independent"  # values of `Member.sharing` beside the name of a shared server
_LOCK_ID = 0x10C6  # of PostgreSQL's advisory lock: one process at a time looks and writes


class ReplicaRefused(Exception):
    """Another gateway uses the database, and the two would not know of each other."""


@dataclass(frozen=True, slots=True)
class Member:
    """What a process says of itself.

    Attributes:
        replica: the same for all workers of one gateway.
        sharing: names the server of `gateway.shared`, without credentials; or `ALONE` or `INDEPENDENT`.
    """

    replica: str
    sharing: str


def member(replica: str, settings: Settings) -> Member:
    """What a process with these settings says of itself."""
    if settings.shared is not None:
        return Member(replica, server_name(settings.shared.reveal()))
    return Member(replica, settings.replicas or ALONE)


class Row(NamedTuple):
    """A row of the table `replicas`; times are seconds since the epoch by the database's clock."""

    id: str
    replica: str
    machine: str
    process: int
    sharing: str
    began: float
    beat: float


class Presence:
    """The row of this process. Use as an async context manager; leaving it deletes the row.

    While the database does not answer, a process knows no other one, and leads.

    Args:
        clock: monotonic seconds.

    Attributes:
        id: names this process.
    """

    def __init__(
        self, database: Database, member: Member, clock: Clock = time.monotonic, beat_s: float = BEAT_S
    ) -> None:
        self._database = database
        self._member = member
        self._clock = clock
        self._beat_s = beat_s
        self.id = secrets.token_hex(8)
        self._killed: dict[str, float] = {}  # when it was found
        self._machine = this_machine()
        self._rows: Sequence[Row] = ()
        self._seen_at = float("-inf")
        self._away = False
        self._strangers: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Presence":
        """Announces this process.

        Raises:
            ReplicaRefused: another gateway uses the database, and neither `shared` nor `replicas: independent` is set.
        """
        await self._join()
        self._task = asyncio.create_task(self._run(), name="presence")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._leave()
        except (DatabaseUnavailable, TimeoutError):
            log.info("the row of this process stays in the database for %.0f s", self._gone_s)

    @property
    def leads(self) -> bool:
        """True if this process does the jobs that are needed once."""
        rows = self._known
        return not rows or min(rows, key=lambda row: (row.began, row.id)).id == self.id

    @property
    def replicas(self) -> int:
        """The number of gateways that use the database, with this one; 1 while it does not answer."""
        return len({row.replica for row in self._known} | {self._member.replica})

    @property
    def processes(self) -> int:
        """The number of processes that use the database, as it was known last."""
        return max(1, len(self._rows))

    @property
    def killed(self) -> Sequence[str]:
        """The ids of processes of this machine that are no more, and had not left. A stopped process, or one that only this process
        does not reach, is none of them."""
        now = self._clock()
        return [id for id, at in self._killed.items() if now - at >= SETTLED_S]

    @property
    def _known(self) -> Sequence[Row]:
        return self._rows if self._clock() - self._seen_at < self._gone_s else ()

    @property
    def _gone_s(self) -> float:
        return BEATS * self._beat_s

    async def _join(self) -> None:
        """Adds the row; before that it waits until another gateway that must not be there has renewed its row, or is gone."""
        met: dict[str, float] = {}
        while True:
            try:
                strangers = await self._look(join=True)
            except DatabaseUnavailable as exc:
                self._report_away(exc)
                return
            for row in strangers:
                if row.beat > met.setdefault(row.id, row.beat):
                    raise ReplicaRefused(self._refusal(row))
            if not strangers or self._member.sharing != ALONE:
                break
            await asyncio.sleep(min(LOOK_S, self._beat_s / 4))
        self._report(strangers)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                self._report(await self._look(join=False))
            except DatabaseUnavailable as exc:
                self._report_away(exc)
            except Exception as exc:  # of any kind: the next beat tries again
                log_exception(log, "the presence of this gateway cannot be renewed", exc)

    async def _look(self, *, join: bool) -> list[Row]:
        """Renews the row of this process; when it joins, only if no stranger forbids it. Gives the rows of strangers."""
        from sqlalchemy import delete, insert, select, update

        from gateway.store.tables import REPLICAS as table

        async with self._database.begin() as connection:
            now = await locked_clock(connection, _LOCK_ID)
            await connection.execute(delete(table).where(table.c.beat < now - self._gone_s))
            rows = [Row(*row) for row in await connection.execute(select(*(table.c[name] for name in Row._fields)))]
            if killed := [row.id for row in rows if is_killed(row.machine, row.process)]:
                await connection.execute(delete(table).where(table.c.id.in_(killed)))
                rows = [row for row in rows if row.id not in killed]
            at = self._clock()
            known = {id: found for id, found in self._killed.items() if at - found < KNOWN_S}
            self._killed = known | dict.fromkeys(killed, at)
            strangers = [row for row in rows if not self._shares_with(row)]
            if join and strangers and self._member.sharing == ALONE:
                return strangers
            if any(row.id == self.id for row in rows):
                await connection.execute(update(table).where(table.c.id == self.id).values(beat=now))
            else:
                member = self._member
                own = Row(self.id, member.replica, self._machine, os.getpid(), member.sharing, now, now)
                await connection.execute(insert(table).values(own._asdict()))
                rows.append(own)
        self._rows, self._seen_at = rows, self._clock()
        return strangers

    async def _leave(self) -> None:
        from sqlalchemy import delete

        from gateway.store.tables import REPLICAS as table

        async with self._database.begin() as connection:
            await connection.execute(delete(table).where(table.c.id == self.id))

    def _shares_with(self, row: Row) -> bool:
        own = self._member
        in_database = own.sharing == INDEPENDENT and row.sharing == ALONE  # both count their limits there
        return own.replica == row.replica or in_database or own.sharing == row.sharing != ALONE

    def _refusal(self, row: Row) -> str:
        where = "this machine" if row.machine == self._machine else row.machine.partition("/")[0]
        one = f"another gateway, process {row.process} on {where}, uses the database {self._database.location}"
        if {self._member.sharing, row.sharing} <= {ALONE, INDEPENDENT}:
            return (
                f"{one}: the two would not tell each other of conversations and of failing deployments. Set gateway.shared to a "
                "Valkey server, in both; or gateway.replicas: independent, with which they have nothing in common but the "
                "database and the limits that are counted there; or give each gateway a database of its own"
            )
        return f"{one}, but not the same gateway.shared: each of the two admits the whole of every limit"

    def _report(self, strangers: Sequence[Row]) -> None:
        """Logs gateways that have come and do not share limits with this one, and that the database answers again."""
        if self._away:
            self._away = False
            log.warning("the database answers again: this gateway knows the others")
        for row in strangers:
            if row.id not in self._strangers:
                log.error("%s", self._refusal(row))
        self._strangers = {row.id for row in strangers}

    def _report_away(self, exc: DatabaseUnavailable) -> None:
        if not self._away:
            self._away = True
            log.warning("the database does not answer (%s): this gateway does periodic jobs itself", exc)


async def gateway_lives(database: Database) -> bool:
    """True if a process of a gateway uses the database now.

    Raises:
        DatabaseUnavailable: it cannot be used.
    """
    from sqlalchemy import select

    from gateway.store.tables import REPLICAS as table

    async with database.read() as connection:
        oldest = await locked_clock(connection, _LOCK_ID) - BEATS * BEAT_S
        found = await connection.execute(select(*(table.c[name] for name in Row._fields)).where(table.c.beat >= oldest))
        return any(not is_killed(row.machine, row.process) for row in (Row(*columns) for columns in found))


def is_killed(machine: str, process: int) -> bool:
    """True for a process of this machine that is no more. Another process may have its number meanwhile."""
    if machine != this_machine():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def this_machine() -> str:
    """Names the machine since its start, and the container on it: process numbers mean something within it."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        started = numbers = ""
    return f"{socket.gethostname()}/{started}/{numbers}"
