"""Asks both models of an audited request and has a judge grade both answers, within a limit in USD.

The questions are recorded as probes and booked under the id `system:audit`, which is no key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.deployments.live import LiveModel
from gateway.onboarding.budget import highest_known_nusd
from gateway.onboarding.probe_calls import ProbeCalls, ProbeFailed, Question
from gateway.request.query_text import query_text
from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Answer
from router.probes.checkers.grade import grade_with
from router.probes.probe import Probe

CALLER: Final = "system:audit"
ANSWER_TOKENS = 1_024  # most tokens of an answer, and of a judgement
JUDGE = CheckerSpec("judge")


@dataclass(frozen=True, slots=True)
class Pair:
    """One request and the two models that are compared on it.

    Attributes:
        messages: of the logged request.
        score: of the logged answer, if it was graded already; then only the other model is asked.
    """

    messages: Sequence[JsonObject]
    logged: str
    other: str
    score: float | None = None


class OverBudget(Exception):
    """The next call could exceed the limit, or its price is not known."""


class Auditor:
    """Grades pairs.

    Args:
        calls: to the models.
        models: those that may be asked, by name; the judge is among them.
        judge: the name of the model that grades.
        usd: the most that all calls together may cost. A call begins only if its highest cost still fits.

    Attributes:
        spent_nusd: what the calls so far have cost.
    """

    def __init__(self, calls: ProbeCalls, models: Mapping[str, LiveModel], judge: str, usd: float) -> None:
        self._calls = calls
        self._models = models
        self._judge = judge
        self._limit_nusd = round(usd * NUSD_PER_USD)
        self.spent_nusd = 0

    async def grade(self, pair: Pair) -> float | None:
        """The other model's score minus that of the logged one; None if one of them could not be graded.

        Raises:
            OverBudget: nothing more may be asked.
        """
        other = await self._score(pair.other, pair.messages)
        if other is None:
            return None
        logged = await self._score(pair.logged, pair.messages) if pair.score is None else pair.score
        return None if logged is None else other - logged

    async def _score(self, model: str, messages: Sequence[JsonObject]) -> float | None:
        question = Question("", ANSWER_TOKENS, messages=tuple(messages))
        text = query_text(list(messages))
        try:
            answer = await self._ask(model, question)
            probe = Probe("audit", text, "audit", JUDGE)
            return (await grade_with(probe, answer, self._ask_judge)).score
        except ProbeFailed:
            return None

    async def _ask_judge(self, system: str, user: str) -> str:
        question = Question(user, ANSWER_TOKENS, system=system)
        return (await self._ask(self._judge, question)).text

    async def _ask(self, model: str, question: Question) -> Answer:
        live = self._models[model]
        highest = highest_known_nusd(live.spec, question)
        if highest is None or self.spent_nusd + highest > self._limit_nusd:
            raise OverBudget
        reply = await self._calls.ask(live, question, CALLER)
        self.spent_nusd += reply.part.cost_nusd or 0
        return Answer(reply.text, reply.tool_calls, reply.finish_reason)
