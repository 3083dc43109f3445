"""Conversations stay with their model: how a request is assigned, what a switch costs, and signed reasoning after a switch."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.request.chat_request import parse_chat
from gateway.request.conversation import ConversationTable
from gateway.request.last_answer import LastAnswer
from gateway.request.overrides import with_overrides
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Reply, ScriptedProvider, answer, completion, error, reply

pytestmark = pytest.mark.anyio
FIRST: list[dict[str, Any]] = [{"role": "user", "content": "Prove that the square root of two is irrational."}]
NEXT = [  # "fine" is what the provider answers
    *FIRST,
    {"role": "assistant", "content": "fine"},
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


async def test_a_conversation_switches_if_the_gain_exceeds_the_cost(tmp_path: Path) -> None:
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            best = (await explained(run, NEXT))["chosen"]
            away = next(name for name in ("llama-70b", "mistral-7b") if name != best)
            await ask(run, FIRST, {"x-locus-allow": away})
            again = await ask(run, NEXT)
            assert (again.headers["x-locus-model"], again.headers["x-locus-conversation"]) == (best, "switched")


CALL = {"id": "call_1f", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP = [
    *FIRST,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1f", "content": "5"},
]


def calling(call: dict[str, Any] = CALL) -> Reply:
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return reply(
        200, completion("", "m") | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    )


async def test_tool_results_go_to_the_model_that_made_the_calls(tmp_path: Path) -> None:
    async with ScriptedProvider(calling()) as one, ScriptedProvider(calling()) as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            best = (await explained(run, FIRST))["chosen"]
            away = next(name for name in ("llama-70b", "mistral-7b") if name != best)
            await ask(run, FIRST, {"x-locus-allow": away})
            assert (await ask(run, LOOP)).headers["x-locus-model"] == away
            assert (await ask(run, LOOP, {"x-locus-min-p-correct": "0.99"})).headers["x-locus-model"] == away


async def test_a_sub_agent_does_not_take_over_the_session_of_its_agent(tmp_path: Path) -> None:
    session = {"x-claude-code-session-id": "s1"}
    other_task = [{"role": "user", "content": "Look at the list of files, please, and tell me what they are."}]
    async with ScriptedProvider(calling()) as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            await ask(run, FIRST, session | {"x-locus-allow": "llama-70b"})
            agent = await ask(
                run, other_task, session | {"x-claude-code-agent-id": "a1", "x-locus-allow": "mistral-7b"}
            )
            assert "x-locus-conversation" not in agent.headers
            await ask(run, other_task, session | {"x-locus-allow": "mistral-7b"})  # one that does not say what it is
            again = await ask(run, LOOP, session)
            assert (again.headers["x-locus-model"], again.headers["x-locus-conversation"]) == ("llama-70b", "kept")


async def test_conversations_with_equal_beginnings_differ_by_their_last_answer(tmp_path: Path) -> None:
    canned: list[dict[str, Any]] = [
        {"role": "system", "content": "You are an expert programmer."},
        {"role": "user", "content": "I switched to a new code base. Do not consider the files from before."},
        {"role": "assistant", "content": "Ok."},
    ]
    mine = [*canned, {"role": "user", "content": "Write a parser for dates in the ISO format."}]
    yours = [*canned, {"role": "user", "content": "Write a parser for times in the ISO format."}]
    async with ScriptedProvider(answer("Mine.")) as one, ScriptedProvider(answer("Yours.")) as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.9}) as run:
            first = await ask(run, mine, {"x-locus-allow": "llama-70b"})
            second = await ask(run, yours, {"x-locus-allow": "mistral-7b"})
            for begun in (first, second):
                assert "x-locus-conversation" not in begun.headers
            for history, said, model in ((mine, "Mine.", "llama-70b"), (yours, "Yours.", "mistral-7b")):
                more = [*history, {"role": "assistant", "content": f" {said}\n"}, {"role": "user", "content": "Go on."}]
                found = await ask(run, more)
                assert (found.headers["x-locus-model"], found.headers["x-locus-conversation"]) == (model, "kept")
            stranger = [*mine, {"role": "assistant", "content": "Another."}, {"role": "user", "content": "Go on."}]
            assert "x-locus-conversation" not in (await ask(run, stranger)).headers


@pytest.mark.parametrize("path", ["chat", "messages", "responses", "previous response"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_conversation_is_identified_in_every_api(tmp_path: Path, path: str, streamed: bool) -> None:
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        store = {"gateway": {"switch_price": 0.9, "responses": str(tmp_path / "responses.db")}}
        async with gateway(tmp_path, models(one, other), **store) as run:
            first, more = {
                "chat": (FIRST, NEXT),
                "messages": (FIRST, NEXT),
                "responses": (FIRST, NEXT),
                "previous response": (FIRST, NEXT[2:]),
            }[path]
            url = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}.get(path, "/v1/responses")
            turns = "messages" if path in ("chat", "messages") else "input"
            body: dict[str, Any] = {"model": "auto:best", turns: first, "stream": streamed}
            if path == "messages":
                body["max_tokens"] = 99
            begun = await run.http.post(url, json=body, headers={"x-locus-allow": "mistral-7b"})
            assert begun.status_code == 200, begun.text
            body[turns] = more
            if path == "previous response":
                body["previous_response_id"] = re.findall(r'"id":"(resp_[^"]+)"', begun.text)[0]
            found = await run.http.post(url, json=body)
            assert found.status_code == 200, found.text
            assert (found.headers["x-locus-model"], found.headers["x-locus-conversation"]) == ("mistral-7b", "kept")


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
def test_the_session_is_read_from_each_header_and_field(named: tuple[dict[str, str], dict[str, Any]]) -> None:
    headers, fields = {k.encode(): v.encode() for k, v in named[0].items()}, named[1]

    request = with_overrides(parse_chat(orjson.dumps({"model": "auto", "messages": FIRST} | fields)), headers)
    sessions = ConversationTable(lambda: 0.0)
    conversation = sessions.find(request, headers)
    assert conversation.name == "s1"
    sessions.record_answer(conversation, "m", 5, LastAnswer("A"))
    turn = sessions.find(request, headers).sticky_turn
    assert turn is not None
    assert turn.model == "m"


def test_long_session_names_are_shortened_but_stay_different() -> None:
    sessions = ConversationTable(lambda: 0.0)

    def name(user: str) -> str:
        body = orjson.dumps({"model": "auto", "messages": FIRST, "metadata": {"user_id": user}})
        return sessions.find(parse_chat(body), {}).name

    long = ["a" * 5_000, "b" + "a" * 5_000, "a" * 5_000 + "b"]
    assert len({name(user) for user in long}) == 3
    assert all(len(name(user)) <= 256 for user in long)
    session = "1d2c3b4a-0000-4000-8000-000000000000"
    assert name(f"user_{'0' * 5_000}_session_{session}") == session


def test_the_table_is_bounded_and_cached_tokens_expire() -> None:

    now = 0.0
    sessions = ConversationTable(lambda: now, max_turns=4)
    request = parse_chat(orjson.dumps({"model": "auto", "messages": NEXT}))
    for name in (b"a", b"b", b"c"):
        sessions.record_answer(sessions.find(request, {b"session_id": name}), "m", 10_000, LastAnswer(name.decode()))
    assert len(sessions) == 4  # each has its answer and its name
    assert sessions.find(request, {b"session_id": b"a"}).sticky_turn is None
    assert sessions.find(request, {b"session_id": b"c"}).cached_tokens == request.requirements.prompt_tokens
    now = 301.0
    assert sessions.find(request, {b"session_id": b"c"}).cached_tokens == 0


async def test_signed_reasoning_is_sent_only_to_its_own_model(tmp_path: Path) -> None:
    signed = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    history = [FIRST[0], NEXT[1] | {"thinking_blocks": signed}, NEXT[2]]
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.0}) as run:
            await ask(run, FIRST, {"x-locus-allow": "mistral-7b"})
            await ask(run, history, {"x-locus-allow": "mistral-7b"})
            assert other.calls[-1].body["messages"] == history  # unchanged
            await ask(run, history, {"x-locus-allow": "llama-70b"})
            assert "thinking_blocks" not in one.calls[-1].body["messages"][1]


async def test_another_policy_chooses_again_but_knows_the_last_model(tmp_path: Path) -> None:
    signed = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    history = [FIRST[0], NEXT[1] | {"thinking_blocks": signed}, NEXT[2]]
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        async with gateway(tmp_path, models(one, other), gateway={"switch_price": 0.9}) as run:
            await ask(run, FIRST, {"x-locus-allow": "mistral-7b"})
            changed = await ask(run, history, {"x-locus-allow": "llama-70b"}, model="auto:cheap")
            assert "x-locus-conversation" not in changed.headers
            assert "thinking_blocks" not in one.calls[-1].body["messages"][1]


async def test_a_refused_signature_is_removed_once(tmp_path: Path) -> None:
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
