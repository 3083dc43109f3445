"""`POST /v1/chat/completions`: the format in which the gateway works internally."""

from gateway.api.chat import mixed_format
from gateway.api.chat.stream_writer import ChatWriter, with_model_name
from gateway.api.dialect import Headers, Writer
from gateway.api.responses.dialect import Responses
from gateway.bodies.offload import offloaded
from gateway.bodies.sse import json_event
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, checked_chat_request
from gateway.request.request import parse_object


class Chat:
    """The chat completions format; see `gateway.api.dialect.Dialect`.

    Args:
        responses: reads requests that use parts of the Responses API.
    """

    api: Api = "chat"

    def __init__(self, responses: Responses) -> None:
        self._responses = responses

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        fields = await offloaded(len(body), parse_object, body)
        if mixed_format.is_mixed(fields):
            return await mixed_format.parse(fields, body, headers, self._responses)
        return await offloaded(len(body), checked_chat_request, body, fields)

    def complete_answer(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        return (
            mixed_format.response_body(request, complete, model)
            if request.freeform
            else with_model_name(complete, model)
        )

    def writer(self, request: ChatRequest) -> ChatWriter:
        if request.freeform:
            return mixed_format.MixedWriter(request.freeform, usage_requested=request.usage_requested)
        return ChatWriter(usage_requested=request.usage_requested)

    async def finished(
        self, request: ChatRequest, answer: bytes | Writer, headers: Headers, session: str | None
    ) -> None:
        """Stores nothing: each request of this API has its whole conversation."""

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()

    def error_event(self, error: GatewayError) -> bytes:
        return json_event(error.envelope())
