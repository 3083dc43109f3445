"""The LiteLLM SDK pointed at the gateway."""

import json
from typing import Any

import litellm
import pytest

from tests.clients import tools
from tests.clients.provider import embedding
from tests.clients.serving import EMBEDDING_MODEL, ServedGateway

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
]
ASK: list[Any] = [{"role": "user", "content": "Say hello to Ada."}]
HELLO = "You said: Say hello to Ada."


@pytest.fixture(params=["openai", "anthropic"])
def where(request: pytest.FixtureRequest, served: ServedGateway) -> dict[str, Any]:
    base = served.url if request.param == "openai" else served.root
    return {"model": f"{request.param}/auto", "api_base": base, "api_key": "none", "max_retries": 0, "timeout": 20}


def test_completion(where: dict[str, Any]) -> None:
    answer = litellm.completion(messages=ASK, **where)
    assert answer.choices[0].message.content == HELLO
    assert answer.usage.completion_tokens == 6


def test_stream(where: dict[str, Any]) -> None:
    chunks = list(litellm.completion(messages=ASK, stream=True, stream_options={"include_usage": True}, **where))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == HELLO
    whole: Any = litellm.stream_chunk_builder(chunks)
    assert whole.choices[0].message.content == HELLO
    assert whole.usage.completion_tokens == 6


@pytest.mark.anyio
async def test_asynchronous(where: dict[str, Any]) -> None:
    assert (await litellm.acompletion(messages=ASK, **where)).choices[0].message.content == HELLO
    stream: Any = await litellm.acompletion(messages=ASK, stream=True, **where)
    assert "".join([c.choices[0].delta.content or "" async for c in stream]) == HELLO


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("question", "expected"), [(tools.QUESTION, tools.ANSWER), (tools.TWO_PLACES, tools.TWO_ANSWERS)]
)
def test_tools(where: dict[str, Any], question: str, expected: str, streamed: bool) -> None:
    assert converse(question, streamed, where) == expected


def converse(question: str, streamed: bool, where: dict[str, Any]) -> str:
    """What the model says after its tool calls."""
    messages: list[Any] = [{"role": "user", "content": question}]
    answer: Any = litellm.completion(messages=messages, tools=[tools.TOOL], stream=streamed, **where)
    if streamed:
        answer = litellm.stream_chunk_builder(list(answer))
    message = answer.choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls:
        result = tools.weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    final: Any = litellm.completion(messages=messages, tools=[tools.TOOL], **where)
    return str(final.choices[0].message.content)


def test_structured_output(where: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "A trip to Paris via Lyon."}]
    answer: Any = litellm.completion(messages=messages, response_format=tools.Trip, **where)
    trip = tools.Trip.model_validate_json(answer.choices[0].message.content)
    assert trip == tools.Trip(city="Paris", days=3, stops=["Lyon"])


def test_errors(where: dict[str, Any]) -> None:
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(messages=ASK, **where | {"model": where["model"].replace("auto", "no-such-model")})


def test_embedding(served: ServedGateway) -> None:
    answer: Any = litellm.embedding(
        model=f"openai/{EMBEDDING_MODEL}", input=["one", "two"], api_base=served.url, api_key="none"
    )
    assert [item["embedding"] for item in answer.data] == [embedding("one"), embedding("two")]


def test_responses(served: ServedGateway) -> None:
    where = {"model": "openai/auto", "api_base": served.url, "api_key": "none"}
    assert litellm.responses(input="Say hello to Ada.", **where).output_text == HELLO
    events = list(litellm.responses(input="Say hello to Ada.", stream=True, **where))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == HELLO
