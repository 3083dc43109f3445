"""Asks a deployment a probe within a limit in USD, and grades the answer."""

import asyncio
from dataclasses import dataclass

from gateway.core.vocabulary import NUSD_PER_USD
from gateway.deployments.live import LiveDeployment, LiveModel
from gateway.drift.asked import Asked, digest
from gateway.onboarding.budget import Budget, PriceUnknown, check_prices, highest_nusd
from gateway.onboarding.probe_calls import ProbeCalls, ProbeFailed
from gateway.onboarding.probe_questions import answer_of, question_of
from router.probes.checkers.grade import CUT, grade
from router.probes.probe import Probe


@dataclass(frozen=True, slots=True)
class Answered:
    """A graded answer; its round is not set yet.

    Attributes:
        nusd: what it cost, nano-USD.
    """

    asked: Asked
    nusd: int


class CannotAsk(Exception):
    """A probe was not asked or not answered, which says nothing of the model."""


class Asker:
    """Asks probes that are graded without a model.

    Args:
        limit: the name of the limit, for the message when it is reached.
        thinking: ids of deployments that need room for reasoning, although they do not say so; is added to.
    """

    def __init__(self, calls: ProbeCalls, budget: Budget, limit: str, thinking: set[str]) -> None:
        self._calls, self._budget, self._limit, self._thinking = calls, budget, limit, thinking

    async def ask(self, model: LiveModel, live: LiveDeployment, probe: Probe) -> Answered:
        """Asks one probe of one deployment.

        Raises:
            CannotAsk: the limit or the provider does not allow it, or the price is not known.
        """
        question = question_of(probe, model, thinks=live.spec.id in self._thinking)
        try:
            check_prices(model.spec, None)
        except PriceUnknown as unknown:
            raise CannotAsk(str(unknown)) from unknown
        reserved = self._budget.reserve(highest_nusd([live.spec], question))
        if reserved is None:
            usd = self._budget.limit_nusd / NUSD_PER_USD
            raise CannotAsk(f"the next probe could cost more than is left of {usd:g} USD ({self._limit})")
        nusd = 0
        try:
            reply = await self._calls.ask(model, question, "system:drift", deployment=live.spec.id)
            nusd = reply.part.cost_nusd or 0
        except ProbeFailed as failure:
            raise CannotAsk(f"could not ask: {failure}") from failure
        finally:
            self._budget.settle(reserved, nusd)
        found = await asyncio.to_thread(grade, probe, answer_of(reply.text, reply.tool_calls, reply.finish_reason))
        if found.score is None and reply.finish_reason in CUT:
            self._thinking.add(live.spec.id)  # the next probes have room for reasoning
        said = (reply.part.prompt_tokens, reply.response_model, reply.fingerprint)
        return Answered(Asked(0, probe.id, found.score, digest(found.canonical), *said), nusd)
