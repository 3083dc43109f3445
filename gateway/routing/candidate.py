"""A model that may answer a request, and the error where none of them can be called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.core.errors import UpstreamsFailed
from gateway.deployments.live import LiveDeployment, LiveModel

MOST_REASONS = 5  # that a client is told where no model can be called


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to ask.

    Attributes:
        stand_in: it is not the chosen model.
        distance: a stand-in's embedding distance to the chosen model; None where one of them has no embedding.
        predicted_loss: p_correct of the chosen model minus that of this one, for this query; None likewise.
        named: the client asked for it: whatever is known of what it can do, its provider shall say.
        barred: the policy's `max_predicted_loss` forbids it.
        single: only one of its deployments may be asked, and no other model.
    """

    model: LiveModel
    stand_in: bool = False
    distance: float | None = None
    predicted_loss: float | None = None
    barred: bool = False
    named: bool = False
    single: bool = False


def uncallable(deployments: Sequence[LiveDeployment]) -> UpstreamsFailed:
    """The error where no deployment that could answer has a key: coming back does not help before an operator has set one."""
    return UpstreamsFailed(
        503, f"No model that can serve this request can be called{reasons(deployments)}.", retryable=False
    )


def reasons(deployments: Iterable[LiveDeployment]) -> str:
    """Why deployments cannot be called, each reason once with the first deployment that has it."""
    first: dict[str, str] = {}
    for live in deployments:
        if (reason := live.unavailable()) is not None:
            first.setdefault(reason, live.spec.id)
    told = "; ".join(f"{deployment}: {reason}" for reason, deployment in islice(first.items(), MOST_REASONS))
    return told and f" ({told})"
