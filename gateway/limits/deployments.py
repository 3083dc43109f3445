"""The limits that deployments have of their own, shared by all processes: slices of the same kind as those of keys and teams."""

from gateway.config.access import Grant
from gateway.core.errors import StoreUnavailable
from gateway.deployments.live import LiveDeployment
from gateway.deployments.own_limits import PARALLEL, Reached
from gateway.limits.engine import BudgetTerm, Counted, Refused
from gateway.limits.hold import Hold
from gateway.limits.limiter import Limiter
from gateway.provider_errors.failures import Cause, UpstreamFailure

LOOK_AGAIN_S = 5.0  # other processes give back what they do not use
AWAY_S = 1.0  # until a store that does not answer is asked again
_FIELDS: dict[Counted, str] = {"requests": "rpm", "tokens": "tpm", "parallel": PARALLEL}


class DeploymentLimits:
    """Lets calls of deployments begin.

    Args:
        limiter: of the process.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def take(self, live: LiveDeployment, grant: Grant, tokens: int) -> Hold:
        """Takes a place, one request and tokens for a call; the hold must be settled.

        A refusal is noted at the deployment, so that no further call is tried until that may help.

        Args:
            grant: the limits of the deployment.
            tokens: of the prompt and the expected answer.

        Raises:
            UpstreamFailure: a limit is reached, or the store does not answer.
        """
        try:
            taken = await self._limiter.take(grant, tokens)
        except StoreUnavailable:
            again_at = self._limiter.clock() + AWAY_S
            reached = Reached("the store of limits does not answer", again_at, again_at, None)
        else:
            if isinstance(taken, Hold):
                return taken
            reached = self._reached(taken)
        live.limits.refuse(reached)
        raise UpstreamFailure(Cause.AT_LIMIT, reason=reached.reason)

    def _reached(self, refused: Refused) -> Reached:
        term, now = refused.term, self._limiter.clock()
        assert not isinstance(term, BudgetTerm), "a deployment has no budgets"
        free_at = now + max(0.0, refused.at - self._limiter.now)
        field = _FIELDS[term.kind]
        return Reached(f"{field} reached", min(free_at, now + LOOK_AGAIN_S), free_at, field)
