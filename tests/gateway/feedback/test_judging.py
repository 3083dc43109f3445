"""The USD per day of a judge: what is not in the sums yet counts, and midnight begins anew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert

from gateway.config.database_location import DatabaseLocation
from gateway.config.feedback import GraderEntry
from gateway.feedback.judging import CALLER, DAY_S, UNWRITTEN_S, Judgement, Judging, NotJudged
from gateway.store.database import Database
from gateway.store.usage_tables import USAGE_HOURLY
from router.probes.checkers.answer import Answer

pytestmark = pytest.mark.anyio
USD = 1_000_000_000  # nano-USD
MIDNIGHT = 20_000 * float(DAY_S)
GRADER = GraderEntry(name="judge", model="judge", usd_per_day=1.0)


class Asked:
    """A model that judges, whose calls cost what the test says; it counts them."""

    def __init__(self, nusd: int | None, highest: int | None = None) -> None:
        self.nusd = nusd
        self.highest = nusd if highest is None else highest
        self.calls = 0

    def highest_nusd(self, model: str, system: str, user: str, max_tokens: int) -> int | None:
        return self.highest

    async def __call__(self, model: str, system: str, user: str, max_tokens: int) -> Judgement:
        self.calls += 1
        return Judgement("GOOD, I think", self.nusd)


class At:
    """A judge with its clocks."""

    def __init__(self, database: Database, ask: Asked) -> None:
        self.database = database
        self.clock, self.now = 0.0, MIDNIGHT - 60
        self.judging = Judging(database, ask, lambda: self.clock, lambda: self.now)

    async def judge(self) -> None:
        await self.judging.judge(GRADER, "judge", "2 + 2?", Answer("4", [], "stop"))

    async def refused(self) -> str:
        with pytest.raises(NotJudged) as failed:
            await self.judge()
        return failed.value.result

    async def write(self, nusd: int, hour: float) -> None:
        """The recorder adds what was spent to the sums of an hour."""
        values = {"hour": int(hour) // 3600 * 3600, "key_id": CALLER, "model": "judge", "nusd": nusd}
        columns = {column.name: column for column in USAGE_HOURLY.columns}
        texts = {name: "" for name, column in columns.items() if not column.nullable and column.server_default is None}
        async with self.database.begin() as connection:
            await connection.execute(insert(USAGE_HOURLY).values(texts | values))


@asynccontextmanager
async def judge_of(folder: Path, ask: Asked) -> AsyncIterator[At]:
    database = Database(DatabaseLocation(file=folder / "store.db"))
    yield At(database, ask)
    await database.close()


async def test_what_is_not_written_yet_counts_until_it_must_be(tmp_path: Path) -> None:
    ask = Asked(nusd=6 * USD // 10)
    async with judge_of(tmp_path, ask) as at:
        await at.judge()
        at.clock += UNWRITTEN_S
        assert await at.refused() == "over_budget"  # 0.6 USD are spent, though no sum has them
        await at.write(6 * USD // 10, at.now)
        at.clock += 1
        assert await at.refused() == "over_budget"  # now the sums have them
        assert ask.calls == 1


async def test_a_call_that_lost_its_sum_no_longer_counts_after_a_while(tmp_path: Path) -> None:
    async with judge_of(tmp_path, Asked(nusd=6 * USD // 10)) as at:
        await at.judge()
        at.clock += UNWRITTEN_S + 1  # what the recorder has not written by then, it has lost
        await at.judge()


async def test_midnight_begins_anew_but_for_what_was_just_spent(tmp_path: Path) -> None:
    ask = Asked(nusd=6 * USD // 10)
    async with judge_of(tmp_path, ask) as at:
        await at.judge()
        await at.write(6 * USD // 10, at.now)
        at.clock, at.now = 61.0, MIDNIGHT - 1e-3
        assert await at.refused() == "over_budget"
        at.now = MIDNIGHT
        await at.judge()
        assert ask.calls == 2
        at.clock += 1
        assert await at.refused() == "over_budget"  # the second call is of the new day


async def test_a_call_of_unknown_cost_counts_as_the_highest_and_one_without_a_price_is_not_made(tmp_path: Path) -> None:
    async with judge_of(tmp_path, Asked(nusd=None, highest=6 * USD // 10)) as at:
        await at.judge()
        assert await at.refused() == "over_budget"
    unpriced = Asked(nusd=None)
    async with judge_of(tmp_path, unpriced) as at:
        assert await at.refused() == "over_budget"
        assert unpriced.calls == 0
