"""Grades answers after they were sent, by the graders of the portfolio file. Never delays a client: a bounded queue, and workers.

If answers come faster than they can be graded, those that find no place are not graded, and counted.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from gateway.config.feedback import FeedbackEntry, GraderEntry
from gateway.core.errors import StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.feedback.graded import AnsweredText, Facts, matches
from gateway.feedback.judging import Judging, NotJudged
from gateway.feedback.outcome import GRADER, Answered, Kind, Outcome
from gateway.feedback.outcomes import Outcomes
from router.probes.checker_spec import CheckerSpec, checker_spec
from router.probes.checkers.answer import Answer, Grade
from router.probes.checkers.grade import grade_with
from router.probes.json_types import JsonValue
from router.probes.probe import Probe

log = logging.getLogger("locus.feedback")

WORKERS = 4
MOST_WAITING = 256  # answers
MOST_CHARS = 32 << 20  # of their texts
_TEXT_REFERENCES = ("exact", "choice", "regex")  # checkers whose reference is a text; of others it is JSON


@dataclass(frozen=True, slots=True)
class _Work:
    request: AnsweredText
    grader: GraderEntry


class Graders:
    """The graders of a process. Use as an async context manager.

    Args:
        settings: returns the section in force; None: nothing is graded.
        judging: asks the models that judge.
        encode: the encoding of a text, packed; None if the router cannot encode it.
        checkpoint: returns the beginning of the id of the checkpoint in force.
        graded: called with the name of the grader and "right", "wrong", "not_graded", "failed", "over_budget" or "dropped".
        random: gives numbers in [0, 1).
    """

    def __init__(
        self,
        outcomes: Outcomes,
        settings: Callable[[], FeedbackEntry | None],
        judging: Judging,
        encode: Callable[[str], Awaitable[tuple[bytes, bytes] | None]],
        checkpoint: Callable[[], str],
        graded: Callable[[str, str], None] = lambda grader, result: None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._outcomes = outcomes
        self._settings = settings
        self._judging = judging
        self._encode = encode
        self._checkpoint = checkpoint
        self._graded = graded
        self._random = random
        self._waiting: deque[_Work] = deque()
        self._chars = 0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = 0

    async def __aenter__(self) -> "Graders":
        self._tasks = [asyncio.create_task(self._run(), name="grader") for _ in range(WORKERS)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def idle(self) -> bool:
        """True if nothing waits and nothing is graded."""
        return not self._waiting and not self._busy

    def wanting(self, facts: Facts) -> list[GraderEntry]:
        """The graders that grade this request; a sample is drawn here."""
        settings = self._settings()
        if settings is None:
            return []
        return [
            grader
            for grader in settings.graders
            if matches(grader, facts) and (grader.share >= 1 or self._random() < grader.share)
        ]

    def add(self, request: AnsweredText, graders: list[GraderEntry]) -> None:
        """Grades an answer, soon. It never blocks and never fails."""
        for grader in graders:
            if len(self._waiting) >= MOST_WAITING or self._chars + request.chars > MOST_CHARS:
                self._graded(grader.name, "dropped")
                continue
            self._waiting.append(_Work(request, grader))
            self._chars += request.chars
        self._wake.set()

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            work = self._waiting.popleft()
            self._busy += 1
            try:
                result = await self._grade(work)
            except NotJudged as exc:
                result = exc.result
            except StoreUnavailable:
                result = "failed"
            except Exception as exc:  # of any kind: the next answer is graded
                log_exception(log, f"grader {work.grader.name} failed", exc)
                result = "failed"
            finally:
                self._busy -= 1
                self._chars -= work.request.chars
            self._graded(work.grader.name, result)

    async def _grade(self, work: _Work) -> str:
        request, grader = work.request, work.grader
        if self._settings() is None:
            return "dropped"
        answer = Answer(request.answer, [], request.finish_reason)
        if grader.model is not None:
            grade = await self._judging.judge(grader, grader.model, request.query, answer)
        else:
            grade = await checked(grader, request.request_id, request.facts, request.query, answer)
        if grade.score is None:
            return "not_graded"
        packed = None if request.chosen_by_vote else request.packed or await self._encode(request.query)
        encoding, surface = packed or (None, None)
        facts, checkpoint = request.facts, None if packed is None else self._checkpoint()
        of = Answered(request.request_id, facts.model, request.deployment, checkpoint, encoding, surface, request.time)
        kind: Kind = "exact" if grader.model is None else "judge"
        outcome = Outcome(of, GRADER + grader.name, kind, grade.score, grader.reliability if kind == "exact" else 1.0)
        await self._outcomes.put(outcome)
        return "right" if grade.score >= 0.5 else "wrong"


async def checked(grader: GraderEntry, request_id: str, facts: Facts, query: str, answer: Answer) -> Grade:
    """The grade of a grader that has a checker.

    Args:
        facts: of a request that the grader matches.
        query: the text of the request.
    """
    spec = grader.spec
    if spec is None:
        options = grader.checker if isinstance(grader.checker, dict) else {}
        spec = checker_spec({**options, "type": "json_schema", "schema": facts.schema})
    reference: JsonValue = grader.reference
    if grader.reference_metadata is not None:
        reference = _reference(spec, str(facts.metadata[grader.reference_metadata]))
    probe = Probe(request_id, query, "graded", spec, reference)

    async def unasked(system: str, user: str) -> str:
        raise AssertionError("a checker of a grader asks no model")

    try:
        return await grade_with(probe, answer, unasked)
    except ValueError as exc:  # the client's schema or reference is of no use
        return Grade(None, None, str(exc))


def _reference(spec: CheckerSpec, text: str) -> JsonValue:
    if spec.type in _TEXT_REFERENCES:
        return text
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value
