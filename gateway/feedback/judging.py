"""Asks the models that judge answers, each within its USD per day."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.config.feedback import GraderEntry
from gateway.core.vocabulary import NUSD_PER_USD, Clock
from gateway.store.database import Database, DatabaseUnavailable
from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Answer, Grade
from router.probes.checkers.grade import grade_with
from router.probes.checkers.judge import Ask
from router.probes.probe import Probe

CALLER: Final = "system:grader"  # the key id under which judgements are booked
MAX_TOKENS = 1_024  # of a judgement
UNWRITTEN_S = 5.0  # what was spent may not be in the sums yet
DAY_S = 86_400


class NotJudged(Exception):
    """An answer cannot be judged now.

    Attributes:
        result: "over_budget" or "failed".
    """

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer of a model that judges.

    Attributes:
        nusd: what it cost; None if its price is not known.
    """

    text: str
    nusd: int | None


class AskModel(Protocol):
    """Asks a model of the portfolio, with the model's price."""

    def highest_nusd(self, model: str, system: str, user: str, max_tokens: int) -> int | None:
        """What this call costs at most, nano-USD; None if the price is not known, or there is no such model."""
        ...

    async def __call__(self, model: str, system: str, user: str, max_tokens: int) -> Judgement:
        """
        Raises:
            NotJudged: it gave no answer.
        """
        ...


async def judged(grader: GraderEntry, query: str, answer: Answer, ask: Ask) -> Grade:
    """The grade that a model gives by the rubric of a grader.

    Args:
        ask: asks that model.
    """
    probe = Probe("judged", query, "graded", CheckerSpec("judge", {"rubric": grader.rubric}))
    return await grade_with(probe, answer, ask)


class Judging:
    """Judges answers.

    Args:
        database: has the sums of what was spent.
        clock: monotonic seconds.
        now: seconds since the epoch.
    """

    def __init__(
        self, database: Database, ask: AskModel, clock: Clock = time.monotonic, now: Clock = time.time
    ) -> None:
        self._database = database
        self._ask = ask
        self._clock = clock
        self._now = now
        self._unwritten: dict[str, deque[tuple[float, int]]] = {}
        self._open: dict[str, int] = {}  # model -> the highest cost of the calls in progress

    async def judge(self, grader: GraderEntry, model: str, query: str, answer: Answer) -> Grade:
        """The grade that a model gives.

        Raises:
            NotJudged: it gave no answer, or the rest of the day's USD may not be enough for it.
        """

        async def ask(system: str, user: str) -> str:
            return await self._within_budget(grader, model, system, user)

        return await judged(grader, query, answer, ask)

    async def _within_budget(self, grader: GraderEntry, model: str, system: str, user: str) -> str:
        worst = self._ask.highest_nusd(model, system, user, MAX_TOKENS)
        if worst is None:  # what cannot be counted cannot be limited
            raise NotJudged("over_budget")
        self._open[model] = self._open.get(model, 0) + worst
        try:
            spent = await self._spent(model) + self._open[model]
            if spent > grader.usd_per_day * NUSD_PER_USD:
                raise NotJudged("over_budget")
            judgement = await self._ask(model, system, user, MAX_TOKENS)
            cost = worst if judgement.nusd is None else judgement.nusd
            self._unwritten.setdefault(model, deque()).append((self._clock(), cost))
            return judgement.text
        finally:
            self._open[model] -= worst

    async def _spent(self, model: str) -> int:
        """What the model has cost as a judge since midnight (UTC), nano-USD, in all processes; some of it may count twice."""
        midnight = int(self._now()) // DAY_S * DAY_S
        recent = self._unwritten.setdefault(model, deque())
        while recent and self._clock() - recent[0][0] > UNWRITTEN_S:
            recent.popleft()
        try:
            async with self._database.read() as connection:
                from gateway.feedback.rows import judge_spending

                written = await judge_spending(connection, CALLER, model, midnight)
        except DatabaseUnavailable as exc:
            raise NotJudged("failed") from exc
        return written + sum(nusd for _, nusd in recent)
