"""Requests that several models answer together, through the real gateway, with the official clients."""

import asyncio
from pathlib import Path
from typing import Any

import anthropic
import httpx
import orjson
import pytest

from tests.gateway.ensemble.panel import PEERS, PROSE_PEERS, PROSE_QUESTION, QUESTION, chat, peers
from tests.gateway.running import Gateway
from tests.gateway.upstreams import Call, answer, chunk, completion, error, reply, silent, stream

pytestmark = pytest.mark.anyio
FIRST = ["mixtral", "phi"]


async def asked(run: Gateway, **more: Any) -> Any:
    return await run.client.chat.completions.create(**chat(**more))


async def only_record(run: Gateway) -> dict[str, Any]:
    (record,) = await run.records()
    return record


async def test_two_models_that_agree_are_enough(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {"mixtral": "**B**", "phi": "The answer is B."}
        raw = await run.client.chat.completions.with_raw_response.create(**chat())
        answered = raw.parse()
        assert sorted(up.asked) == sorted(FIRST)
        assert answered.model == "mixtral"
        assert answered.choices[0].message.content == "**B**"
        assert answered.usage is not None
        assert (answered.usage.prompt_tokens, answered.usage.completion_tokens) == (14, 6)
        assert raw.headers["x-locus-model"] == "mixtral"
        assert raw.headers["x-locus-ensemble"] == "agreed 2/2; mixtral, phi"
        told = answered.model_extra["locus"]["ensemble"]
        assert [(one["model"], one["vote"], one["author"]) for one in told["members"]] == [
            ("mixtral", 1, True),
            ("phi", 1, False),
        ]
        record = await only_record(run)
        assert (record["chosen"], record["served"], record["policy"]) == ("mixtral", "mixtral", "panel")
        assert (record["prompt_tokens"], record["completion_tokens"]) == (14, 6)
        assert record["cost_nusd"] == 20_000
        assert len(record["parts"]) == 2
        assert record["ensemble"]["result"] == "agreed"
        metrics = (await run.http.get("/metrics")).text
        assert 'locus_ensembles_total{policy="panel",result="agreed"} 1.0' in metrics
        assert 'locus_ensemble_calls_total{policy="panel"} 2.0' in metrics


async def test_a_third_model_is_asked_if_the_first_two_differ(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {"mixtral": "A", "phi": "B", "qwen": "B"}
        answered = await asked(run)
        assert up.asked[2:] == ["qwen"]
        assert (answered.model, answered.choices[0].message.content) == ("phi", "B")
        told = answered.model_extra["locus"]["ensemble"]
        assert (told["result"], told["agreed"], told["answered"]) == ("agreed", 2, 3)


async def test_where_all_differ_the_most_probable_counts(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {"mixtral": "A", "phi": "B", "qwen": "C"}
        answered = await asked(run)
        assert (answered.model, answered.choices[0].message.content) == ("mixtral", "A")
        assert answered.model_extra["locus"]["ensemble"]["result"] == "weighed"


async def test_a_stream_begins_when_the_answer_is_found(tmp_path: Path) -> None:
    async with peers(tmp_path, gateway={"keep_alive": 0.05}) as (run, up):
        late = asyncio.Event()

        async def after(call: Call, writer: Any) -> Any:
            await late.wait()
            return await answer("B")(call, writer)

        up.says = {"mixtral": "The answer is (A).", "phi": after, "qwen": "Answer: B"}
        body = chat(stream=True, stream_options={"include_usage": True})
        async with run.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.aiter_lines()
            assert await anext(lines) == ": keep-alive"
            late.set()
            events = [orjson.loads(line[6:]) async for line in lines if line.startswith("data: {")]
        text = "".join(one["choices"][0]["delta"].get("content") or "" for one in events if one["choices"])
        assert text == "B"
        assert {one["model"] for one in events} == {"phi"}
        told = [one["locus"]["ensemble"] for one in events if "locus" in one]
        assert told[0]["result"] == "agreed"
        assert [(one["model"], one["vote"]) for one in told[0]["members"]] == [("mixtral", 2), ("phi", 1), ("qwen", 1)]
        # Four words, one word, two words.
        assert events[-1]["usage"]["completion_tokens"] == 7
        assert events[-1]["usage"]["prompt_tokens"] == 21
        record = await only_record(run)
        assert (record["prompt_tokens"], record["completion_tokens"], record["served"]) == (21, 7, "phi")


@pytest.mark.parametrize("streamed", [False, True])
async def test_messages_and_responses_and_completions(tmp_path: Path, streamed: bool) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {"mixtral": "A", "phi": "B", "qwen": "B"}
        async with anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0) as client:
            ask: Any = {"model": "auto:panel", "max_tokens": 99, "messages": [{"role": "user", "content": QUESTION}]}
            if streamed:
                async with client.messages.stream(**ask) as events:
                    message = await events.get_final_message()
            else:
                message = await client.messages.create(**ask)
        assert (message.model, message.content[0].type) == ("phi", "text")
        assert message.content[0].text == "B"
        assert message.usage.output_tokens == (3 if streamed else 9)
        assert message.model_extra is not None
        assert message.model_extra["locus"]["ensemble"]["result"] == "agreed"

        if streamed:
            async with run.client.responses.stream(model="auto:panel", input=QUESTION) as response_events:
                response = await response_events.get_final_response()
        else:
            response = await run.client.responses.create(model="auto:panel", input=QUESTION)
        assert (response.model, response.output_text) == ("phi", "B")
        assert response.usage is not None
        assert response.usage.input_tokens == 21

        legacy: Any = {"model": "auto:panel", "prompt": QUESTION}
        if streamed:
            chunks = [one async for one in await run.client.completions.create(**legacy, stream=True)]
            assert "".join(one.choices[0].text for one in chunks if one.choices) == "B"
        else:
            completed = await run.client.completions.create(**legacy)
            assert (completed.model, completed.choices[0].text) == ("phi", "B")


async def test_a_member_that_fails_is_replaced(tmp_path: Path) -> None:
    async with peers(tmp_path, gateway={"retries": 0}) as (run, up):
        up.says = {"mixtral": error(500), "phi": "A", "qwen": "B", "yi": "B"}
        answered = await asked(run)
        assert sorted(up.asked) == ["mixtral", "phi", "qwen", "yi"]
        assert answered.model in ("qwen", "yi")
        told = answered.model_extra["locus"]["ensemble"]
        assert next((one["model"], one.get("failed")) for one in told["members"]) == ("mixtral", "upstreams_failed")
        record = await only_record(run)
        assert [one["model"] for one in record["failover"]] == ["mixtral"]
        assert record["prompt_tokens"] == 21  # of the three that answered


async def test_the_ordinary_failover_answers_if_all_members_fail(tmp_path: Path) -> None:
    ensemble = {"size": 2, "max_calls": 10}
    models = ("mixtral", "phi", "qwen", "yi", "command")
    async with peers(tmp_path, ensemble, models, gateway={"retries": 0}) as (run, up):
        up.says = {name: error(500) for name in models}
        up.says["command"] = "B"
        answered = await asked(run)
        assert answered.model == "command"
        assert sorted(up.asked) == sorted(models)  # each once
        record = await only_record(run)
        assert record["served"] == "command"


@pytest.mark.parametrize("most", [3, 4, 5])
async def test_no_request_makes_more_calls_than_it_may(tmp_path: Path, most: int) -> None:
    async with peers(tmp_path, {"max_calls": most}, gateway={"retries": 3, "max_retry_after": 0.01}) as (run, up):
        up.says = {name: error(429, headers={"retry-after": "0"}) for name in PEERS}
        response = await run.http.post("/v1/chat/completions", json=chat())
        assert response.status_code == 429
        assert len(up.asked) == most


PROSE = "It depends on what one means by a planet, and on how one measures it; many measures are in use today. " * 5


async def test_prose_is_not_voted_on(tmp_path: Path) -> None:
    async with peers(tmp_path, models=PROSE_PEERS) as (run, up):
        up.says = {"mixtral": PROSE, "qwen": silent()}
        answered = await asked(run, content=PROSE_QUESTION)
        assert (answered.model, answered.choices[0].message.content) == ("mixtral", PROSE)
        told = answered.model_extra["locus"]["ensemble"]
        assert told["result"] == "alone"
        assert (told["members"][1]["failed"], told["members"][1]["usd"]) == ("not needed", None)
        record = await only_record(run)
        assert len(record["parts"]) == 2  # the one that was given up may be billed
        assert record["usage_estimated"]


@pytest.mark.parametrize(
    ("cheap", "more", "asks", "author"),
    [
        ("Answer: 42", {}, ["phi", "qwen"], "qwen"),  # the dear model is not needed
        # Not voted on: the most probable model is asked although it is dear, with a judge too.
        (PROSE, {}, ["phi", "qwen", "mixtral"], "mixtral"),
        (PROSE, {"judge": "command"}, ["phi", "qwen", "mixtral", "command", "command"], "mixtral"),
    ],
)
async def test_the_cheap_first(tmp_path: Path, cheap: str, more: dict[str, str], asks: list[str], author: str) -> None:
    ensemble = {"cascade": {"cheap_first": True}, **more}
    async with peers(tmp_path, ensemble, PROSE_PEERS, dear="mixtral") as (run, up):
        up.says = {"phi": cheap, "qwen": cheap, "mixtral": PROSE, "command": "I cannot say."}
        answered = await asked(run, content=PROSE_QUESTION)
        assert sorted(up.asked[:2]) == asks[:2]
        assert up.asked[2:] == asks[2:]
        assert answered.model == author


JUDGED = "It depends on what one means by a planet, and on how one measures it; many measures are in use today, and not all agree. "


async def test_a_judge_compares_prose(tmp_path: Path) -> None:
    async def judge(call: Call, writer: Any) -> Any:
        """Prefers the answer that has the word `better`, whichever stands first."""
        text = call.body["messages"][-1]["content"]
        first, second = text.find("worse"), text.find("better")
        assert min(first, second) >= 0
        name = "SECOND" if first < second else "FIRST"
        code = text.split("VERDICT ")[1].split(":")[0]
        return await answer(f"Reason.\nVERDICT {code}: {name}")(call, writer)

    ensemble = {"judge": "command"}
    async with peers(tmp_path, ensemble, PROSE_PEERS) as (run, up):
        up.says = {"mixtral": "worse: " + JUDGED, "qwen": "better: " + JUDGED, "command": judge}
        answered = await asked(run, content=PROSE_QUESTION)
        assert answered.model == "qwen"
        assert answered.choices[0].message.content == "better: " + JUDGED
        told = answered.model_extra["locus"]["ensemble"]
        assert told["result"] == "judged"
        assert [one["model"] for one in told["judge"]] == ["command", "command"]
        assert up.asked[2:] == ["command", "command"]
        record = await only_record(run)
        assert len(record["parts"]) == 4


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_judge_writes_one_answer(tmp_path: Path, streamed: bool) -> None:
    ensemble = {"judge": "command", "aggregate": "fuse"}
    async with peers(tmp_path, ensemble, PROSE_PEERS) as (run, up):
        up.says = {
            "mixtral": "red " + JUDGED,
            "phi": "green " + JUDGED,
            "qwen": "blue " + JUDGED,
            "command": "All in one.",
        }
        if streamed:
            answer_ = await run.client.chat.completions.create(
                **chat(PROSE_QUESTION, stream=True, stream_options={"include_usage": True})
            )
            chunks = [one async for one in answer_]
            text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
            model, usage = chunks[0].model, chunks[-1].usage
        else:
            answered = await asked(run, content=PROSE_QUESTION)
            text, model, usage = answered.choices[0].message.content, answered.model, answered.usage
        assert (text, model) == ("All in one.", "command")
        assert usage is not None
        assert usage.prompt_tokens == 28
        prompt = orjson.dumps(up.provider.calls[-1].body["messages"]).decode()
        assert all(word in prompt for word in ("red", "green", "blue"))
        record = await only_record(run)
        assert (record["served"], record["ensemble"]["result"]) == ("command", "fused")
        assert len(record["parts"]) == 4


async def test_a_judge_that_fails_leaves_the_most_probable_answer(tmp_path: Path) -> None:
    for aggregate in ("auto", "fuse"):
        folder = tmp_path / aggregate
        folder.mkdir()
        ensemble = {"judge": "command", "aggregate": aggregate}
        async with peers(folder, ensemble, PROSE_PEERS) as (run, up):
            up.says = {"mixtral": "red " + JUDGED, "qwen": "green " + JUDGED, "phi": JUDGED, "command": error(400)}
            answered = await asked(run, content=PROSE_QUESTION)
            assert (answered.model, answered.model_extra["locus"]["ensemble"]["result"]) == ("mixtral", "not_voted")


def calls_tool(arguments: str) -> Any:
    async def send(call: Call, writer: Any) -> Any:
        function = {"name": "get_weather", "arguments": arguments}
        tool_calls = [{"id": "call_1", "type": "function", "function": function}]
        if call.body.get("stream"):
            parts = [
                chunk("m", {"role": "assistant", "tool_calls": [{"index": 0, **tool_calls[0]}]}),
                chunk("m", {}, "tool_calls"),
                b"data: [DONE]\n\n",
            ]
            return await stream(parts)(call, writer)
        value = completion("", call.body["model"])
        value["choices"][0] |= {
            "message": {"role": "assistant", "tool_calls": tool_calls},
            "finish_reason": "tool_calls",
        }
        return await reply(200, value)(call, writer)

    return send


WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


@pytest.mark.parametrize("streamed", [False, True])
async def test_equal_tool_calls_agree(tmp_path: Path, streamed: bool) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {
            "mixtral": calls_tool('{"city": "Rome", "unit": "C"}'),
            "phi": calls_tool('{"city": "Oslo", "unit": "C"}'),
            "qwen": calls_tool('{"unit":"C","city":"Oslo"}'),
        }
        ask = chat(tools=[WEATHER], stream=streamed)
        if streamed:
            chunks = [one async for one in await run.client.chat.completions.create(**ask)]
            (call,) = [one.choices[0].delta.tool_calls[0] for one in chunks if one.choices[0].delta.tool_calls]
            assert chunks[0].model == "phi"
        else:
            answered = await run.client.chat.completions.create(**ask)
            call = answered.choices[0].message.tool_calls[0]
            assert answered.model == "phi"
        assert orjson.loads(call.function.arguments) == {"city": "Oslo", "unit": "C"}


async def test_a_turn_of_an_agent_is_answered_by_one_model_unless_tools_are_allowed(tmp_path: Path) -> None:
    function = {"name": "get_weather", "arguments": "{}"}
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]
    for allowed in (False, True):
        folder = tmp_path / str(allowed)
        folder.mkdir()
        async with peers(folder, {"tools": allowed}) as (run, up):
            answered = await run.client.chat.completions.create(**chat() | {"messages": messages, "tools": [WEATHER]})
            assert answered.choices[0].message.content == "B"
            assert len(up.asked) == (2 if allowed else 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_fields_of_json_are_voted_on_one_by_one(tmp_path: Path, streamed: bool) -> None:
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}, "city": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    async with peers(tmp_path) as (run, up):
        up.says = {
            "mixtral": '{"name": "Ann", "age": 30, "city": "Rome"}',
            "phi": '{"name": "Ann", "age": 31, "city": "Oslo"}',
            "qwen": '{"name": "Eve", "age": 31, "city": "Rome"}',
        }
        ask = chat(response_format=form, stream=streamed)
        if streamed:
            chunks = [one async for one in await run.client.chat.completions.create(**ask)]
            text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
            assert chunks[-1].choices[0].finish_reason == "stop"
        else:
            answered = await run.client.chat.completions.create(**ask)
            text = answered.choices[0].message.content or ""
            assert answered.model_extra["locus"]["ensemble"]["result"] == "merged"
            assert answered.usage is not None
            assert answered.usage.completion_tokens == 9
        assert orjson.loads(text) == {"name": "Ann", "age": 31, "city": "Rome"}


async def test_a_request_switches_the_ensemble(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        await asked(run, extra_headers={"x-locus-ensemble": "off"})
        assert len(up.asked) == 1
        await run.client.chat.completions.create(**chat() | {"model": "auto"}, extra_headers={"x-locus-ensemble": "on"})
        assert len(up.asked) == 3
        named = await run.http.post("/v1/chat/completions", json=chat() | {"model": "yi", "locus": {"ensemble": True}})
        assert (named.status_code, named.json()["error"]["param"]) == (400, "x-locus-ensemble")


async def test_max_usd_holds_over_all_calls(tmp_path: Path) -> None:
    async with peers(tmp_path, {"max_usd": 0.0000001}) as (run, up):
        await asked(run)
        assert len(up.asked) == 1


async def test_calls_end_when_the_client_leaves(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {"mixtral": silent(), "phi": silent()}
        with pytest.raises(httpx.ReadTimeout):
            await run.http.post("/v1/chat/completions", json=chat(), timeout=0.5)
        await asyncio.gather(*(asyncio.wait_for(call.closed.wait(), 20) for call in up.provider.calls))
        record = await only_record(run)
        assert (record["error"], record["ensemble"]) == ("client_disconnected", None)
        assert len(record["parts"]) == 2  # both may be billed


async def test_a_broken_stream_of_a_member_is_no_answer(tmp_path: Path) -> None:
    async with peers(tmp_path, gateway={"retries": 0, "stream_recovery": "error"}) as (run, up):
        broken = [chunk("m", {"role": "assistant", "content": "The answer"})]
        up.says = {"mixtral": stream(broken, cut=True), "phi": "B", "qwen": "B"}
        chunks = [one async for one in await run.client.chat.completions.create(**chat(stream=True))]
        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "B"
        assert chunks[0].model == "phi"


def test_the_peers_are_peers() -> None:
    """The tests above count on this order."""
    from tests.gateway.running import shipped_router

    p = shipped_router().predict([QUESTION], list(PEERS.values())).p_correct[0].tolist()
    assert p == sorted(p, reverse=True)
    assert p[0] - p[3] < 0.05


async def test_an_answer_that_answers_nothing_does_not_count_against_others(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = {"mixtral": "I'm sorry, but I can't help with that.", "phi": JUDGED, "qwen": "C"}
        answered = await asked(run)
        assert (answered.model, answered.choices[0].message.content) == ("qwen", "C")
        members = answered.model_extra["locus"]["ensemble"]["members"]
        assert [one.get("abstained", False) for one in members] == [True, True, False]
        up.says = dict.fromkeys(PEERS, "I'm sorry, but I can't help with that.")
        answered = await asked(run)
        assert answered.model == "mixtral"
        assert answered.model_extra["locus"]["ensemble"]["result"] == "not_voted"


async def test_another_member_is_asked_beside_a_slow_one(tmp_path: Path) -> None:
    async with peers(tmp_path, patience_s=0.2) as (run, up):
        up.says = {"mixtral": silent(), "phi": "B", "qwen": "B"}
        answered = await asked(run, max_tokens=1)
        assert answered.model == "phi"
        told = answered.model_extra["locus"]["ensemble"]
        assert [(one["model"], one.get("failed")) for one in told["members"]] == [
            ("mixtral", "not needed"),
            ("phi", None),
            ("qwen", None),
        ]


async def test_a_judge_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    ensemble = {"judge": "command", "aggregate": "fuse", "size": 2}
    async with peers(tmp_path, ensemble, PROSE_PEERS, patience_s=0.2) as (run, up):
        up.says = {"mixtral": "red " + JUDGED, "qwen": "green " + JUDGED, "command": silent()}
        chunks = [one async for one in await run.client.chat.completions.create(**chat(PROSE_QUESTION, stream=True))]
        assert chunks[0].model == "mixtral"
        assert chunks[0].model_extra["locus"]["ensemble"]["result"] == "not_voted"
