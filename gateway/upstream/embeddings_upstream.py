"""The upstream for embeddings: calls a provider directly or through litellm, or computes the vectors of the built-in model.

It has the interface of the chat upstreams, so that retries and failover are the same for both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Deployment
from gateway.core.answer import ChunkStream, Complete
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.embeddings_request import embedding_inputs
from gateway.request.request import Request
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.embeddings_response import Vectors, counted_usage, in_order, read_embeddings, write_embeddings
from gateway.upstream.litellm_upstream import LitellmUpstream

PATH = "/embeddings"
IN_THREAD = 1 << 20  # bytes; a longer response is read in a thread
# Request fields that are passed to litellm as arguments; none of them can redirect a call.
_ARGUMENTS = frozenset({"input", "dimensions", "user", "input_type", "task", "task_type", "title", "truncate"})

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Vectors]]
"""Computes the vectors of texts, (n, d), of unit norm."""


class EmbeddingsUpstream:
    """Sends one request for embeddings to one deployment.

    Args:
        embed: computes the vectors of the built-in model.
    """

    def __init__(self, direct: DirectUpstream, litellm: LitellmUpstream, embed: Embed) -> None:
        self._direct = direct
        self._litellm = litellm
        self._embed = embed

    async def complete(
        self,
        deployment: Deployment,
        request: Request,
        dropped: frozenset[str] = frozenset(),
        api: Api = "embeddings",
    ) -> Complete:
        """See `Upstream.complete`; the answer is in OpenAI's format."""
        match deployment.path:
            case "built_in":
                # The endpoint admits only texts for the built-in encoder.
                texts = [text for text in embedding_inputs(request) if isinstance(text, str)]
                vectors = await self._embed(texts)
                return write_embeddings(request, vectors, Usage(request.requirements.prompt_tokens))
            case "litellm":
                return await self._through_litellm(deployment, request, dropped)
            case _:
                return await self._direct_call(deployment, request, dropped)

    async def stream(
        self,
        deployment: Deployment,
        request: Request,
        deadline: float,
        dropped: frozenset[str] = frozenset(),
        api: Api = "embeddings",
    ) -> ChunkStream:
        raise NotImplementedError("embeddings are not streamed")

    async def _through_litellm(self, deployment: Deployment, request: Request, dropped: frozenset[str]) -> Complete:
        data, usage = await self._litellm.embed(deployment, litellm_arguments(request, dropped))
        vectors = [item["embedding"] for item in in_order(data, len(embedding_inputs(request)))]
        dimensions, width = request.fields.get("dimensions"), len(vectors[0])
        if dimensions not in (None, width):  # litellm omits a parameter that the provider does not support
            message = f"The model gives vectors of {width} dimensions only."
            raise UpstreamFailure(Cause.REJECTED, 400, error={"message": message, "param": "dimensions"})
        return write_embeddings(request, vectors, counted_usage(usage))

    async def _direct_call(self, deployment: Deployment, request: Request, dropped: frozenset[str]) -> Complete:
        outgoing = await offloaded(len(request.body), request.upstream_body, deployment.upstream_model, dropped)
        body = await self._direct.fetch(deployment, PATH, outgoing)
        count, base64 = len(embedding_inputs(request)), request.fields.get("encoding_format") == "base64"
        if len(body) < IN_THREAD:
            return read_embeddings(body, count, base64=base64)
        return await asyncio.to_thread(read_embeddings, body, count, base64=base64)


def litellm_arguments(request: Request, dropped: frozenset[str]) -> JsonObject:
    """The arguments of `litellm.aembedding` that the client's request sets.

    `encoding_format` is not among them: litellm returns lists of numbers, and the gateway writes the requested format itself.
    """
    names = (request.fields.keys() & _ARGUMENTS) - dropped
    return {name: request.fields[name] for name in names if request.fields[name] is not None}
