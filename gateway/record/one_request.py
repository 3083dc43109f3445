"""One request of the record with all that is known of it. Imports SQLAlchemy."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from gateway.record.predictions import unpack_candidates
from gateway.store.outcome_tables import OUTCOMES
from gateway.store.recorder_tables import PORTFOLIOS
from gateway.store.tables import REQUESTS


class KnownModel(NamedTuple):
    """What a decision knew of a model; None: not known."""

    name: str
    p_correct: float | None
    usd: float | None


def find_row(
    connection: Connection, request_id: str, key_id: str | None, row: int | None = None
) -> dict[str, Any] | None:
    """The columns of a request; None if there is none, or another key sent it.

    Args:
        key_id: the key that must have sent it; None: any.
        row: its number, since clients choose ids and may use one again; None: the newest one with this id.
    """
    c = REQUESTS.c
    query = select(REQUESTS).where(c.request_id == request_id)
    if key_id is not None:
        query = query.where(c.key_id == key_id)
    if row is not None:
        query = query.where(c.id == row)
    found = connection.execute(query.order_by(c.id.desc()).limit(1)).mappings().one_or_none()
    return None if found is None else dict(found)


def known_models(connection: Connection, row: dict[str, Any]) -> list[KnownModel]:
    """What the decision knew of each model of its portfolio; empty if the client named the model."""
    if row["all_candidates"] is None:
        return []
    names = connection.execute(select(PORTFOLIOS.c.models).where(PORTFOLIOS.c.id == row["portfolio"])).scalar() or []
    p, usd = unpack_candidates(bytes(row["all_candidates"]))
    if len(names) != len(p):
        return []
    return [
        KnownModel(str(name), _known(one), _known(price))
        for name, one, price in zip(names, p.tolist(), usd.tolist(), strict=True)
    ]


def outcomes_of_request(connection: Connection, row: dict[str, Any]) -> list[dict[str, Any]]:
    """What clients and graders say of its answer, the oldest first. Their requests are told apart by their times too."""
    c = OUTCOMES.c
    columns = c.source, c.kind, c.score, c.comment, c.expected, c.written
    query = select(*columns).where(c.request_id == row["request_id"], c.time == row["time"]).order_by(c.written)
    return [dict(found) for found in connection.execute(query).mappings()]


def _known(value: float) -> float | None:
    return None if value != value else value
