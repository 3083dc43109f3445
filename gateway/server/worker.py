"""One of several worker processes, and its share of the limits of the gateway itself.

Limits of keys, teams and deployments are not divided: the workers share them in the database, or in the server of `shared`.
"""

import socket
from dataclasses import dataclass, replace

from gateway.bodies.memory_budget import default_limit
from gateway.config.access import UNLIMITED
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError


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

        Raises:
            PortfolioError: limits of keys or deployments cannot be shared.
        """
        check_shareable(portfolio)
        settings = portfolio.settings
        shares = {
            "max_requests": self._share(settings.max_requests),
            "max_queued": self._share(settings.max_queued, at_least=0),
            "max_memory_mb": self._share(settings.max_memory_bytes or default_limit()) / (1 << 20),
        }
        return replace(portfolio, settings=settings.model_copy(update=shares))

    def _share(self, limit: int, at_least: int = 1) -> int:
        quotient, remainder = divmod(limit, self.number)
        return max(at_least, quotient + (self.index < remainder))


def check_shareable(portfolio: Portfolio) -> None:
    """Checks that several workers can share all limits.

    Raises:
        PortfolioError: there is a limit, and neither a database nor a shared server; it names the first such limit.
    """
    settings, access = portfolio.settings, portfolio.access
    if settings.shared is not None or settings.database is not None:
        return
    limited = [f"the key {key.identity.name}" for key in access.keys if key.limits != UNLIMITED]
    limited += [f"the team {team.name}" for team in access.teams if team.limits != UNLIMITED]
    limited += [
        f"the deployment {spec.id}"
        for model in (*portfolio.models, *portfolio.embedding_models)
        for spec in model.deployments
        if (spec.rpm, spec.tpm, spec.max_parallel_requests) != (None, None, None)
    ]
    if limited:
        raise PortfolioError(
            [
                f"several workers cannot share the limits of {limited[0]} without a database: set gateway.record or "
                "gateway.store (sqlite:///FILE), remove the limits, or serve with one process"
            ]
        )
