"""Rows for the database from a batch of finished requests, and the SQL that writes them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from gateway.record.bodies import BODY_COLUMNS, body_row
from gateway.record.finished import Finished
from gateway.record.predictions import PackedPredictions, pack
from gateway.record.request_record import Record
from gateway.record.sums import latencies_of, sums_by_day, sums_by_hour

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_PREDICTIONS = PackedPredictions._fields
_NOT_PREDICTED = (None,) * len(_PREDICTIONS)
REQUEST_COLUMNS = (*Record._fields, *_PREDICTIONS)
_DETAILS = (
    "cached_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "prompt_audio_tokens",
    "completion_audio_tokens",
)
LEDGER_COLUMNS = (
    *("time", "request_id", "call", "key_id", "key_name", "team", "policy", "model", "deployment", "nusd", "estimated"),
    *("prompt_tokens", "completion_tokens", *_DETAILS, "service_tier", "web_searches", "lease"),
)
_KEY_USE = ("key_id", "last_used")
_LATER = (
    " ON CONFLICT (key_id) DO UPDATE SET last_used = excluded.last_used WHERE key_use.last_used < excluded.last_used"
)
Row = tuple[object, ...]


class Rows(NamedTuple):
    """The rows of a batch, by table.

    Attributes:
        spent: nano-USD by lease.
    """

    requests: list[Row]
    portfolios: list[Row]
    ledger: list[Row]
    hours: list[Row]
    days: list[Row]
    latencies: list[Row]
    key_use: list[Row]
    bodies: list[Row]
    spent: dict[str, int]


def rows_of(batch: Sequence[Finished], *, requests: bool) -> Rows:
    """Return the rows of a batch.

    Args:
        requests: with a row for each request; without, only what it cost is written.
    """
    portfolios: dict[str, Row] = {}
    request_rows = []
    for record, _, predictions, *_ in batch if requests else ():
        packed: Row = _NOT_PREDICTED
        if predictions is not None:
            packed = pack(predictions)
            name = str(packed[0])
            if name not in portfolios:
                portfolios[name] = (name, orjson.dumps(predictions.models).decode())
        request_rows.append((*map(_storable, record), *packed))
    hours = sums_by_hour(batch)
    return Rows(
        request_rows,
        sorted(portfolios.values(), key=str),
        _ledger(batch),
        hours,
        sums_by_day(hours),
        latencies_of(batch),
        _key_use(batch),
        [body_row(one.record, one.body) for one in batch if requests and one.body is not None],
        _spent(batch),
    )


def _storable(value: object) -> object:
    """PostgreSQL stores no NUL in a text."""
    return value.replace("\0", "\ufffd") if type(value) is str and "\0" in value else value


def _ledger(batch: Iterable[Finished]) -> list[Row]:
    return [
        (
            *(record.time, _storable(record.request_id), call),
            *(record.key_id, record.key_name, record.team, record.policy),
            *(part.model, part.deployment, part.cost_nusd, part.estimated),
            *(part.prompt_tokens, part.completion_tokens),
            *(getattr(part, name) for name in _DETAILS),
            *(_storable(part.service_tier), part.web_searches, lease),
        )
        for record, parts, _, lease, _ in batch
        for call, part in enumerate(parts)
    ]


def _key_use(batch: Iterable[Finished]) -> list[Row]:
    """Each key of the batch and when it was used last, in order: other gateways take locks in the same order."""
    used: dict[str, float] = {}
    for record, *_ in batch:
        if record.key_id is not None:
            used[record.key_id] = max(record.time, used.get(record.key_id, 0.0))
    return sorted(used.items())


def _spent(batch: Iterable[Finished]) -> dict[str, int]:
    spent: dict[str, int] = {}
    for _, parts, _, lease, _ in batch:
        if lease is not None and (nusd := sum(part.cost_nusd or 0 for part in parts)):
            spent[lease] = spent.get(lease, 0) + nusd
    return spent


async def write(connection: "AsyncConnection", rows: Rows) -> None:
    """Write rows within the transaction of the connection."""
    from gateway.store.usage_tables import SUM_KEY, SUMS

    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    for sql, values in (
        (_insert("portfolios", ("id", "models"), mark) + " ON CONFLICT DO NOTHING", rows.portfolios),
        (_insert("requests", REQUEST_COLUMNS, mark), rows.requests),
        (_insert("ledger", LEDGER_COLUMNS, mark), rows.ledger),
        (_add_to("usage_hourly", ("hour", *SUM_KEY), SUMS, mark), rows.hours),
        (_add_to("usage_daily", ("day", *SUM_KEY), SUMS, mark), rows.days),
        (_add_to("latency_hourly", ("scope", "hour", "bucket"), ("requests",), mark), rows.latencies),
        (_insert("key_use", _KEY_USE, mark) + _LATER, rows.key_use),
        (_insert("request_bodies", BODY_COLUMNS, mark), rows.bodies),
    ):
        if values:  # by the driver itself: SQLAlchemy would process each of 50 values in Python
            await connection.exec_driver_sql(sql, values)


def _insert(table: str, columns: Sequence[str], mark: str) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"


def _add_to(table: str, key: Sequence[str], sums: Sequence[str], mark: str) -> str:
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    return f"{_insert(table, (*key, *sums), mark)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"
