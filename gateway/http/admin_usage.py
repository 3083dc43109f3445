"""`GET /admin/usage`: what was spent, from the ledger. The edge has checked that the operator asks."""

import time
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.durations import time_of
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.vocabulary import NUSD_PER_USD, SPENDING_GROUPS
from gateway.http.service import Service
from gateway.store.transactions import reading


async def usage(service: Service, request: Request) -> Response:
    """The sums of the billed calls by `by`, from `from` until before `to`.

    Raises:
        InvalidRequest: a parameter is wrong.
        NotFound: the gateway has no ledger.
        StoreUnavailable: the database cannot be used.
    """
    by, since, until = _by(request), _time(request, "from"), _time(request, "to")
    if service.database is None:
        raise NotFound("The gateway has no ledger: set `record` or `store` under `gateway` in its file.")
    async with reading(service.database, "the ledger") as connection:
        from gateway.record.spending import sums_by

        rows = await connection.run_sync(sums_by, by, since, until)
    data = [row | {"usd": row["nusd"] / NUSD_PER_USD, "saved_usd": row["saved_nusd"] / NUSD_PER_USD} for row in rows]
    body = {"object": "list", "by": by, "from": _iso(since), "to": _iso(until), "data": data}
    return Response(orjson.dumps(body), media_type="application/json")


def _by(request: Request) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in request.query_params.get("by", "key").split(",")))
    for name in names:
        if name not in SPENDING_GROUPS:
            raise InvalidRequest(f"`by` lists any of {', '.join(SPENDING_GROUPS)}, not `{name[:64]}`.", param="by")
    return names


def _time(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    at = time_of(text, time.time(), UTC)
    if at is None:
        raise InvalidRequest(f"`{name}` must be a date such as 2026-11-01, or a duration such as 7d.", param=name)
    return at


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
