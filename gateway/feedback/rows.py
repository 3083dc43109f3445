"""The statements about outcomes. Imports SQLAlchemy, so it is imported after the database has been opened."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, case, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.outcome_tables import FEEDBACK_KEYS, OUTCOMES
from gateway.store.tables import REQUESTS
from gateway.store.usage_tables import USAGE_HOURLY

Row = RowMapping
Values = Mapping[str, Any]
_OUTCOME, _REQUEST, _KEY = OUTCOMES.c, REQUESTS.c, FEEDBACK_KEYS.c
_OF_REQUEST = (
    *(_REQUEST.id, _REQUEST.request_id, _REQUEST.served, _REQUEST.deployment, _REQUEST.checkpoint, _REQUEST.encoding),
    *(_REQUEST.surface, _REQUEST.parts, _REQUEST.time, _REQUEST.api, _REQUEST.error, _REQUEST.trace_id),
    _REQUEST.ensemble,
)


async def request_of_key(connection: AsyncConnection, request_id: str, key_id: str | None) -> Row | None:
    """The newest request with this id that a key has sent; None as the key: that a client without a key has sent."""
    of_key = _REQUEST.key_id.is_(None) if key_id is None else _REQUEST.key_id == key_id
    query = select(*_OF_REQUEST).where(_REQUEST.request_id == request_id, of_key).order_by(_REQUEST.id.desc()).limit(1)
    return (await connection.execute(query)).mappings().first()


async def requests_named(connection: AsyncConnection, ids: Sequence[str]) -> list[Row]:
    """The requests with these request or trace ids, the oldest first."""
    query = select(*_OF_REQUEST).where(or_(_REQUEST.request_id.in_(ids), _REQUEST.trace_id.in_(ids)))
    return list((await connection.execute(query.order_by(_REQUEST.id))).mappings())


async def put_outcomes(connection: AsyncConnection, rows: Sequence[Values]) -> None:
    """Write outcomes in place of earlier ones of the same requests and sources."""
    insertion = _insertion(connection)(OUTCOMES)
    changed = {name: insertion.excluded[name] for name in rows[0] if name not in ("request_id", "source")}
    statement = insertion.on_conflict_do_update(index_elements=["request_id", "source"], set_=changed)
    await connection.execute(statement, [dict(row) for row in rows])


async def keep_outcomes(connection: AsyncConnection, model: str, source: str, most: int) -> None:
    """Delete those of a model's outcomes from one source whose priorities are not among the `most` highest."""
    of_both = and_(_OUTCOME.model == model, _OUTCOME.source == source)
    kept = select(_OUTCOME.priority).where(of_both).order_by(_OUTCOME.priority.desc()).offset(most).limit(1)
    beyond = (await connection.execute(kept)).scalar()
    if beyond is not None:
        await connection.execute(delete(OUTCOMES).where(of_both, _OUTCOME.priority <= beyond))


async def claim_key(connection: AsyncConnection, row: Values) -> Row | None:
    """Note an idempotency key; return the row that is there already, or None."""
    insertion = _insertion(connection)(FEEDBACK_KEYS).values(dict(row)).on_conflict_do_nothing().returning(_KEY.source)
    if (await connection.execute(insertion)).first() is not None:
        return None
    of_key = and_(_KEY.source == row["source"], _KEY.idempotency_key == row["idempotency_key"])
    return (await connection.execute(select(FEEDBACK_KEYS).where(of_key))).mappings().first()


async def forget_keys(connection: AsyncConnection, before: float) -> None:
    await connection.execute(delete(FEEDBACK_KEYS).where(_KEY.time < before))


async def forget_outcomes(connection: AsyncConnection, before: float) -> None:
    """Delete the outcomes of requests before a time."""
    await connection.execute(delete(OUTCOMES).where(_OUTCOME.time < before))


async def outcomes_of(connection: AsyncConnection, model: str, checkpoint: str, most: int) -> list[Row]:
    """A model's outcomes that something can be learned from: those of graders first, then those with the highest priorities."""
    columns = [column for column in OUTCOMES.columns if column.name not in ("comment", "expected")]
    usable = and_(_OUTCOME.score.is_not(None), _OUTCOME.encoding.is_not(None), _OUTCOME.surface.is_not(None))
    query = select(*columns).where(_OUTCOME.model == model, _OUTCOME.checkpoint == checkpoint, usable)
    of_clients = case((_OUTCOME.kind == "feedback", 1), else_=0)
    return list((await connection.execute(query.order_by(of_clients, _OUTCOME.priority.desc()).limit(most))).mappings())


async def writings(connection: AsyncConnection) -> list[Row]:
    """By model: when its outcomes were written, the first and the last of them."""
    first, last = func.min(_OUTCOME.written).label("first"), func.max(_OUTCOME.written).label("last")
    query = select(_OUTCOME.model, first, last).group_by(_OUTCOME.model)
    return list((await connection.execute(query)).mappings())


async def number_written(connection: AsyncConnection, model: str, since: float) -> int:
    """How many of a model's outcomes were written from a time on."""
    query = select(func.count()).select_from(OUTCOMES).where(_OUTCOME.model == model, _OUTCOME.written >= since)
    return (await connection.execute(query)).scalar() or 0


async def paired(connection: AsyncConnection, source: str) -> list[tuple[float, float]]:
    """Scores of a source, each with the exact score of the same request, the newest first."""
    other = OUTCOMES.alias()
    both = and_(
        *(other.c.request_id == _OUTCOME.request_id, other.c.model == _OUTCOME.model, other.c.kind == "exact"),
        *(other.c.score.is_not(None), _OUTCOME.score.is_not(None)),
    )
    query = select(_OUTCOME.score, other.c.score).select_from(OUTCOMES.join(other, both))
    rows = await connection.execute(query.where(_OUTCOME.source == source).order_by(_OUTCOME.time.desc()))
    return [(row[0], row[1]) for row in rows]


async def judge_spending(connection: AsyncConnection, caller: str, model: str, since: int) -> int:
    """What the calls of a model that were booked under a key id have cost since the beginning of an hour, nano-USD."""
    hours = USAGE_HOURLY.c
    query = select(func.sum(hours.nusd)).where(hours.hour >= since, hours.key_id == caller, hours.model == model)
    return int((await connection.execute(query)).scalar() or 0)


def summary_of(connection: Any, since: float | None) -> list[dict[str, Any]]:
    """Number and mean of the outcomes by source, kind and model; on a synchronous connection."""
    groups = (_OUTCOME.source, _OUTCOME.kind, _OUTCOME.model)
    usable: ColumnElement[bool] = and_(_OUTCOME.score.is_not(None), _OUTCOME.encoding.is_not(None))
    query = select(
        *groups,
        func.count(_OUTCOME.score).label("outcomes"),
        func.avg(_OUTCOME.score).label("mean"),
        func.count(case((usable, 1))).label("usable"),
        func.count(case((_OUTCOME.score.is_(None), 1))).label("revoked"),
        func.max(_OUTCOME.written).label("newest"),
    ).group_by(*groups)
    if since is not None:
        query = query.where(_OUTCOME.time >= since)
    return [{str(name): row[name] for name in row} for row in connection.execute(query.order_by(*groups)).mappings()]


def _insertion(connection: AsyncConnection) -> Any:
    """`INSERT` of the database's own dialect, which alone has `ON CONFLICT`."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
