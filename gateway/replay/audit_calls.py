"""Asks both models of an audited request and grades both answers, within a limit in USD.

Graders with a checker come first, then models that judge: the first that can grade both answers decides. The questions are recorded
as probes and booked under the id `system:audit`, which is no key.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.config.feedback import GraderEntry
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.deployments.live import LiveModel
from gateway.feedback.graded import Facts, matches
from gateway.feedback.graders import checked
from gateway.feedback.judging import judged
from gateway.onboarding.budget import highest_known_nusd
from gateway.onboarding.probe_calls import ProbeCalls, ProbeFailed, Question
from gateway.record.request_record import Part
from gateway.request.query_text import query_text
from router.probes.checkers.answer import Answer, Grade

CALLER: Final = "system:audit"
ANSWER_TOKENS = 1_024  # most tokens of an answer, and of a judgement


@dataclass(frozen=True, slots=True)
class Pair:
    """One request and the two models that are compared on it.

    Attributes:
        messages: of the logged request.
        facts: what decides which graders grade it; of the logged model.
        other: the model that it is compared with.
        score: of the logged answer, if it was graded already; then only the other model is asked.
    """

    request_id: str
    messages: Sequence[JsonObject]
    facts: Facts
    other: str
    score: float | None = None


class OverBudget(Exception):
    """The next call could exceed the limit, or its price is not known."""


class Auditor:
    """Grades pairs.

    Args:
        calls: makes what asks the models, given what is to be called with each billed call.
        models: those that may be asked, by name; those that judge are among them.
        graders: those that may grade.
        usd: the most that all calls together may cost. A call begins only if its highest cost still fits.

    Attributes:
        spent_nusd: what the calls so far have cost, those without an answer included.
        graded_by: how many pairs each grader has graded, by its name.
    """

    def __init__(
        self,
        calls: Callable[[Callable[[Part], None]], ProbeCalls],
        models: Mapping[str, LiveModel],
        graders: Sequence[GraderEntry],
        usd: float,
    ) -> None:
        self._calls = calls(self._billed)
        self._models = models
        self._graders = sorted(graders, key=lambda grader: grader.model is not None)
        self._limit_nusd = round(usd * NUSD_PER_USD)
        self.spent_nusd = 0
        self.graded_by: Counter[str] = Counter()

    async def grade(self, pair: Pair) -> float | None:
        """The other model's score minus that of the logged one; None if no grader could grade both.

        Raises:
            OverBudget: nothing more may be asked.
        """
        facts = pair.facts, replace(pair.facts, model=pair.other)
        graders = [grader for grader in self._graders if all(matches(grader, one) for one in facts)]
        if not graders or (other := await self._answer(pair, pair.other)) is None:
            return None
        logged: Answer | None = None
        for grader in graders:
            score = (await self._grade(grader, pair, facts[1], other)).score
            if score is None:
                continue
            before = pair.score
            if before is None:
                logged = logged or await self._answer(pair, pair.facts.model)
                if logged is None:
                    return None
                before = (await self._grade(grader, pair, facts[0], logged)).score
            if before is not None:
                self.graded_by[grader.name] += 1
                return score - before
        return None

    async def _grade(self, grader: GraderEntry, pair: Pair, facts: Facts, answer: Answer) -> Grade:
        query, model = query_text(list(pair.messages)), grader.model
        if model is None:
            return await checked(grader, pair.request_id, facts, query, answer)

        async def ask(system: str, user: str) -> str:
            return (await self._ask(model, Question(user, ANSWER_TOKENS, system=system))).text

        try:
            return await judged(grader, query, answer, ask)
        except ProbeFailed as exc:
            return Grade(None, None, str(exc))

    async def _answer(self, pair: Pair, model: str) -> Answer | None:
        """The answer of a model; None if it gives none."""
        try:
            return await self._ask(model, Question("", ANSWER_TOKENS, messages=tuple(pair.messages)))
        except ProbeFailed:
            return None

    async def _ask(self, model: str, question: Question) -> Answer:
        live = self._models[model]
        highest = highest_known_nusd(live.spec, question)
        if highest is None or self.spent_nusd + highest > self._limit_nusd:
            raise OverBudget
        reply = await self._calls.ask(live, question, CALLER)
        return Answer(reply.text, reply.tool_calls, reply.finish_reason)

    def _billed(self, part: Part) -> None:
        self.spent_nusd += part.cost_nusd or 0
