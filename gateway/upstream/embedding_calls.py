"""Calls for embeddings, on every path: relayed bytes, litellm, and the gateway's own encoder.

Has the form of chat's upstreams, so that failover is the same for both.
"""

import asyncio
import re
from base64 import b64decode, b64encode
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Deployment
from gateway.core.answer import ChunkStream, Complete, Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event
from gateway.request.embeddings_request import embedding_inputs
from gateway.request.request import Request
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.sdk import SdkUpstream

PATH = "/embeddings"
LARGE = 1 << 18  # bytes; of a longer answer the vectors are not parsed: that takes 2 ms a megabyte
IN_THREAD = 1 << 20  # bytes; a longer answer is read in a thread
# Fields that are arguments of litellm; none of them can redirect a call.
_ARGUMENTS = frozenset({"input", "dimensions", "user", "input_type", "task", "task_type", "title", "truncate"})
_INDEX = b'"index"'
_NUMBER = re.compile(rb"\s*:\s*(\d{1,9})\s*[,}]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_FIRST = re.compile(rb'"embedding"\s*:\s*(["\[])')
_DATA = re.compile(rb'"data"\s*:\s*\[')

Vectors: TypeAlias = NDArray[np.float32]
Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Vectors]]  # texts -> vectors of unit norm, (n, d)


class EmbeddingsUpstream:
    """Asks for embeddings.

    Args:
        embed: computes the vectors of the built-in model.
    """

    def __init__(self, direct: DirectUpstream, sdk: SdkUpstream, embed: Embed) -> None:
        self._direct = direct
        self._sdk = sdk
        self._embed = embed

    async def complete(
        self,
        deployment: Deployment,
        request: Request,
        dropped: frozenset[str] = frozenset(),
        api: Api = "embeddings",
    ) -> Complete:
        """A whole answer in the form of OpenAI's.

        Args:
            request: of embeddings.
            dropped: optional request fields that this deployment has refused.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        if deployment.path == "built_in":
            vectors = await self._embed(embedding_inputs(request))
            return _answer(request, vectors, Usage(request.requirements.prompt_tokens))
        if deployment.path == "litellm":
            data, usage = await self._sdk.embed(deployment, _arguments(request, dropped))
            given = [item["embedding"] for item in in_order(data, len(embedding_inputs(request)))]
            dimensions = request.fields.get("dimensions")
            if (
                dimensions is not None and len(given[0]) != dimensions
            ):  # litellm leaves out what a provider does not know
                message = f"The model gives vectors of {len(given[0])} dimensions only."
                raise UpstreamFailure(Cause.REJECTED, 400, error={"message": message, "param": "dimensions"})
            return _answer(request, given, usage or Usage(request.requirements.prompt_tokens))
        asked = await offloaded(len(request.body), request.upstream_body, deployment.upstream_model, dropped)
        body = await self._direct.fetch(deployment, PATH, asked)
        wanted, packed = len(embedding_inputs(request)), request.fields.get("encoding_format") == "base64"
        if len(body) < IN_THREAD:
            return read_answer(body, wanted, packed=packed)
        return await asyncio.to_thread(read_answer, body, wanted, packed=packed)

    async def stream(
        self,
        deployment: Deployment,
        request: Request,
        deadline: float,
        dropped: frozenset[str] = frozenset(),
        api: Api = "embeddings",
    ) -> ChunkStream:
        raise NotImplementedError("embeddings are not streamed")


def read_answer(body: bytes, wanted: int, *, packed: bool = False) -> Complete:
    """A provider's answer, with its vectors in the order of the inputs.

    Args:
        wanted: how many vectors were asked for.
        packed: they were asked for as base64. Not all providers know that, and clients may take numbers for it.

    Raises:
        UpstreamFailure: no answer, an error with status 200, or vectors that are not one for each input.
    """
    fields = _without_data(body) if len(body) > LARGE and _is_as_asked(body, wanted, packed=packed) else None
    if fields is not None and not fields.get("error"):
        return Complete(body, fields, Usage.read(fields.get("usage")))
    if fields is None:
        try:
            body = body.removeprefix(BOM_UTF8)
            fields = orjson.loads(body)  # strictly: what is no number is no part of a vector
        except orjson.JSONDecodeError as exc:
            raise UpstreamFailure(Cause.UNREADABLE, detail="not JSON") from exc
    if isinstance(fields, dict) and fields.get("error"):
        raise classify_event(fields["error"])
    data = fields.get("data") if isinstance(fields, dict) else None
    ordered = in_order(data, wanted)
    if any(isinstance(item["embedding"], str) is not packed for item in ordered):
        ordered = [item | {"embedding": _in_form(item["embedding"], packed=packed)} for item in ordered]
    told = {"object": "list", "data": ordered, "usage": _usage(fields.get("usage"))}
    usage = Usage.read(told["usage"])
    if (
        any(fields.get(key) is not value for key, value in told.items() if key != "object")
        or fields.get("object") != "list"
    ):
        fields = fields | told
        body = dumps(fields)
    return Complete(body, fields, usage)


def in_order(data: Any, wanted: int) -> list[dict[str, Any]]:
    """The vectors in the order of the inputs, by their `index`; numbered by their place where no index tells them apart.

    Returns:
        `data` itself where nothing has to be changed.

    Raises:
        UpstreamFailure: not one vector for each input.
    """
    if not isinstance(data, list) or not all(
        isinstance(item, dict) and _is_vector(item.get("embedding")) for item in data
    ):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no embeddings in the answer")
    items: list[dict[str, Any]] = data
    if any(item.get("object") != "embedding" for item in items):
        items = [item | {"object": "embedding"} for item in items]
    if len(items) != wanted:
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"{len(items)} embeddings for {wanted} inputs")
    indexes: list[Any] = [item.get("index") for item in items]
    if indexes == list(range(wanted)):
        return items
    if all(index in (None, 0) for index in indexes):
        return [item | {"index": i} for i, item in enumerate(items)]
    if any(type(index) is not int for index in indexes) or sorted(indexes) != list(range(wanted)):
        raise UpstreamFailure(Cause.UNREADABLE, detail="embeddings whose indexes are not those of the inputs")
    return sorted(items, key=lambda item: int(item["index"]))


def _is_vector(value: Any) -> bool:
    """Whether these are numbers, as a list or as base64."""
    if isinstance(value, list):
        return bool(value) and all(type(number) is float or type(number) is int for number in value)
    return isinstance(value, str) and len(value) > 0 and _BASE64.fullmatch(value) is not None


def _in_form(vector: Any, *, packed: bool) -> Any:
    """A vector as base64 of 32-bit numbers, or as a list of numbers.

    Raises:
        UpstreamFailure: it is base64 of something else.
    """
    if isinstance(vector, str) is packed:
        return vector
    if packed:
        return _packed(vector)
    try:
        numbers = np.frombuffer(b64decode(vector, validate=True), "<f4")
    except ValueError as exc:
        raise UpstreamFailure(Cause.UNREADABLE, detail="base64 that is no vector") from exc
    if not np.isfinite(numbers).all():
        raise UpstreamFailure(Cause.UNREADABLE, detail="a vector of what is no number")
    return numbers.tolist()


def _packed(vector: Any) -> str:
    return b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def _usage(given: Any) -> dict[str, Any]:
    """The usage as it must be; zeros where the provider counts nothing."""
    usage = given if isinstance(given, dict) else {}
    if all(type(usage.get(key)) is int and usage[key] >= 0 for key in ("prompt_tokens", "total_tokens")):
        return usage
    prompt = usage.get("prompt_tokens") if type(usage.get("prompt_tokens")) is int else usage.get("total_tokens")
    prompt = prompt if type(prompt) is int and prompt >= 0 else 0
    return {"prompt_tokens": prompt, "total_tokens": prompt}


def _is_as_asked(body: bytes, wanted: int, *, packed: bool) -> bool:
    """Whether the bytes show `index` 0, 1, 2 and so on, once each, and the first vector in the form that was asked for: then the
    vectors need not be parsed.
    """
    first = _FIRST.search(body)
    if first is None or (first[1] == b'"') is not packed:
        return False
    at, found = body.find(_INDEX), 0
    while at >= 0:
        number = _NUMBER.match(body, at + len(_INDEX))
        if number is None or int(number[1]) != found:
            return False
        found += 1
        at = body.find(_INDEX, number.end())
    return found == wanted


def _without_data(body: bytes) -> dict[str, Any] | None:
    """The object in `body` with nothing in its `data`; None where that cannot be told from the bytes.

    `_without_data(b'{"data": [{"embedding": [1]}], "usage": {}}')` is `{"data": [], "usage": {}}`.
    """
    start, end = _DATA.search(body), body.rfind(b"]")
    if start is None or end < start.end():
        return None
    try:
        fields = orjson.loads(body[: start.end()] + body[end:])
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) and "usage" in fields else None  # else more than `data` may be gone


def _arguments(request: Request, dropped: frozenset[str]) -> dict[str, Any]:
    """Without the format: a vector that litellm gives is a list of numbers, and written as was asked for here."""
    sent = (request.fields.keys() & _ARGUMENTS) - dropped
    return {key: request.fields[key] for key in sent if request.fields[key] is not None}


def _answer(request: Request, vectors: Iterable[Any], usage: Usage) -> Complete:
    """The answer with vectors that were not received as one."""
    if request.fields.get("encoding_format") == "base64":
        vectors = [_packed(vector) for vector in vectors]
    fields = {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)],
        "model": request.model,
        "usage": {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens},
    }
    return Complete(orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY), fields, usage)
