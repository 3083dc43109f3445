"""`POST /v1/responses`, the OpenAI Responses API: requests to chat and back, and the store behind `previous_response_id`."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from gateway.api.dialect import Headers
from gateway.api.responses.answer_from_chat import (
    Fields,
    native_request,
    previous_response_id_of,
    response_from_completion,
    response_in_progress,
)
from gateway.api.responses.encrypted_reasoning import is_gateway_reasoning
from gateway.api.responses.repair import is_response, mended
from gateway.api.responses.request_to_chat import (
    NativeResponses,
    check,
    echoed,
    input_items,
    references,
    resolved,
    translate,
)
from gateway.api.responses.store import ResponseStore
from gateway.api.responses.store_rows import StoredResponse
from gateway.api.responses.stream_writer import ResponsesWriter
from gateway.api.responses.tool_names import ToolNames
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import LARGE, offloaded
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError, PreviousResponseNotFound
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, translated
from gateway.request.request import parse_object

_HEADERS = (b"openai-beta",)


class Responses:
    """The dialect.

    Args:
        owner: whose request it is, by its headers: others do not see what is stored for it.
        clock: seconds since the epoch.
    """

    def __init__(
        self, store: ResponseStore, key_digest: Callable[[Headers], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._owner = key_digest
        self._clock = clock

    @property
    def api(self) -> Api:
        return "responses"

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        key_digest = self._owner(headers)
        fields, own, named = await offloaded(len(body), _parsed, body)
        if named:
            own = await offloaded(len(body), resolved, own, await self._store.items(named, key_digest))
        stored = await self._before(fields.get("previous_response_id"), key_digest)
        before = stored.items if stored is not None else []
        size = len(body) + (stored.size if stored is not None else 0) + (LARGE if named else 0)
        request = await offloaded(size, _read, body, fields, before, own, changed=bool(named), headers=headers)
        return request if stored is None else replace(request, session=stored.session)

    def whole(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        if complete.api != "responses":
            return orjson.dumps(response_from_completion(request, complete.fields, model, int(self._clock())))
        previous = previous_response_id_of(native_request(request))
        fields = complete.fields
        if not is_response(fields):
            fields = mended(fields, response_in_progress(request, model, int(self._clock())))
        elif previous is None and (body := replace_model_name(complete.body, fields["model"], model)) is not None:
            return body
        changed: Fields = {"model": model} if previous is None else {"model": model, "previous_response_id": previous}
        return dumps(fields | changed)

    def writer(self, request: ChatRequest) -> ResponsesWriter:
        return ResponsesWriter(request, self._clock)

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()

    async def finished(
        self, request: ChatRequest, response: dict[str, Any], key_digest: str, session: str | None
    ) -> None:
        """Keeps a response, unless the client asked not to. Never fails.

        Args:
            response: the Response object that the client got: `ResponsesWriter.response`, or the JSON of `whole`.
            session: of the conversation; a request that goes on with it gets it as `ChatRequest.session`.
        """
        native = native_request(request)
        if (
            isinstance(native, NativeResponses)
            and native.store
            and response.get("status") in ("completed", "incomplete")
        ):
            await self._store.save(response, native.own, native.previous, key_digest, session)

    async def _before(self, previous: str | None, key_digest: str) -> StoredResponse | None:
        if previous is None:
            return None
        stored = await self._store.load(previous, key_digest)
        if stored is None or not stored.whole:
            raise PreviousResponseNotFound(previous)
        return stored


def _parsed(body: bytes) -> tuple[Fields, list[Fields], set[str]]:
    """The fields, checked; the input items, and the ids of those that are referred to."""
    fields = parse_object(body)
    check(fields)
    items = input_items(fields)
    return fields, items, references(items)


def _read(
    body: bytes, fields: Fields, before: list[Fields], own: list[Fields], *, changed: bool, headers: Headers
) -> ChatRequest:
    """The chat request that goes on from the items `before`."""
    translation = translate(fields, before, own)
    native = _native(body, fields, before, own, translation.names, changed=changed, headers=headers)
    request = translated(translation.fields, native, translation.native_only)
    return replace(request, left_out=translation.left_out) if translation.left_out else request


def _native(
    body: bytes,
    fields: Fields,
    before: list[Fields],
    own: list[Fields],
    names: ToolNames,
    *,
    changed: bool,
    headers: Headers,
) -> NativeResponses:
    """The request for upstreams of the same format: the client's bytes, where nothing in them means this gateway's store."""
    previous = fields.get("previous_response_id")
    repeated = echoed(fields, len(body))
    whole = [item for item in before + own if not is_gateway_reasoning(item)]
    if previous is not None or changed or len(whole) < len(own):
        fields = {key: value for key, value in fields.items() if key != "previous_response_id"} | {"input": whole}
        body = orjson.dumps(fields)
    kept = {name.decode(): headers[name].decode("latin-1") for name in _HEADERS if name in headers}
    return NativeResponses(
        api="responses",
        body=body,
        fields=fields,
        headers=kept,
        own=tuple(own),
        names=names,
        echoed=repeated,
        previous=previous,
        store=fields.get("store") is not False,
    )
