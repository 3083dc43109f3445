"""`GET` and `DELETE /v1/responses/{id}`, and `GET /v1/responses/{id}/input_items`: stored responses, for the key that made them."""

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.responses.conversation_to_chat import CALLS, OUTPUTS, item_type
from gateway.api.responses.store import ResponseStore
from gateway.api.responses.store_rows import StoredResponse
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.json_types import JsonObject

MOST_ITEMS = 100
_PREFIXES = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc"}


async def retrieve(request: Request, store: ResponseStore, key_digest: str) -> Response:
    """Returns the stored Response object.

    Raises:
        NotFound: it is not stored for this key.
        InvalidRequest: the client asks for a stream.
    """
    if request.query_params.get("stream") == "true":
        raise InvalidRequest("A stored response cannot be streamed again; ask for it without `stream`.", param="stream")
    name = request.path_params["response_id"]
    response = await store.response(name, key_digest)
    if response is None:
        raise _unknown(name)
    return Response(response, media_type="application/json")


async def delete(request: Request, store: ResponseStore, key_digest: str) -> Response:
    """Deletes a stored response.

    Raises:
        NotFound: it is not stored.
    """
    name = request.path_params["response_id"]
    if not await store.delete(name, key_digest):
        raise _unknown(name)
    return _json({"id": name, "object": "response", "deleted": True})


async def input_items(request: Request, store: ResponseStore, key_digest: str) -> Response:
    """Returns a page of the response's input: the conversation before it and its own input, newest first by default.

    Raises:
        NotFound: it is not stored.
        InvalidRequest: a query parameter is invalid.
    """
    query = request.query_params
    limit, order = query.get("limit", "20"), query.get("order", "desc")
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9 or not 1 <= int(limit) <= MOST_ITEMS:
        raise InvalidRequest(f"`limit` must be a whole number from 1 to {MOST_ITEMS}.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("`order` must be asc or desc.", param="order")
    name = request.path_params["response_id"]
    stored = await store.load(name, key_digest)
    if stored is None:
        raise _unknown(name)
    return await asyncio.to_thread(_page, stored, int(limit), order, query.get("after"))


def _page(stored: StoredResponse, limit: int, order: str, after: str | None) -> Response:
    suffix = _suffix(stored.id)
    items = [(_id(item, f"{suffix}_{i}"), item) for i, item in enumerate(stored.input)]
    if order == "desc":
        items.reverse()
    if after is not None:
        at = next((i for i, (name, _) in enumerate(items) if name == after), None)
        if at is None:
            raise InvalidRequest("`after` names an item that is not in the list.", param="after")
        items = items[at + 1 :]
    page = [full_item(item, name) for name, item in items[:limit]]
    return _json(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else "",
            "last_id": page[-1]["id"] if page else "",
            "has_more": len(items) > len(page),
        }
    )


def full_item(item: JsonObject, name: str) -> JsonObject:
    """An input item in the API's complete form: with an id, a status, and its content as a list of parts.

    Args:
        name: its id in the list.
    """
    kind = item_type(item)
    full = {key: value for key, value in item.items() if value is not None} | {"id": name, "type": kind}
    if kind in CALLS or kind in OUTPUTS or kind == "message":
        full.setdefault("status", "completed")
    if kind == "message":
        full["content"] = _parts(item["content"], by_model=item.get("role") == "assistant")
    return full


def _id(item: JsonObject, name: str) -> str:
    """The id of an item; if it has none, one made from `name`."""
    given = item.get("id")
    return given if given is not None else f"{_PREFIXES.get(str(item_type(item)), 'item')}_{name}"


def _parts(content: str | list[JsonObject], *, by_model: bool) -> list[JsonObject]:
    kind = "output_text" if by_model else "input_text"
    parts = [{"type": kind, "text": content}] if isinstance(content, str) else content
    return [_part(part, kind) for part in parts]


def _part(part: JsonObject, text: str) -> JsonObject:
    if part["type"] == "input_image":
        return {"detail": "auto"} | part
    if part["type"] not in ("text", "input_text", "output_text"):
        return part
    if text == "output_text":
        return {"annotations": [], "logprobs": []} | part | {"type": text}
    return {"type": text, "text": part["text"]}


def _unknown(name: str) -> NotFound:
    return NotFound(f"Response with id '{name[:100]}' not found.")


def _suffix(response_id: str) -> str:
    return response_id.removeprefix("resp_")


def _json(value: JsonObject) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
