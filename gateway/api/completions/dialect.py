"""`POST /v1/completions`: OpenAI's legacy completions, a prompt and its continuation, without roles.

`gateway.http.completions_endpoint` also serves several prompts and token numbers with models that only chat.
"""

from gateway.api.completions.answer_from_chat import completion_fields
from gateway.api.completions.request_to_chat import check_fields, to_chat_request
from gateway.api.completions.stream_writer import CompletionsWriter
from gateway.api.completions.text_completion import API
from gateway.api.dialect import Headers, Writer
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.bodies.sse import json_event
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.vocabulary import Api
from gateway.request.chat_request import ChatRequest
from gateway.request.request import parse_object


class Completions:
    """Reads and writes legacy completions; see `gateway.api.dialect.Dialect`."""

    api: Api = API

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        return await offloaded(len(body), self._read, body)

    def _read(self, body: bytes) -> ChatRequest:
        fields = parse_object(body)
        check_fields(fields)
        return to_chat_request(body, fields)

    def complete_answer(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        if complete.api == API:
            body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
            if body is not None:
                return body
        return dumps(completion_fields(complete, model))

    def writer(self, request: ChatRequest) -> CompletionsWriter:
        return CompletionsWriter(usage_requested=request.usage_requested)

    async def finished(
        self, request: ChatRequest, answer: bytes | Writer, headers: Headers, session: str | None
    ) -> None:
        """Stores nothing: each request of this API has its whole conversation."""

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()

    def error_event(self, error: GatewayError) -> bytes:
        return json_event(error.envelope())
