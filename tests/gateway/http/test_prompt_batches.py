"""Several prompts and token numbers on `/v1/completions`, for models that only chat and for those that do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from gateway.bodies.sse import EventReader
from gateway.http.prompt_batches import MAX_PROMPTS
from gateway.request.prompt_length import ENCODING, openai_tokenizer
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, completion, error, events, reply, stream

pytestmark = pytest.mark.anyio
PROMPTS = ["How tall is the tower?", "How deep is the lake?", "How old is the town?"]
WORDS = "two words"


def asked(call: Call) -> str:
    """The prompt of a call, by chat or by legacy completions."""
    messages = call.body.get("messages")
    return str(call.body["prompt"] if messages is None else messages[-1]["content"])


def echoing(fails: str = "", cut: str = "") -> Reply:
    """Answers each prompt with itself, `n` times; fails for one prompt, and breaks the stream of another."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        prompt, model, n = asked(call), call.body["model"], call.body.get("n") or 1
        if prompt == fails:
            return await error(422, "this prompt is refused")(call, writer)
        if not call.body.get("stream"):
            fields = completion(f"re: {prompt}", model)
            fields["choices"] = [fields["choices"][0] | {"index": at} for at in range(n)]
            return await reply(200, fields)(call, writer)
        if prompt == cut:
            return await stream(events(f"re: {prompt}", model)[:3], cut=True)(call, writer)
        parts = events(f"re: {prompt}", model, usage=True)
        if n > 1:
            more = {"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}
            parts.insert(1, chunk(model, None, choices=[more]))
        return await stream(parts, pause_s=0.001)(call, writer)

    return send


def native() -> Reply:
    """Speaks legacy completions: answers all prompts at once."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        if call.path != "/v1/completions":
            return await error(500, "asked by chat")(call, writer)
        prompts = call.body["prompt"]
        choices = [
            {"index": at, "text": "native", "finish_reason": "stop", "logprobs": None}
            for at in range(len(prompts) if isinstance(prompts[0], str | list) else 1)
        ]
        fields = {"id": "cmpl-n", "object": "text_completion", "created": 1, "model": "up", "choices": choices}
        return await reply(200, fields)(call, writer)

    return send


def speaks_completions(name: str, url: str) -> dict[str, Any]:
    model = entry(name, url)
    model["deployments"][0]["apis"] = ["completions"]
    return model


@asynccontextmanager
async def chat_only(folder: Path, answers: Reply, **more: Any) -> AsyncIterator[tuple[Gateway, ScriptedProvider]]:
    async with (
        ScriptedProvider(answers) as up,
        gateway(folder, [entry("llama-8b", up.base_url), entry("small", up.base_url)], **more) as run,
    ):
        yield run, up


async def test_each_prompt_is_asked_alone_and_the_answers_are_one(tmp_path: Path) -> None:
    async with chat_only(tmp_path, echoing()) as (run, up):
        raw = await run.client.completions.with_raw_response.create(model="llama-8b", prompt=PROMPTS, max_tokens=9)
        got = raw.parse()
        assert [(choice.index, choice.text) for choice in got.choices] == [
            (at, f"re: {prompt}") for at, prompt in enumerate(PROMPTS)
        ]
        assert (got.object, got.model, got.id[:5]) == ("text_completion", "llama-8b", "cmpl-")
        assert got.usage is not None
        assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (21, 9, 30)
        assert got.model_extra == {}
        assert raw.headers["x-locus-model"] == "llama-8b"
        assert "x-locus-tokenizer" not in raw.headers
        assert float(raw.headers["x-locus-overhead-ms"]) >= 0
        assert sorted(map(asked, up.calls)) == sorted(PROMPTS)
        assert {(call.path, call.body["max_tokens"]) for call in up.calls} == {("/v1/chat/completions", 9)}
        (record,) = await run.records()
        assert (record["api"], record["status"], record["served"], record["parts"]) == (
            "completions",
            200,
            "llama-8b",
            None,
        )
        assert (record["prompt_tokens"], record["completion_tokens"]) == (21, 9)


async def test_several_choices_of_several_prompts(tmp_path: Path) -> None:
    async with chat_only(tmp_path, echoing()) as (run, up):
        got = await run.client.completions.create(model="llama-8b", prompt=PROMPTS[:2], n=2)
        assert [(choice.index, choice.text) for choice in got.choices] == [
            (at, f"re: {PROMPTS[at // 2]}") for at in range(4)
        ]
        assert len(up.calls) == 2


@pytest.mark.parametrize("n", [1, 2])
async def test_the_stream_of_several_prompts(tmp_path: Path, n: int) -> None:
    async with chat_only(tmp_path, echoing()) as (run, _):
        chunks = [
            each
            async for each in await run.client.completions.create(
                model="llama-8b", prompt=PROMPTS, n=n, stream=True, stream_options={"include_usage": True}
            )
        ]
        last = chunks.pop()
        texts: dict[int, str] = {}
        for each in chunks:
            for choice in each.choices:
                texts[choice.index] = texts.get(choice.index, "") + choice.text
        assert texts == {at: "other" if at % n else f"re: {PROMPTS[at // n]}" for at in range(n * len(PROMPTS))}
        ended = sorted(c.index for each in chunks for c in each.choices if c.finish_reason == "stop")
        assert ended == list(range(n * len(PROMPTS)))
        assert len({(each.id, each.created, each.model) for each in [*chunks, last]}) == 1
        assert all(each.usage is None for each in chunks)
        assert (last.choices, last.usage and last.usage.prompt_tokens) == ([], 21)
        (record,) = await run.records()
        assert (record["stream"], record["error"], record["prompt_tokens"]) == (1, None, 21)
        metrics = (await run.http.get("/metrics")).text
        assert "locus_streams_continued_total{" not in metrics


async def test_usage_that_was_not_asked_for_is_not_sent_and_the_stream_ends_once(tmp_path: Path) -> None:
    async with chat_only(tmp_path, echoing()) as (run, _):
        body = {"model": "llama-8b", "prompt": PROMPTS, "stream": True}
        got = await run.http.post("/v1/completions", json=body)
        assert (got.headers["content-type"], got.headers["x-locus-model"]) == (
            "text/event-stream; charset=utf-8",
            "llama-8b",
        )
        assert b"usage" not in got.content
        assert got.content.count(b"[DONE]") == 1
        assert got.content.endswith(b"data: [DONE]\n\n")


async def test_a_prompt_that_is_refused_is_the_answer_to_all(tmp_path: Path) -> None:
    async with chat_only(tmp_path, echoing(fails=PROMPTS[1])) as (run, _):
        with pytest.raises(openai.UnprocessableEntityError, match="this prompt is refused"):
            await run.client.completions.create(model="llama-8b", prompt=PROMPTS)
        (record,) = await run.records()
        assert (record["status"], record["error"]) == (422, "rejected")
        assert "rejected" in [attempt["cause"] for attempt in record["failover"]]


async def test_a_prompt_that_fails_in_a_stream_ends_it_with_an_error(tmp_path: Path) -> None:
    async with chat_only(tmp_path, echoing(cut=PROMPTS[2]), gateway={"stream_recovery": "error"}) as (run, _):
        got = await run.http.post("/v1/completions", json={"model": "llama-8b", "prompt": PROMPTS, "stream": True})
        assert got.status_code == 200
        last = got.text.strip().rsplit("data: ", 1)[1]
        assert orjson.loads(last)["error"]["code"] == "stream_broken"
        assert "[DONE]" not in got.text
        (record,) = await run.records()
        assert (record["status"], record["error"]) == (200, "stream_broken")


async def test_each_prompt_has_its_own_stand_in(tmp_path: Path) -> None:
    async def sometimes(call: Call, writer: asyncio.StreamWriter) -> Any:
        busy = asked(call) == PROMPTS[1]
        return await (error(503, "overloaded") if busy else echoing())(call, writer)

    async with ScriptedProvider(sometimes) as up, ScriptedProvider(echoing()) as other:
        models = [entry("llama-8b", up.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models, gateway={"retries": 0}) as run:
            raw = await run.client.completions.with_raw_response.create(model="llama-8b", prompt=PROMPTS)
            got = raw.parse()
            assert [choice.text for choice in got.choices] == [f"re: {prompt}" for prompt in PROMPTS]
            assert (raw.headers["x-locus-model"], raw.headers["x-locus-stand-in"]) == ("llama-8b", "llama-70b")
            own: Any = (got.model_extra or {})["locus"]
            assert own["models"] == ["llama-8b", "llama-70b", "llama-8b"]
            assert [asked(call) for call in other.calls] == [PROMPTS[1]]
            (record,) = await run.records()
            parts = {part["model"]: part["prompt_tokens"] for part in record["parts"]}
            assert parts == {"llama-8b": 14, "llama-70b": 7}
            assert record["prompt_tokens"] == 21


async def test_a_client_that_leaves_ends_the_calls(tmp_path: Path) -> None:
    async def slow(call: Call, writer: asyncio.StreamWriter) -> Any:
        return await stream(events("one two three", call.body["model"])[:3], stall=True)(call, writer)

    async with chat_only(tmp_path, slow) as (run, up):
        body = {"model": "llama-8b", "prompt": PROMPTS, "stream": True}
        async with run.http.stream("POST", "/v1/completions", json=body) as got:
            async for _ in got.aiter_bytes():
                if len(up.calls) == len(PROMPTS):
                    break
        for call in up.calls:
            await asyncio.wait_for(call.closed.wait(), 20)
        (record,) = await run.records()
        assert (record["error"], record["usage_estimated"]) == ("client_disconnected", 1)
        assert all(
            live.in_flight == 0 for m in run.service.in_force.deployments.models.values() for live in m.deployments
        )


async def test_few_prompts_are_asked_at_once(tmp_path: Path) -> None:
    under_way, most = 0, 0

    async def slow(call: Call, writer: asyncio.StreamWriter) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await echoing()(call, writer)

    async with chat_only(tmp_path, slow) as (run, up):
        prompts = [f"question {number}" for number in range(20)]
        got = await run.client.completions.create(model="llama-8b", prompt=prompts)
        assert [choice.text for choice in got.choices] == [f"re: {prompt}" for prompt in prompts]
        assert (len(up.calls), most) == (20, 4)


async def test_too_many_prompts(tmp_path: Path) -> None:
    async with chat_only(tmp_path, echoing()) as (run, up):
        with pytest.raises(openai.BadRequestError, match=f"at most {MAX_PROMPTS} prompts") as refused:
            await run.client.completions.create(model="llama-8b", prompt=["x"] * (MAX_PROMPTS + 1))
        assert refused.value.param == "prompt"
        with pytest.raises(openai.BadRequestError, match="List fewer prompts"):
            await run.client.completions.create(
                model="llama-8b", prompt=["x"] * MAX_PROMPTS, extra_body={"x-vendor": "y" * 200_000}
            )
        assert not up.calls


async def test_a_model_of_the_format_gets_all_prompts_at_once(tmp_path: Path) -> None:
    async with ScriptedProvider(native()) as up, ScriptedProvider(echoing()) as other:
        models = [speaks_completions("llama-8b", up.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models) as run:
            for prompt in (PROMPTS, [[1, 2], [3]], [1, 2]):
                got = await run.client.completions.create(model="llama-8b", prompt=prompt)  # type: ignore[call-overload]
                assert {choice.text for choice in got.choices} == {"native"}
                assert up.calls[-1].body["prompt"] == prompt
            assert (len(up.calls), len(other.calls)) == (3, 0)
            got = await run.client.completions.create(model="llama-70b", prompt=PROMPTS)
            assert len(other.calls) == 3


async def test_where_a_model_of_the_format_fails_others_answer_each_prompt(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as up, ScriptedProvider(echoing()) as other:
        models = [speaks_completions("llama-8b", up.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models, gateway={"retries": 0}) as run:
            got = await run.client.completions.create(model="llama-8b", prompt=PROMPTS)
            assert [choice.text for choice in got.choices] == [f"re: {prompt}" for prompt in PROMPTS]
            assert up.calls[0].body["prompt"] == PROMPTS
            (record,) = await run.records()
            assert (record["status"], record["chosen"], record["served"]) == (200, "llama-8b", "llama-70b")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_stream_that_begins_late_tells_in_its_chunks(tmp_path: Path, fails: bool) -> None:
    async def slow(call: Call, writer: asyncio.StreamWriter) -> Any:
        await asyncio.sleep(0.3)
        return await (error(500) if fails else echoing())(call, writer)

    async with ScriptedProvider(slow) as up, ScriptedProvider(echoing()) as other:
        first = (speaks_completions if fails else entry)("llama-8b", up.base_url)
        settings = {"retries": 0, "keep_alive": 0.1}
        async with gateway(tmp_path, [first, entry("llama-70b", other.base_url)], gateway=settings) as run:
            body = {"model": "llama-8b", "prompt": PROMPTS, "stream": True}
            got = await run.http.post("/v1/completions", json=body)
            assert got.text.startswith(": keep-alive\n\n")
            assert got.text.count("[DONE]") == 1
            told = [json["locus"] for json in sent(got.content) if "locus" in json]
            assert {own["model"] for own in told} == {"llama-8b"}
            assert {own.get("stand_in") for own in told} == ({"llama-70b"} if fails else {None})
            assert len({choice["index"] for json in sent(got.content) for choice in json["choices"]}) == len(PROMPTS)


def sent(content: bytes) -> list[dict[str, Any]]:
    """The objects in a stream."""
    data = (event.data for event in EventReader().feed(content))
    return [orjson.loads(each) for each in data if each and each != b"[DONE]"]


async def test_token_numbers_are_decoded_for_chat_models(tmp_path: Path) -> None:
    tokens = [openai_tokenizer(ENCODING).encode_ordinary(prompt) for prompt in PROMPTS]
    async with chat_only(tmp_path, echoing()) as (run, up):
        for model in ("auto", "small"):
            got = await run.client.completions.create(model=model, prompt=tokens[0])
            assert got.choices[0].text == f"re: {PROMPTS[0]}"
            got = await run.client.completions.create(model=model, prompt=tokens)
            assert [choice.text for choice in got.choices] == [f"re: {prompt}" for prompt in PROMPTS]
        raw = await run.client.completions.with_raw_response.create(model="auto", prompt=tokens[:1])
        assert raw.parse().choices[0].text == f"re: {PROMPTS[0]}"
        assert raw.headers["x-locus-tokenizer"] == "cl100k_base"
        assert len(up.calls) == 9


@pytest.mark.parametrize(
    ("model", "prompt", "says"),
    [
        ("auto", [100257], "100257 is no token of a text"),
        ("auto", [[9906], [71, 68, 75, 75, 78]], "of another tokenizer"),
        ("llama-8b", [9906, 1917], "`llama-8b` has a tokenizer of its own"),
    ],
)
async def test_token_numbers_that_are_no_text(tmp_path: Path, model: str, prompt: Any, says: str) -> None:
    async with chat_only(tmp_path, echoing()) as (run, up):
        with pytest.raises(openai.BadRequestError, match=says) as refused:
            await run.client.completions.create(model=model, prompt=prompt)
        assert (refused.value.param, "Send text." in refused.value.message) == ("prompt", True)
        assert not up.calls


@pytest.mark.parametrize("more", [{"suffix": "end"}, {"echo": True}, {"best_of": 3}])
async def test_what_no_chat_model_can_do_is_refused_for_batches_too(tmp_path: Path, more: Any) -> None:
    async with chat_only(tmp_path, echoing()) as (run, up):
        with pytest.raises(openai.BadRequestError, match=f"`{next(iter(more))}`"):
            await run.client.completions.create(model="auto", prompt=PROMPTS, **more)
        assert not up.calls
