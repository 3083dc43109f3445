"""A recorded request that a page sends again: its body as it was sent, or what is left of it."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.console.guard import HEADERS
from gateway.console.visitor import Visitor
from gateway.core.errors import InvalidRequest, NotFound
from gateway.http.service import Service
from gateway.store.transactions import reading

if TYPE_CHECKING:
    from gateway.record.bodies import StoredBody

MAX_ID = 256  # characters of a request id
MAX_DIGITS = 18  # of a row's number: 64 bits
# The operation of the API description that a request belongs to, by its column `api`.
CHAT = "createChatCompletion"
OPERATIONS = {
    "chat": CHAT,
    "messages": "createMessage",
    "responses": "createResponse",
    "completions": "createCompletion",
    "embeddings": "createEmbeddings",
}


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A recorded request.

    Attributes:
        operation: of the API description, to which the body can be sent again; empty if there is none.
        body: None if nothing of it was stored.
        note: what the body lacks; empty if it is exactly what the client sent.
    """

    operation: str
    body: bytes | None
    note: str = ""


async def find_request(service: Service, request: Request, request_id: str) -> dict[str, Any] | None:
    """The columns of the newest request with an id that the visitor may see; with `?row=`, of the one in this row.

    Returns:
        None if there is none: another key's request and one that never was give the same answer.

    Raises:
        NotFound: the gateway keeps no record.
        InvalidRequest: the id is none.
    """
    visitor: Visitor = request.state.visitor
    row = request.query_params.get("row", "")
    if row and not (row.isascii() and row.isdigit() and len(row) <= MAX_DIGITS):
        raise InvalidRequest("`row` is no number of a row.")
    if not 0 < len(request_id) <= MAX_ID or "\0" in request_id:
        raise InvalidRequest(f"A request id has 1 to {MAX_ID} characters.")
    if service.database is None or service.in_force.portfolio.settings.record is None:
        raise NotFound("The gateway keeps no record of requests: set `record` under `gateway` in its file.")
    from gateway.record.one_request import find_row

    async with reading(service.database, "the record") as connection:
        return await connection.run_sync(find_row, request_id, visitor.key_id, int(row) if row else None)


async def find_named(service: Service, request: Request, request_id: str) -> dict[str, Any]:
    """The same.

    Raises:
        NotFound: also if there is none.
        InvalidRequest: the id is none.
    """
    found = await find_request(service, request, request_id)
    if found is None:
        raise NotFound(f"The record has no request `{request_id}` that you may see.")
    return found


async def load_request(service: Service, request: Request) -> StoredRequest:
    """The request with the id `?request=`, with its body.

    Raises:
        NotFound: there is none that the visitor may see.
        InvalidRequest: the id is none.
    """
    columns = await find_named(service, request, request.query_params.get("request", ""))
    assert service.database is not None
    from gateway.record.bodies import stored_body

    async with reading(service.database, "the record") as connection:
        found = await connection.run_sync(stored_body, columns["request_id"], columns["time"], columns["key_id"])
    return await asyncio.to_thread(what_is_left, columns, found)


def loading(request: Request) -> str:
    """The query that names the request to be loaded; empty if the page is asked for without one."""
    named = [(name, value) for name in ("request", "row") if (value := request.query_params.get(name))]
    return urlencode(named) if named and named[0][0] == "request" else ""


def body_answer(stored: StoredRequest) -> Response:
    """The bytes of a body, for a script. They are the client's, so no browser shows them as a page.

    Raises:
        NotFound: nothing of it was stored.
    """
    if stored.body is None:
        raise NotFound(stored.note)
    headers = HEADERS | {"content-disposition": "attachment"}
    return Response(stored.body, headers=headers, media_type="application/octet-stream")


def what_is_left(columns: dict[str, Any], found: "StoredBody | None") -> StoredRequest:
    """The body if it was stored, else one with its messages: the record has those of every API as chat completions take them."""
    operation = OPERATIONS.get(columns["api"], "")
    if found is not None and (body := found.body()) is not None:
        return StoredRequest(operation, body)
    why = "its body was not stored: `store_prompts: full` under `gateway` in the portfolio file stores those of later ones"
    if found is not None:
        why = f"its body had {found.size:,} bytes, and larger ones than 8 MiB are not kept"
    prompt = columns["prompt"]
    if prompt is None or not operation:
        return StoredRequest("", None, f"This request cannot be loaded: {why}.")
    field, operation = ("input", operation) if columns["api"] == "embeddings" else ("messages", CHAT)
    body = orjson.dumps({"model": columns["requested"], field: prompt}, option=orjson.OPT_INDENT_2)
    note = f"Only the {field} of this request can be loaded, without tools, schemas and parameters: {why}."
    return StoredRequest(operation, body, note)
