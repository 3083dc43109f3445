"""`POST /v1/chat/completions`, the format that everything inside is in."""

from gateway.api.chat import hybrid
from gateway.api.chat.writer import ChatWriter, renamed
from gateway.api.dialect import Headers, Writer
from gateway.api.responses.dialect import Responses
from gateway.bodies.offload import offloaded
from gateway.bodies.sse import encode
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest, checked_chat_request
from gateway.request.request import parse_object


class Chat:
    """The dialect.

    Args:
        responses: reads the requests that are half of the Responses API.
    """

    api: Api = "chat"

    def __init__(self, responses: Responses) -> None:
        self._responses = responses

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        fields = await offloaded(len(body), parse_object, body)
        if hybrid.is_hybrid(fields):
            return await hybrid.parse(fields, body, headers, self._responses)
        return await offloaded(len(body), checked_chat_request, body, fields)

    def whole(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        return hybrid.whole(request, complete, model) if request.freeform else renamed(complete, model)

    def writer(self, request: ChatRequest) -> ChatWriter:
        if request.freeform:
            return hybrid.HybridWriter(request.freeform, usage_requested=request.usage_requested)
        return ChatWriter(usage_requested=request.usage_requested)

    async def finished(
        self, request: ChatRequest, answer: bytes | Writer, headers: Headers, session: str | None
    ) -> None:
        """Stores nothing: each request of this API has its whole conversation."""

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()

    def error_event(self, error: GatewayError) -> bytes:
        return encode(error.envelope())
