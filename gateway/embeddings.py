"""`POST /v1/embeddings`: texts in, vectors out, by the embedding model that the request names, and never by another.

Vectors of two models cannot be compared, so nothing is chosen here, and only another deployment of the same model stands
in for one that fails. All else is as with chat: `gateway.exchange` runs the request, `gateway.failover` the calls.
"""

from typing import Any, cast

from starlette.types import Send

from gateway.books import Books
from gateway.dialects.dialect import Headers
from gateway.dialects.embeddings import Embeddings, inputs_of
from gateway.errors import InvalidRequest
from gateway.exchange import ClientWatch, Exchange, ModelEndpoint
from gateway.failover import Failover
from gateway.fleet import Fleet, LiveModel
from gateway.names import unknown_model
from gateway.portfolio import ENCODER
from gateway.protocol import Connection
from gateway.request import ChatRequest
from gateway.routing import AUTO, Decision
from gateway.service import Service
from gateway.trail import Hop
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.embeddings import EmbeddingsUpstream
from gateway.upstream.sdk import SdkUpstream

MAX_INPUTS = 2048  # of the built-in model, as OpenAI's API has it


class EmbeddingsEndpoint(ModelEndpoint):
    """`POST /v1/embeddings`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, Embeddings())
        chat = service.failover
        upstream = EmbeddingsUpstream(chat.direct, chat.sdk, lambda: service.in_force.router.encoder)
        self._failover = Failover(
            cast(DirectUpstream, upstream), cast(SdkUpstream, upstream), chat.clock, chat.sleep, chat.rng
        )
        self._failover.retries, self._failover.hedges = chat.retries, chat.hedges  # one budget for all requests

    def _exchange(self, books: Books, headers: Headers, connection: Connection) -> Exchange:
        return EmbeddingsExchange(self._failover, self._service, self._dialect, books, headers, connection)


class EmbeddingsExchange(Exchange):
    """One request on its way.

    Args:
        failover: over the deployments' embeddings.
    """

    def __init__(self, failover: Failover, *of_exchange: Any) -> None:
        super().__init__(*of_exchange)
        self._failover = failover

    async def _answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        books = self._books
        books.request = request = await self._dialect.parse(body, self._headers)
        live = named(books.in_force.fleet, request.model)
        if live.name == ENCODER:
            check_built_in(request, books.in_force.router.encoder.text_dim)
        books.decision = Decision((live.name,), None, 0)
        settings = books.in_force.portfolio.settings
        hop = Hop(live, named=True, single=settings.failover_for_named == "never")
        pursuit = self._failover.pursue(request, [hop], settings, books.trail, self._dialect.writer(request))
        try:
            books.served = served = await pursuit.answer()
            assert served.complete is not None
            await self._send_complete(served, served.complete, send, client)
        finally:
            pursuit.close()
            if books.served is not None:
                await books.served.aclose()


def named(fleet: Fleet, name: str) -> LiveModel:
    """The embedding model of a name.

    Raises:
        InvalidRequest: it is `auto`, or a chat model.
        UnknownModel: no model has the name.
    """
    live = fleet.embedding_models.get(name)
    if live is not None:
        return live
    known = f"Embedding models are {', '.join(f'`{model}`' for model in fleet.embedding_models)}."
    if name == AUTO or name.startswith(f"{AUTO}:"):
        raise InvalidRequest(
            f"`{name}` does not choose among embedding models, since vectors of two models cannot be compared. {known}",
            param="model",
        )
    if name in fleet.models:
        raise InvalidRequest(f"`{name}` is a chat model, no embedding model. {known}", param="model")
    raise unknown_model(name, fleet.embedding_models, known)


def check_built_in(request: ChatRequest, dimensions: int) -> None:
    """Whether the built-in model can answer this.

    Args:
        dimensions: of its vectors.

    Raises:
        InvalidRequest: it cannot; `param` names the field.
    """
    fields = request.fields
    inputs = inputs_of(request)
    if not isinstance(inputs[0], str):
        raise InvalidRequest(f"`{ENCODER}` has token numbers of its own: send texts.", param="input")
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequest(f"`{ENCODER}` takes {MAX_INPUTS} texts at once, not {len(inputs)}.", param="input")
    if fields.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest(f"`{ENCODER}` writes vectors as `float` or `base64`.", param="encoding_format")
    if fields.get("dimensions") not in (None, dimensions):
        raise InvalidRequest(f"Vectors of `{ENCODER}` always have {dimensions} dimensions.", param="dimensions")
