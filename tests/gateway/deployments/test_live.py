"""The live state of deployments: limits of the portfolio, places of parallel calls, usual times, and reloads."""

import asyncio
import random
from pathlib import Path

import pytest

from gateway.deployments.breaker import Refusal
from gateway.deployments.live import MIN_TIMES, LiveDeployments
from gateway.deployments.own_limits import Reached
from gateway.provider_errors.failures import Cause
from gateway.request.requirements import Requirements
from tests.gateway.live import Time, candidates, deployment, model, portfolio

pytestmark = pytest.mark.anyio


def test_a_refused_limit_forbids_calls_until_another_try_may_help(tmp_path: Path) -> None:
    clock = Time()
    live = deployment(tmp_path, clock, rpm=2)
    assert live.unavailable() is None
    live.limits.refuse(Reached("rpm reached", clock.now + 5, clock.now + 40, "rpm"))
    assert live.unavailable() == "rpm reached"
    assert live.not_called_because() == ("at_limit", "rpm reached")
    assert live.at_limit
    assert live.wait_s() == 40
    clock.now += 5
    assert live.unavailable() is None
    assert not live.at_limit
    assert live.wait_s() == 0


def test_a_store_that_does_not_answer_is_no_limit_of_the_deployment(tmp_path: Path) -> None:
    clock = Time()
    live = deployment(tmp_path, clock, rpm=2)
    live.limits.refuse(Reached("the store of limits does not answer", clock.now + 1, clock.now + 1, None))
    assert live.unavailable() == "the store of limits does not answer"
    assert not live.at_limit


async def test_a_place_goes_to_the_first_that_waits(tmp_path: Path) -> None:
    live = deployment(tmp_path, max_parallel_requests=1)
    live.start()
    assert live.limits.busy
    assert live.unavailable() == "max_parallel_requests reached"
    order = []

    async def wait(name: str) -> None:
        assert await live.limits.wait_for_place(5.0, most=2)
        order.append(name)
        live.start()

    first, second = asyncio.create_task(wait("first")), asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    assert not await live.limits.wait_for_place(5.0, most=2)  # as many wait as may
    live.finish()
    await first
    assert not second.done()
    live.finish()
    await second
    assert order == ["first", "second"]


async def test_a_wait_for_a_place_ends_in_time_and_leaves_no_trace(tmp_path: Path) -> None:
    live = deployment(tmp_path, max_parallel_requests=1)
    live.start()
    assert not await live.limits.wait_for_place(0.01, most=1)
    waiting = asyncio.create_task(live.limits.wait_for_place(5.0, most=1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    live.finish()
    assert await live.limits.wait_for_place(0.01, most=1)


async def test_a_place_of_another_process_is_tried_again_and_the_one_that_has_its_turn_stays_first(
    tmp_path: Path,
) -> None:
    live = (
        LiveDeployments(portfolio(tmp_path, model("m", deployment={"max_parallel_requests": 4})))
        .models["m"]
        .deployments[0]
    )
    order = []

    def refuse() -> None:  # as the store does while other processes have all places
        now = live._clock()
        live.limits.refuse(Reached("max_parallel_requests reached", now + 0.02, now + 0.02, "max_parallel_requests"))

    async def wait(name: str, tries: int) -> None:
        again = False
        for left in range(tries, 0, -1):
            assert await live.limits.wait_for_place(5.0, most=2, again=again)
            if left > 1:
                refuse()
                again = True
        order.append(name)
        live.start()

    refuse()
    await asyncio.gather(wait("first", 3), wait("second", 1))
    assert order == ["first", "second"]


async def test_a_wait_that_is_given_up_in_the_moment_of_its_turn_passes_it_on(tmp_path: Path) -> None:
    live = deployment(tmp_path, max_parallel_requests=1)
    live.start()
    waiting = [asyncio.create_task(live.limits.wait_for_place(5.0, most=2)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # which it learns only after the call has ended
    live.finish()
    assert await waiting[1]
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]


async def test_a_turn_that_led_to_no_call_is_passed_on(tmp_path: Path) -> None:
    live = deployment(tmp_path, max_parallel_requests=1)
    live.start()
    first, second = (asyncio.create_task(live.limits.wait_for_place(5.0, most=2)) for _ in range(2))
    await asyncio.sleep(0)
    live.finish()
    assert await first
    live.limits.pass_turn()
    assert await second
    live.start()
    live.limits.pass_turn()  # there is no place, and no request that waits


def test_a_usual_time_is_known_after_some_answers_and_apart_for_streams(tmp_path: Path) -> None:
    live = deployment(tmp_path)
    for second in range(MIN_TIMES - 1):
        live.record_time(second, stream=True)
    assert live.usual_time_s(0.5, stream=True) is None
    live.record_time(MIN_TIMES - 1, stream=True)
    assert live.usual_time_s(0.5, stream=True) == MIN_TIMES // 2
    assert live.usual_time_s(0.95, stream=True) == int(0.95 * MIN_TIMES)
    assert live.usual_time_s(0.5, stream=False) is None


def test_without_a_key_it_waits_for_the_operator(tmp_path: Path) -> None:
    live = deployment(tmp_path, api_key="os.environ/NO_SUCH_KEY")
    assert live.unavailable() == "NO_SUCH_KEY is not set"
    assert (live.needs_operator, live.useless_to_call, live.wait_s()) == (True, True, None)


def test_a_refused_key_takes_it_out_if_a_sibling_is_left_and_the_second_refusal_in_any_case(tmp_path: Path) -> None:
    (candidate,) = candidates(tmp_path, model("m", 2))
    first, second = candidate.model.deployments
    refusal = Refusal(Cause.AUTH.value, b"one", in_words=True)
    first.refused(refusal)
    assert first.needs_operator
    assert not first.useless_to_call  # one refusal may be a mistake
    second.refused(refusal)
    assert not second.needs_operator  # no sibling is left that could do the work
    second.refused(refusal)
    assert (second.needs_operator, second.useless_to_call) == (True, True)
    assert candidate.model.needs_operator


def test_refusals_without_words_take_out_at_most_half_of_all(tmp_path: Path) -> None:
    (candidate,) = candidates(tmp_path, model("m", 3))
    for live in candidate.model.deployments:
        for request in (b"one", b"two"):
            live.refused(Refusal("refused with status 403", request, in_words=False))
    assert [live.breaker.taken_out for live in candidate.model.deployments] == [True, False, False]


def test_what_a_deployment_can_serve(tmp_path: Path) -> None:
    live = deployment(tmp_path, apis=["messages"])
    plain = Requirements(frozenset(), 1, None)
    assert live.can_serve(plain)
    assert live.can_serve(Requirements(frozenset(), 1, None, api="messages"))
    assert not live.can_serve(Requirements(frozenset(), 1, None, api="responses"), named=True)
    live.unknown_apis.note("messages")
    assert live.apis == frozenset()
    assert not live.can_serve(Requirements(frozenset(), 1, None, api="messages"))


def test_callable_deployments_come_by_weight_and_without_those_that_may_not_be_called(tmp_path: Path) -> None:
    light, heavy, out = (
        {"model": "openai/up", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "sk-up", "weight": weight}
        for port, weight in ((7, 1.0), (8, 9.0), (9, 100.0))
    )
    (candidate,) = candidates(tmp_path, model("m") | {"deployments": [light, heavy, out]})
    candidate.model.deployments[2].breaker.take_out(candidate.model.deployments[2]._clock(), "gone")
    rng = random.Random(1)
    orders = [[live.spec.id for live in candidate.model.callable_deployments(rng)] for _ in range(1_000)]
    assert {len(order) for order in orders} == {2}
    heavy_first = sum(order[0] == candidate.model.deployments[1].spec.id for order in orders)
    assert 870 <= heavy_first <= 930


def test_a_model_is_unavailable_for_the_reasons_of_all_its_deployments(tmp_path: Path) -> None:
    (candidate,) = candidates(tmp_path, model("m", 2, {"rpm": 1}))
    assert candidate.model.unavailable() is None
    for live in candidate.model.deployments:
        live.limits.refuse(Reached("rpm reached", 1e9, 1e9, "rpm"))
    assert candidate.model.unavailable() == "rpm reached"


def test_a_reload_keeps_the_state_of_deployments_that_did_not_change(tmp_path: Path) -> None:
    clock = Time()
    old = LiveDeployments(portfolio(tmp_path, model("same"), model("other")), clock=clock)
    changed = portfolio(tmp_path, model("same"), model("other", deployment={"rpm": 5}))
    new = LiveDeployments(changed, old, clock)
    assert new.models["same"].deployments[0] is old.models["same"].deployments[0]
    assert new.models["other"].deployments[0] is not old.models["other"].deployments[0]
    both = {live for one in ("same", "other") for live in new.models[one].deployments}
    assert set(new.models["same"].deployments[0].peers) == both
