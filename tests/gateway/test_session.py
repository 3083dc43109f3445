"""Conversations keep their model: whose conversation a request is, what a switch costs, and signed reasoning on a switch."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.control import controlled
from gateway.request import parse_chat
from gateway.session import Sessions
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
FIRST: list[dict[str, Any]] = [{"role": "user", "content": "Prove that the square root of two is irrational."}]
NEXT = [
    *FIRST,
    {"role": "assistant", "content": "Suppose it were."},
    {"role": "user", "content": "Now say it in one line, please."},
]


def models(one: ScriptedProvider, other: ScriptedProvider) -> list[dict[str, Any]]:
    return [
        entry("llama-70b", one.base_url, capabilities=["tools"]),
        entry("mistral-7b", other.base_url, capabilities=["tools"]),
    ]


async def explained(
    run: Gateway, messages: list[dict[str, Any]], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    body = {"model": "auto:best", "messages": messages}
    answer = await run.http.post("/v1/route", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def ask(run: Gateway, messages: list[dict[str, Any]], headers: dict[str, str] | None = None, **more: Any) -> Any:
    body = {"model": "auto:best", "messages": messages} | more
    answer = await run.http.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_conversation_stays_with_the_model_that_answered_last(tmp_path: Path) -> None:
    settings = {"gateway": {"switch_price": 0.9}}
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), **settings) as run:
            best = (await explained(run, FIRST))["chosen"]
            away = next(name for name in ("llama-70b", "mistral-7b") if name != best)
            first = await ask(run, FIRST, {"x-locus-allow": away})
            assert first.headers["x-locus-model"] == away
            assert "x-locus-conversation" not in first.headers
            decision = await explained(run, NEXT)
            assert decision["chosen"] == away
            assert decision["conversation"]["kept"]
            assert decision["conversation"]["switch_price"]["p_correct"] == 0.9
            second = await ask(run, NEXT)
            assert (second.headers["x-locus-model"], second.headers["x-locus-conversation"]) == (away, "kept")
            assert (await explained(run, FIRST))["conversation"] is None  # begun anew, it is chosen for anew
            assert [r["conversation"] for r in await run.records()] == [None, "kept"]


async def test_a_switch_that_is_worth_it_is_made(tmp_path: Path) -> None:
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            best = (await explained(run, NEXT))["chosen"]
            away = next(name for name in ("llama-70b", "mistral-7b") if name != best)
            await ask(run, FIRST, {"x-locus-allow": away})
            again = await ask(run, NEXT)
            assert (again.headers["x-locus-model"], again.headers["x-locus-conversation"]) == (best, "switched")


async def test_nobody_else_goes_on_with_tool_calls_under_way(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [
        *FIRST,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "5"},
    ]
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            best = (await explained(run, FIRST))["chosen"]
            away = next(name for name in ("llama-70b", "mistral-7b") if name != best)
            await ask(run, FIRST, {"x-locus-allow": away})
            assert (await ask(run, loop)).headers["x-locus-model"] == away


@pytest.mark.parametrize(
    "named",
    [
        ({"x-locus-session": "s1"}, {}),
        ({"x-claude-code-session-id": "s1"}, {}),
        ({"session_id": "s1"}, {}),
        ({}, {"user": "s1"}),
        ({}, {"metadata": {"session_id": "s1"}}),
        ({}, {"locus": {"session": "s1"}}),
    ],
)
def test_a_session_is_named_by_what_clients_send(named: tuple[dict[str, str], dict[str, Any]]) -> None:
    headers, fields = {k.encode(): v.encode() for k, v in named[0].items()}, named[1]

    request = controlled(parse_chat(orjson.dumps({"model": "auto", "messages": FIRST} | fields)), headers)
    sessions = Sessions(lambda: 0.0)
    conversation = sessions.find(request, headers)
    assert conversation.name == "s1"
    sessions.answered(conversation, "m", 5)
    turn = sessions.find(request, headers).turn
    assert turn is not None
    assert turn.model == "m"


def test_the_table_is_bounded_and_the_cache_grows_cold() -> None:

    now = 0.0
    sessions = Sessions(lambda: now, most=2)
    request = parse_chat(orjson.dumps({"model": "auto", "messages": NEXT}))
    for name in (b"a", b"b", b"c"):
        sessions.answered(sessions.find(request, {b"session_id": name}), "m", 10_000)
    assert len(sessions) == 2
    assert sessions.find(request, {b"session_id": b"a"}).turn is None
    assert sessions.find(request, {b"session_id": b"c"}).cached_tokens == request.need.prompt_tokens
    now = 301.0
    assert sessions.find(request, {b"session_id": b"c"}).cached_tokens == 0


async def test_signed_reasoning_goes_back_to_its_model_alone(tmp_path: Path) -> None:
    signed = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    history = [FIRST[0], NEXT[1] | {"thinking_blocks": signed}, NEXT[2]]
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            await ask(run, FIRST, {"x-locus-allow": "mistral-7b"})
            await ask(run, history, {"x-locus-allow": "mistral-7b"})
            assert other.calls[-1].body["messages"] == history  # unchanged
            await ask(run, history, {"x-locus-allow": "llama-70b"})
            assert "thinking_blocks" not in one.calls[-1].body["messages"][1]


async def test_a_signature_that_is_refused_is_taken_out_once(tmp_path: Path) -> None:
    signed = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    history = [FIRST[0], NEXT[1] | {"thinking_blocks": signed}, NEXT[2]]
    refusal = error(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
    async with ScriptedProvider() as one:
        async with gateway(tmp_path, [entry("llama-70b", one.base_url)]) as run:
            one.replies.append(refusal)
            await ask(run, history)
            assert len(one.calls) == 2
            assert "thinking_blocks" in one.calls[0].body["messages"][1]
            assert "thinking_blocks" not in one.calls[1].body["messages"][1]
            one.replies.extend([refusal, refusal])
            answer = await run.http.post("/v1/chat/completions", json={"model": "auto", "messages": history})
            assert answer.status_code == 400
            assert len(one.calls) == 4
