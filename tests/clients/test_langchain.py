"""LangChain's OpenAI classes."""

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from tests.clients import tools
from tests.clients.provider import embedding
from tests.clients.serving import EMBEDDING_MODEL, ServedGateway

HELLO = "You said: Say hello to Ada."


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return tools.weather(city)


@pytest.fixture(params=[False, True], ids=["chat", "responses"])
def model(request: pytest.FixtureRequest, served: ServedGateway) -> ChatOpenAI:
    return model_at(served.url, request.param)


def model_at(url: str, responses: bool) -> ChatOpenAI:
    # With an address of its own it asks for the usage of a stream only when told to; the Responses API always gives it.
    more: dict[str, Any] = {"use_responses_api": True} if responses else {"stream_usage": True}
    return ChatOpenAI(model="auto", base_url=url, api_key="none", max_retries=0, timeout=60, **more)


def test_invoke(model: ChatOpenAI) -> None:
    answer = model.invoke([("system", "Be kind."), ("human", "Say hello to Ada.")])
    assert answer.text == HELLO
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 6
    assert answer.response_metadata["model_name"] in ("llama-8b", "llama-70b")


def test_stream(model: ChatOpenAI) -> None:
    chunks = list(model.stream("Say hello to Ada."))
    assert len(chunks) > 6
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == HELLO
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 6


@pytest.mark.anyio
async def test_asynchronous(served: ServedGateway) -> None:
    for responses in (False, True):  # in one event loop, since LangChain keeps the connections for the next model
        model = model_at(served.url, responses)
        assert (await model.ainvoke("Say hello to Ada.")).text == HELLO
        assert "".join([chunk.text async for chunk in model.astream("Say hello to Ada.")]) == HELLO


def test_batch(model: ChatOpenAI) -> None:
    answers = model.batch([f"Say {word}." for word in ("one", "two", "three")])
    assert [answer.text for answer in answers] == [f"You said: Say {word}." for word in ("one", "two", "three")]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("question", "expected"), [(tools.QUESTION, tools.ANSWER), (tools.TWO_PLACES, tools.TWO_ANSWERS)]
)
def test_tools(model: ChatOpenAI, question: str, expected: str, streamed: bool) -> None:
    assert converse(model, question, streamed) == expected


def converse(model: ChatOpenAI, question: str, streamed: bool) -> Any:
    """What the model says after its tool calls."""
    bound = model.bind_tools([weather])
    messages: list[Any] = [HumanMessage(question)]
    answer: Any
    if streamed:
        answer = AIMessageChunk("")
        for chunk in bound.stream(messages):
            answer += chunk
    else:
        answer = bound.invoke(messages)
    assert answer.tool_calls
    results = [weather.invoke(call) for call in answer.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    return bound.invoke([*messages, answer, *results]).text


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(model: ChatOpenAI, method: Any) -> None:
    trip = model.with_structured_output(tools.Trip, method=method).invoke("A trip to Paris via Lyon.")
    assert trip == tools.Trip(city="Paris", days=3, stops=["Lyon"])


def test_embeddings(served: ServedGateway) -> None:
    vectors = OpenAIEmbeddings(
        model=EMBEDDING_MODEL, base_url=served.url, api_key="none", max_retries=0, check_embedding_ctx_length=False
    )
    assert vectors.embed_query("one") == embedding("one")
    assert vectors.embed_documents(["one", "two"]) == [embedding("one"), embedding("two")]


def test_legacy_completions(served: ServedGateway) -> None:
    model = OpenAI(model="auto", base_url=served.url, api_key="none", max_retries=0)
    assert model.invoke("Once upon a time")
