"""Several prompts: a request for each, and one answer of all."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.api.completions.batch import PromptWriter, merged_answer, request_for_prompt, total_usage
from gateway.api.completions.dialect import Completions
from gateway.api.completions.stream_writer import CompletionsWriter
from gateway.api.completions.text_completion import CompletionEnvelope
from gateway.request.chat_request import ChatRequest, Overrides
from tests.conformance import validate
from tests.gateway.api.completions.examples import USAGE, chat_chunk, native_event, read, written

pytestmark = pytest.mark.anyio


async def parse(**fields: Any) -> ChatRequest:
    return await Completions().parse(orjson.dumps({"model": "auto", "max_tokens": 5} | fields), {})


async def test_each_prompt_is_a_request_of_its_own() -> None:
    request = await parse(prompt=["one", "two"], n=2, stop="\n", logprobs=1)
    overrides = Overrides(exclude=frozenset({"llama-8b"}))
    second = request_for_prompt(replace(request, overrides=overrides), 1, "two")
    alone = await parse(prompt="two", n=2, stop="\n", logprobs=1)
    assert (second.fields, second.requirements, second.overrides) == (alone.fields, alone.requirements, overrides)
    assert second.native is not None
    assert second.native.fields["prompt"] == orjson.loads(second.native.body)["prompt"] == "two"


async def test_deployments_of_the_format_get_the_token_numbers() -> None:
    second = request_for_prompt(await parse(prompt=[[1, 2], [3]]), 1, "$")
    assert second.fields["messages"] == [{"role": "user", "content": "$"}]
    assert second.native is not None
    assert second.native.fields["prompt"] == [3]
    assert second.requirements.api is None


async def test_the_longest_prompt_must_fit() -> None:
    requirements = (await parse(prompt=["a" * 400, "b" * 4000, "c" * 400])).requirements
    assert (requirements.prompt_tokens, requirements.texts) == (1004, ("b" * 4000,))


def text_answer(*texts: str, **more: Any) -> dict[str, Any]:
    choices = [{"text": text, "index": at, "logprobs": None, "finish_reason": "stop"} for at, text in enumerate(texts)]
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "llama-8b", "choices": choices} | more


def test_answers_become_one() -> None:
    first, second = text_answer("a", "b", usage=USAGE), text_answer("c", "d", id="cmpl-2", created=2, usage=USAGE)
    second["choices"].reverse()
    value = merged_answer([first, second], 2)
    validate(value, "CreateCompletionResponse")
    assert [(choice["index"], choice["text"]) for choice in value["choices"]] == list(enumerate("abcd"))
    usage = {"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20}
    assert value == first | {"choices": value["choices"], "usage": usage}


def test_each_prompt_keeps_its_indexes_whatever_a_provider_gives() -> None:
    value = merged_answer([text_answer("a", "too many"), text_answer("b")], 1)
    assert [(choice["index"], choice["text"]) for choice in value["choices"]] == [(0, "a"), (1, "b")]
    value = merged_answer([text_answer("too few"), text_answer("b", "c")], 2)
    assert [(choice["index"], choice["text"]) for choice in value["choices"]] == [(0, "too few"), (2, "b"), (3, "c")]
    assert "usage" not in value


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert total_usage([USAGE, None]) is None
    assert total_usage([USAGE, dict.fromkeys(USAGE, 0)]) is None  # it has not been counted
    assert total_usage([USAGE, {"prompt_tokens": 9, "completion_tokens": 0, "cached_tokens": 8}]) == {
        "prompt_tokens": 16,
        "completion_tokens": 3,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0, "audio_tokens": 0},
    }


def test_streams_of_several_prompts_are_one() -> None:
    identity: CompletionEnvelope = {}
    whole = CompletionsWriter(usage_requested=True, identity=identity)
    first, second = PromptWriter(0, 2, identity), PromptWriter(1, 2, identity)
    data = b""
    for writer, chunk in (
        (second, chat_chunk({"content": "c"})),
        (first, chat_chunk({"content": "a"})),
        (first, chat_chunk({"content": "b"}, index=1)),
        (first, chat_chunk({"content": "no third choice"}, index=2)),
        (second, *read(native_event("d", id="cmpl-other", created=9))),
        (second, chat_chunk({}, "stop")),
    ):
        data += writer.write(chunk, chunk.fields, "llama-8b")
    events = written(data + whole.end(USAGE, "llama-8b"))
    assert events.pop() == "[DONE]"
    assert [(c["index"], c["text"]) for e in events for c in e["choices"]] == [
        (2, "c"),
        (0, "a"),
        (1, "b"),
        (2, "d"),
        (2, ""),
    ]
    assert {(event["id"], event["created"], event["model"]) for event in events} == {("cmpl-7", 5, "llama-8b")}
    assert [event.get("usage") for event in events] == [None] * 5 + [USAGE]
