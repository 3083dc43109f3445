"""`POST /v1/responses`: the OpenAI Responses API, with the store for `previous_response_id` and item references."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson

from gateway.api.dialect import Headers, Writer
from gateway.api.responses.answer_from_chat import (
    native_request,
    previous_response_id_of,
    response_from_completion,
    response_in_progress,
)
from gateway.api.responses.encrypted_reasoning import is_gateway_reasoning
from gateway.api.responses.repair import is_valid_response, repaired_response
from gateway.api.responses.request_to_chat import (
    NativeResponses,
    check_fields,
    echoed_fields,
    input_items,
    referenced_ids,
    resolved_items,
    translate,
)
from gateway.api.responses.store import ResponseStore
from gateway.api.responses.store_rows import StoredResponse
from gateway.api.responses.stream_writer import ResponsesWriter
from gateway.api.responses.tool_names import ToolNames
from gateway.api.responses.types import Item, Response
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import LARGE, offloaded
from gateway.bodies.sse import json_event
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError, PreviousResponseNotFound
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, translated_request
from gateway.request.request import parse_object

_HEADERS = (b"openai-beta",)


class Responses:
    """Reads and writes Responses; see `gateway.api.dialect.Dialect`.

    Args:
        key_digest: returns the digest of the client's API key from the request's headers. A stored response can be read only with
            the key that it was stored with.
        clock: seconds since the epoch.
    """

    def __init__(
        self, store: ResponseStore, key_digest: Callable[[Headers], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._key_digest = key_digest
        self._clock = clock

    @property
    def api(self) -> Api:
        return "responses"

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        key_digest = self._key_digest(headers)
        parsed = await offloaded(len(body), _parsed, body, headers)
        if parsed.references:
            stored_items = await self._store.items(parsed.references, key_digest)
            parsed.items = await offloaded(len(body), resolved_items, parsed.items, stored_items)
        stored = await self._stored_response(parsed.fields.get("previous_response_id"), key_digest)
        earlier = stored.items if stored is not None else []
        size = len(body) + (stored.size if stored is not None else 0) + (LARGE if parsed.references else 0)
        request = await offloaded(size, _chat_request, parsed, earlier)
        return request if stored is None else replace(request, session=stored.session)

    def complete_answer(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        if complete.api != "responses":
            return orjson.dumps(response_from_completion(request, complete.fields, model, int(self._clock())))
        previous_id = previous_response_id_of(native_request(request))
        fields = complete.fields
        if not is_valid_response(fields):
            fields = repaired_response(fields, response_in_progress(request, model, int(self._clock())))
        elif previous_id is None and (body := replace_model_name(complete.body, fields["model"], model)) is not None:
            return body
        changed: Response = (
            {"model": model} if previous_id is None else {"model": model, "previous_response_id": previous_id}
        )
        return dumps(fields | changed)

    def writer(self, request: ChatRequest) -> ResponsesWriter:
        return ResponsesWriter(request, self._clock)

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()

    def stores(self, request: ChatRequest) -> bool:
        """Return True if the response to this request is to be stored: the client did not forbid it, and there is a store."""
        native = native_request(request)
        return isinstance(native, NativeResponses) and native.store and self._store.keeps

    def error_event(self, error: GatewayError) -> bytes:
        event = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return b"event: error\n" + json_event(event | {"sequence_number": 0})

    async def finished(
        self, request: ChatRequest, answer: bytes | Writer, headers: Headers, session: str | None
    ) -> None:
        """Stores the response, unless the client asked not to. Never fails.

        Args:
            session: of the conversation; a request that continues it gets it as `ChatRequest.session`.
        """
        if not self.stores(request):
            return
        response: Response | None = None
        if isinstance(answer, bytes):
            response = await offloaded(len(answer), orjson.loads, answer)
        elif isinstance(answer, ResponsesWriter):
            response = answer.response
        if response is not None:
            await self.store_response(request, response, self._key_digest(headers), session)

    async def store_response(
        self, request: ChatRequest, response: Response, key_digest: str, session: str | None
    ) -> None:
        """Stores the Response object that the client got, unless the client asked not to."""
        native = native_request(request)
        if (
            isinstance(native, NativeResponses)
            and native.store
            and response.get("status") in ("completed", "incomplete")
        ):
            await self._store.save(response, native.own_items, native.previous_id, key_digest, session)

    async def _stored_response(self, response_id: str | None, key_digest: str) -> StoredResponse | None:
        if response_id is None:
            return None
        stored = await self._store.load(response_id, key_digest)
        if stored is None or not stored.is_complete:
            raise PreviousResponseNotFound(response_id)
        return stored


@dataclass(slots=True)
class _ParsedRequest:
    """A checked request.

    Attributes:
        items: the input items; references are replaced later.
        references: the ids of the stored items that the input refers to.
    """

    body: bytes
    headers: Headers
    fields: JsonObject
    items: list[Item]
    references: set[str]


def _parsed(body: bytes, headers: Headers) -> _ParsedRequest:
    fields = parse_object(body)
    check_fields(fields)
    items = input_items(fields)
    return _ParsedRequest(body, headers, fields, items, referenced_ids(items))


def _chat_request(parsed: _ParsedRequest, earlier: list[Item]) -> ChatRequest:
    """Return the chat request.

    Args:
        earlier: the items of the conversation that the request continues.
    """
    translation = translate(parsed.fields, earlier, parsed.items)
    native = _native_request(parsed, earlier, translation.names)
    return translated_request(translation.fields, native, translation.native_only, translation.left_out)


def _native_request(parsed: _ParsedRequest, earlier: list[Item], names: ToolNames) -> NativeResponses:
    """Return the request for upstreams of the same format: the client's bytes, unless a field refers to the gateway's store."""
    body, fields = parsed.body, parsed.fields
    previous_id = fields.get("previous_response_id")
    echoed = echoed_fields(fields, len(body))
    items = [item for item in earlier + parsed.items if not is_gateway_reasoning(item)]
    if previous_id is not None or parsed.references or len(items) < len(parsed.items):
        fields = {key: value for key, value in fields.items() if key != "previous_response_id"} | {"input": items}
        body = orjson.dumps(fields)
    headers = {name.decode(): parsed.headers[name].decode("latin-1") for name in _HEADERS if name in parsed.headers}
    return NativeResponses(
        api="responses",
        body=body,
        fields=fields,
        headers=headers,
        own_items=tuple(parsed.items),
        names=names,
        echoed=echoed,
        previous_id=previous_id,
        store=fields.get("store") is not False,
    )
