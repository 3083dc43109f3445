"""The format of `POST /v1/embeddings`: a request has inputs in place of messages, and its answer is never streamed."""

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
    """The endpoint's format."""

    api: Api = "embeddings"

    async def parse(self, body: bytes, headers: Headers) -> EmbeddingsRequest:
        return await offloaded(len(body), parse_embeddings, body)

    def complete_answer(self, request: EmbeddingsRequest, complete: Complete, model: str) -> bytes:
        return renamed(complete, model)

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()


def renamed(complete: Complete, model: str) -> bytes:
    """The answer's body with the portfolio's name for its model."""
    body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
    return dumps(orjson.loads(complete.body) | {"model": model}) if body is None else body
