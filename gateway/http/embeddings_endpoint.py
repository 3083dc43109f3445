"""`POST /v1/embeddings`: texts in, vectors out, by the embedding model that the request names, and never by another.

Vectors of two models cannot be compared, so nothing is chosen here, and only another deployment of the same model stands
in for one that fails. All else is as with chat: `gateway.http.exchange` runs the request, `gateway.answering.failover` the calls.
"""

from starlette.types import Send

from gateway.api.dialect import Headers
from gateway.api.embeddings.dialect import Embeddings, inputs_of
from gateway.config.portfolio import ENCODER
from gateway.core.client import Client
from gateway.core.errors import InvalidRequest
from gateway.deployments.live import LiveDeployments, LiveModel
from gateway.http.accounting import RequestLog
from gateway.http.exchange import ClientWatch, Exchange, ModelEndpoint
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.model_names import unknown_model
from gateway.routing.candidate import Candidate
from gateway.routing.decision import AUTO, Decision

MAX_INPUTS = 2048  # of the built-in model, as OpenAI's API has it


class EmbeddingsEndpoint(ModelEndpoint):
    """`POST /v1/embeddings`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, Embeddings())

    def _exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> Exchange:
        return EmbeddingsExchange(self._service, self._dialect, request_log, headers, client)


class EmbeddingsExchange(Exchange):
    """One request on its way."""

    async def _answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        request_log = self._request_log
        request_log.request = request = await self._dialect.parse(body, self._headers)
        live = named(request_log.in_force.fleet, request.model)
        if live.name == ENCODER:
            check_built_in(request, request_log.in_force.router.encoder.text_dim)
        request_log.decision = Decision((live.name,), None, 0)
        settings = request_log.in_force.portfolio.settings
        candidate = Candidate(live, named=True, single=settings.failover_for_named == "never")
        dispatch = self._service.failover.dispatch(
            request, [candidate], settings, request_log.attempts, self._dialect.writer(request)
        )
        try:
            request_log.open_call = open_call = await dispatch.answer()
            assert open_call.complete is not None
            await self._send_complete(open_call, open_call.complete, send, client)
        finally:
            dispatch.close()
            if request_log.open_call is not None:
                await request_log.open_call.aclose()


def named(fleet: LiveDeployments, name: str) -> LiveModel:
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
