"""What belongs to one model is put right, or another one answers; and who may answer for a model that a request names."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.running import EMBEDDINGS, Gateway, entry, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, error

pytestmark = pytest.mark.anyio
REFUSED = "http://127.0.0.1:9/v1"
BEST = {"policies": {"first": {"cost_weight": 1000}}, "default_policy": "first"}
USER = {"role": "user", "content": "What is the weather?"}
CALLED: list[dict[str, Any]] = [
    USER,
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "I must look.",
        "tool_calls": [{"id": "call_12", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_12", "content": "rain"},
]
Test = Callable[[dict[str, Any]], Any]


def refusing(test: Test, message: str, status: int = 400) -> Reply:
    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        return await (error(status, message) if test(call.body) else answer("first"))(call, writer)

    return send


def two(first: str, second: str) -> list[dict[str, Any]]:
    """`auto` chooses the first, which is cheaper."""
    can = {"capabilities": ["tools"]}
    return [
        entry("llama-8b", first, price={"input": 0.01, "output": 0.01}, **can),
        entry("llama-70b", second, price={"input": 50.0, "output": 50.0}, **can),
    ]


async def ask(run: Gateway, model: str = "auto", messages: list[dict[str, Any]] | None = None, **more: Any) -> Any:
    fields = {"model": model, "messages": messages or [USER]} | more
    return await run.http.post("/v1/chat/completions", json=fields)


def text(response: Any) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


LOSSLESS: list[tuple[Test, str, dict[str, Any]]] = [
    (
        lambda f: any(m["role"] == "developer" for m in f["messages"]),
        "messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`",
        {"messages": [{"role": "developer", "content": "Be brief."}, USER]},
    ),
    (
        lambda f: any(
            not re.fullmatch("[a-zA-Z0-9]{9}", c["id"]) for m in f["messages"] for c in m.get("tool_calls", ())
        ),
        "Tool call id was call_12 but must be a-z, A-Z, 0-9, with a length of 9.",
        {"messages": CALLED},
    ),
    (
        lambda f: any("reasoning_content" in m for m in f["messages"]),
        "'messages.1' : property 'reasoning_content' is unsupported",
        {"messages": CALLED},
    ),
    (lambda f: f.get("tools") == [], "[] is too short - 'tools'", {"tools": []}),
]


@pytest.mark.parametrize(("test", "message", "more"), LOSSLESS, ids=["developer", "ids", "reasoning", "tools"])
async def test_what_says_the_same_is_put_right_for_named_and_chosen_models(
    tmp_path: Path, test: Test, message: str, more: dict[str, Any]
) -> None:
    async with ScriptedProvider(refusing(test, message)) as up, ScriptedProvider(answer("second")) as other:
        async with gateway(tmp_path, two(up.base_url, other.base_url), **BEST) as run:
            for model in ("auto", "llama-8b"):
                response = await ask(run, model, **more)
                assert text(response) == "first"
                assert "x-locus-left-out" not in response.headers
            assert len(up.calls) == 3  # the deployment need not refuse it twice
            assert not other.calls


async def test_sampling_is_left_out_where_the_gateway_chose_the_model(tmp_path: Path) -> None:
    only_one = "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported."
    async with ScriptedProvider(refusing(lambda f: "temperature" in f, only_one)) as up, ScriptedProvider() as other:
        async with gateway(tmp_path, two(up.base_url, other.base_url), **BEST) as run:
            for _ in range(2):
                response = await ask(run, temperature=0.2)
                assert text(response) == "first"
                assert response.headers["x-locus-left-out"] == "temperature"
            named = await ask(run, "llama-8b", temperature=0.2)
            assert named.status_code == 400
            assert "temperature" in named.json()["error"]["message"]
            assert not other.calls


async def test_what_cannot_be_put_right_goes_to_the_next_model(tmp_path: Path) -> None:
    no_parser = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    tools = [{"type": "function", "function": {"name": "f"}}]
    async with ScriptedProvider(error(400, no_parser)) as up, ScriptedProvider(answer("second")) as other:
        async with gateway(tmp_path, two(up.base_url, other.base_url), **BEST) as run:
            assert text(await ask(run, tools=tools)) == "second"
            named = await ask(run, "llama-8b", tools=tools)
            assert named.status_code == 400
            assert no_parser in named.json()["error"]["message"]
            other.default = error(400, "this model does not support tools")
            refused = await ask(run, tools=tools)
            assert refused.status_code == 400
            assert no_parser in refused.json()["error"]["message"]  # the first refusal


async def test_a_stand_ins_refusal_ends_no_request_that_an_outage_brought_there(tmp_path: Path) -> None:
    template = error(400, "System message must be at the beginning.")
    async with ScriptedProvider(template) as near, ScriptedProvider(answer("third")) as far:
        models = [entry("llama-8b", REFUSED), entry("llama-70b", near.base_url), entry("mistral-7b", far.base_url)]
        async with gateway(tmp_path, models) as run:
            assert text(await ask(run, "llama-8b")) == "third"
            far.default = template
            failed = await ask(run, "llama-8b")
            assert failed.status_code in (502, 503)


async def test_every_deployment_that_cools_down_is_asked_before_a_client_is_refused(tmp_path: Path) -> None:
    settings = {"breaker_failures": 1, "cool_down": 60, "max_cool_down": 60, "retries": 0}
    async with ScriptedProvider(error(500)) as flaky:
        models = [entry("llama-8b", REFUSED), entry("llama-70b", REFUSED), entry("mistral-7b", flaky.base_url)]
        async with gateway(tmp_path, models, gateway=settings) as run:
            for _ in range(2):
                assert (await ask(run, "llama-8b")).status_code == 502
            flaky.default = answer("back")
            assert text(await ask(run, "llama-8b")) == "back"


async def test_too_large_a_request_is_asked_elsewhere(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(error(413, "Request entity too large")) as up,
        ScriptedProvider(answer("second")) as other,
    ):
        async with gateway(tmp_path, two(up.base_url, other.base_url)) as run:
            for _ in range(6):
                assert text(await ask(run, "llama-8b")) == "second"
            assert len(up.calls) == 6  # nothing is wrong with the deployment


async def test_an_unknown_window_may_be_large_enough(tmp_path: Path) -> None:
    too_long = error(400, "This model's maximum context length is 32768 tokens.", "context_length_exceeded")
    async with ScriptedProvider(too_long) as small, ScriptedProvider(answer("long")) as large:
        unknown = entry("llama-70b", large.base_url)
        del unknown["context_window"]
        models = [entry("llama-8b", small.base_url, context_window=32_768), unknown]
        async with gateway(tmp_path, models) as run:
            assert text(await ask(run, "llama-8b")) == "long"
            long = [{"role": "user", "content": "word " * 12_000}]
            assert text(await ask(run, "llama-8b", long)) == "long"


# Who may answer for a model that a request names


@pytest.mark.parametrize(
    ("rule", "answers"),
    [("stand_ins", ["other", "stand-in"]), ("same_model", ["other", None]), ("never", [None, None])],
)
async def test_failover_for_named_models(tmp_path: Path, rule: str, answers: list[str | None]) -> None:
    async with ScriptedProvider(answer("other")) as same, ScriptedProvider(answer("stand-in")) as stand_in:
        models = [entry("llama-8b", REFUSED, same.base_url), entry("llama-70b", stand_in.base_url)]
        models[0]["deployments"][0]["weight"] = 1_000_000
        settings = {"failover_for_named": rule, "breaker_failures": 100}
        async with gateway(tmp_path, models, gateway=settings) as run:
            got = [await ask(run, "llama-8b")]
            same.default = error(500)
            got.append(await ask(run, "llama-8b"))
            texts = [text(response) if response.status_code == 200 else None for response in got]
            assert texts == answers
            assert text(await ask(run, "auto")) == "stand-in"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_stand_in_is_told_in_the_body(tmp_path: Path, path: str, streaming: bool) -> None:
    async with ScriptedProvider(answer("saved")) as good:
        models = [entry("llama-8b", REFUSED), entry("llama-70b", good.base_url)]
        body = {"model": "llama-8b", "max_tokens": 9, "stream": streaming, "messages": [USER]}
        if path == "/v1/responses":
            body = {"model": "llama-8b", "input": "hi", "stream": streaming}
        async with gateway(tmp_path, models) as run:
            response = await run.http.post(path, json=body)
            assert response.headers["x-locus-stand-in"] == "llama-70b"
            assert '"stand_in":"llama-70b"' in response.text
            if not streaming:
                told = response.json()["locus"]
                assert (told["model"], told["stand_in"]) == ("llama-8b", "llama-70b")
                assert told["stand_in_distance"] == float(response.headers["x-locus-stand-in-distance"])
            plain = await run.http.post(path, json=body | {"model": "llama-70b"})
            assert "locus" not in plain.text


async def test_ten_models_are_asked_before_refusals_count_as_the_requests_own_fault(tmp_path: Path) -> None:
    refusal = error(400, "This model does not support tools")
    async with ScriptedProvider(refusal) as up, ScriptedProvider(answer("the eighth")) as last:
        listed = [entry(f"m{i}", up.base_url, capabilities=["tools"]) for i in range(7)]
        listed.append(entry("m7", last.base_url, capabilities=["tools"]))
        for model in listed:
            model["embedding"] = EMBEDDINGS["llama-8b"]
            model["price"] = {"input": float(model["name"][1:]) + 1.0, "output": 1.0}
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
        async with gateway(tmp_path, listed, **BEST) as run:
            got = await run.http.post(
                "/v1/chat/completions", json={"model": "auto", "messages": [USER], "tools": tools}
            )
            assert got.status_code == 200, got.text
            assert "the eighth" in got.text
