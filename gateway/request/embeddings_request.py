"""Parses the body of an embeddings request into a typed `EmbeddingsRequest`."""

from dataclasses import dataclass
from typing import ClassVar

from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import expected, json_type
from gateway.core.vocabulary import CHARS_PER_TOKEN, Api
from gateway.request.model_names import model_name
from gateway.request.request import Request, parse_object
from gateway.request.requirements import Requirements


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest(Request):
    """A validated embeddings request."""

    api: ClassVar[Api] = "embeddings"


def parse_embeddings(body: bytes) -> EmbeddingsRequest:
    """Parse and check the body of an embeddings request.

    Raises:
        InvalidRequest: the body is no JSON object, or a field that the gateway reads is invalid; `param` names the field.
    """
    fields = parse_object(body)
    model = model_name(fields, "the name of an embedding model")
    tokens = _checked_tokens(fields)
    encoding, dimensions = fields.get("encoding_format"), fields.get("dimensions")
    if encoding is not None and (not isinstance(encoding, str) or not encoding):
        raise InvalidRequest(expected("encoding_format", "`float` or `base64`", fields), param="encoding_format")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise InvalidRequest(expected("dimensions", "a whole number of at least 1", fields), param="dimensions")
    requirements = Requirements(frozenset(), prompt_tokens=tokens, output_tokens=None, overhead_tokens=tokens)
    return EmbeddingsRequest(body, fields, model, requirements)


def embedding_inputs(request: Request) -> list[str | list[int]]:
    """Return the inputs of an embeddings request, one for each vector: texts, or lists of token numbers."""
    inputs = request.fields["input"]
    return [inputs] if isinstance(inputs, str) or isinstance(inputs[0], int) else inputs


def _checked_tokens(fields: JsonObject) -> int:
    """Check the types of the inputs, and return an estimate of their tokens."""
    inputs = fields.get("input")
    if isinstance(inputs, str) and inputs:
        return _estimated_tokens(inputs)
    what = "a string, a list of strings, or token numbers, and not empty"
    if not isinstance(inputs, list) or not inputs:
        raise InvalidRequest(expected("input", what, fields), param="input")
    if all(type(item) is int for item in inputs):
        return len(inputs)
    tokens = 0
    for i, item in enumerate(inputs):
        if isinstance(item, str):
            tokens += _estimated_tokens(item)
        elif isinstance(item, list) and item and all(type(number) is int for number in item):
            tokens += len(item)
        else:
            at = f"input[{i}]"
            raise InvalidRequest(
                f"`{at}` must be a string or a list of token numbers, not {json_type(item)}.", param=at
            )
    if len({type(item) for item in inputs}) > 1:
        raise InvalidRequest("`input` has strings and token numbers: send them apart.", param="input")
    return tokens


def _estimated_tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)
