"""Live deployments for unit tests, with a clock that the test sets. No test calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.routing.candidate import Candidate
from gateway.routing.permission import Permission
from gateway.routing.routing import Routing
from gateway.routing.standing import Standing
from router.model.serving import Router
from tests.gateway.running import entry, shipped_router, write_portfolio

NOWHERE = "http://127.0.0.1:9/v1"


@dataclass
class Time:
    """A clock that stands until the test moves it."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def model(name: str, deployments: int = 1, deployment: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A model of the portfolio file; `deployment` has settings of each of its deployments."""
    written = entry(name, *[NOWHERE] * deployments, **more)
    return written | {"deployments": [one | (deployment or {}) for one in written["deployments"]]}


def portfolio(folder: Path, *models: dict[str, Any], **more: Any) -> Portfolio:
    return load_portfolio(write_portfolio(folder, list(models), **more), {})


def live_routing(
    folder: Path,
    *models: dict[str, Any],
    router: Router | None = None,
    standings: Mapping[str, Standing] | None = None,
    **more: Any,
) -> Routing:
    """Routing over a portfolio file of these models, by the shipped router."""
    written = portfolio(folder, *models, **more)
    return Routing(written, router or shipped_router(), LiveDeployments(written), standings)


def candidates(folder: Path, *models: dict[str, Any], clock: Time | None = None, **flags: Any) -> list[Candidate]:
    """A candidate for each model, in order."""
    live = LiveDeployments(portfolio(folder, *models), clock=clock or Time()).models
    return [Candidate(live[one["name"]], **flags) for one in models]


def single(candidate: Candidate) -> Candidate:
    """The candidate, of which only one deployment may be called."""
    return replace(candidate, permission=Permission("never", "the test says so"))


def stand_in(candidate: Candidate) -> Candidate:
    return replace(candidate, stand_in=True)


def deployment(folder: Path, clock: Time | None = None, **settings: Any) -> LiveDeployment:
    """The only deployment of a model, with these settings of the portfolio file."""
    (candidate,) = candidates(folder, model("m", deployment=settings), clock=clock)
    return candidate.model.deployments[0]
