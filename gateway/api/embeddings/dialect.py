"""The format of `POST /v1/embeddings`: a request has inputs instead of messages, and its answer is never streamed."""

from dataclasses import dataclass

import orjson

from gateway.api.dialect import Headers
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.vocabulary import Api
from gateway.request.embeddings_request import EmbeddingsRequest, parse_embeddings


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Reads requests and writes answers and errors of the endpoint."""

    api: Api = "embeddings"

    async def parse(self, body: bytes, headers: Headers) -> EmbeddingsRequest:
        return await offloaded(len(body), parse_embeddings, body)

    def complete_answer(self, request: EmbeddingsRequest, complete: Complete, model: str) -> bytes:
        return with_model_name(complete, model)

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()


def with_model_name(complete: Complete, model: str) -> bytes:
    """The body of an answer, with the portfolio's name of its model."""
    body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
    return dumps(orjson.loads(complete.body) | {"model": model}) if body is None else body
