"""The format of embeddings, `POST /v1/embeddings`. A request has inputs in place of messages, and there are no streams."""

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.api.chat.writer import ChatWriter
from gateway.api.dialect import Headers, Writer
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError, InvalidRequest
from gateway.core.fields import expected, kind
from gateway.core.vocabulary import CHARS_PER_TOKEN, Api
from gateway.request.chat_request import ChatRequest, parse_object, replace_model_name
from gateway.request.model_names import model_name
from gateway.request.requirements import Requirements

API: Api = "embeddings"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The endpoint's format."""

    api: Api = API

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        return await offloaded(len(body), parse_embeddings, body)

    def whole(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        return renamed(complete, model)

    def writer(self, request: ChatRequest) -> Writer:
        return ChatWriter(usage_asked=False)  # never used

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()


def parse_embeddings(body: bytes) -> ChatRequest:
    """The embeddings request in `body`.

    Raises:
        InvalidRequest: not JSON, not an object, or a field that the gateway reads has the wrong type; `param` names it.
    """
    fields = parse_object(body)
    model = model_name(fields, "the name of an embedding model")
    tokens = _tokens(fields)
    form, dimensions = fields.get("encoding_format"), fields.get("dimensions")
    if form is not None and (not isinstance(form, str) or not form):
        raise InvalidRequest(expected("encoding_format", "`float` or `base64`", fields), param="encoding_format")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise InvalidRequest(expected("dimensions", "a whole number of at least 1", fields), param="dimensions")
    requirements = Requirements(frozenset(), prompt_tokens=tokens, output_tokens=None, around=tokens)
    return ChatRequest(body, fields, model, stream=False, usage_asked=False, requirements=requirements, api=API)


def _tokens(fields: dict[str, Any]) -> int:
    """About how many tokens the inputs have; checks them on the way."""
    given = fields.get("input")
    if isinstance(given, str) and given:
        return _about(given)
    what = "a string, a list of strings, or token numbers, and not empty"
    if not isinstance(given, list) or not given:
        raise InvalidRequest(expected("input", what, fields), param="input")
    if all(type(item) is int for item in given):
        return len(given)
    tokens = 0
    for i, item in enumerate(given):
        if isinstance(item, str):
            tokens += _about(item)
        elif isinstance(item, list) and item and all(type(number) is int for number in item):
            tokens += len(item)
        else:
            at = f"input[{i}]"
            raise InvalidRequest(f"`{at}` must be a string or a list of token numbers, not {kind(item)}.", param=at)
    if len({type(item) for item in given}) > 1:
        raise InvalidRequest("`input` has strings and token numbers: send them apart.", param="input")
    return tokens


def _about(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def inputs_of(request: ChatRequest) -> list[Any]:
    """The inputs of a request, one for each vector: texts, or lists of token numbers."""
    given = request.fields["input"]
    return [given] if isinstance(given, str) or isinstance(given[0], int) else given


def renamed(complete: Complete, model: str) -> bytes:
    """The answer's body with the portfolio's name for its model."""
    body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
    return dumps(orjson.loads(complete.body) | {"model": model}) if body is None else body
