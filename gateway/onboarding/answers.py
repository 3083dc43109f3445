"""The answers to probes in the database: one row for each probe that was asked, written before the call and after the answer.

What a process that was killed had asked is still there: answers need not be paid again, and a call whose end is not known counts
with the highest cost that it may have had.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Clock
from gateway.onboarding.probe_calls import Caller, Reply
from gateway.store.database import Database
from gateway.store.transactions import reading, writing
from router.probes.checkers.answer import Grade
from router.probes.probe import Probe

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST_REASON_CHARS = 500


class TakenOver(Exception):
    """Another process runs the job of the model now."""


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """One row.

    Attributes:
        probe: its id in the bank.
        digest: of what was asked and how it is checked; see `probe_digest`.
        state: asked: the call has not ended; answered: the answer is not graded yet; unanswered: there is no score.
        tries: calls so far.
        reserved_nusd: the highest cost of the calls whose cost is not known.
        nusd: the cost of the others.
        unpriced_calls: those without a known price, which are not in it.
        answer: text, tool calls and finish reason, until it is graded.
        score: from 0 to 1; None unless it is graded.
        reason: why there is no score.
    """

    id: int
    model: str
    probe: str
    digest: str
    state: str
    tries: int
    reserved_nusd: int
    nusd: int
    unpriced_calls: int
    answer: JsonObject | None
    score: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Round:
    """What belongs together: the answers of one model to one bank, in one onboarding.

    Attributes:
        ask: grows when the model is onboarded again.
    """

    caller: Caller
    model: str
    bank: str
    ask: int


def probe_digest(probe: Probe) -> str:
    """A digest of the question and its check, so that answers to an older text of a probe are not taken for answers to it."""
    from router.probes.probe import probe_line

    known = Probe(probe.id, probe.query, probe.kind, probe.checker, probe.reference, None, 0, 1, probe.tools)
    return blake2b(probe_line(known).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class AnswerStore:
    """The answers in a database. All methods raise StoreUnavailable if it cannot be used.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, database: Database, now: Clock = time.time) -> None:
        self._database = database
        self._now = now

    async def of_round(self, of: Round) -> list[ProbeAnswer]:
        """The rows of a round, in the order in which the probes were asked first."""
        async with reading(self._database, "onboarding") as connection:
            from sqlalchemy import select

            from gateway.store.onboarding_tables import PROBE_ANSWERS as table

            c = table.c
            wanted = (c.caller == of.caller) & (c.bank == of.bank) & (c.ask == of.ask) & (c.model == of.model)
            found = (await connection.execute(select(table).where(wanted).order_by(c.id))).mappings()
            return [_answer(row) for row in found]

    async def newest_scores(self, caller: Caller, bank: str, models: Collection[str]) -> list[ProbeAnswer]:
        """The graded answers of several models to a bank; of each model, those of its newest round."""
        async with reading(self._database, "onboarding") as connection:
            from sqlalchemy import func, select

            from gateway.store.onboarding_tables import PROBE_ANSWERS as table

            c = table.c
            newest = (
                select(c.model, func.max(c.ask).label("ask"))
                .where(c.caller == caller, c.bank == bank, c.state == "graded", c.model.in_(list(models)))
                .group_by(c.model)
                .subquery()
            )
            same = (c.model == newest.c.model) & (c.ask == newest.c.ask)
            query = select(table).join(newest, same).where(c.caller == caller, c.bank == bank, c.state == "graded")
            found = (await connection.execute(query.order_by(c.id))).mappings()
            return [_answer(row) for row in found]

    async def begin(self, of: Round, asked: Sequence[tuple[Probe, int]], owner: str) -> list[int]:
        """Notes that probes are asked now, each with the highest cost of its call, nano-USD; returns the ids of the rows.

        Args:
            owner: the process that runs the job of the model.

        Raises:
            TakenOver: another one runs it now.
        """
        async with writing(self._database, "onboarding") as connection:
            from sqlalchemy import insert

            from gateway.store.onboarding_tables import PROBE_ANSWERS as table

            await _check_owner(connection, of.model, owner)
            shared = {"caller": of.caller, "model": of.model, "bank": of.bank, "ask": of.ask, "time": self._now()}
            ids = []
            for probe, nusd in asked:
                own = {"probe": probe.id, "digest": probe_digest(probe), "state": "asked", "reserved_nusd": nusd}
                made = await connection.execute(insert(table).values(shared | own).returning(table.c.id))
                ids.append(made.scalar_one())
            return ids

    async def again(self, of: Round, row: int, nusd: int, owner: str) -> None:
        """Notes that a probe is asked once more; as `begin`.

        Raises:
            TakenOver: another process runs the job now.
        """
        async with writing(self._database, "onboarding") as connection:
            await _check_owner(connection, of.model, owner)
            await _change(connection, row, {"state": "asked", "time": self._now()}, {"reserved_nusd": nusd})

    async def answered(self, row: int, reply: Reply, reserved_nusd: int, grade: Grade | None = None) -> None:
        """Keeps an answer and what it cost.

        Args:
            reserved_nusd: what was reserved for the call.
            grade: None if it is graded later; the text is kept until then.
        """
        part = reply.part
        answer = {"text": reply.text, "tool_calls": reply.tool_calls, "finish_reason": reply.finish_reason}
        values: JsonObject = {"state": "answered", "answer": answer, "deployment": reply.deployment}
        values |= {"fingerprint": reply.fingerprint, "response_model": reply.response_model}
        values |= {} if grade is None else _graded(grade)
        added = {"tries": 1, "reserved_nusd": -reserved_nusd, "nusd": part.cost_nusd or 0}
        added |= {"prompt_tokens": part.prompt_tokens, "completion_tokens": part.completion_tokens}
        added |= {"unpriced_calls": int(part.cost_nusd is None)}
        await self._change(row, values, added)

    async def failed(self, row: int, reason: str, reserved_nusd: int, *, counted: bool = True) -> None:
        """Notes that a call gave no answer and cost nothing.

        Args:
            counted: False if it says nothing of the probe, such as a rate limit.
        """
        values = {"state": "unanswered", "reason": reason[:MOST_REASON_CHARS]}
        await self._change(row, values, {"tries": int(counted), "reserved_nusd": -reserved_nusd})

    async def graded(self, row: int, grade: Grade, judge_nusd: int, reserved_nusd: int) -> None:
        """Keeps the grade of an answer, and not its text any more.

        Args:
            judge_nusd: what a judge cost.
            reserved_nusd: what was reserved for that.
        """
        await self._change(row, _graded(grade), {"nusd": judge_nusd, "reserved_nusd": -reserved_nusd})

    async def _change(self, row: int, values: Mapping[str, object], added: Mapping[str, int]) -> None:
        async with writing(self._database, "onboarding") as connection:
            await _change(connection, row, values, added)


async def _check_owner(connection: "AsyncConnection", model: str, owner: str) -> None:
    """Keeps the job from being taken over until the transaction ends.

    Raises:
        TakenOver: another process has it.
    """
    from sqlalchemy import select

    from gateway.store.onboarding_tables import ONBOARDING_JOBS as table

    query = select(table.c.owner).where(table.c.model == model).with_for_update()
    if (await connection.execute(query)).scalar() != owner:
        raise TakenOver


async def _change(
    connection: "AsyncConnection", row: int, values: Mapping[str, object], added: Mapping[str, int]
) -> None:
    from sqlalchemy import update

    from gateway.store.onboarding_tables import PROBE_ANSWERS as table

    sums = {name: table.c[name] + number for name, number in added.items()}
    await connection.execute(update(table).where(table.c.id == row).values({**values, **sums}))


def _graded(grade: Grade) -> JsonObject:
    """The columns of a grade."""
    values: JsonObject = {"state": "unanswered" if grade.score is None else "graded", "answer": None}
    return values | {
        "score": grade.score,
        "canonical": grade.canonical,
        "reason": grade.reason[:MOST_REASON_CHARS] or None,
    }


def _answer(row: Mapping[Any, Any]) -> ProbeAnswer:
    return ProbeAnswer(**{name: row[name] for name in ProbeAnswer.__slots__})
