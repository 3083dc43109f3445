"""`POST /v1/embeddings`: returns the vectors of texts, computed by the embedding model that the request names.

Vectors of different models cannot be compared, so the gateway does not choose the model, and only another deployment of the same
model may replace one that fails. `gateway.http.request_exchange` runs the request and `gateway.answering.failover` the calls, as
for chat.
"""

from starlette.types import Send

from gateway.api.dialect import Headers
from gateway.api.embeddings.dialect import Embeddings
from gateway.bodies.offload import offloaded
from gateway.config.access import Allowed
from gateway.core.client import Client
from gateway.core.errors import InvalidRequest
from gateway.core.vocabulary import ENCODER
from gateway.deployments.live import LiveDeployments, LiveModel
from gateway.http.accounting import RequestLog
from gateway.http.request_exchange import ClientWatch, Endpoint, RequestExchange, send_json
from gateway.http.service import Service
from gateway.request.chat_request import Overrides
from gateway.request.embeddings_request import EmbeddingsRequest, embedding_inputs
from gateway.request.model_names import not_allowed, unknown_model
from gateway.routing.candidate import Candidate
from gateway.routing.decision import AUTO, Decision
from gateway.routing.permission import permission

MAX_INPUTS = 2048  # of a request to the built-in model; the limit of OpenAI's API


class EmbeddingsEndpoint(Endpoint):
    """`POST /v1/embeddings`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, "embeddings")

    def exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> "EmbeddingsExchange":
        return EmbeddingsExchange(self._service, request_log, headers, client)


class EmbeddingsExchange(RequestExchange):
    """Serves one request for embeddings."""

    def __init__(self, service: Service, request_log: RequestLog, headers: Headers, client: Client) -> None:
        self._format = Embeddings()
        super().__init__(service, self._format.error, request_log, headers, client)

    async def answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        request_log = self._request_log
        request_log.request = request = await self._format.parse(body, self._headers)
        live = embedding_model(request_log.in_force.deployments, request.model, request_log.grant.allowed)
        if live.name == ENCODER:
            check_built_in(request, request_log.in_force.router.encoder.text_dim)
        request_log.decision = Decision((live.name,), None, 0)
        settings = request_log.in_force.portfolio.settings
        allowed = permission(settings, live.spec, Overrides(), named=True)
        candidate = Candidate(live, named=True, permission=allowed)
        dispatch = self._service.failover.dispatch(
            request, [candidate], settings, request_log.attempts, None, spending=request_log.limits.spending
        )
        try:
            request_log.open_call = open_call = await dispatch.answer()
            complete = open_call.complete
            assert complete is not None, "embeddings are not streamed"
            size = max(len(complete.body), len(body))
            answer = await offloaded(size, self._format.complete_answer, request, complete, live.name)
            await send_json(200, answer, request_log.start_answer(open_call), send, client)
        finally:
            dispatch.close()
            if request_log.open_call is not None:
                await request_log.open_call.aclose()


def embedding_model(deployments: LiveDeployments, name: str, allowed: Allowed) -> LiveModel:
    """The embedding model with this name.

    Raises:
        ModelNotAllowed: the key of the request may not use it.
        InvalidRequest: the name is `auto`, or that of a chat model.
        UnknownModel: no model has the name.
    """
    live = deployments.embedding_models.get(name)
    if live is not None and not allowed.model(name):
        raise not_allowed(name, allowed)
    if live is not None:
        return live
    names = [model for model in deployments.embedding_models if allowed.model(model)]
    known = f"Embedding models are {', '.join(f'`{model}`' for model in names)}." if names else ""
    if name == AUTO or name.startswith(f"{AUTO}:"):
        raise InvalidRequest(
            f"`{name}` does not choose among embedding models, since vectors of two models cannot be compared. {known}",
            param="model",
        )
    if name in deployments.models:
        raise InvalidRequest(f"`{name}` is a chat model, not an embedding model. {known}", param="model")
    raise unknown_model(name, names, known)


def check_built_in(request: EmbeddingsRequest, dimensions: int) -> None:
    """Checks that the built-in model can answer a request.

    Args:
        dimensions: the width of its vectors.

    Raises:
        InvalidRequest: it cannot; `param` names the field.
    """
    fields = request.fields
    inputs = embedding_inputs(request)
    if not isinstance(inputs[0], str):
        raise InvalidRequest(f"`{ENCODER}` has token numbers of its own: send texts.", param="input")
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequest(f"`{ENCODER}` takes {MAX_INPUTS} texts at once, not {len(inputs)}.", param="input")
    if fields.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest(f"`{ENCODER}` writes vectors as `float` or `base64`.", param="encoding_format")
    if fields.get("dimensions") not in (None, dimensions):
        raise InvalidRequest(f"Vectors of `{ENCODER}` always have {dimensions} dimensions.", param="dimensions")
