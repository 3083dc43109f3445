"""The statements about versions and states of models. Imports SQLAlchemy, so it is imported after the database has been opened."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import MODEL_STATES, MODEL_VERSIONS

Row = Mapping[str, Any]
_VERSION, _STATE = MODEL_VERSIONS.c, MODEL_STATES.c
LIVE_VERSIONS = select(MODEL_VERSIONS).where(_VERSION.live).order_by(_VERSION.id)
STATES = select(MODEL_STATES).order_by(_STATE.model, _STATE.deployment)


async def lock(connection: AsyncConnection) -> None:
    """Let no other transaction write these tables until this one ends. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("LOCK TABLE model_versions, model_states IN SHARE ROW EXCLUSIVE MODE")


async def live_versions(connection: AsyncConnection) -> list[Row]:
    return await _all(connection, LIVE_VERSIONS)


async def versions(connection: AsyncConnection, model: str, deployment: str | None) -> list[Row]:
    """Those of a model and of all of its deployments, or of one deployment, the newest first."""
    query = select(MODEL_VERSIONS).where(_VERSION.model == model).order_by(_VERSION.id.desc())
    return await _all(connection, query if deployment is None else query.where(_VERSION.deployment == deployment))


async def newest_version(connection: AsyncConnection, model: str, deployment: str) -> int:
    """The highest number of a version; 0 if there is none."""
    query = select(func.max(_VERSION.version)).where(_VERSION.model == model, _VERSION.deployment == deployment)
    return (await connection.execute(query)).scalar() or 0


async def add_version(connection: AsyncConnection, row: Row) -> None:
    await connection.execute(insert(MODEL_VERSIONS), dict(row))


async def use_version(connection: AsyncConnection, model: str, deployment: str, version: int | None) -> bool:
    """Make one version the only live one, or none; return False if there is no such version."""
    of_model = (_VERSION.model == model) & (_VERSION.deployment == deployment)
    await connection.execute(update(MODEL_VERSIONS).where(of_model & _VERSION.live).values(live=False))
    if version is None:
        return True
    changed = await connection.execute(
        update(MODEL_VERSIONS).where(of_model & (_VERSION.version == version)).values(live=True, used=True)
    )
    return changed.rowcount == 1


async def forget_versions(connection: AsyncConnection, model: str, deployment: str, before: int) -> None:
    """Delete the refinements with lower numbers, except the live one. What they refine stays, since others are made from it."""
    of_model = (_VERSION.model == model) & (_VERSION.deployment == deployment)
    refined = _VERSION.source == "refinement"
    await connection.execute(
        delete(MODEL_VERSIONS).where(of_model & (_VERSION.version < before) & ~_VERSION.live & refined)
    )


async def states(connection: AsyncConnection) -> list[Row]:
    return await _all(connection, STATES)


async def set_state(connection: AsyncConnection, row: Row) -> None:
    """Replace the state of a model or deployment."""
    of_row = (_STATE.model == row["model"]) & (_STATE.deployment == row["deployment"])
    await connection.execute(delete(MODEL_STATES).where(of_row))
    await connection.execute(insert(MODEL_STATES), dict(row))


async def count_requests(connection: AsyncConnection, model: str, requests: int) -> None:
    """Add requests that a model on trial has served."""
    on_trial = (_STATE.model == model) & (_STATE.deployment == "") & (_STATE.state == "limited")
    await connection.execute(update(MODEL_STATES).where(on_trial).values(requests=_STATE.requests + requests))


async def end_trial(connection: AsyncConnection, model: str, values: Row) -> bool:
    """Change the state of a model on trial; return False if it is not on trial."""
    on_trial = (_STATE.model == model) & (_STATE.deployment == "") & (_STATE.state == "limited")
    return (await connection.execute(update(MODEL_STATES).where(on_trial).values(dict(values)))).rowcount == 1


async def marks(connection: AsyncConnection) -> tuple[tuple[object, ...], ...]:
    """What differs after each change of what is live, and of states."""
    versions = await connection.execute(select(_VERSION.id).where(_VERSION.live).order_by(_VERSION.id))
    columns = (_STATE.model, _STATE.deployment, _STATE.state, _STATE.since, _STATE.share, _STATE.target_error)
    states = await connection.execute(select(*columns).order_by(_STATE.model, _STATE.deployment))
    return (*map(tuple, versions), *map(tuple, states))


async def _all(connection: AsyncConnection, query: Select[Any]) -> list[Row]:
    return list((await connection.execute(query)).mappings())
