"""LlamaIndex's `OpenAILike` against a gateway, run by the Python that has it: `python llama_index_calls.py URL`.

Prints what came back as one JSON object; test_llama_index.py judges it.
"""

import asyncio
import json
import sys
from typing import Any

import pydantic
from llama_index.core import PromptTemplate
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike


class Trip(pydantic.BaseModel):
    """Where to go, and for how long."""

    city: str
    days: int
    stops: list[str]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


TOOLS = [FunctionTool.from_defaults(weather)]
HELLO = "Say hello to Ada."
QUESTIONS = ["What is the weather like in Paris?", "What is the weather like in both Paris and Rome?"]


def chat(url: str) -> dict[str, Any]:
    llm = model(url, is_chat_model=True, is_function_calling_model=True)
    message = ChatMessage(role="user", content=HELLO)
    answer = llm.chat([ChatMessage(role="system", content="Be kind."), message])
    return {
        "chat": answer.message.content,
        "usage": answer.raw.usage.completion_tokens,
        "stream_chat": [part.delta for part in llm.stream_chat([message])],
        "complete": llm.complete(HELLO).text,
        "stream_complete": [part.delta for part in llm.stream_complete(HELLO)],
        "achat": asyncio.run(llm.achat([message])).message.content,
        "tools": [tools(llm, question) for question in QUESTIONS],
        "structured": llm.structured_predict(Trip, PromptTemplate("A trip to Paris via Lyon.")).model_dump(),
    }


def tools(llm: OpenAILike, question: str) -> str | None:
    """What the model says after its tool calls, which come in a stream."""
    history = [ChatMessage(role="user", content=question)]
    *_, answer = llm.stream_chat_with_tools(TOOLS, chat_history=history, allow_parallel_tool_calls=True)
    history.append(answer.message)
    for call in llm.get_tool_calls_from_response(answer):
        result = weather(**call.tool_kwargs)
        history.append(ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": call.tool_id}))
    return llm.chat_with_tools(TOOLS, chat_history=history).message.content


def legacy(url: str) -> dict[str, Any]:
    llm = model(url, is_chat_model=False)
    return {
        "completion": llm.complete("Once upon a time").text,
        "stream_completion": [part.delta for part in llm.stream_complete("Once upon a time")],
    }


def embeddings(url: str) -> dict[str, Any]:
    embed = OpenAILikeEmbedding(model_name="embed", api_base=url, api_key="none", max_retries=0)
    return {
        "embedding": embed.get_text_embedding("one"),
        "embeddings": embed.get_text_embedding_batch(["one", "two"]),
    }


def model(url: str, **more: Any) -> OpenAILike:
    return OpenAILike(model="auto", api_base=url, api_key="none", context_window=8192, max_retries=0, **more)


if __name__ == "__main__":
    url, *parts = sys.argv[1:]
    results: dict[str, Any] = {}
    for part in parts:
        results |= {"chat": chat, "legacy": legacy, "embeddings": embeddings}[part](url)
    print(json.dumps(results))
