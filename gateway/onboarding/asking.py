"""Asks one model the probes of a bank, within its limit in USD, and keeps each answer in the database."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.core.json_types import JsonObject, objects_in
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveModel
from gateway.onboarding.answers import AnswerStore, ProbeAnswer, Round, TakenOver, probe_digest
from gateway.onboarding.budget import Budget, Reserved, highest_nusd
from gateway.onboarding.jobs import Ending, Job, Progress
from gateway.onboarding.probe_calls import ProbeCalls, ProbeFailed, Question
from gateway.onboarding.probe_questions import answer_of, question_of
from gateway.onboarding.until_stored import until_stored
from router.probes.checkers.answer import Answer, Grade
from router.probes.checkers.grade import CUT, grade_with
from router.probes.probe import Probe

TRIES = 2
MOST_UNANSWERED = 0.1  # of the probes that are to be asked
JUDGE_TOKENS = 512
JUDGE_CALLS = 2
SLOW = ("judge", "python")  # checkers that take a while
BUSY = ("rate_limited", "overloaded", "at_limit")  # says nothing of the probe
PATIENCE_S = 600.0  # for a provider that only says that it is busy
PAUSE_S = 1.0  # before it is asked again


@dataclass(frozen=True, slots=True)
class Desk:
    """What asking needs of the process.

    Attributes:
        models: those in force, by name.
        asked: called with the model of each probe whose call has ended.
    """

    calls: ProbeCalls
    answers: AnswerStore
    models: Callable[[], Mapping[str, LiveModel]]
    clock: Clock
    asked: Callable[[str], None] = lambda model: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class _Planned:
    """A call, with what is reserved for it."""

    question: Question
    reserved: Reserved


class Asking:
    """The probes of one model.

    Attributes:
        scores: of the graded answers, by the id of the probe.
        unanswered: why there is no score, by the id of the probe.
        interrupted: probes whose calls had not ended when an earlier process did.
        ending: how the job of the model ends, and why; None while it goes on.
        error: mean standard error of P(correct) after the last fit; None before.
    """

    def __init__(self, desk: Desk, job: Job, bank_name: str, probes: Sequence[Probe], owner: str) -> None:
        self.job = job
        self.scores: dict[str, float] = {}
        self.unanswered: dict[str, str] = {}
        self.interrupted: list[Probe] = []
        self.ending: tuple[Ending, str] | None = None
        self.error: float | None = None
        self._desk = desk
        self._owner = owner
        self._round = Round("system:onboarding", job.model, bank_name, job.ask)
        self._probes = {probe.id: probe for probe in probes}
        self._rows: dict[str, int] = {}
        self._budget = Budget(job.options.usd)
        self._places = asyncio.Semaphore(job.options.parallel)
        self._thinks = False  # the model has used the room for reasoning
        self._unpriced_calls = 0
        self._answered_at = desk.clock()

    @property
    def name(self) -> str:
        """The model's name in the portfolio."""
        return self.job.model

    @property
    def left(self) -> int:
        """Probes that are still to be asked."""
        return max(0, self.job.options.probes - len(self.scores) - len(self.unanswered))

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            len(self.scores) + len(self.unanswered),
            len(self.scores),
            sum(self.scores.values()),
            len(self.unanswered),
            self._budget.spent_nusd,
            self._unpriced_calls,
            self.error,
        )

    def end(self, state: Ending, reason: str) -> None:
        """Asks no more; the first ending counts."""
        self.ending = self.ending or (state, reason)

    async def resume(self) -> None:
        """Takes over what was asked before: answers are not paid again, and those that were not graded yet are graded now."""
        rows = await self._desk.answers.of_round(self._round)
        spent, reserved = sum(row.nusd for row in rows), sum(row.reserved_nusd for row in rows)
        self._budget = Budget(self.job.options.usd, spent, reserved)
        self._unpriced_calls = sum(row.unpriced_calls for row in rows)
        for row in rows:
            probe = self._probes.get(row.probe)
            if probe is None or row.digest != probe_digest(probe):
                continue
            self._rows[probe.id] = row.id
            if row.score is not None:
                self.scores[probe.id] = row.score
            elif row.state == "answered" and row.answer is not None:
                await self._grade_kept(probe, row, row.answer)
            elif row.state == "asked":
                self.interrupted.append(probe)

    async def ask(self, probes: Sequence[Probe]) -> None:
        """Asks these probes. If the money suffices for none of them, the job is done."""
        try:
            await self._ask(probes)
        except TakenOver:
            self.end("stopped", "another process goes on")

    async def _ask(self, probes: Sequence[Probe]) -> None:
        planned = [(probe, plan) for probe in probes if (plan := self._plan(probe)) is not None]
        if not planned:
            self.end("done", f"no other probe fits into the limit of {self.job.options.usd:g} USD")
            return
        new = [(probe, plan.reserved.nusd) for probe, plan in planned if probe.id not in self._rows]
        made = await until_stored(partial(self._desk.answers.begin, self._round, new, self._owner))
        self._rows |= {probe.id: row for (probe, _), row in zip(new, made, strict=True)}
        fresh = {probe.id for probe, _ in new}
        for probe, plan in planned:
            if probe.id not in fresh:
                await self._reserve_again(probe, plan.reserved.nusd)
        await all_of(self._ask_in_turn(probe, plan) for probe, plan in planned)

    async def _ask_in_turn(self, probe: Probe, plan: _Planned) -> None:
        async with self._places:
            if plan.question != self._question(probe):  # it has room for reasoning now, which costs more
                before = plan.reserved
                self._budget.settle(before, 0)
                more = self._plan(probe)
                if more is None:
                    await self._not_asked(probe, before)
                    return
                await self._reserve_again(probe, more.reserved.nusd - before.nusd)
                plan = more
            await self._ask_one(probe, plan)

    async def _reserve_again(self, probe: Probe, nusd: int) -> None:
        """Writes down what is reserved for another call."""
        again = self._desk.answers.again
        await until_stored(partial(again, self._round, self._rows[probe.id], nusd, self._owner))

    async def _not_asked(self, probe: Probe, reserved: Reserved) -> None:
        """Writes down that a call was not made."""
        failed = self._desk.answers.failed
        await until_stored(partial(failed, self._rows[probe.id], "not asked", reserved.nusd, counted=False))

    async def _ask_one(self, probe: Probe, plan: _Planned) -> None:
        """Asks one probe until there is a score, or all tries are used."""
        reason = ""
        for number in range(1, TRIES + 1):
            if number > 1:
                more = self._plan(probe)
                if more is None:
                    break
                plan = more
                await self._reserve_again(probe, plan.reserved.nusd)
            outcome = await self._try(probe, plan)
            if outcome is None or isinstance(outcome, float):
                if outcome is not None:
                    self.scores[probe.id] = outcome
                    self._desk.asked(self.name)
                return
            reason = outcome
        self.unanswered[probe.id] = reason
        self._desk.asked(self.name)
        most = MOST_UNANSWERED * self.job.options.probes
        if len(self.unanswered) > most:
            self.end("failed", f"{len(self.unanswered)} probes have no answer; the last: {reason}")

    async def _try(self, probe: Probe, plan: _Planned) -> float | str | None:
        """One try: the score; or why there is none; or None if the job has ended meanwhile."""
        row, answers, reserved = self._rows[probe.id], self._desk.answers, plan.reserved
        judging = reserved.nusd * self._judging(probe) // max(1, reserved.highest_nusd)
        while True:
            model = self._desk.models().get(self.name)
            if model is None:
                self.end("failed", "the portfolio has no such model any more")
            if self.ending is not None or model is None:
                self._budget.settle(reserved, 0)
                await self._not_asked(probe, reserved)
                return None
            try:
                reply = await self._desk.calls.ask(model, plan.question, "system:onboarding")
            except ProbeFailed as failure:
                if failure.cause in BUSY and not self._impatient(failure):
                    await self._desk.sleep(PAUSE_S)
                    continue
                self._budget.settle(reserved, 0)
                await until_stored(partial(answers.failed, row, str(failure), reserved.nusd))
                if model.needs_operator:
                    self.end("failed", str(failure))
                return None if self.ending is not None else str(failure)
            break
        self._answered_at = self._desk.clock()
        self._unpriced_calls += reply.part.cost_nusd is None
        answer = answer_of(reply.text, reply.tool_calls, reply.finish_reason)
        if probe.checker.type in SLOW:  # the process may be killed meanwhile
            await until_stored(partial(answers.answered, row, reply, reserved.nusd - judging))
            grade, judge_nusd = await self._grade(probe, answer)
            await until_stored(partial(answers.graded, row, grade, judge_nusd, judging))
        else:
            grade, judge_nusd = await self._grade(probe, answer)
            await until_stored(partial(answers.answered, row, reply, reserved.nusd, grade))
        self._budget.settle(reserved, (reply.part.cost_nusd or 0) + judge_nusd)
        if grade.score is None and answer.finish_reason in CUT:
            self._thinks = True  # the next try, and the next probes, have room for reasoning
        return grade.reason if grade.score is None else grade.score

    def _impatient(self, failure: ProbeFailed) -> bool:
        """True if the provider has been busy for too long; the job ends then."""
        busy = self._desk.clock() - self._answered_at > PATIENCE_S
        if busy:
            self.end("failed", f"no answer for {PATIENCE_S / 60:.0f} minutes: {failure}")
        return busy

    def _question(self, probe: Probe) -> Question:
        return question_of(probe, self._desk.models().get(self.name), thinks=self._thinks)

    def _plan(self, probe: Probe) -> _Planned | None:
        """The next call for a probe, with the most that it and its grading can cost; None if that is more than is left."""
        question, model, highest = self._question(probe), self._desk.models().get(self.name), 0
        if model is not None:
            highest = highest_nusd([live.spec for live in model.deployments], question) + self._judging(probe)
        reserved = self._budget.reserve(highest)
        return None if reserved is None else _Planned(question, reserved)

    def _judging(self, probe: Probe) -> int:
        """The most that the grading of an answer can cost, nano-USD."""
        judge = self._judge
        if judge is None or probe.checker.type != "judge":
            return 0
        text = f"{probe.query}{probe.reference}{probe.checker.text('rubric')}" + "word " * (probe.max_tokens + 800)
        specs = [live.spec for live in judge.deployments]
        return JUDGE_CALLS * highest_nusd(specs, Question(text, JUDGE_TOKENS))

    @property
    def _judge(self) -> LiveModel | None:
        name = self.job.options.judge
        return None if name is None else self._desk.models().get(name)

    async def _grade(self, probe: Probe, answer: Answer) -> tuple[Grade, int]:
        """The grade, and what the judge cost, nano-USD."""
        nusd = 0

        async def ask(system: str, user: str) -> str:
            nonlocal nusd
            judge = self._judge
            if judge is None:
                raise ProbeFailed("unavailable", f"the portfolio has no model {self.job.options.judge}")
            reply = await self._desk.calls.ask(judge, Question(user, JUDGE_TOKENS, system=system), "system:grader")
            nusd += reply.part.cost_nusd or 0
            return reply.text

        try:
            return await grade_with(probe, answer, ask), nusd
        except ProbeFailed as failure:
            return Grade(None, None, f"the judge did not answer: {failure}"), nusd

    async def _grade_kept(self, probe: Probe, row: ProbeAnswer, kept: JsonObject) -> None:
        """Grades an answer of a process that was killed before it could."""
        answer = answer_of(str(kept.get("text") or ""), objects_in(kept.get("tool_calls")), kept.get("finish_reason"))
        grade, nusd = await self._grade(probe, answer)
        self._budget.settle(Reserved(row.reserved_nusd, row.reserved_nusd), nusd)
        await until_stored(partial(self._desk.answers.graded, row.id, grade, nusd, row.reserved_nusd))
        if grade.score is not None:
            self.scores[probe.id] = grade.score


async def all_of(work: Iterable[Coroutine[object, object, None]]) -> None:
    """Does all of it side by side; the first error ends the rest, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
