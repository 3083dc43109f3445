"""Versions and states of models, in SQLite and PostgreSQL."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, update

from gateway.config.database_location import DatabaseLocation
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.model_versions.model_versions import KEPT, ModelVersions
from gateway.model_versions.stored import ModelState, Source, Trial, Version, arrays_of, embedding_of
from gateway.store.database import Database
from gateway.store.tables import MODEL_STATES
from router.errors import ArtifactError
from router.model.embedding import Embedding
from tests.gateway.live import Time
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio


def embedding(seed: int) -> Embedding:
    draw = np.random.default_rng(seed)
    arrays = [draw.standard_normal(width).astype(np.float32) for width in (128, 128, 12, 10, 4)]
    return Embedding(*arrays, 0.25 * seed, 0.5, -0.125, 100 + seed)


def same(a: Embedding, b: Embedding) -> bool:
    return all(np.array_equal(getattr(a, each.name), getattr(b, each.name)) for each in fields(Embedding))


@asynccontextmanager
async def store(location: DatabaseLocation, now: Time | None = None) -> AsyncIterator[ModelVersions]:
    database = Database(location)
    yield ModelVersions(database, now or Time())
    await database.close()


async def add(
    versions: ModelVersions,
    model: str,
    seed: int,
    *,
    live: bool = True,
    deployment: str | None = None,
    source: Source = "onboarding",
) -> int:
    return await versions.add(
        model, embedding(seed), checkpoint="c1", source=source, note=f"seed {seed}", live=live, deployment=deployment
    )


def test_an_embedding_is_read_as_it_was_written() -> None:
    written = embedding(3)
    read = embedding_of(arrays_of(written))
    assert same(read, written)
    assert (type(read.ability), type(read.evaluations), read.z.dtype) == (float, int, np.float32)
    assert arrays_of(embedding(3)) == arrays_of(written)


def test_a_damaged_embedding_is_named() -> None:
    version = Version("m", None, 2, "c1", "drift", "", 1, 0.0, True, True, arrays_of(embedding(1))[:50])
    with pytest.raises(ArtifactError, match="version 2 of m: not a readable embedding"):
        version.embedding()
    from safetensors.numpy import save

    with pytest.raises(ArtifactError, match="version 2 of m: the embedding has no array"):
        replace(version, arrays=save({"z": np.zeros(3, np.float32)})).embedding()


async def test_the_newest_live_version_is_in_use(location: DatabaseLocation) -> None:
    now = Time()
    async with store(location, now) as versions:
        assert await versions.live() == {}
        assert await add(versions, "m", 1) == 1
        now.now = 5.0
        assert await add(versions, "m", 2, live=False) == 2
        assert await add(versions, "n", 7, source="refinement") == 1
        live = await versions.live()
        assert {name: version.version for name, version in live.items()} == {"m": 1, "n": 1}
        assert same(live["m"].embedding(), embedding(1))
        assert (live["n"].source, live["n"].note, live["n"].evaluations, live["n"].time) == (
            "refinement",
            "seed 7",
            107,
            5.0,
        )
        assert await add(versions, "m", 3) == 3
        history = await versions.history("m")
        assert [(version.version, version.live) for version in history] == [(3, True), (2, False), (1, False)]


async def test_a_rollback_uses_an_earlier_version_or_the_model_spaces(location: DatabaseLocation) -> None:
    async with store(location) as versions:
        await add(versions, "m", 1)
        await add(versions, "m", 2)
        await versions.make_live("m", 1)
        assert (await versions.live())["m"].version == 1
        with pytest.raises(NotFound, match="m has no version 9"):
            await versions.make_live("m", 9)
        assert (await versions.live())["m"].version == 1  # a failed rollback changes nothing
        await versions.make_live("m", None)
        assert await versions.live() == {}
        assert len(await versions.history("m")) == 2


async def test_deployments_have_versions_of_their_own(location: DatabaseLocation) -> None:
    async with store(location) as versions:
        await add(versions, "m", 1)
        assert await add(versions, "m", 2, deployment="m/host") == 1
        assert await add(versions, "m", 3, deployment="m/host") == 2
        assert {name: version.version for name, version in (await versions.live()).items()} == {"m": 1}
        assert {of: v.version for of, v in (await versions.live_of_deployments()).items()} == {("m", "m/host"): 2}
        assert len(await versions.history("m")) == 3
        assert [version.version for version in await versions.history("m", "m/host")] == [2, 1]
        await versions.make_live("m", 1, deployment="m/host")
        assert (await versions.live_of_deployments())["m", "m/host"].version == 1


async def test_old_refinements_are_forgotten_but_not_the_live_one_nor_what_they_refine(
    location: DatabaseLocation,
) -> None:
    async with store(location) as versions:
        await add(versions, "m", 0)
        await add(versions, "m", 1, source="refinement")
        for seed in range(2, KEPT + 4):
            await add(versions, "m", seed, live=False, source="refinement")
        numbers = [version.version for version in await versions.history("m")]
        assert numbers == [*range(KEPT + 4, 4, -1), 2, 1]


async def test_versions_that_are_added_at_once_have_different_numbers(location: DatabaseLocation) -> None:
    async with store(location) as first, store(location) as second:
        await first.live()  # creates the tables
        numbers = await asyncio.gather(*(add(versions, "m", 1) for versions in (first, second) * 5))
        assert sorted(numbers) == list(range(1, 11))
        assert sum(version.live for version in await first.history("m")) == 1


async def test_states_of_models_and_deployments(location: DatabaseLocation, caplog: pytest.LogCaptureFixture) -> None:
    now = Time()
    async with store(location, now) as versions:
        assert await versions.states() == {}
        await versions.set_state("m", "shadow", "it was onboarded")
        now.now = 3.0
        with caplog.at_level(logging.INFO):
            await versions.set_state("m", "suspect", "answers changed")
        assert "m is suspect: answers changed" in caplog.text
        assert await versions.states() == {"m": ModelState("suspect", "answers changed", 3.0)}
        await versions.set_state("m", "quarantined", "other weights", deployment="m/host")
        assert await versions.states() == {"m": ModelState("suspect", "answers changed", 3.0)}
        assert await versions.states_of_deployments() == {
            ("m", "m/host"): ModelState("quarantined", "other weights", 3.0)
        }


async def test_a_trial_ends_after_its_requests(location: DatabaseLocation) -> None:
    now = Time()
    async with store(location, now) as versions:
        await versions.set_state("m", "limited", "new", trial=Trial(0.2, 10, 0.06))
        await versions.set_state("n", "shadow", "new")
        await versions.count_requests({"m": 4, "n": 20, "unknown": 3})
        states = await versions.states()
        assert states["m"] == ModelState("limited", "new", 1_000.0, Trial(0.2, 10, 0.06), 4)
        assert states["n"].state == "shadow"
        now.now = 9.0
        await asyncio.gather(*(versions.count_requests({"m": 3}) for _ in range(2)))
        assert (await versions.states())["m"].state == "live"
        await versions.end_trial("m", "again")
        assert "10 requests" in (await versions.states())["m"].reason


async def test_the_token_changes_with_what_is_in_use(location: DatabaseLocation) -> None:
    now = Time()
    async with store(location, now) as versions, store(location, now) as other:
        seen = [await versions.change_token()]
        for change in (
            add(other, "m", 1),
            add(other, "m", 2),
            other.make_live("m", 1),
            other.set_state("m", "limited", "new"),
            other.set_state("m", "live", "enough"),
            other.make_live("m", None),
        ):
            await change
            token = await versions.change_token()
            assert token not in seen[-1:]
            seen.append(token)
        await add(other, "m", 3, live=False)
        assert await versions.change_token() == seen[-1]


async def test_a_state_of_a_newer_version_is_left_out(location: DatabaseLocation) -> None:
    database = Database(location)
    versions = ModelVersions(database, Time())
    await versions.set_state("m", "live", "")
    async with database.begin() as connection:
        row = {"model": "new", "deployment": "", "state": "asleep", "since": 0.0}
        await connection.execute(insert(MODEL_STATES), row)
        await connection.execute(update(MODEL_STATES).where(MODEL_STATES.c.model == "m").values(reason="x"))
    assert {name: state.reason for name, state in (await versions.states()).items()} == {"m": "x"}
    await database.close()


async def test_a_database_that_is_away_has_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with store(DatabaseLocation(tmp_path / "file" / "store.db")) as versions:
        with pytest.raises(StoreUnavailable, match="database of model versions"):
            await versions.live()
        with pytest.raises(StoreUnavailable, match="database of model versions"):
            await add(versions, "m", 1)


async def test_a_rollback_goes_to_a_version_that_was_in_use(location: DatabaseLocation) -> None:
    async with store(location) as versions:
        await add(versions, "m", 0)
        await add(versions, "m", 1, source="refinement", live=False)  # a candidate that was not taken
        await add(versions, "m", 2, source="refinement")
        assert [(v.version, v.live, v.used) for v in await versions.history("m")] == [
            (3, True, True),
            (2, False, False),
            (1, False, True),
        ]
        assert await versions.roll_back("m") == 1
        assert await versions.roll_back("m") is None
