"""Outcomes in both databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select

from gateway.config.database_location import DatabaseLocation
from gateway.feedback import outcomes as outcomes_module
from gateway.feedback.outcome import Answered, Outcome, priority, source_of_key
from gateway.feedback.outcomes import Outcomes
from gateway.store.database import Database
from gateway.store.outcome_tables import FEEDBACK_KEYS, OUTCOMES
from gateway.store.tables import REQUESTS
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio
DAY = 86_400.0


@asynccontextmanager
async def opened(location: DatabaseLocation) -> AsyncIterator[tuple[Database, Outcomes]]:
    database = Database(location)
    try:
        yield database, Outcomes(database, now=lambda: 100 * DAY)
    finally:
        await database.close()


def outcome(name: str, score: float | None, source: str = "ci", model: str = "small", at: float = 0.0) -> Outcome:
    return Outcome(Answered(name, model, f"{model}/0", "abc", b"e", b"s", at), source, "feedback", score)


async def scores(database: Database) -> dict[tuple[str, str], float | None]:
    async with database.read() as connection:
        rows = await connection.execute(select(OUTCOMES.c.request_id, OUTCOMES.c.source, OUTCOMES.c.score))
        return {(row[0], row[1]): row[2] for row in rows}


async def test_the_last_outcome_of_a_source_counts(location: DatabaseLocation) -> None:
    async with opened(location) as (database, outcomes):
        for each in (outcome("a", 1.0), outcome("a", 0.0, "bob"), outcome("a", 0.25), outcome("b", None)):
            assert await outcomes.put(each) is None
        assert await scores(database) == {("a", "ci"): 0.25, ("a", "bob"): 0.0, ("b", "ci"): None}


async def test_an_idempotency_key_counts_for_a_day(location: DatabaseLocation) -> None:
    async with opened(location) as (database, outcomes):
        assert await outcomes.put(outcome("a", 1.0), once=("k", b"1"), answer=b"first") is None
        assert await outcomes.put(outcome("a", 0.0), once=("k", b"2"), answer=b"second") == (b"1", b"first")
        assert await outcomes.put(outcome("a", 0.0, "bob"), once=("k", b"2")) is None  # a key of another source
        assert await scores(database) == {("a", "ci"): 1.0, ("a", "bob"): 0.0}
        await outcomes.forget()
        later = Outcomes(database, now=lambda: 101 * DAY + 1)
        async with database.read() as connection:
            assert (await connection.execute(select(func.count()).select_from(FEEDBACK_KEYS))).scalar() == 2
        await later.forget()
        assert await later.put(outcome("a", 0.5), once=("k", b"3")) is None


async def test_each_model_and_source_has_a_bounded_sample(
    location: DatabaseLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "MOST", 20)
    async with opened(location) as (database, outcomes):
        await outcomes.put_all([outcome(f"r{i}", 1.0, at=i * 3 * DAY) for i in range(100)])
        await outcomes.put_all([outcome(f"r{i}", 1.0, "bob", at=i * DAY) for i in range(5)])
        await outcomes.put(outcome("last", 1.0, at=303 * DAY))
        kept = await scores(database)
        assert sum(source == "ci" for _, source in kept) == 20
        assert sum(source == "bob" for _, source in kept) == 5
        ages = [99 - int(name[1:]) for name, source in kept if source == "ci" and name != "last"]
        assert sum(age < 40 for age in ages) > sum(age >= 40 for age in ages)


async def test_outcomes_of_old_requests_are_deleted(location: DatabaseLocation) -> None:
    async with opened(location) as (database, outcomes):
        await outcomes.put_all([outcome(f"r{i}", 1.0, at=i * DAY) for i in range(5)])
        await outcomes.forget(3 * DAY)
        assert sorted(name for name, _ in await scores(database)) == ["r3", "r4"]


def test_the_sample_halves_every_thirty_days() -> None:
    names = [f"r{i}" for i in range(20_000)]
    ranked = sorted(names, key=lambda name: priority(name, "ci", int(name[1:]) % 2 * 30 * DAY))[-2_000:]
    newer = sum(int(name[1:]) % 2 for name in ranked)  # of two equal groups, one half-life apart
    assert newer / (2_000 - newer) == pytest.approx(2, rel=0.12)
    assert priority("a", "ci", 5.0) == priority("a", "ci", 5.0) != priority("a", "bob", 5.0)


async def test_importers_find_requests_by_request_or_trace_id(location: DatabaseLocation) -> None:
    async with opened(location) as (database, outcomes):
        async with database.begin() as connection:
            row = {"time": 5.0, "served": "small", "api": "chat", "encoding": b"e", "surface": b"s"}
            rows = [
                row | {"request_id": "r1", "trace_id": "t" * 32},
                row | {"request_id": "r1", "trace_id": None, "time": 6.0},
                row | {"request_id": "r2", "trace_id": None, "served": None},
                row | {"request_id": "r3", "trace_id": None, "parts": [{"model": "small"}, {"model": "large"}]},
                row | {"request_id": "r4", "trace_id": None, "parts": [{"model": "small"}, {"model": "small"}]},
            ]
            await connection.execute(insert(REQUESTS), [{"parts": None} | each for each in rows])
        found = await outcomes.named(["r1", "t" * 32, "r2", "r3", "r4", "none"])
        assert {
            name: [(request.time, request.encoding) for request in requests] for name, requests in found.items()
        } == {
            "r1": [(5.0, b"e"), (6.0, b"e")],
            "t" * 32: [(5.0, b"e")],
            "r3": [(5.0, None)],
            "r4": [(5.0, b"e")],
        }


async def test_a_judge_is_compared_with_exact_outcomes_of_the_same_answers(location: DatabaseLocation) -> None:
    async with opened(location) as (_, outcomes):
        judged = [outcome(name, 1.0, "grader:judge", at=at) for at, name in enumerate("abcd")]
        exact = [outcome("a", 0.0, "grader:x"), outcome("b", 1.0, "grader:x", at=1.0)]
        exact += [outcome("c", 0.0, "grader:x", model="large"), outcome("d", None, "grader:x")]
        said = outcome("c", 0.0, "bob")
        await outcomes.put_all(
            [*(replace(one, kind="judge") for one in judged), *(replace(one, kind="exact") for one in exact), said]
        )
        assert await outcomes.compared("grader:judge") == [(1.0, 1.0), (1.0, 0.0)]


def test_no_key_has_the_source_of_a_grader() -> None:
    names = [None, "local", "grader:x", "import:x", "file:ci"]
    assert [source_of_key(name) for name in names] == ["local", "key:local", "key:grader:x", "key:import:x", "file:ci"]
