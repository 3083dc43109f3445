"""LiteLLM's proxy in front of the gateway, and the gateway in front of LiteLLM's proxy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anyio.from_thread import BlockingPortal

from tests.clients import tools
from tests.clients.apart_proxy import KEY, litellm_proxy
from tests.clients.serving import CAPABLE, ServedGateway
from tests.gateway.running import gateway

ASK: list[Any] = [{"role": "user", "content": "Say hello to Ada."}]
HELLO = "You said: Say hello to Ada."


@pytest.fixture(scope="module")
def proxy(apart: Path, served: ServedGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy with the gateway behind one of its models, and the provider behind another."""
    models = {
        "gateway": {"model": "openai/auto", "api_base": served.url, "api_key": "none"},
        "provider": {"model": "openai/up", "api_base": served.provider.base_url, "api_key": "sk-up"},
    }
    with litellm_proxy(apart, tmp_path_factory.mktemp("proxy"), models) as url:
        yield url


@pytest.fixture(scope="module")
def behind(portal: BlockingPortal, proxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway whose only model is the proxy's."""
    deployments = [{"model": "openai/provider", "api_base": proxy, "api_key": KEY}]
    models = [{"name": "llama-8b", "deployments": deployments, "price": {"input": 1, "output": 1}} | CAPABLE]
    with portal.wrap_async_context_manager(gateway(tmp_path_factory.mktemp("behind"), models)) as run:
        yield f"{run.url}/v1"


@pytest.fixture(params=["proxy first", "gateway first"])
def client(request: pytest.FixtureRequest, proxy: str, behind: str) -> Iterator[openai.OpenAI]:
    url = proxy if request.param == "proxy first" else behind
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def model(client: openai.OpenAI, proxy: str) -> str:
    return "gateway" if str(client.base_url).startswith(proxy) else "llama-8b"


def test_whole(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=ASK)
    assert answer.choices[0].message.content == HELLO
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6


def test_stream(client: openai.OpenAI, model: str) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=model, messages=ASK, stream=True, stream_options=options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == HELLO
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6


@pytest.mark.parametrize(
    ("question", "expected"), [(tools.QUESTION, tools.ANSWER), (tools.TWO_PLACES, tools.TWO_ANSWERS)]
)
def test_tools(client: openai.OpenAI, model: str, question: str, expected: str) -> None:
    messages: list[Any] = [{"role": "user", "content": question}]
    given: list[Any] = [tools.TOOL]
    with client.chat.completions.stream(model=model, messages=messages, tools=given) as stream:
        message = stream.get_final_completion().choices[0].message
    messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
    for call in message.tool_calls or ():
        result = tools.weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    final = client.chat.completions.create(model=model, messages=messages, tools=given)
    assert final.choices[0].message.content == expected


def test_structured_output(client: openai.OpenAI, model: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "A trip to Paris via Lyon."}]
    answer = client.chat.completions.parse(model=model, messages=messages, response_format=tools.Trip)
    assert answer.choices[0].message.parsed == tools.Trip(city="Paris", days=3, stops=["Lyon"])


def test_responses(client: openai.OpenAI, model: str) -> None:
    assert client.responses.create(model=model, input="Say hello to Ada.").output_text == HELLO
    with client.responses.stream(model=model, input="Say hello to Ada.") as stream:
        assert stream.get_final_response().output_text == HELLO


def test_messages(client: openai.OpenAI, model: str) -> None:
    root = str(client.base_url).removesuffix("/v1/")
    with anthropic.Anthropic(base_url=root, auth_token=KEY, max_retries=0) as messages:
        with messages.messages.stream(model=model, max_tokens=100, messages=ASK) as stream:
            assert stream.get_final_text() == HELLO


def test_errors(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=model, messages=ASK, max_tokens=-1)
