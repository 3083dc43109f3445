"""After the first content byte: the answer goes on without a gap or a repeat, or ends as the error that it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.clients import ASK, CALM, LONG, Got, ask, body, in_flight, official, short, until
from tests.faults.conftest import Serve
from tests.faults.provider import Ending, Persona, crlf, multi_line, numbered, pieces, play, zipped
from tests.gateway.running import Gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, error, events, reply, silent

pytestmark = pytest.mark.anyio
TEXT = numbered(24)
SENTENCES = (
    "The capital of France is Paris. It lies on the Seine, where two trade routes crossed. "
    "Kings kept their court there from the tenth century on. That is why roads, money and people went there. "
    "The railways of the nineteenth century only drew the same star once more."
)
OTHER = "In short: it is Paris, for the old reason that kings lived there and all roads were built to lead to them."
CUT = 9
# Ways in which a stream can break in the middle, as endings of a Persona; all of them break its ninth token.
ENDINGS: list[Ending] = ["close", "reset", "stall", "half chunk", "half chunk reset", "half event", "comments", "whole"]


@asynccontextmanager
async def pair(serve: Serve, first: Reply, second: Reply, **more: Any) -> AsyncIterator[tuple[Gateway, Any, Any]]:
    """A gateway whose llama-8b answers as `first` and llama-70b, its stand-in, as `second`."""
    further = more.pop("deployment", {})
    settings = more.pop("gateway", {})
    async with ScriptedProvider(first) as a, ScriptedProvider(second) as b:
        models = [
            short("llama-8b", a.base_url, deployment=further, **more),
            short("llama-70b", b.base_url, deployment=further, **more),
        ]
        async with serve(models, gateway=CALM | settings) as run:
            yield run, a, b
            await until(lambda: in_flight(run) == 0)


async def last_record(run: Gateway) -> dict[str, Any]:
    return (await run.records())[-1]


async def handed_over(run: Gateway, got: Got, text: str) -> dict[str, Any]:
    """Asserts a whole answer that llama-8b began and llama-70b ended; gives the record."""
    got.complete(text, streaming=True)
    assert got.models[0] == "llama-8b"
    assert got.headers["x-locus-model"] == "llama-8b"
    assert "x-locus-stand-in" not in got.headers
    final = str(got.chunks[-2:])  # the final metadata names all; a usage chunk may follow
    assert "llama-8b" in final
    assert "llama-70b" in final
    record = await last_record(run)
    assert (record["status"], record["error"]) == (200, None)
    assert record["chosen"] == "llama-8b"
    assert "llama-70b" in str(record)
    assert "llama-8b/0" in {attempt["deployment"] for attempt in record["failover"]}
    return record


# Who goes on, and how


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_broken_stream_is_gone_on_by_prefill(serve: Serve, ending: Ending) -> None:
    first = Persona(TEXT, cut_after=CUT, ending=ending)
    second = Persona(TEXT)
    async with pair(serve, first, second) as (run, a, b):
        await handed_over(run, await ask(run, stream=True), TEXT)
        assert b.calls[-1].body["messages"][-1]["role"] == "assistant"
        assert b.calls[-1].tokens == 24 - CUT  # none twice
        assert not second.odd
        await until(lambda: all(call.ended_at for call in a.calls))
        a.calls.clear()
        await handed_over(run, await official(run, stream=True), TEXT)


async def test_the_text_that_prefill_goes_on_with_may_come_without_its_space(serve: Serve) -> None:
    async with pair(serve, Persona(TEXT, cut_after=CUT), Persona(TEXT, prefill="goes on, stripped")) as (run, _, _b):
        await handed_over(run, await ask(run, stream=True), TEXT)


@pytest.mark.parametrize("prefill", ["goes on", "ignores", 400])
async def test_a_cut_between_the_last_word_and_the_finish(serve: Serve, prefill: Any) -> None:
    async with pair(serve, Persona(TEXT, cut_after=24), Persona(TEXT, prefill=prefill)) as (run, _, _b):
        got = await ask(run, stream=True)
        got.complete(TEXT, streaming=True)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (4, 7), (0, 1000), (1, 1)])
@pytest.mark.parametrize("prefill", ["goes on", "ignores", 400])
async def test_tokens_of_another_size(serve: Serve, prefill: Any, sizes: tuple[int, int]) -> None:
    """Cut within a word, and matched where the other model's tokens end elsewhere."""
    first, second = sizes
    for cut in (1, 5, 7):
        async with pair(
            serve, Persona(SENTENCES, cut_after=cut, piece=first), Persona(SENTENCES, prefill=prefill, piece=second)
        ) as (run, _, _b):
            (await ask(run, stream=True)).complete(SENTENCES, streaming=True)


async def test_a_joined_stream_is_one_to_the_official_accumulator(serve: Serve) -> None:
    """It adds up strings: a second role would show."""
    async with pair(serve, Persona(TEXT, cut_after=CUT), Persona(TEXT)) as (run, _, _b):
        async with run.client.chat.completions.stream(model="llama-8b", messages=ASK) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.role == "assistant"
        assert final.choices[0].message.content == TEXT
        assert final.choices[0].finish_reason == "stop"
        got = await ask(run, stream=True)
        roles = [c["delta"]["role"] for chunk in got.chunks for c in chunk["choices"] if c["delta"].get("role")]
        assert roles == ["assistant"]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_the_limit_of_tokens_holds_for_the_whole(serve: Serve, limit: str) -> None:
    async with pair(serve, Persona(TEXT, cut_after=CUT), Persona(TEXT)) as (run, _, b):
        (await ask(run, stream=True, **{limit: 40})).complete(TEXT, streaming=True)
        assert 1 <= b.calls[-1].body[limit] <= 40 - CUT


async def test_empty_deltas_after_content_are_a_stall(serve: Serve) -> None:
    async with pair(serve, Persona(TEXT, cut_after=CUT, ending="empty deltas"), Persona(TEXT)) as (run, a, _):
        async with asyncio.timeout(60):
            await handed_over(run, await ask(run, stream=True), TEXT)
        assert a.calls[0].ended == "closed by the caller"


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
async def test_a_cut_in_the_reasoning_begins_anew(serve: Serve, key: str) -> None:
    """No word of the answer is out yet, so it is simply asked for again."""
    parts = [chunk("m", {"role": "assistant", "content": ""}), chunk("m", {key: "Let me think"})]
    async with pair(serve, play(parts, "reset"), Persona(TEXT)) as (run, _, _b):
        got = await ask(run, stream=True)
        if got.error is None:
            got.complete(TEXT, streaming=True)
        else:
            got.broken("")


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_prefill_is_learnt(serve: Serve, status: Any) -> None:
    first, second = Persona(TEXT, cut_after=CUT), Persona(TEXT, prefill=status)
    async with pair(serve, first, second) as (run, _, b):
        for _ in range(3):
            await handed_over(run, await ask(run, stream=True), TEXT)
        prefilled = [call.body["messages"][-1]["role"] == "assistant" for call in b.calls]
        assert prefilled.count(True) <= 1
        assert prefilled[1:] == [False] * (len(prefilled) - 1)
        assert not second.odd


async def test_a_deployment_that_says_it_takes_no_prefill_is_not_asked_to(serve: Serve) -> None:
    first, second = Persona(TEXT, cut_after=CUT), Persona(TEXT, prefill=400)
    async with pair(serve, first, second, deployment={"prefill": False}) as (run, _, b):
        await handed_over(run, await ask(run, stream=True), TEXT)
        assert all(call.body["messages"][-1]["role"] == "user" for call in b.calls)


@pytest.mark.parametrize("text", [TEXT, SENTENCES], ids=["words", "sentences"])
@pytest.mark.parametrize("cut", [1, 2, CUT, 23])
async def test_a_fresh_answer_that_begins_alike_is_matched(serve: Serve, text: str, cut: int) -> None:
    async with pair(serve, Persona(text, cut_after=cut), Persona(text, prefill="ignores")) as (run, _, _b):
        await handed_over(run, await ask(run, stream=True), text)


@pytest.mark.parametrize("prefill", ["ignores", 400])
@pytest.mark.parametrize("asked", ["goes on", "repeats a word", "repeats five words", "repeats a sentence"])
async def test_a_fresh_answer_that_begins_differently_is_asked_to_go_on(serve: Serve, prefill: Any, asked: Any) -> None:
    for cut in (3, 16, 30, 45):
        second = Persona(OTHER, prefill=prefill, asked=asked, on=SENTENCES)
        async with pair(serve, Persona(SENTENCES, cut_after=cut), second) as (run, _, b):
            await handed_over(run, await ask(run, stream=True), SENTENCES)
            assert not second.odd
            assert b.calls[-1].body["messages"][-1]["role"] == "user"


PATIENT = {
    "idle_timeout": 5,
    "first_token_timeout": 5,
}  # where streams are cut, and a busy machine's silence is no fault
REPEATING = [
    "The matrix is:\n0 0 0 0 0 0\n0 0 0 0 0 0\n0 0 1 0 0 0\n0 0 0 0 0 0\nas you can see.",
    "| a | b |\n|---|---|\n| 1 | 1 |\n| 1 | 1 |\n| 1 | 2 |\n| 1 | 1 |\n| 1 | 1 |\n",
    "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
]


@pytest.mark.parametrize("text", REPEATING, ids=["matrix", "table", "song"])
@pytest.mark.parametrize("prefill", ["goes on", "ignores"])
async def test_text_that_repeats_itself_is_gone_on_without_a_gap(serve: Serve, text: str, prefill: Any) -> None:
    """The next words may well equal the last ones."""
    for cut in range(2, len(pieces(text)) - 1, 2):
        second = Persona(text, prefill=prefill)
        async with pair(serve, Persona(text, cut_after=cut), second, deployment=PATIENT) as (run, _, _b):
            (await ask(run, stream=True)).complete(text, streaming=True)


@pytest.mark.parametrize("text", REPEATING, ids=["matrix", "table", "song"])
async def test_text_that_repeats_itself_is_gone_on_by_request(serve: Serve, text: str) -> None:
    """The model begins with the last five words, as it is told to."""
    second = Persona(OTHER, prefill=400, asked="repeats five words", on=text)
    for cut in range(6, len(pieces(text)) - 1, 4):
        async with pair(serve, Persona(text, cut_after=cut), second, deployment=PATIENT) as (run, _, _b):
            (await ask(run, stream=True)).complete(text, streaming=True)


async def test_a_model_that_cannot_go_on_at_all_gives_no_false_answer(serve: Serve) -> None:
    """A fresh answer that begins differently, whatever it is asked: joining it would be a gap."""
    async with pair(serve, Persona(TEXT, cut_after=CUT), Persona(OTHER, prefill="ignores", asked="afresh")) as (
        run,
        _,
        _b,
    ):
        got = await ask(run, stream=True)
        assert got.text.startswith(numbered(CUT))
        if got.error is None:  # it may be taken for a continuation by request: then its text comes whole and once
            assert got.text.count(OTHER) == 1
        else:
            got.broken(got.text)


async def test_the_one_that_goes_on_may_break_too(serve: Serve) -> None:
    async with (
        ScriptedProvider(Persona(TEXT, cut_after=5)) as a,
        ScriptedProvider(Persona(TEXT, cut_after=6, ending="reset")) as b,
        ScriptedProvider(Persona(TEXT)) as c,
    ):
        models = [
            short("llama-8b", a.base_url),
            short("llama-70b", b.base_url),
            short("mistral-7b", c.base_url),
        ]
        async with serve(models, gateway=CALM) as run:
            got = await ask(run, stream=True)
            got.complete(TEXT, streaming=True)
            record = await last_record(run)
            assert {"llama-8b", "llama-70b", "mistral-7b"} <= {
                name for name in ("llama-8b", "llama-70b", "mistral-7b") if name in str(record) and name in got.raw
            }
            assert record["error"] is None


@pytest.mark.parametrize(
    "fault",
    [
        error(500),
        error(429, headers={"retry-after": "60"}),
        error(401),
        error(400, "maximum context length is 8192 tokens", "context_length_exceeded"),
        silent(),
        play([chunk("m", {"role": "assistant", "content": ""})], "reset"),
        reply(200, b"<html>"),
    ],
    ids=["500", "429", "401", "too long", "silence", "reset", "HTML"],
)
async def test_a_stand_in_that_fails_at_once_is_passed_over(serve: Serve, fault: Reply) -> None:
    async with (
        ScriptedProvider(Persona(TEXT, cut_after=5)) as a,
        ScriptedProvider(fault) as b,
        ScriptedProvider(Persona(TEXT)) as c,
    ):
        models = [
            short("llama-8b", a.base_url),
            short("llama-70b", b.base_url),
            short("mistral-7b", c.base_url),
        ]
        async with serve(models, gateway=CALM) as run:
            (await ask(run, stream=True)).complete(TEXT, streaming=True)


async def test_a_stand_in_that_refuses_an_optional_field_is_asked_without_it(serve: Serve) -> None:
    """That is no refusal of the prefill."""

    async def second(call: Call, writer: asyncio.StreamWriter) -> Any:
        if "stream_options" in call.body:
            return await error(400, "Unrecognized request argument supplied: stream_options")(call, writer)
        return await Persona(TEXT)(call, writer)

    async with pair(serve, Persona(TEXT, cut_after=CUT), second) as (run, _, b):
        for _ in range(2):
            await handed_over(run, await ask(run, stream=True), TEXT)
        assert [call.body["messages"][-1]["role"] for call in b.calls] == ["assistant"] * 3
        assert ["stream_options" in call.body for call in b.calls] == [True, False, False]


async def test_only_one_model_with_one_deployment(serve: Serve) -> None:
    """It goes on itself if it recovers; otherwise an error event ends the stream."""
    async with ScriptedProvider(Persona(TEXT, cut_after=CUT, cuts=1)) as up:
        async with serve([short("llama-8b", up.base_url)], gateway=CALM) as run:
            got = await ask(run, stream=True)
            if got.error is None:
                got.complete(TEXT, streaming=True)
            else:
                got.broken(numbered(CUT))
            up.replies += [Persona(TEXT, cut_after=CUT)]
            up.default = error(500)
            got = await ask(run, stream=True)
            got.broken(numbered(CUT))
            record = await last_record(run)
            assert record["error"] == "stream_broken"
            await until(lambda: in_flight(run) == 0)


async def test_no_other_deployment_can_go_on(serve: Serve) -> None:
    async with pair(serve, error(500), error(500)) as (run, a, _):
        for how in (ask, official):
            a.replies.append(Persona(TEXT, cut_after=CUT))
            got = await how(run, stream=True)
            got.broken(numbered(CUT))
            assert "127.0.0.1" not in str(got.error)
            assert (await last_record(run))["error"] == "stream_broken"


async def test_recovery_can_be_switched_off(serve: Serve) -> None:
    settings = {"stream_recovery": "error"}
    async with pair(serve, Persona(TEXT, cut_after=CUT), Persona(TEXT), gateway=settings) as (run, _, b):
        (await ask(run, stream=True)).broken(numbered(CUT))
        assert not b.calls
        assert (await last_record(run))["error"] == "stream_broken"


# What is never gone on


TOOL = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@pytest.mark.parametrize("ending", ["close", "reset", "stall"])
@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ([chunk("m", {"role": "assistant", "tool_calls": TOOL})], {"tools": TOOLS}),
        ([chunk("m", {"content": '{"a'})], {"response_format": {"type": "json_object"}}),
        (
            [chunk("m", {"content": '{"a'})],
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
        ),
        ([chunk("m", {"content": "x"})], {"n": 2}),
    ],
    ids=["tool call", "json_object", "json_schema", "n=2"],
)
async def test_begun_structure_is_not_gone_on(
    serve: Serve, parts: list[bytes], more: dict[str, Any], ending: Ending
) -> None:
    able = {"capabilities": ["tools", "json_schema"]}
    async with pair(serve, play(parts, ending), Persona(TEXT), **able) as (run, _, b):
        got = await ask(run, stream=True, **more)
        assert got.error is not None, got.raw
        assert got.done == 0
        assert got.finishes == []
        assert not b.calls
        record = await last_record(run)
        assert record["error"] == "stream_broken"


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ([chunk("m", {"role": "assistant", "content": ""})], {"tools": TOOLS}),
        ([chunk("m", {"role": "assistant", "content": ""})], {"response_format": {"type": "json_object"}}),
        ([chunk("m", {"role": "assistant", "content": ""})], {"n": 2}),
    ],
    ids=["tools", "json_object", "n=2"],
)
async def test_structure_of_which_nothing_was_sent_moves_on(
    serve: Serve, parts: list[bytes], more: dict[str, Any]
) -> None:
    able = {"capabilities": ["tools", "json_schema"]}
    async with pair(serve, play(parts, "reset"), Persona(TEXT), **able) as (run, _, _b):
        got = await ask(run, stream=True, **more)
        assert got.text == TEXT
        assert got.error is None


async def test_text_before_a_tool_call_is_gone_on(serve: Serve) -> None:
    """Tools were offered, but only text has been sent."""
    able = {"capabilities": ["tools"]}
    async with pair(serve, Persona(TEXT, cut_after=CUT), Persona(TEXT), **able) as (run, _, _b):
        got = await ask(run, stream=True, tools=TOOLS)
        if got.error is None:
            got.complete(TEXT, streaming=True)
        else:
            got.broken(numbered(CUT))


# Events that are wrong in themselves


async def test_one_bad_event_in_a_healthy_stream_is_skipped(serve: Serve) -> None:
    whole = events(TEXT, "m", usage=True)
    for bad in (b"data: {broken\n\n", b'data: {"id": "c", "object": "chat.completion.chunk"}\n\n', b"data: 7\n\n"):
        async with pair(serve, play([*whole[:9], bad, *whole[9:]]), Persona(TEXT)) as (run, a, b):
            got = await ask(run, stream=True)
            got.complete(TEXT, streaming=True)
            assert got.models == ["llama-8b"]
            assert len(a.calls) == 1
            assert not b.calls


WORDS = [chunk("m", {"content": token}) for token in ("w0", " w1", " w2")]
STOP = chunk("m", {}, "stop")
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "rest",
    [
        [b"data: {broken\n\n"] * 6,
        [b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'],
        [b'event: error\ndata: {"message": "overloaded", "type": "overloaded_error"}\n\n'],
        [b'data: {"error": "no more"}\n\n', STOP, DONE],
        [DONE],
        [],
        [chunk("m", {}, "error"), DONE],
    ],
    ids=["bad events", "error event", "named error event", "error text", "no finish", "nothing", "finish: error"],
)
async def test_a_malformed_rest_is_gone_on_elsewhere(serve: Serve, rest: list[bytes]) -> None:
    second = Persona(TEXT)
    async with pair(serve, play([*WORDS, *rest]), second) as (run, _, b):
        await handed_over(run, await ask(run, stream=True), TEXT)
        assert b.calls[-1].tokens == 21
        assert not second.odd


async def test_a_content_filter_in_the_middle_is_not_routed_around(serve: Serve) -> None:
    filtered = b'data: {"error": {"message": "filtered: violence", "code": "content_filter"}}\n\n'
    async with pair(serve, play([*WORDS, filtered]), Persona(TEXT)) as (run, _, b):
        (await ask(run, stream=True)).broken("w0 w1 w2")
        assert not b.calls


async def test_a_finish_by_the_content_filter_or_the_limit_is_an_ending(serve: Serve) -> None:
    for finish in ("length", "content_filter"):
        async with pair(serve, play([*WORDS, chunk("m", {}, finish), DONE]), Persona(TEXT)) as (run, _, b):
            got = await ask(run, stream=True)
            assert (got.text, got.finishes, got.done, got.error) == ("w0 w1 w2", [finish], 1, None)
            assert not b.calls


@pytest.mark.parametrize(
    "parts",
    [
        [*WORDS, STOP],
        [*WORDS, STOP, STOP, DONE],
        [*WORDS, STOP, chunk("m", {"content": ""}, "stop"), DONE],
        [*WORDS, STOP, DONE, DONE],
        [*WORDS, STOP, b"data: [DONE]\n"],
        [b": hi\n\n", *WORDS[:1], b": ping\n\n", b"data:\n\n", *WORDS[1:], STOP, DONE],
        [chunk("m", {"role": "assistant", "content": token}) for token in ("w0", " w1", " w2")] + [STOP, DONE],
        crlf([*WORDS, STOP, DONE]),
        [multi_line(part) for part in [*WORDS, STOP]] + [DONE],
        [b"\xef\xbb\xbf", *WORDS, STOP, DONE],
        [b"".join([*WORDS, STOP, DONE])],
        [bytes([byte]) for byte in b"".join([*WORDS, STOP, DONE])],
        [part.replace(b"data: ", b"event: message\nid: 1\nretry: 5\ndata:") for part in [*WORDS, STOP, DONE]],
        [*WORDS[:2], chunk("m", {"content": " w2"}, "stop"), DONE],
        [*WORDS, STOP, b'data: {"error": {"message": "too late"}}\n\n'],
    ],
    ids=[
        "no [DONE]",
        "finish twice",
        "empty content after finish",
        "[DONE] twice",
        "half a [DONE]",
        "comments",
        "role repeated",
        "CRLF",
        "multi-line data",
        "BOM",
        "one write",
        "by the byte",
        "fields",
        "finish with content",
        "error after the finish",
    ],
)
async def test_odd_but_whole_streams(serve: Serve, parts: list[bytes | float]) -> None:
    async with pair(serve, play(parts), Persona("other")) as (run, a, b):
        for how in (ask, official):
            (await how(run, stream=True)).complete("w0 w1 w2", streaming=True)
        assert len(a.calls) == 2
        assert not b.calls


async def test_content_after_the_finish_is_not_a_second_ending(serve: Serve) -> None:
    parts = [*WORDS, STOP, chunk("m", {"content": " w3"}), chunk("m", {}, "length"), DONE]
    async with pair(serve, play(parts), Persona("other")) as (run, _, _b):
        got = await ask(run, stream=True)
        assert got.text in ("w0 w1 w2", "w0 w1 w2 w3")
        assert got.finishes == ["stop"]
        assert got.done == 1


async def test_a_very_large_event_and_a_compressed_stream(serve: Serve) -> None:
    large = "w0" * 500_000
    for stream in (play(events(large, "m")), zipped(events(TEXT, "m"))):
        async with pair(serve, stream, Persona("other")) as (run, _, _b):
            got = await ask(run, stream=True)
            assert got.text in (large, TEXT)
            assert got.finishes == ["stop"]


# One answer for the client: usage, ids


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("usage", ["last", "each", "never"])
async def test_usage_is_reported_once_and_only_if_asked_for(serve: Serve, usage: Any, asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    async with pair(serve, Persona(TEXT, usage=usage), Persona("other")) as (run, a, _):
        got = await ask(run, stream=True, **options)
        got.complete(TEXT, streaming=True)
        record = await last_record(run)
        if not asked:
            assert got.usages == []
            assert '"usage":{' not in got.raw.replace(" ", "")
        elif usage == "last":
            assert [u["completion_tokens"] for u in got.usages] == [24]
            assert got.chunks[-1]["choices"] == []
        if usage != "never":
            assert record["completion_tokens"] == 24
        assert a.calls[0].body["stream_options"]["include_usage"] is True


@pytest.mark.parametrize("asked", [False, True])
async def test_usage_of_a_joined_answer_is_the_sum(serve: Serve, asked: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    first = Persona(TEXT, cut_after=CUT, usage="each")
    async with pair(serve, first, Persona(TEXT)) as (run, _, b):
        got = await ask(run, stream=True, **options)
        got.complete(TEXT, streaming=True)
        record = await last_record(run)
        billed = CUT + b.calls[-1].tokens
        assert billed == 24
        assert record["completion_tokens"] == billed
        assert len(got.usages) == asked
        if asked:
            (usage,) = got.usages
            assert usage["completion_tokens"] == billed
            assert usage["prompt_tokens"] == record["prompt_tokens"]
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            assert got.chunks[-1]["choices"] == []
        assert record["cost_nusd"] == (record["prompt_tokens"] + billed) * 1_000


async def test_the_client_gets_content_as_it_comes(serve: Serve) -> None:
    """Before the cut and during the takeover: nothing waits for the end."""
    release = asyncio.Event()
    first = Persona(TEXT, cut_after=CUT)
    second = Persona(TEXT, gate=release.wait, gate_after=3)
    async with pair(serve, first, second, deployment=PATIENT) as (run, _, _b):
        seen = ""
        async with run.http.stream("POST", "/v1/chat/completions", json=body(stream=True)) as response:
            async for text in response.aiter_text():
                seen += text
                if f"w{CUT + 2}" in seen:
                    release.set()
        assert "w23" in seen
        assert seen.endswith("data: [DONE]\n\n")


async def test_many_at_once_are_not_mixed_up(serve: Serve) -> None:
    first = Persona(TEXT, cut_after=CUT, pause_s=0.003)
    async with pair(serve, first, replace(first, cut_after=None), deployment=LONG) as (run, _, _b):
        for got in await asyncio.gather(*(ask(run, stream=True) for _ in range(20))):
            got.complete(TEXT, streaming=True)
        assert len(await run.records()) == 20
