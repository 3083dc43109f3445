"""The official Python client on `/v1/responses`: events, tools, structured output, conversations kept by the gateway."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.lib.responses_tool_runner import RegisteredFunction, ResponsesToolRunner

from tests.clients.provider import REASONING
from tests.clients.serving import ServedGateway
from tests.clients.tools import ANSWER, PLACE, QUESTION, TWO_ANSWERS, TWO_PLACES, Trip, weather

HELLO = "You said: Say hello to Ada."
TOOL: Any = {"type": "function", "name": "weather", "description": "The weather.", "parameters": PLACE, "strict": True}
PLAN = "A trip to Paris via Lyon."
TRIP = Trip(city="Paris", days=3, stops=["Lyon"])


@pytest.fixture
def client(served: ServedGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_a_whole_answer(client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="auto", instructions="Be kind.", input="Say hello to Ada.")
    answer = raw.parse()
    assert answer.output_text == HELLO
    assert (answer.status, answer.model) == ("completed", raw.headers["x-locus-model"])
    assert answer.instructions == "Be kind."
    assert answer.usage is not None
    assert (answer.usage.output_tokens, answer.usage.output_tokens_details.reasoning_tokens) == (6, 0)


def test_a_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="auto", input="Say hello to Ada.", stream=True))
    assert events[0].type == "response.created"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == HELLO
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == HELLO
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 6


def test_the_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="auto", input="Say hello to Ada.") as stream:
        types = {event.type for event in stream}
        final = stream.get_final_response()
    assert {"response.output_text.delta", "response.output_text.done", "response.completed"} <= types
    assert final.output_text == HELLO


def test_reasoning(client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="auto", input="Say hello to Ada.", reasoning={"effort": "low", "summary": "auto"}
    )
    assert answer.output_text == HELLO
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens == 5
    (reasoning,) = (item for item in answer.output if item.type == "reasoning")
    texts = [part.text for part in [*reasoning.summary, *(reasoning.content or ())]]
    assert REASONING in texts


@pytest.mark.parametrize(("question", "expected"), [(QUESTION, ANSWER), (TWO_PLACES, TWO_ANSWERS)])
def test_tools_with_the_conversation_sent_again(client: openai.OpenAI, question: str, expected: str) -> None:
    items: list[Any] = [{"role": "user", "content": question}]
    answer = client.responses.create(model="auto", input=items, tools=[TOOL], store=False)
    items += [item.model_dump(exclude_none=True) for item in answer.output]
    items += _results(answer)
    assert client.responses.create(model="auto", input=items, tools=[TOOL], store=False).output_text == expected


def test_tools_with_the_conversation_kept(client: openai.OpenAI) -> None:
    first = client.responses.create(model="auto", input=TWO_PLACES, tools=[TOOL])
    second = client.responses.create(model="auto", previous_response_id=first.id, input=_results(first), tools=[TOOL])
    assert second.output_text == TWO_ANSWERS
    assert second.previous_response_id == first.id


def _results(answer: Any) -> list[Any]:
    calls = [item for item in answer.output if item.type == "function_call"]
    assert calls
    return [
        {"type": "function_call_output", "call_id": call.call_id, "output": weather(**json.loads(call.arguments))}
        for call in calls
    ]


def test_an_answer_that_is_not_kept_cannot_be_gone_on_from(client: openai.OpenAI) -> None:
    first = client.responses.create(model="auto", input="Say hello to Ada.", store=False)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="auto", previous_response_id=first.id, input="And to Bob.")
    assert refused.value.param == "previous_response_id"


def test_tool_calls_in_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="auto", input=TWO_PLACES, tools=[TOOL]) as stream:
        done = [e for e in stream if e.type == "response.function_call_arguments.done"]
        final = stream.get_final_response()
    assert [json.loads(event.arguments) for event in done] == [{"city": "Paris"}, {"city": "Rome"}]
    assert [item.type for item in final.output] == ["function_call", "function_call"]


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_of_a_namespace(client: openai.OpenAI, streamed: bool) -> None:
    space: Any = {"type": "namespace", "name": "mcp__sky__", "description": "The sky.", "tools": [TOOL]}
    asked: Any = {"model": "auto", "tools": [space]}
    first: Any
    if streamed:
        with client.responses.stream(input=QUESTION, **asked) as stream:
            first = stream.until_done().get_final_response()
    else:
        first = client.responses.create(input=QUESTION, **asked)
    (call,) = first.output
    assert (call.type, call.namespace, call.name) == ("function_call", "mcp__sky__", "weather")
    again = client.responses.create(previous_response_id=first.id, input=_results(first), **asked)
    assert again.output_text == ANSWER


@pytest.mark.parametrize("streamed", [False, True])
def test_the_tool_runner(client: openai.OpenAI, streamed: bool) -> None:
    function = RegisteredFunction(TOOL, lambda arguments: weather(**arguments))  # type: ignore[arg-type]
    runner = ResponsesToolRunner(functions=[function])
    answer = runner.run(client, {"model": "auto", "input": TWO_PLACES}, max_steps=3, stream=streamed)
    assert answer.output_text == TWO_ANSWERS


def test_structured_output(client: openai.OpenAI) -> None:
    assert client.responses.parse(model="auto", input=PLAN, text_format=Trip).output_parsed == TRIP
    with client.responses.stream(model="auto", input=PLAN, text_format=Trip) as stream:
        assert stream.get_final_response().output_parsed == TRIP


def test_a_parsed_tool(client: openai.OpenAI) -> None:
    tool: Any = openai.pydantic_function_tool(Trip)
    flat = {"type": "function", **tool["function"]}
    answer = client.responses.parse(model="auto", input=PLAN, tools=[flat])  # type: ignore[list-item]
    (call,) = answer.output
    assert call.type == "function_call"
    assert Trip.model_validate_json(call.arguments) == TRIP


@pytest.mark.anyio
async def test_the_asynchronous_client(served: ServedGateway) -> None:
    async with openai.AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=60) as client:
        first = await client.responses.create(model="auto", input="Say hello to Ada.")
        second = await client.responses.create(model="auto", previous_response_id=first.id, input="And to Bob.")
        assert second.output_text == "You said: And to Bob."
        async with client.responses.stream(model="auto", input="Say hello to Ada.") as stream:
            assert (await stream.get_final_response()).output_text == HELLO


def test_images(client: openai.OpenAI) -> None:
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
    ]
    answer = client.responses.create(model="auto", input=[{"role": "user", "content": parts}])  # type: ignore[list-item, misc]
    assert answer.output_text == "You said: What is this? [1 image]"


def test_a_limit(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="auto", input="Say hello to Ada.", max_output_tokens=16)
    assert answer.status == "completed"
    short = client.responses.create(model="auto", input="Say " + "well " * 30, max_output_tokens=16)
    assert short.status == "incomplete"
    assert short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"


def test_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="no-such-model", input="Hello.")
    assert unknown.value.param == "model"
    with pytest.raises(openai.BadRequestError) as missing:
        client.responses.create(model="auto", previous_response_id="resp_unknown", input="Hello.")
    assert missing.value.param == "previous_response_id"
