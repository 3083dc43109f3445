"""Chooses the upstream of a call, by the deployment and the API of the call."""

from gateway.config.portfolio import Deployment
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
        self._litellm = litellm
        self._embeddings = EmbeddingsUpstream(direct, litellm, embed)

    async def choose(self, deployment: Deployment, api: Api) -> Upstream[Deployment, Request]:
        """The upstream that calls `deployment` in the format `api`, ready to be called.

        The first call through litellm imports litellm here, so that a call's timeout does not include the import.
        """
        if api == "embeddings":
            return self._embeddings
        if api != "chat" or deployment.path == "direct":
            return self.direct
        await self._litellm.load()
        return self._litellm
