"""A model that may answer a request, and the error for a request whose candidates cannot be called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.core.errors import UpstreamsFailed
from gateway.core.vocabulary import StandInRule
from gateway.deployments.live import LiveDeployment, LiveModel
from gateway.routing.permission import Permission

MAX_REASONS = 5  # in the error message


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be called for a request.

    Attributes:
        stand_in: True for any model but the chosen one.
        distance: the embedding distance of a stand-in to the chosen model; None if one of them has no embedding.
        predicted_loss: p_correct of the chosen model minus that of this one, for this query; None if one of them is not known.
        named: the client named this model, so its provider decides what it can do, not the portfolio.
        rule: why a stand-in comes where it does in the order; None for the chosen model.
        barred: the policy's `max_predicted_loss` forbids it.
        permission: what may answer instead of the chosen model; None for a stand-in.
    """

    model: LiveModel
    stand_in: bool = False
    distance: float | None = None
    predicted_loss: float | None = None
    rule: StandInRule | None = None
    barred: bool = False
    named: bool = False
    permission: Permission | None = None

    @property
    def single(self) -> bool:
        """True if only one of its deployments may be called, and no other model."""
        return self.permission is not None and self.permission.single


def none_callable(deployments: Sequence[LiveDeployment]) -> UpstreamsFailed:
    """The error for a request whose deployments all need an operator, for instance to set a key. A retry does not help."""
    return UpstreamsFailed(
        503, f"No model that can serve this request can be called{unavailable_reasons(deployments)}.", retryable=False
    )


def unavailable_reasons(deployments: Iterable[LiveDeployment]) -> str:
    """The reasons why deployments cannot be called, in parentheses: each reason once, with the first deployment that has it."""
    first: dict[str, str] = {}
    for live in deployments:
        if (reason := live.unavailable()) is not None:
            first.setdefault(reason, live.spec.id)
    text = "; ".join(f"{deployment}: {reason}" for reason, deployment in islice(first.items(), MAX_REASONS))
    return text and f" ({text})"
