"""What a replay compares with the log: another portfolio, another policy, or several cost weights."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from gateway.core.json_types import JsonObject
from gateway.replay.decider import Decider
from gateway.replay.logged import Log
from gateway.replay.replay import Replayed, replay
from gateway.routing.placed_models import PlacedModels
from router.model.policy import Policy
from router.parallel import LOCAL

MOST_WEIGHTS = 32


class UnknownPolicy(Exception):
    """The portfolio has no policy of this name; the message names those that it has."""


class UnknownModel(Exception):
    """The portfolio has no model of this name, or would have none any more."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """How all requests are decided instead.

    Attributes:
        policy: the name of a policy of the other portfolio; None: that of each request.
        cost_weight: 1/USD, in place of a policy.
    """

    policy: str | None = None
    cost_weight: float | None = None

    def rule(self, placed: PlacedModels) -> Policy | None:
        """The policy that decides all requests.

        Raises:
            UnknownPolicy: the portfolio does not have it.
        """
        if self.cost_weight is not None:
            return Policy("", "cost_weight", self.cost_weight)
        policies = placed.portfolio.policies
        if self.policy is not None and self.policy not in policies:
            raise UnknownPolicy(f"there is no policy {self.policy[:64]!r}; there are {', '.join(policies)}")
        return None if self.policy is None else policies[self.policy]

    def fields(self) -> JsonObject:
        """As JSON has them."""
        return {"policy": self.policy, "cost_weight": self.cost_weight}


def alternatives(policy: str | None, cost_weights: Sequence[float]) -> list[Alternative]:
    """One for each cost weight; without any, that of the policy."""
    return [Alternative(None, weight) for weight in cost_weights] or [Alternative(policy)]


def without(placed: PlacedModels, names: Collection[str]) -> PlacedModels:
    """The same portfolio without some of its models.

    Raises:
        UnknownModel: it does not have one of them, or has no others.
    """
    present = [model.name for model in placed.portfolio.models]
    for name in names:
        if name not in present:
            raise UnknownModel(f"there is no model {name[:64]!r}")
    if len(set(names)) == len(present):
        raise UnknownModel("without all of its models the portfolio cannot answer")
    models = tuple(model for model in placed.portfolio.models if model.name not in names)
    return replace(placed, portfolio=replace(placed.portfolio, models=models))


def compare(
    log: Log,
    present: PlacedModels,
    other: PlacedModels,
    of: Sequence[Alternative],
    since: float | None = None,
    until: float | None = None,
    *,
    engine: str = LOCAL,
    for_audit: bool = False,
) -> list[Replayed]:
    """Replays a log with each alternative.

    Args:
        present: the portfolio in force.
        other: the one that decides instead; the same object if only the policy is another.
        since, until: the period of the log, for the reports.
        engine: what predicts; see `router.parallel`.
        for_audit: note the requests on which each differs.

    Raises:
        UnknownPolicy: the other portfolio does not have a policy.
        EngineError, MissingPackage: see `router.parallel.run_jobs`.
    """
    rules = [one.rule(other) for one in of]
    base = Decider(present)
    tried = base if other is present else Decider(other)
    # Without a rule of its own the same portfolio makes the same decisions: they are made once.
    others = [tried if rule is None else tried.with_policy(rule) for rule in rules]
    return replay(log, base, others, present.router.checkpoint, since, until, engine=engine, for_audit=for_audit)
