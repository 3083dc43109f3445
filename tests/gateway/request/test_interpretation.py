"""What is read from a parsed request before routing."""

import orjson
import pytest

from gateway.bodies.offload import LARGE
from gateway.config.access import Allowed
from gateway.config.settings import UtilityCalls
from gateway.core.errors import InvalidRequest
from gateway.request.chat_request import ChatRequest, Overrides, parse_chat
from gateway.request.interpretation import interpret

pytestmark = pytest.mark.anyio


def request(content: str, **more: object) -> ChatRequest:
    return parse_chat(orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": content}]} | more))


async def test_overrides_are_read_and_not_sent_upstream() -> None:
    read = await interpret(request("Hi", locus={"policy": "best"}), {b"x-locus-failover": b"off"}, None, Allowed())
    assert read.overrides == Overrides(policy="best", stand_ins="same_model")
    assert b"locus" not in read.upstream_body("m")


async def test_a_utility_call_is_marked() -> None:
    calls = UtilityCalls(policy="cheap", front_ends=["librechat"])
    title = request("Provide a concise, 5-word-or-less title for the conversation. Only the title.")
    assert (await interpret(title, {}, calls, Allowed())).is_utility_call
    assert not (await interpret(title, {b"x-locus-policy": b"best"}, calls, Allowed())).is_utility_call


async def test_the_query_of_a_large_request_is_extracted_at_once() -> None:
    large = await interpret(request("word " * LARGE), {}, None, Allowed())
    assert large.cached_query == large.query == ("word " * LARGE)[:8_000]
    assert (await interpret(request("Hi"), {}, None, Allowed())).cached_query is None


async def test_a_wrong_override_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await interpret(request("Hi"), {b"x-locus-cost-weight": b"cheap"}, None, Allowed())
    assert caught.value.param == "x-locus-cost-weight"
