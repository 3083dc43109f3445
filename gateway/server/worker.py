"""One of several worker processes, and its share of the portfolio's limits."""

import socket
from dataclasses import dataclass, replace

from gateway.bodies.memory_budget import default_limit
from gateway.config.portfolio import Deployment, Model, Portfolio


@dataclass(frozen=True, slots=True)
class Worker:
    """The place of one process among several.

    Attributes:
        index: from 0.
        number: of all workers.
        link: its end of the socket pair to the supervisor.
    """

    index: int
    number: int
    link: socket.socket

    def share(self, portfolio: Portfolio) -> Portfolio:
        """The portfolio with this worker's share of each limit; the shares of all workers add up to the limit.

        A worker gets a share of at least 1, so a limit below the number of workers rises to that number.
        """
        settings = portfolio.settings
        shares = {
            "max_requests": self._share(settings.max_requests),
            "max_queued": self._share(settings.max_queued, at_least=0),
            "max_memory_mb": self._share(settings.max_memory_bytes or default_limit()) / (1 << 20),
        }
        return replace(
            portfolio,
            models=tuple(map(self._model, portfolio.models)),
            embedding_models=tuple(map(self._model, portfolio.embedding_models)),
            settings=settings.model_copy(update=shares),
        )

    def _model(self, model: Model) -> Model:
        return replace(model, deployments=tuple(self._deployment(d) for d in model.deployments))

    def _deployment(self, spec: Deployment) -> Deployment:
        return replace(
            spec,
            rpm=self._share_of_optional(spec.rpm),
            tpm=self._share_of_optional(spec.tpm),
            max_parallel_requests=self._share_of_optional(spec.max_parallel_requests),
        )

    def _share_of_optional(self, limit: int | None) -> int | None:
        return None if limit is None else self._share(limit)

    def _share(self, limit: int, at_least: int = 1) -> int:
        quotient, remainder = divmod(limit, self.number)
        return max(at_least, quotient + (self.index < remainder))


def unshareable_limits(portfolio: Portfolio, number: int) -> list[str]:
    """A warning for each limit of parallel calls that `number` workers exceed, since each may make at least one call."""
    return [
        f"{spec.id}: {number} workers make up to {number} calls at once, not max_parallel_requests: {limit}"
        for model in (*portfolio.models, *portfolio.embedding_models)
        for spec in model.deployments
        if (limit := spec.max_parallel_requests) is not None and limit < number
    ]
