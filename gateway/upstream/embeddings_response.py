"""Reads and writes responses with embeddings: one vector for each input, in the order of the inputs, in the requested form."""

import re
from base64 import b64decode, b64encode
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.bodies.lenient_json import dumps
from gateway.core.answer import Complete
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event
from gateway.request.request import Request

UNPARSED_BYTES = (
    1 << 18
)  # in a longer response, the vectors are not parsed if possible: parsing takes 2 ms per megabyte
_INDEX = b'"index"'
_NUMBER = re.compile(rb"\s*:\s*(\d{1,9})\s*[,}]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_FIRST_VECTOR = re.compile(rb'"embedding"\s*:\s*(["\[])')
_DATA = re.compile(rb'"data"\s*:\s*\[')

Vectors: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = Sequence[float] | NDArray[np.float32]


def read_embeddings(body: bytes, count: int, *, base64: bool = False) -> Complete:
    """A provider's response, with its vectors in the order of the inputs.

    Args:
        count: the number of inputs.
        base64: the client requested base64. Not all providers support it, and some return base64 to clients that expect numbers,
            so vectors in the other form are converted.

    Raises:
        UpstreamFailure: it is not a response, it is an error with status 200, or it has not one vector for each input.
    """
    fields = _without_vectors(body) if len(body) > UNPARSED_BYTES and _needs_no_change(body, count, base64) else None
    if fields is not None and not fields.get("error"):
        return Complete(body, fields, counted_usage(fields.get("usage")))
    if fields is None:
        try:
            body = body.removeprefix(BOM_UTF8)
            fields = orjson.loads(body)  # a strict parser: NaN and Infinity are not valid in a vector
        except orjson.JSONDecodeError as exc:
            raise UpstreamFailure(Cause.UNREADABLE, detail="not JSON") from exc
    if isinstance(fields, dict) and fields.get("error"):
        raise classify_event(fields["error"])
    data = fields.get("data") if isinstance(fields, dict) else None
    items = in_order(data, count)
    if any(isinstance(item["embedding"], str) is not base64 for item in items):
        items = [item | {"embedding": _converted(item["embedding"], base64)} for item in items]
    usage = _required_usage(fields.get("usage"))
    if fields.get("data") is not items or fields.get("usage") is not usage or fields.get("object") != "list":
        fields = fields | {"object": "list", "data": items, "usage": usage}
        body = dumps(fields)
    return Complete(body, fields, counted_usage(usage))


def write_embeddings(request: Request, vectors: Iterable[Vector], usage: Usage | None) -> Complete:
    """A response with vectors that the gateway has computed, or has received from a library.

    Args:
        usage: None if it is not known; the client gets the estimate of the request.
    """
    prompt_tokens = request.requirements.prompt_tokens if usage is None else usage.prompt_tokens
    base64 = request.fields.get("encoding_format") == "base64"
    fields = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": _as_base64(vector) if base64 else vector}
            for i, vector in enumerate(vectors)
        ],
        "model": request.model,
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
    }
    return Complete(orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY), fields, usage)


def in_order(data: object, count: int) -> list[JsonObject]:
    """The items of `data` in the order of the inputs, by their `index`. If no index differs, they are numbered by position.

    Returns:
        `data` itself if nothing has to be changed.

    Raises:
        UpstreamFailure: there is not one vector for each input.
    """
    if not isinstance(data, list) or not all(
        isinstance(item, dict) and _is_vector(item.get("embedding")) for item in data
    ):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no embeddings in the answer")
    items: list[JsonObject] = data
    if any(item.get("object") != "embedding" for item in items):
        items = [item | {"object": "embedding"} for item in items]
    if len(items) != count:
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"{len(items)} embeddings for {count} inputs")
    indexes = [item.get("index") for item in items]
    if indexes == list(range(count)):
        return items
    if all(index in (None, 0) for index in indexes):
        return [item | {"index": i} for i, item in enumerate(items)]
    numbers = [index for index in indexes if type(index) is int]
    if len(numbers) != count or sorted(numbers) != list(range(count)):
        raise UpstreamFailure(Cause.UNREADABLE, detail="embeddings whose indexes are not those of the inputs")
    return sorted(items, key=lambda item: int(item["index"]))


def _is_vector(value: object) -> bool:
    """True for a list of numbers, and for text that may be base64."""
    if isinstance(value, list):
        return bool(value) and all(type(number) is float or type(number) is int for number in value)
    return isinstance(value, str) and len(value) > 0 and _BASE64.fullmatch(value) is not None


def _converted(vector: str | list[float], base64: bool) -> str | list[float]:
    """A vector as base64 of 32-bit numbers, or as a list of numbers.

    Raises:
        UpstreamFailure: it is base64 of other data.
    """
    if not isinstance(vector, str):
        return _as_base64(vector) if base64 else vector
    if base64:
        return vector
    try:
        values = np.frombuffer(b64decode(vector, validate=True), "<f4")
    except ValueError as exc:
        raise UpstreamFailure(Cause.UNREADABLE, detail="base64 that is not a vector") from exc
    if not np.isfinite(values).all():
        raise UpstreamFailure(Cause.UNREADABLE, detail="a vector with values that are not finite")
    numbers: list[float] = values.tolist()
    return numbers


def _as_base64(vector: Vector) -> str:
    return b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def counted_usage(usage: object) -> Usage | None:
    """The usage of a response; None if the provider has not counted, since no text has 0 tokens."""
    reported = Usage.read(usage)
    return reported if reported is not None and reported.prompt_tokens else None


def _required_usage(usage: object) -> JsonObject:
    """The usage with the counts that OpenAI's format requires; zeros if the provider reported none."""
    given: JsonObject = usage if isinstance(usage, dict) else {}
    if all(type(given.get(key)) is int and given[key] >= 0 for key in ("prompt_tokens", "total_tokens")):
        return given
    prompt = given.get("prompt_tokens") if type(given.get("prompt_tokens")) is int else given.get("total_tokens")
    prompt = prompt if type(prompt) is int and prompt >= 0 else 0
    return {"prompt_tokens": prompt, "total_tokens": prompt}


def _needs_no_change(body: bytes, count: int, base64: bool) -> bool:
    """True if `index` is 0, 1, 2, ... in the bytes, once each, and the first vector has the requested form.

    Then the vectors need not be parsed.
    """
    first = _FIRST_VECTOR.search(body)
    if first is None or (first[1] == b'"') is not base64:
        return False
    position, expected = body.find(_INDEX), 0
    while position >= 0:
        number = _NUMBER.match(body, position + len(_INDEX))
        if number is None or int(number[1]) != expected:
            return False
        expected += 1
        position = body.find(_INDEX, number.end())
    return expected == count


def _without_vectors(body: bytes) -> JsonObject | None:
    """The object in `body` with an empty `data`; None if the bytes do not show where `data` ends.

    `_without_vectors(b'{"data": [{"embedding": [1]}], "usage": {}}')` is `{"data": [], "usage": {}}`.
    """
    start, end = _DATA.search(body), body.rfind(b"]")
    if start is None or end < start.end():
        return None
    try:
        fields = orjson.loads(body[: start.end()] + body[end:])
    except orjson.JSONDecodeError:
        return None
    # Without `usage`, the last bracket may belong to another list, and more than `data` has been removed.
    return fields if isinstance(fields, dict) and "usage" in fields else None
