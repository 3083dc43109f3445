"""The official Python client on `/v1/chat/completions`, blocking and asynchronous, with its own helpers."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.clients.provider import REASONING
from tests.clients.serving import ServedGateway
from tests.clients.tools import ANSWER, QUESTION, TOOL, TWO_ANSWERS, TWO_PLACES, Trip, weather

ASK: list[Any] = [{"role": "user", "content": "Say hello to Ada."}]
HELLO = "You said: Say hello to Ada."


@pytest.fixture
def client(served: ServedGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
async def async_client(served: ServedGateway) -> Any:
    async with openai.AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "auto"
    assert {"llama-8b", "llama-70b"} < set(names)
    assert client.models.retrieve("llama-8b").id == "llama-8b"


def test_without_v1_in_the_address(served: ServedGateway) -> None:
    with openai.OpenAI(base_url=served.root, api_key="none", max_retries=0) as client:
        assert client.chat.completions.create(model="auto", messages=ASK).choices[0].message.content == HELLO
        assert client.models.list().data[0].id == "auto"


def test_a_whole_answer(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=ASK, seed=7)
    answer = raw.parse()
    assert answer.choices[0].message.content == HELLO
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == raw.headers["x-locus-model"]
    assert answer.system_fingerprint == "fp_7"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_a_stream(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="auto", messages=ASK, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == HELLO
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({c.id for c in chunks}) == 1
    assert all(c.usage is None for c in chunks)


def test_usage_of_a_stream_comes_once_and_last(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="auto", messages=ASK, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6
    assert all(c.usage is None and len(c.choices) == 1 for c in chunks[:-1])


def test_streamed_bytes(client: openai.OpenAI) -> None:
    create = client.chat.completions.with_streaming_response.create
    with create(model="auto", messages=ASK, stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = list(response.iter_lines())
    assert [line for line in lines if line][-1] == "data: [DONE]"


def test_the_stream_helper(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="auto", messages=ASK, logprobs=True, top_logprobs=2) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done", "logprobs.content.delta", "logprobs.content.done"} <= set(types)
    assert final.choices[0].message.content == HELLO
    logprobs = final.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == HELLO
    assert [len(token.top_logprobs) for token in logprobs.content] == [2] * 6


def test_several_choices(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="auto", messages=ASK, n=3)
    assert [c.message.content for c in whole.choices] == [HELLO, f"{HELLO} (2)", f"{HELLO} (3)"]
    with client.chat.completions.stream(model="auto", messages=ASK, n=3) as stream:
        final = stream.until_done().get_final_completion()
    assert [c.message.content for c in final.choices] == [c.message.content for c in whole.choices]


def test_stop_and_limit(client: openai.OpenAI) -> None:
    stopped = client.chat.completions.create(model="auto", messages=ASK, stop=[" to "])
    assert stopped.choices[0].message.content == "You said: Say hello"
    limited = client.chat.completions.create(model="auto", messages=ASK, max_completion_tokens=2)
    assert (limited.choices[0].message.content, limited.choices[0].finish_reason) == ("You said:", "length")


def test_reasoning(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="auto", messages=ASK, reasoning_effort="low")
    assert whole.choices[0].message.model_extra is not None
    assert whole.choices[0].message.model_extra["reasoning_content"] == REASONING
    assert whole.usage is not None
    assert whole.usage.completion_tokens_details is not None
    assert whole.usage.completion_tokens_details.reasoning_tokens == 5
    chunks = client.chat.completions.create(model="auto", messages=ASK, reasoning_effort="low", stream=True)
    deltas = [c.choices[0].delta for c in chunks]
    assert "".join((d.model_extra or {}).get("reasoning_content", "") for d in deltas) == REASONING
    assert "".join(d.content or "" for d in deltas) == HELLO


def test_parts_and_roles(client: openai.OpenAI, served: ServedGateway) -> None:
    pixel = "data:image/png;base64,iVBORw0KGgo="
    parts: list[Any] = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": pixel}}]
    messages: list[Any] = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": parts}]
    answer = client.chat.completions.create(model="auto", messages=messages)
    assert answer.choices[0].message.content == "You said: What is this? [1 image]"
    assert served.provider.calls[-1].body["messages"] == messages


@pytest.mark.parametrize(("question", "expected"), [(QUESTION, ANSWER), (TWO_PLACES, TWO_ANSWERS)])
def test_tools(client: openai.OpenAI, question: str, expected: str) -> None:
    messages: list[Any] = [{"role": "user", "content": question}]
    tools: list[Any] = [TOOL]
    answer = client.chat.completions.create(model="auto", messages=messages, tools=tools)
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    assert message.content is None
    messages.append(message)
    for call in message.tool_calls or ():
        assert call.type == "function"
        result = weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    final = client.chat.completions.create(model="auto", messages=messages, tools=tools)
    assert final.choices[0].message.content == expected


def test_tool_calls_in_a_stream(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": TWO_PLACES}]
    chunks = list(client.chat.completions.create(model="auto", messages=messages, tools=[TOOL], stream=True))  # type: ignore[list-item]
    deltas = [call for c in chunks for call in c.choices[0].delta.tool_calls or ()]
    for index, city in enumerate(("Paris", "Rome")):
        first, *later = (call for call in deltas if call.index == index)
        assert first.id is not None
        assert first.function is not None
        assert first.function.name == "weather"
        assert len(later) > 1
        assert all(call.id is None and call.function and call.function.name is None for call in later)
        arguments = "".join(call.function.arguments or "" for call in (first, *later) if call.function)
        assert json.loads(arguments) == {"city": city}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_stream_helper_with_parsed_tools(client: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(Trip)
    messages: list[Any] = [{"role": "user", "content": "Plan a trip to Paris via Lyon."}]
    with client.chat.completions.stream(model="auto", messages=messages, tools=[tool]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert [event.parsed_arguments for event in done] == [Trip(city="Paris", days=3, stops=["Lyon"])]


def test_structured_output(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "Plan a trip to Paris via Lyon."}]
    trip = Trip(city="Paris", days=3, stops=["Lyon"])
    whole = client.chat.completions.parse(model="auto", messages=messages, response_format=Trip)
    assert whole.choices[0].message.parsed == trip
    with client.chat.completions.stream(model="auto", messages=messages, response_format=Trip) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == trip


@pytest.mark.anyio
async def test_the_asynchronous_client(async_client: openai.AsyncOpenAI) -> None:
    assert (await async_client.models.list()).data[0].id == "auto"
    whole = await async_client.chat.completions.create(model="auto", messages=ASK)
    assert whole.choices[0].message.content == HELLO
    async with async_client.chat.completions.stream(model="auto", messages=ASK) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == HELLO
    trip = await async_client.chat.completions.parse(
        model="auto", messages=[{"role": "user", "content": "A trip to Paris."}], response_format=Trip
    )
    assert trip.choices[0].message.parsed == Trip(city="Paris", days=3, stops=["stops"])


def test_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="no-such-model", messages=ASK)
    assert unknown.value.param == "model"
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="auto", messages=[])
    assert empty.value.param == "messages"
    assert empty.value.type == "invalid_request_error"
