"""The official client of the Anthropic API on `/v1/messages`."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_async_tool, beta_tool
from anyio.from_thread import BlockingPortal

from tests.clients import tools
from tests.clients.provider import REASONING
from tests.clients.serving import CAPABLE, ServedGateway
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider, error

HELLO = "You said: Say hello to Ada."
ASK: list[Any] = [{"role": "user", "content": "Say hello to Ada."}]
# The runner leaves the conversation to the server, unless that says that it keeps none.
TOOL: Any = {"name": "weather", "description": "The weather in a city.", "input_schema": tools.PLACE}


@beta_tool
def weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: A city.
    """
    return tools.weather(city)


@beta_async_tool
async def weather_later(city: str) -> str:
    """The weather in a city.

    Args:
        city: A city.
    """
    return tools.weather(city)


@pytest.fixture
def client(served: ServedGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.root, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_a_whole_answer(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="auto", max_tokens=100, system="Be kind.", messages=ASK)
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text == HELLO  # type: ignore[union-attr]
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    assert message.model in ("llama-8b", "llama-70b")
    assert message.usage.output_tokens == 6
    assert message.usage.input_tokens > 0


def test_with_a_bearer_token(served: ServedGateway) -> None:
    with anthropic.Anthropic(base_url=served.root, auth_token="none", max_retries=0) as client:
        assert client.messages.create(model="auto", max_tokens=100, messages=ASK).stop_reason == "end_turn"


def test_the_stream_helper(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="auto", max_tokens=100, messages=ASK) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(texts) > 1
    assert "".join(texts) == HELLO
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 6


def test_events(client: anthropic.Anthropic) -> None:
    events = list(client.messages.create(model="auto", max_tokens=100, messages=ASK, stream=True))
    kinds = [event.type for event in events if event.type != "ping"]  # type: ignore[comparison-overlap]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_stop_and_limit(client: anthropic.Anthropic) -> None:
    limited = client.messages.create(model="auto", max_tokens=2, messages=ASK)
    assert (limited.content[0].text, limited.stop_reason) == ("You said:", "max_tokens")  # type: ignore[union-attr]
    stopped = client.messages.create(model="auto", max_tokens=100, messages=ASK, stop_sequences=[" to "])
    assert stopped.content[0].text == "You said: Say hello"  # type: ignore[union-attr]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("question", "expected"), [(tools.QUESTION, tools.ANSWER), (tools.TWO_PLACES, tools.TWO_ANSWERS)]
)
def test_tools(client: anthropic.Anthropic, question: str, expected: str, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": question}]
    asked: Any = {"model": "auto", "max_tokens": 100, "messages": messages, "tools": [TOOL]}
    if streamed:
        with client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**asked)
    assert message.stop_reason == "tool_use"
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": tools.weather(**block.input)}
        for block in message.content
        if block.type == "tool_use"
    ]
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    final = client.messages.create(**asked)
    assert final.content[0].text == expected  # type: ignore[union-attr]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_tool_runner(client: anthropic.Anthropic, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": tools.TWO_PLACES}]
    runner: Any = client.beta.messages.tool_runner(
        model="auto", max_tokens=100, tools=[weather], messages=messages, stream=streamed
    )
    final = runner.until_done()
    assert final.content[0].text == tools.TWO_ANSWERS


def test_thinking(client: anthropic.Anthropic) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    message = client.messages.create(model="auto", max_tokens=2000, messages=ASK, thinking=thinking)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == REASONING  # type: ignore[union-attr]
    with client.messages.stream(model="auto", max_tokens=2000, messages=ASK, thinking=thinking) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    # What it thought comes back to it with the next turn.
    more = [*ASK, {"role": "assistant", "content": final.content}, {"role": "user", "content": "And to Bob."}]
    second = client.messages.create(model="auto", max_tokens=2000, messages=more, thinking=thinking)
    assert second.content[-1].text == "You said: And to Bob."  # type: ignore[union-attr]


def test_images(client: anthropic.Anthropic) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = client.messages.create(model="auto", max_tokens=100, messages=[{"role": "user", "content": content}])
    assert message.content[0].text == "You said: What is this? [1 image]"  # type: ignore[union-attr]


def test_structured_output(client: anthropic.Anthropic) -> None:
    messages: list[Any] = [{"role": "user", "content": "A trip to Paris via Lyon."}]
    message = client.messages.parse(model="auto", max_tokens=100, messages=messages, output_format=tools.Trip)
    assert message.parsed_output == tools.Trip(city="Paris", days=3, stops=["Lyon"])


def test_counting_tokens(client: anthropic.Anthropic) -> None:
    assert client.messages.count_tokens(model="auto", messages=ASK).input_tokens > 0


@pytest.mark.anyio
async def test_the_asynchronous_client(served: ServedGateway) -> None:
    async with anthropic.AsyncAnthropic(base_url=served.root, api_key="none", max_retries=0, timeout=60) as client:
        async with client.messages.stream(model="auto", max_tokens=100, messages=ASK) as stream:
            assert "".join([text async for text in stream.text_stream]) == HELLO


@pytest.mark.anyio
async def test_the_asynchronous_tool_runner(served: ServedGateway) -> None:
    messages: list[Any] = [{"role": "user", "content": tools.TWO_PLACES}]
    async with anthropic.AsyncAnthropic(base_url=served.root, api_key="none", max_retries=0, timeout=60) as client:
        runner = client.beta.messages.tool_runner(
            model="auto", max_tokens=100, tools=[weather_later], messages=messages
        )
        final = await runner.until_done()
    assert final.content[0].text == tools.TWO_ANSWERS  # type: ignore[union-attr]


def test_errors_of_the_request(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(model="no-such-model", max_tokens=100, messages=ASK)
    assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    with pytest.raises(anthropic.BadRequestError) as bad:
        client.messages.create(model="auto", max_tokens=100, messages=[])
    assert bad.value.body["type"] == "error"  # type: ignore[index]
    assert bad.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]


@pytest.fixture(scope="module")
def failing(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedProvider, str]]:
    """A provider, and a gateway that has only it and wants a key."""
    provider = ScriptedProvider()
    settings = {"keys": ["sk-client"], "retries": 0, "breaker_failures": 1000}
    with portal.wrap_async_context_manager(provider):
        models = [entry("llama-8b", provider.base_url, **CAPABLE)]
        made = gateway(tmp_path_factory.mktemp("failing"), models, gateway=settings)
        with portal.wrap_async_context_manager(made) as run:
            yield provider, run.url


def test_a_wrong_key(failing: tuple[ScriptedProvider, str]) -> None:
    with anthropic.Anthropic(base_url=failing[1], api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            client.messages.create(model="auto", max_tokens=100, messages=ASK)
    assert refused.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, anthropic.BadRequestError), (429, anthropic.RateLimitError), (500, anthropic.InternalServerError)],
)
def test_errors_of_the_provider(
    failing: tuple[ScriptedProvider, str], status: int, kind: type[Exception], streamed: bool
) -> None:
    provider, url = failing
    provider.replies.extend([error(status, "no")] * 4)
    with anthropic.Anthropic(base_url=url, api_key="sk-client", max_retries=0) as client:
        with pytest.raises(kind) as refused:
            client.messages.create(model="auto", max_tokens=100, messages=ASK, stream=streamed)
    provider.replies.clear()
    assert refused.value.body["type"] == "error"  # type: ignore[attr-defined]
    assert refused.value.request_id  # type: ignore[attr-defined]
