"""The order in which deployments are called, and those that are left for the last resort."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from gateway.answering.call_order import CallOrder
from gateway.deployments.breaker import Refusal
from gateway.deployments.own_limits import Reached
from gateway.request.chat_request import parse_chat
from gateway.routing.candidate import Candidate
from tests.gateway.live import Time, candidates, model, single

REQUEST = parse_chat(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}))


def call_order(among: Iterable[Candidate]) -> CallOrder:
    return CallOrder(REQUEST, among, Time(), random.Random(1))


def ids(order: Iterable[Any]) -> list[str]:
    return [live.spec.id for _, live in order]


def test_all_deployments_of_a_model_come_before_those_of_the_next(tmp_path: Path) -> None:
    order = ids(call_order(candidates(tmp_path, model("a", 2), model("b"))))
    assert sorted(order[:2]) == ["a/0", "a/1"]
    assert order[2:] == ["b/0"]


def test_candidates_are_read_only_as_far_as_needed(tmp_path: Path) -> None:
    order = call_order(candidates(tmp_path, model("a"), model("b"), model("c")))
    next(order)
    assert [candidate.model.name for candidate in order.candidates] == ["a"]
    assert order.more()
    assert [candidate.model.name for candidate in order.candidates] == ["a", "b"]
    assert ids(order) == ["b/0", "c/0"]  # `more` has taken none away
    assert not order.left()


def test_one_that_has_begun_to_cool_down_since_is_skipped(tmp_path: Path) -> None:
    first, second = candidates(tmp_path, model("a"), model("b"))
    order = call_order([first, second])
    assert order.more()
    first.model.deployments[0].breaker.failure(1_000.0, "overloaded", retry_after_s=10)
    assert ids(order) == ["b/0"]
    assert ids(order.last_resort()) == ["a/0"]


def test_a_prompt_that_did_not_fit_skips_windows_that_are_no_larger(tmp_path: Path) -> None:
    known = candidates(tmp_path, model("a", context_window=8_000), model("b", context_window=8_000))
    larger = candidates(tmp_path, model("c", context_window=9_000))
    order = call_order([*known, *larger])
    next(order)
    order.overran(known[0], None)
    assert ids(order) == ["c/0"]
    assert order.last_resort() == []


def test_what_the_provider_says_of_its_window_counts(tmp_path: Path) -> None:
    """A server may be started with a smaller window than its model has; the models of others may then hold the prompt."""
    small, same, smaller, unknown = candidates(
        tmp_path,
        model("a", context_window=32_000),
        model("b", context_window=32_000),
        model("c", context_window=4_000),
        model("d", context_window=None),
    )
    order = call_order([small, same, smaller, unknown])
    next(order)
    order.overran(small, 8_192)
    assert ids(order) == ["b/0", "d/0"]
    order = call_order([same, small, unknown])
    next(order)
    order.overran(same, 64_000)  # the portfolio's own number is smaller, and the prompt did not fit
    assert ids(order) == ["d/0"]


def test_a_barred_candidate_is_read_but_not_called(tmp_path: Path) -> None:
    order = call_order(candidates(tmp_path, model("a"), barred=True))
    assert ids(order) == []
    assert len(order.candidates) == 1
    assert order.last_resort() == []


def test_of_a_single_candidate_one_deployment_is_called(tmp_path: Path) -> None:
    order = call_order(map(single, candidates(tmp_path, model("a", 2))))
    assert len(ids(order)) == 1
    assert order.last_resort() == []


def test_the_last_resort_begins_with_the_busy_and_ends_with_those_taken_out(tmp_path: Path) -> None:
    clock = Time()
    out, cooling, busy = among = candidates(
        tmp_path, model("out", 2), model("cooling"), model("busy", deployment={"max_parallel_requests": 1}), clock=clock
    )
    for live in out.model.deployments:
        live.breaker.take_out(clock(), "refused", confirmed=False)
    cooling.model.deployments[0].breaker.failure(clock(), "overloaded", retry_after_s=10)
    busy.model.deployments[0].start()
    order = call_order(among)
    assert ids(order) == []
    assert ids(order.last_resort()) == ["busy/0", "cooling/0", "out/0", "out/1"]
    order.give(order.last_resort()[0])
    assert ids(order.last_resort()) == ["cooling/0", "out/0", "out/1"]
    assert order.left()


def test_the_last_resort_has_none_that_was_refused_twice_or_is_at_a_limit(tmp_path: Path) -> None:
    refused, limited = among = candidates(tmp_path, model("refused"), model("limited", deployment={"rpm": 1}))
    for _ in range(2):
        refused.model.deployments[0].refused(Refusal("auth", b"", in_words=True))
    limited.model.deployments[0].limits.refuse(Reached("rpm reached", 1e9, 1e9, "rpm"))
    order = call_order(among)
    assert ids(order) == []
    assert order.last_resort() == []
