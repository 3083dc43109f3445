"""The client's output limit and the context windows of models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.config.portfolio import Model
from gateway.config.price import FREE
from gateway.request.chat_request import ChatRequest, parse_chat, translated_request
from gateway.request.output_limit import needs_exact_prompt_tokens, with_fitting_output_limit
from gateway.request.request import Native
from gateway.request.requirements import read_requirements
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider


def model(window: int = 32_768, most: int | None = None) -> Model:
    return Model("m", (), None, FREE, window, most)


def ask(words: int = 1_000, **more: Any) -> ChatRequest:
    fields = {"model": "m", "messages": [{"role": "user", "content": "word " * words}]}
    return parse_chat(orjson.dumps(fields | more))


@pytest.mark.parametrize("more", [{}, {"max_tokens": 20_000}, {"max_completion_tokens": 30_000}])
def test_a_request_that_fits_stays_as_it_is(more: dict[str, Any]) -> None:
    request = ask(**more)
    assert with_fitting_output_limit(request, request.requirements, model()) is request


def test_a_limit_is_reduced_to_the_rest_of_the_window() -> None:
    request = ask(max_tokens=32_000)
    assert needs_exact_prompt_tokens(request.requirements, model())
    cut = with_fitting_output_limit(request, request.requirements, model())
    assert orjson.loads(cut.body) == cut.fields
    assert 30_000 < cut.fields["max_tokens"] <= 32_768 - 1_000
    assert cut.requirements.output_tokens == 32_000, "what the client asked for is still known"


def test_an_unknown_window_does_not_reduce_the_limit() -> None:
    request = ask(max_tokens=32_000)
    unknown = replace(model(8_192), window_known=False)
    assert not needs_exact_prompt_tokens(request.requirements, unknown)
    assert with_fitting_output_limit(request, request.requirements, unknown) is request
    assert (
        with_fitting_output_limit(request, request.requirements, replace(unknown, max_output_tokens=9_000)).fields[
            "max_tokens"
        ]
        == 9_000
    )


def test_a_limit_is_reduced_to_the_models_maximum() -> None:
    request = ask(max_tokens=32_000, max_completion_tokens=9_000)
    assert not needs_exact_prompt_tokens(request.requirements, model(200_000, 8_192))
    fields = with_fitting_output_limit(request, request.requirements, model(200_000, 8_192)).fields
    assert (fields["max_tokens"], fields["max_completion_tokens"]) == (8_192, 8_192)


def test_a_prompt_that_leaves_no_room_stays_unchanged() -> None:
    request = ask(words=40_000, max_tokens=100)
    assert with_fitting_output_limit(request, request.requirements, model()) is request


@pytest.mark.parametrize(
    ("most", "thinking"),
    [
        (8_192, {"type": "enabled", "budget_tokens": 4_096}),
        (1_500, {"type": "enabled", "budget_tokens": 1_024}),
        (1_024, {"type": "disabled"}),
        (20_000, {"type": "enabled", "budget_tokens": 16_000}),
    ],
)
def test_a_native_body_gets_the_limit_and_a_smaller_thinking_budget(most: int, thinking: dict[str, Any]) -> None:
    native = {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}}
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 32_000}
    request = translated_request(chat, Native("messages", orjson.dumps(native), native))
    cut = with_fitting_output_limit(request, request.requirements, model(200_000, most)).native
    assert cut is not None
    assert cut.fields == {"max_tokens": most, "thinking": thinking}
    assert orjson.loads(cut.body) == cut.fields


def test_only_a_limit_near_the_window_needs_exact_tokens() -> None:
    text = {"role": "user", "content": "word " * 20_000}
    requirements = read_requirements({"messages": [text], "max_tokens": 32_000})
    assert [needs_exact_prompt_tokens(requirements, model(window)) for window in (10_000, 64_000, 200_000)] == [
        False,
        True,
        False,
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["auto", "llama-8b"])
async def test_agents_work_with_small_windows(tmp_path: Path, name: str) -> None:
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, [entry("llama-8b", up.base_url, context_window=32_768)]) as run,
    ):
        body = {"model": name, "max_tokens": 32_000, "messages": [{"role": "user", "content": "word " * 1_000}]}
        assert (await run.http.post("/v1/messages", json=body)).status_code == 200
        assert up.calls[0].body["max_tokens"] + 1_000 < 32_768
