"""`GET /admin/usage`: what was spent, from the ledger. The edge has checked that the operator asks."""

import time

from starlette.requests import Request
from starlette.responses import Response

from gateway.core.durations import iso_time
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.vocabulary import NUSD_PER_USD, SPENDING_GROUPS
from gateway.http.admin_values import admin_answer, asked_time
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
    body = {"object": "list", "by": by, "from": iso_time(since), "to": iso_time(until), "data": data}
    return admin_answer(body)


def _by(request: Request) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in request.query_params.get("by", "key").split(",")))
    for name in names:
        if name not in SPENDING_GROUPS:
            raise InvalidRequest(f"`by` lists any of {', '.join(SPENDING_GROUPS)}, not `{name[:64]}`.", param="by")
    return names


def _time(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    return None if text is None else asked_time(name, text, time.time())
