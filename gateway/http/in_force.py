"""One portfolio and everything that is made from it: a request uses the same one from its beginning to its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.cache.cache_key import portfolio_version
from gateway.config.portfolio import Portfolio
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployments
from gateway.model_versions.stored import InUse
from gateway.routing.placed_models import placed_models
from gateway.routing.routing import Routing
from gateway.routing.standing import Standing
from gateway.routing.trials import Trials
from router.model.serving import Router


@dataclass(frozen=True, slots=True)
class InForce:
    """A portfolio in force.

    Attributes:
        portfolio: its models have the names of their embeddings.
        router: with the versions of embeddings that are live.
        version: a digest of what decides about the answers; stored answers of another version are not used.
        file: the portfolio as it was read.
        file_router: of the checkpoint and model spaces that the file names.
        in_use: versions and states of the models.
    """

    portfolio: Portfolio
    router: Router
    deployments: LiveDeployments
    routing: Routing
    since: datetime
    version: bytes
    file: Portfolio
    file_router: Router
    in_use: InUse

    @property
    def standings(self) -> Mapping[str, Standing]:
        """How each model stands, by name."""
        return self.routing.standings


def load_router(portfolio: Portfolio) -> Router:
    """The router of the checkpoint and model spaces that a portfolio names.

    Raises:
        RouterError: they cannot be loaded.
    """
    return Router.load(portfolio.checkpoint, portfolio.spaces, trust=portfolio.trust_checkpoint)


def same_router(a: Portfolio, b: Portfolio) -> bool:
    """True if two portfolios name the same checkpoint and model spaces."""
    return _router_files(a) == _router_files(b)


def in_force(
    file: Portfolio, router: Router, in_use: InUse, trials: Trials, clock: Clock, previous: LiveDeployments | None
) -> InForce:
    """Makes everything from a portfolio, which takes a while for a thousand models.

    Args:
        router: from `load_router`.
        previous: deployments that did not change keep their state.

    Raises:
        ArtifactError: the space lacks an embedding that the portfolio states.
    """
    placed = placed_models(file, router, in_use)
    portfolio = placed.portfolio
    deployments = LiveDeployments(portfolio, previous, clock)
    _quarantine(deployments, in_use)
    routing = Routing(portfolio, placed.router, deployments, placed.standings, trials)
    states = {name: standing.state for name, standing in placed.standings.items()}
    version = portfolio_version(portfolio, placed.router, states)
    return InForce(portfolio, placed.router, deployments, routing, datetime.now(UTC), version, file, router, in_use)


def trials_over(of: InForce) -> dict[str, str]:
    """The models on trial whose P(correct) is known as well as their trial asks for, with the reason in words."""
    over = {}
    for model in of.portfolio.models:
        trial = of.standings[model.name].trial
        if trial is None or trial.target_error is None or model.embedding is None:
            continue
        error = of.router.standard_error(model.embedding)
        if error <= trial.target_error:
            over[model.name] = f"the standard error of its P(correct) is {error:.3f}, at most {trial.target_error:g}"
    return over


def _quarantine(deployments: LiveDeployments, in_use: InUse) -> None:
    """No calls go to deployments that are in quarantine, unless all of their model are: then naming the model still calls them."""
    for name, live in deployments.models.items():
        states = [in_use.of_deployments.get((name, one.spec.id)) for one in live.deployments]
        reasons = [state.reason if state is not None and state.state == "quarantined" else None for state in states]
        alone = None not in reasons
        for one, reason in zip(live.deployments, reasons, strict=True):
            one.quarantined = None if alone else reason


def _router_files(portfolio: Portfolio) -> tuple[object, ...]:
    return portfolio.checkpoint, portfolio.spaces, portfolio.trust_checkpoint
