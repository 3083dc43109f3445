"""Where ensembles meet the rest of the gateway: native streams, permissions, batches, limits, feedback. Real gateways and clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import orjson
import pytest
from sqlalchemy import select

from gateway.http.feedback_jobs import feedback_jobs
from gateway.store.outcome_tables import OUTCOMES
from tests.gateway.ensemble.panel import PEERS, PROSE_PEERS, PROSE_QUESTION, QUESTION, chat, peers
from tests.gateway.running import Gateway, entry, eventually, gateway
from tests.gateway.upstream.test_litellm_upstream import event_stream
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, chunk, head

pytestmark = pytest.mark.anyio
LETTERS = {"mixtral": "A", "phi": "B", "qwen": "B", "yi": "C"}
PROSE = "It depends on what one means by a planet, and on how one measures it; many measures are in use today, and not all agree. "


@asynccontextmanager
async def speaking(folder: Path, api: str, reply: Reply) -> AsyncIterator[Gateway]:
    """Peers that speak an API format themselves."""
    async with ScriptedProvider(reply) as up:
        models = [entry(name, up.base_url, embedding=PEERS[name]) for name in LETTERS]
        for model in models:
            model["deployments"][0]["apis"] = [api]
        policies = {"panel": {"cost_weight": 0, "ensemble": True}}
        async with gateway(folder, models, policies=policies, default_policy="panel") as run:
            yield run


def letter(call: Call) -> str:
    return LETTERS[call.body["model"].removeprefix("up-")]


async def sends(writer: asyncio.StreamWriter, *events: tuple[str, dict[str, Any]]) -> None:
    body = event_stream(*events)
    writer.write(head(200, len(body), "text/event-stream") + body)
    await writer.drain()


async def cited(call: Call, writer: asyncio.StreamWriter) -> None:
    """A Messages stream with a search, which no other format has."""
    usage = {"input_tokens": 11, "output_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 0}
    message = {
        "id": f"msg_{letter(call)}", "type": "message", "role": "assistant", "model": call.body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    await sends(
        writer,
        ("message_start", {"message": message}),
        ("content_block_start", {"index": 0, "content_block": search}),
        ("content_block_stop", {"index": 0}),
        ("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": letter(call)}}),
        ("content_block_stop", {"index": 1}),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 4}}),
        ("message_stop", {}),
    )


async def test_a_native_stream_of_messages_stays_as_it_is_but_for_its_usage(tmp_path: Path) -> None:
    async with speaking(tmp_path, "messages", cited) as run:
        async with anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0) as client:
            ask: Any = {"model": "auto:panel", "max_tokens": 99, "messages": [{"role": "user", "content": QUESTION}]}
            async with client.messages.stream(**ask) as events:
                message = await events.get_final_message()
    assert (message.id, message.model, [block.type for block in message.content]) == (
        "msg_B", "phi", ["server_tool_use", "text"],
    )  # fmt: skip
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (33, 6, 12)


async def respond(call: Call, writer: asyncio.StreamWriter) -> None:
    """A stream of Responses whose last event has an encrypted item."""
    base = {
        "id": f"resp_{letter(call)}", "object": "response", "created_at": 5, "model": call.body["model"], "tools": [],
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "tool_choice": "auto",
        "parallel_tool_calls": True, "temperature": 1, "top_p": 1,
    }  # fmt: skip
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret"}
    text = {"type": "output_text", "text": letter(call), "annotations": [], "logprobs": []}
    item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}
    usage = {"input_tokens": 11, "output_tokens": 4, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 2}}
    usage["output_tokens_details"] = {"reasoning_tokens": 1}
    at = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": base | {"status": "in_progress", "output": []}}),
        ("response.output_item.added", {"output_index": 0, "item": thought}),
        ("response.output_item.done", {"output_index": 0, "item": thought}),
        ("response.output_item.added", {"output_index": 1, "item": item | {"status": "in_progress", "content": []}}),
        ("response.content_part.added", at | {"part": text | {"text": ""}}),
        ("response.output_text.delta", at | {"delta": letter(call), "logprobs": []}),
        ("response.output_text.done", at | {"text": letter(call), "logprobs": []}),
        ("response.content_part.done", at | {"part": text}),
        ("response.output_item.done", {"output_index": 1, "item": item}),
        ("response.completed", {"response": base | {"status": "completed", "output": [thought, item], "usage": usage}}),
    ]
    await sends(writer, *((name, fields | {"sequence_number": i}) for i, (name, fields) in enumerate(events)))


async def test_a_native_stream_of_responses_stays_as_it_is_but_for_its_usage(tmp_path: Path) -> None:
    async with speaking(tmp_path, "responses", respond) as run:
        async with run.client.responses.stream(model="auto:panel", input=QUESTION) as events:
            response = await events.get_final_response()
    assert (response.id, response.model, response.output_text) == ("resp_B", "phi", "B")
    first: Any = response.output[0]
    assert first.encrypted_content == "secret"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (33, 12, 45)
    assert response.usage.output_tokens_details.reasoning_tokens == 3


@pytest.mark.parametrize("aggregate", ["auto", "fuse"])
async def test_a_judge_that_the_request_does_not_allow_is_not_asked(tmp_path: Path, aggregate: str) -> None:
    ensemble = {"judge": "command", "aggregate": aggregate}
    async with peers(tmp_path, ensemble, PROSE_PEERS) as (run, up):
        up.says = {name: f"{name}: {PROSE}" for name in PEERS}
        without: dict[str, str] = {"x-locus-exclude": "command"}
        raw = await run.client.chat.completions.with_raw_response.create(**chat(PROSE_QUESTION), extra_headers=without)
        assert "command" not in up.asked
        assert raw.headers["x-locus-ensemble"] == "not_voted 1/2; mixtral | qwen"
        explained = (await run.http.post("/v1/route", json=chat(PROSE_QUESTION), headers=without)).json()
        assert explained["ensemble"]["judge"] is None
        await run.client.chat.completions.create(**chat(PROSE_QUESTION))
        assert "command" in up.asked


async def test_a_batch_of_prompts_has_its_ensemble_in_the_record(tmp_path: Path) -> None:
    async with peers(tmp_path) as (run, up):
        up.says = dict(LETTERS)
        completed = await run.client.completions.create(model="auto:panel", prompt=[QUESTION] * 2)
        assert [choice.text for choice in completed.choices] == ["B", "B"]
        (record,) = await run.records()
        assert (record["chosen"], record["served"], record["propensity"]) == ("phi", "phi", None)
        assert record["ensemble"]["result"] == "agreed"
        metrics = (await run.http.get("/metrics")).text
        assert 'locus_ensembles_total{policy="panel",result="agreed"} 2.0' in metrics
        assert 'locus_ensemble_calls_total{policy="panel"} 6.0' in metrics


async def test_a_stream_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(call: Call, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, None, "text/event-stream"))
        part = chunk("m", {"content": "x" * 4_000, "reasoning_content": ""})  # which is not relayed as it is
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()

    monkeypatch.setattr("gateway.ensemble.recorded_stream.MAX_RECORDED_BYTES", 1 << 20)
    async with peers(tmp_path, gateway={"retries": 0}) as (run, up):
        up.says = {"mixtral": endless, "phi": "B", "qwen": "B"}
        chunks = [one async for one in await run.client.chat.completions.create(**chat(stream=True))]
        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == "B"
        members = chunks[0].model_extra["locus"]["ensemble"]["members"]
        assert [one.get("failed") for one in members[:2]] == ["stream_broken", None]


async def test_a_deployment_at_its_limit_is_no_call(tmp_path: Path) -> None:
    async def differs(call: Call, writer: asyncio.StreamWriter) -> Any:
        return await answer({"phi": "B", "qwen": "C"}.get(call.body["model"].removeprefix("up-"), "A"))(call, writer)

    async with ScriptedProvider(differs) as up:
        models = [entry(name, up.base_url, embedding=PEERS[name]) for name in ("mixtral", "phi", "qwen")]
        second = dict(models[0]["deployments"][0])
        models[0]["deployments"] = [models[0]["deployments"][0] | {"rpm": 1, "weight": 1000}, second]
        policies = {"panel": {"cost_weight": 0, "ensemble": {"max_calls": 3}}}
        async with gateway(tmp_path, models, policies=policies, default_policy="panel") as run:
            for _ in range(3):
                up.calls.clear()
                response = await run.http.post("/v1/chat/completions", json=chat())
                assert response.headers["x-locus-ensemble"] == "weighed 1/3; mixtral | phi | qwen"
                assert len(up.calls) == 3


async def outcomes(run: Gateway) -> list[Any]:
    assert run.service.database is not None
    async with run.service.database.read() as connection:
        found = await connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.source))
        return list(found.mappings())


async def test_outcomes_of_an_answer_that_a_vote_chose_teach_nothing_about_its_author(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    graders = [{"name": "json", "checker": "json_schema"}]
    async with peers(tmp_path, feedback={"graders": graders}) as (run, up), feedback_jobs(run.service):
        up.says = dict.fromkeys(PEERS, '{"city": "Rome"}')
        for on in ("on", "off"):
            asked = await run.http.post(
                "/v1/chat/completions", json=chat(response_format=form), headers={"x-locus-ensemble": on}
            )
            said = {"request_id": asked.headers["x-request-id"], "verdict": "good"}
            assert (await run.http.post("/v1/feedback", json=said)).status_code == 200
            await eventually(lambda: run.service.graders is not None and run.service.graders.idle)
        found = [(row["source"], row["score"], row["encoding"] is None) for row in await outcomes(run)]
        assert sorted(found) == [
            ("grader:json", 1.0, False), ("grader:json", 1.0, True), ("local", 1.0, False), ("local", 1.0, True),
        ]  # fmt: skip
        assert orjson.loads(asked.content)["model"] == "mixtral"
