"""Chooses the upstream of a call, by the deployment and the API of the call."""

from concurrent.futures import Future
from types import ModuleType

from gateway.config.portfolio import Deployment, Portfolio
from gateway.core.upstream import Upstream
from gateway.core.vocabulary import Api
from gateway.request.request import Request
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.embeddings_upstream import Embed, EmbeddingsUpstream
from gateway.upstream.litellm_upstream import LitellmUpstream


class Upstreams:
    """All upstreams of a process.

    Args:
        embed: computes the vectors of the built-in embedding model.
    """

    def __init__(self, direct: DirectUpstream, litellm: LitellmUpstream, embed: Embed) -> None:
        self.direct = direct
        self.litellm = litellm
        self._embeddings = EmbeddingsUpstream(direct, litellm, embed)

    async def choose(self, deployment: Deployment, api: Api) -> Upstream[Deployment, Request]:
        """The upstream that calls `deployment` in the format `api`, ready to be called: litellm is imported, if it needs that.

        Raises:
            UpstreamFailure: the import takes longer than the deployment's timeout.
        """
        if deployment.path == "litellm" and api in ("chat", "embeddings"):
            await self.litellm.load(deployment.timeout_s)
        if api == "embeddings":
            return self._embeddings
        return self.litellm if api == "chat" and deployment.path == "litellm" else self.direct

    def prepare(self, portfolio: Portfolio) -> Future[ModuleType] | None:
        """Begins to import litellm beside the event loop, if one of the portfolio's deployments is called through it.

        Returns:
            the import; None if none is needed.
        """
        models = (*portfolio.models, *portfolio.embedding_models)
        used = any(one.path == "litellm" and one.missing_key is None for model in models for one in model.deployments)
        return self.litellm.start_import() if used else None
