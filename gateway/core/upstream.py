"""The interface of an upstream: the object that sends one request to one deployment and reads the answer."""

from typing import Protocol, TypeVar

from gateway.core.answer import ChunkStream, Complete
from gateway.core.vocabulary import Api

# Type parameters, because the rooms that define deployments and requests are above this one.
DeploymentT = TypeVar("DeploymentT", contravariant=True)
RequestT = TypeVar("RequestT", contravariant=True)


class Upstream(Protocol[DeploymentT, RequestT]):
    """Calls a provider once, without retries.

    `gateway.upstream.upstreams` chooses the upstream of a call, by the deployment and the API.
    """

    async def complete(
        self, deployment: DeploymentT, request: RequestT, dropped: frozenset[str] = frozenset(), api: Api = "chat"
    ) -> Complete:
        """Return the complete answer.

        Args:
            dropped: names of optional request fields that are not sent, because this deployment has refused them.
            api: the format of the call.

        Raises:
            UpstreamFailure: the call failed, for any reason; the reason is classified.
        """
        ...

    async def stream(
        self,
        deployment: DeploymentT,
        request: RequestT,
        deadline: float,
        dropped: frozenset[str] = frozenset(),
        api: Api = "chat",
    ) -> ChunkStream:
        """Return an open stream, of which only the status has been read. The caller closes it.

        Args:
            deadline: time by which the provider must answer, in seconds of the event loop's clock.
            dropped: names of optional request fields that are not sent, because this deployment has refused them.
            api: the format of the call.

        Raises:
            UpstreamFailure: the call failed, for any reason; the reason is classified.
        """
        ...
