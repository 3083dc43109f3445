"""`POST /v1/messages`: Anthropic's Messages API."""

import orjson

from gateway.api.dialect import Headers, Writer
from gateway.api.messages.answer_from_chat import message
from gateway.api.messages.errors import error_body, error_event
from gateway.api.messages.request_to_chat import translate
from gateway.api.messages.stream_writer import MessagesWriter
from gateway.api.messages.tools_to_chat import long_names
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, translated_request
from gateway.request.request import Native, parse_object

# The headers that say how a Messages request is to be read. Others of the API are about the client's own account or browser, such
# as `anthropic-workspace-id`: the upstream is called with the deployment's key, not with the client's.
FORWARDED_HEADERS = (b"anthropic-version", b"anthropic-beta")


class Messages:
    """Reads and writes Messages; see `gateway.api.dialect.Dialect`."""

    api: Api = "messages"

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        return await offloaded(len(body), self._read, body, headers)

    def _read(self, body: bytes, headers: Headers) -> ChatRequest:
        fields = parse_object(body)
        translation = translate(fields)
        native = Native(self.api, body, fields, forwarded_headers(headers))
        return translated_request(translation.fields, native, translation.native_only, translation.left_out)

    def complete_answer(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        if complete.api == self.api:
            name = complete.fields.get("model")
            body = replace_model_name(complete.body, name, model) if isinstance(name, str) else None
            return dumps(complete.fields | {"model": model}) if body is None else body
        fields = _client_fields(request)
        return orjson.dumps(message(complete.fields, model, fields, long_names(fields)))

    def writer(self, request: ChatRequest) -> MessagesWriter:
        fields = _client_fields(request)
        return MessagesWriter(fields, long_names(fields))

    async def finished(
        self, request: ChatRequest, answer: bytes | Writer, headers: Headers, session: str | None
    ) -> None:
        """Stores nothing: each request of this API has its whole conversation."""

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error_body(error, request_id)

    def error_event(self, error: GatewayError) -> bytes:
        return error_event(error)


def _client_fields(request: ChatRequest) -> JsonObject:
    """Return the fields that the client sent."""
    assert request.native is not None, "a Messages request has its native form"
    return request.native.fields


def forwarded_headers(headers: Headers) -> dict[str, str]:
    """The client's headers that an upstream which speaks Messages is sent."""
    return {
        name.decode(): value.decode("latin-1") for name in FORWARDED_HEADERS if (value := headers.get(name)) is not None
    }
