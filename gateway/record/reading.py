"""Reads the record and the ledger, for commands and reports."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from gateway.core.json_types import JsonObject, objects_in
from gateway.record.predictions import unpack_query
from gateway.store.tables import REQUESTS

LATE_ROWS = 500  # a row with a lower id may be committed after one with a higher id, by another gateway
MOST_NEW = 10_000
LOOKED = 50  # requests that are looked at for each query that is asked for
SYSTEM = "system:"  # how the ids of callers within the gateway begin
_NO_MESSAGES = ("probe", "embeddings")  # values of `api`: our own questions, and inputs
_BLOBS = ("all_candidates", "encoding", "surface")
_COLUMNS = [column for column in REQUESTS.columns if column.name not in _BLOBS]
_NAMES = [str(column.name) for column in _COLUMNS]


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are meant; None: any.

    Attributes:
        since, until: from the first until before the second, seconds since the epoch.
        errors: only those whose client received an error, or that a stand-in answered or another call continued.
        stand_ins: only those that another model than the chosen one answered.
        model: requested, chosen or answering.
        served: the answering model.
        key: name or id of the gateway key; of a caller within the gateway, such as system:drift, its id.
        key_id: the id of the gateway key; requests without a key have none.
        policy: that chose the model.
        conversation: "kept" or "switched", if the conversation had a model already.
        words: a text in the stored prompt, in lower or upper case; requests without a stored prompt are not meant.
        probes: also the calls that the gateway makes of its own accord. Those of a caller are meant where `key` or `key_id` names
            it.
        after: ids above this one only.
    """

    since: float | None = None
    until: float | None = None
    errors: bool = False
    stand_ins: bool = False
    model: str | None = None
    served: str | None = None
    key: str | None = None
    key_id: str | None = None
    policy: str | None = None
    conversation: str | None = None
    words: str | None = None
    probes: bool = False
    after: int | None = None

    def condition(self, c: ReadOnlyColumnCollection[str, Any] = REQUESTS.c) -> ColumnElement[bool]:
        """The SQL condition.

        Args:
            c: the columns of the table, or of a query of its rows.
        """
        parts: list[ColumnElement[bool]] = [
            column == value
            for column, value in (
                (c.served, self.served),
                (c.key_id, self.key_id),
                (c.policy, self.policy),
                (c.conversation, self.conversation),
            )
            if value is not None
        ]
        if self.since is not None:
            parts.append(c.time >= self.since)
        if self.until is not None:
            parts.append(c.time < self.until)
        if self.errors:
            parts.append(or_(c.error.is_not(None), c.failover.is_not(None)))
        if self.stand_ins:
            parts.append(c.served != c.chosen)
        if self.model is not None:
            parts.append(or_(c.requested == self.model, c.chosen == self.model, c.served == self.model))
        if self.key is not None:
            parts.append(or_(c.key_name == self.key, c.key_id == self.key))
        if self.words is not None:
            # JSON keeps quotation marks and line ends as escapes.
            written = orjson.dumps(self.words.lower()).decode()[1:-1]
            parts.append(func.lower(cast(c.prompt, Text)).contains(written, autoescape=True))
        if not self.probes and not (self.key or self.key_id or "").startswith(SYSTEM):
            parts.append(or_(c.api.is_(None), c.api != "probe"))
        if self.after is not None:
            parts.append(c.id > self.after)
        return and_(True, *parts)


def last_requests(connection: Connection, which: RequestFilter, number: int) -> list[dict[str, Any]]:
    """Return the last `number` requests that are meant, in the order of their arrival, with JSON columns parsed."""
    c = REQUESTS.c
    newest = select(*_COLUMNS).where(which.condition()).order_by(c.time.desc(), c.id.desc()).limit(number)
    rows = connection.execute(newest).all()
    return [dict(zip(_NAMES, row, strict=True)) for row in reversed(rows)]


def stored_prompts(connection: Connection, since: float | None) -> Iterator[list[JsonObject]]:
    """The messages of requests of clients whose prompts were stored, the newest first."""
    c = REQUESTS.c
    mine = and_(RequestFilter(since=since).condition(), c.prompt.is_not(None), c.api.not_in(_NO_MESSAGES))
    newest = select(c.prompt).where(mine).order_by(c.time.desc(), c.id.desc())
    for (prompt,) in connection.execution_options(yield_per=500).execute(newest):
        messages = objects_in(prompt)
        if messages and all(isinstance(message.get("role"), str) for message in messages):
            yield messages


def last_ids(connection: Connection) -> set[int]:
    """Return the ids of the last requests, for `new_requests`."""
    return set(connection.execute(select(REQUESTS.c.id).order_by(REQUESTS.c.id.desc()).limit(LATE_ROWS)).scalars())


def new_requests(connection: Connection, which: RequestFilter, seen: set[int]) -> list[dict[str, Any]]:
    """Return the requests that are meant and were written since the last call, in the order of their arrival.

    Args:
        seen: the ids that were returned or known before; the new ones are added.
    """
    after = max(seen, default=0) - LATE_ROWS
    rows = [row for row in last_requests(connection, replace(which, after=after), MOST_NEW) if row["id"] not in seen]
    seen.update(row["id"] for row in rows)
    return rows


def recent_queries(connection: Connection, since: float, checkpoint: str, number: int) -> list[NDArray[np.float32]]:
    """Return the encodings of the last queries for which a model was chosen, (d_q,), float32 each, the newest first.

    Args:
        since: seconds since the epoch.
        checkpoint: as records name it; encodings of another one may mean something else.
    """
    c = REQUESTS.c
    known = c.encoding.is_not(None) & c.surface.is_not(None) & (c.checkpoint == checkpoint)
    # By id, nearly the order of time, and not far back: a record of a million requests may have no encodings.
    last = select(func.max(c.id)).scalar_subquery()
    newest = select(c.encoding, c.surface).where(c.id > last - LOOKED * number, c.time >= since, known)
    rows = connection.execute(newest.order_by(c.id.desc()).limit(number)).all()
    return [unpack_query(bytes(encoding), bytes(surface)) for encoding, surface in rows]
