"""Calls beside each other: an answer counts, whatever fails in the same moment, and each failure is judged once."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.answering.attempts import CANCELLED, HEDGED, Attempts, CallStart
from gateway.answering.hedge import Hedge
from gateway.answering.open_call import OpenCall
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.routing.candidate import Candidate
from tests.gateway.live import deployment

pytestmark = pytest.mark.anyio


class Answer:
    """Stands for an answered call."""

    closed = False
    candidate = 0
    deployment = "m/0"
    elapsed_s = 0.0
    start = CallStart(1.0)

    async def aclose(self) -> None:
        self.closed = True


class Deployment:
    """What the hedge reads of a deployment."""

    class spec:
        id = "m/0"


def hedge(calls: dict[int, Any], judged: list[Any], noted: Attempts | None = None) -> Hedge:
    async def ask(candidate: Any, live: Any, attempts: Attempts) -> Any:
        await asyncio.sleep(0)
        if isinstance(calls[candidate], UpstreamFailure):
            raise calls[candidate]
        return calls[candidate]

    return Hedge(cast(Any, ask), lambda failure, candidate: judged.append(candidate), noted or Attempts(), lambda: 0.0)


def start(running: Hedge, number: int) -> None:
    running.start(cast(Candidate, number), cast(LiveDeployment, Deployment()))


async def test_an_answer_is_kept_where_another_call_fails_in_the_same_moment() -> None:
    for _ in range(30):  # the order in which ended tasks come is chance
        answer = Answer()
        async with hedge({0: answer, **{n: UpstreamFailure(Cause.SERVER_ERROR) for n in range(1, 6)}}, []) as running:
            for number in range(6):
                start(running, number)
            open_call = await running.result(None)
        assert open_call is cast(OpenCall, answer)
        assert not answer.closed


async def test_each_failure_is_judged_once_by_its_own_model() -> None:
    judged: list[Any] = []
    failures = {n: UpstreamFailure(Cause.UNSUPPORTED) for n in range(4)}
    async with hedge(failures, judged) as running:
        for number in range(4):
            start(running, number)
        with pytest.raises(UpstreamFailure):
            await running.result(None)
    assert sorted(judged) == [0, 1, 2, 3]


@pytest.mark.parametrize("wins", [True, False])
async def test_a_silent_call_counts_as_a_timeout_only_if_another_one_wins(wins: bool, tmp_path: Path) -> None:
    silent, attempts = deployment(tmp_path), Attempts()

    async def call(candidate: Any, live: Any, own: Attempts) -> Any:
        if live is silent:
            await asyncio.Event().wait()
        if not wins:
            raise ZeroDivisionError
        return Answer()

    async def run() -> None:
        async with Hedge(cast(Any, call), lambda *_: None, attempts, lambda: 0.0) as running:
            running.start(cast(Candidate, 0), silent)
            assert await running.result(0.01) is None
            running.mark_silent()
            start(running, 1)
            await running.result(None)

    if wins:
        await run()
    else:
        with pytest.raises(ZeroDivisionError):
            await run()
    assert (silent.last_failure and silent.last_failure.cause) == (Cause.TIMEOUT if wins else None)
    assert [attempt.cause for attempt in attempts.entries] == ["timeout" if wins else "hedged"]


async def test_a_second_answer_is_closed_and_noted() -> None:
    answers, attempts = {n: Answer() for n in range(2)}, Attempts()
    async with hedge(answers, [], attempts) as running:
        for number in answers:
            start(running, number)
        winner = await running.result(None)
    assert [answer.closed for answer in answers.values() if answer is not winner] == [True]
    assert [(attempt.cause, attempt.call) for attempt in attempts.entries] == [(HEDGED, Answer.start)]


async def test_the_winner_is_noted_as_cancelled_if_the_client_leaves_while_the_others_are_closed() -> None:
    answer, closing, slow, attempts = Answer(), asyncio.Event(), asyncio.Event(), Attempts()

    async def call(candidate: Any, live: Any, own: Attempts) -> Any:
        if candidate == 0:
            return answer
        try:
            await asyncio.sleep(60)
        finally:
            closing.set()
            await slow.wait()

    async def run() -> None:
        async with Hedge(cast(Any, call), lambda *_: None, attempts, lambda: 0.0) as running:
            start(running, 0)
            start(running, 1)
            await running.result(None)

    task = asyncio.create_task(run())
    await closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    slow.set()
    assert [attempt.cause for attempt in attempts.entries] == [HEDGED, CANCELLED]
    assert answer.closed
