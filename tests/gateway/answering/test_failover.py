"""Faults before and after the first content byte, with real sockets. Which model is near which comes from the shipped space."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest

from router.model.serving import SPACE
from router.model.space import ModelSpace
from tests.gateway.live import Time
from tests.gateway.running import EMBEDDINGS, Gateway, entry, gateway, leaving
from tests.gateway.upstreams import (
    Reply,
    ScriptedProvider,
    answer,
    chunk,
    completion,
    error,
    reply,
    reset,
    silent,
    stream,
)

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
REFUSED = "http://127.0.0.1:9/v1"  # the discard port: nothing listens
CALM = {"gateway": {"breaker_failures": 50}}  # for tests of something else than the breaker


async def ask(run: Gateway, model: str = "llama-8b", **more: Any) -> tuple[Any, Any]:
    raw = await run.client.chat.completions.with_raw_response.create(model=model, messages=ASK, **more)
    return raw.parse(), raw.headers


def nearest_first(name: str) -> list[str]:
    names = {embedding: model for model, embedding in EMBEDDINGS.items()}
    return [names[n.model] for n in ModelSpace.load(SPACE).neighbors(EMBEDDINGS[name], among=names)]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        error(500),
        error(503),
        error(429),
        error(401, "key sk-up of org-acme is wrong"),
        error(404, "no such model"),
        reset(),
        reply(200, b"<html>not json"),
        reply(200, {"object": "chat.completion"}),
        reply(200, {"error": {"message": "overloaded", "type": "overloaded_error"}}),
        stream([chunk("m", {"role": "assistant"})], cut=True),
        stream([chunk("m", {"role": "assistant", "content": ""})]),
        stream([b'data: {"error": {"message": "overloaded"}}\n\n']),
        stream([b"data: {broken\n\n"] * 3),
    ],
)
async def test_a_fault_before_the_first_content_is_invisible(tmp_path: Path, fault: Reply, streaming: bool) -> None:
    stand_in = nearest_first("llama-8b")[0]
    async with ScriptedProvider(fault) as bad, ScriptedProvider(answer("saved")) as good:
        models = [entry(name, bad.base_url if name == "llama-8b" else good.base_url) for name in EMBEDDINGS]
        async with gateway(tmp_path, models, **CALM) as run:
            if streaming:
                chunks = [
                    c
                    async for c in await run.client.chat.completions.create(model="llama-8b", messages=ASK, stream=True)
                ]
                assert "".join(c.choices[0].delta.content or "" for c in chunks) == "saved"
                assert {c.model for c in chunks} == {stand_in}
            else:
                response, headers = await ask(run)
                assert response.choices[0].message.content == "saved"
                assert response.model == stand_in
                assert headers["x-locus-model"] == "llama-8b"
                assert headers["x-locus-stand-in"] == stand_in
                distance = ModelSpace.load(SPACE).distance(EMBEDDINGS["llama-8b"], EMBEDDINGS[stand_in])
                assert float(headers["x-locus-stand-in-distance"]) == pytest.approx(distance, abs=1e-3)
                assert -1 <= float(headers["x-locus-stand-in-predicted-loss"]) <= 1
            (record,) = await run.records()
            assert (record["chosen"], record["served"]) == ("llama-8b", stand_in)
            assert {a["deployment"] for a in record["failover"]} == {"llama-8b/0"}


async def test_stand_ins_are_asked_in_order_of_distance(tmp_path: Path) -> None:
    models = [entry(name, REFUSED) for name in EMBEDDINGS]
    async with gateway(tmp_path, models, **CALM) as run:
        with pytest.raises(openai.APIStatusError) as caught:
            await ask(run)
        assert caught.value.status_code == 502
        assert "x-should-retry" not in caught.value.response.headers  # clients come back after an outage
        (record,) = await run.records()
        assert list(dict.fromkeys(a["model"] for a in record["failover"])) == ["llama-8b", *nearest_first("llama-8b")]
        assert all(name in caught.value.message for name in EMBEDDINGS)
        assert "127.0.0.1" not in caught.value.message


async def test_models_of_unknown_distance_stand_in_last_and_in_portfolio_order(tmp_path: Path) -> None:
    models = [entry(name, REFUSED) for name in ("strange", "llama-8b", "odd", "llama-70b")]
    async with gateway(tmp_path, models, **CALM) as run:
        for asked, order in [("strange", ["strange", "llama-8b", "odd", "llama-70b"]), ("llama-8b", None)]:
            with pytest.raises(openai.APIStatusError):
                await ask(run, asked)
            attempts = (await run.records())[-1]["failover"]
            assert list(dict.fromkeys(a["model"] for a in attempts)) == (
                order or ["llama-8b", "llama-70b", "strange", "odd"]
            )
            assert all(a["distance"] is None for a in attempts if "strange" in (asked, a["model"]))


async def test_a_policy_may_forbid_a_stand_in_that_is_predicted_to_be_worse(tmp_path: Path) -> None:
    async with ScriptedProvider() as good:
        models = [entry("llama-70b", REFUSED), entry("mistral-7b", good.base_url)]
        policies = {"strict": {"cost_weight": 0, "max_predicted_loss": 0.0}, "lax": {"cost_weight": 0}}
        async with gateway(tmp_path, models, policies=policies, default_policy="strict", **CALM) as run:
            assert (await ask(run, "auto:lax"))[0].model == "mistral-7b"
            with pytest.raises(
                openai.APIStatusError, match=r"max_predicted_loss forbids .* mistral-7b \(0\."
            ) as caught:
                await ask(run, "auto:strict")
            assert caught.value.status_code == 503
            with pytest.raises(openai.APIStatusError, match="max_predicted_loss"):
                await ask(run, "llama-70b")  # by the default policy
            explained = (await run.http.post("/v1/route", json={"model": "auto:strict", "messages": ASK})).json()
            why = {c["model"]: c["why"] for c in explained["candidates"]}
            assert "max_predicted_loss" in why["mistral-7b"]


async def test_who_leaves_while_it_waits_is_recorded_with_its_prompt(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        asked = run.http.post("/v1/chat/completions", json={"model": "auto", "messages": ASK})
        await leaving(asked, lambda: bool(up.calls))
        await asyncio.wait_for(up.calls[0].closed.wait(), 20)
        (record,) = await run.records()
        assert (record["error"], record["served"], record["completion_tokens"]) == ("client_disconnected", None, 0)
        assert record["prompt_tokens"] > 0
        assert record["usage_estimated"]
        assert record["failover"][0]["cause"] == "cancelled"


async def test_other_deployments_come_before_stand_ins(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as bad, ScriptedProvider(answer("second")) as good:
        models = [entry("llama-8b", bad.base_url, good.base_url), entry("llama-70b", REFUSED)]
        async with gateway(tmp_path, models, **CALM) as run:
            for _ in range(20):  # in 6 of them chance alone often enough began with the good one
                response, headers = await ask(run)
                assert response.choices[0].message.content == "second"
                assert "x-locus-stand-in" not in headers
            assert bad.calls  # both were tried, in random order


async def test_a_retry_after_within_the_cap_is_waited_for(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)], **CALM) as run:
        up.replies += [error(429, headers={"retry-after": "1"})]
        before = asyncio.get_running_loop().time()
        response, _ = await ask(run)
        assert response.choices[0].message.content == "fine"
        assert asyncio.get_running_loop().time() - before >= 1.0
        assert len(up.calls) == 2


async def test_a_retry_after_beyond_the_cap_moves_on_at_once(tmp_path: Path) -> None:
    async with ScriptedProvider(error(429, headers={"retry-after": "30"})) as up, ScriptedProvider() as good:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]) as run:
            response, _ = await ask(run)
            assert response.model == "llama-70b"
            assert len(up.calls) == 1


async def test_one_quick_retry_after_a_server_error(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)], **CALM) as run:
        up.replies += [error(500)]
        assert (await ask(run))[0].choices[0].message.content == "fine"
        up.replies += [error(500), error(500)]
        with pytest.raises(openai.InternalServerError):
            await ask(run)
        assert len(up.calls) == 4


async def test_all_rate_limited_gives_429_with_the_smallest_wait(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(error(429, headers={"retry-after": "40"})) as a,
        ScriptedProvider(error(429, headers={"retry-after": "20"})) as b,
    ):
        async with gateway(tmp_path, [entry("llama-8b", a.base_url), entry("llama-70b", b.base_url)]) as run:
            with pytest.raises(openai.RateLimitError) as caught:
                await ask(run)
            assert caught.value.response.headers["retry-after"] == "20"


@pytest.mark.parametrize("streaming", [False, True])
async def test_silence_is_not_retried(tmp_path: Path, streaming: bool) -> None:
    async with ScriptedProvider(silent()) as up, ScriptedProvider() as good:
        slow = entry("llama-8b", up.base_url)
        slow["deployments"][0] |= {"timeout": 0.4, "first_token_timeout": 0.4}
        async with gateway(tmp_path, [slow, entry("llama-70b", good.base_url)]) as run:
            response = await run.http.post(
                "/v1/chat/completions", json={"model": "llama-8b", "messages": ASK, "stream": streaming}
            )
            assert response.status_code == 200
            assert response.headers["x-locus-stand-in"] == "llama-70b"
            assert len(up.calls) == 1


async def test_a_silent_whole_answer_is_asked_for_elsewhere_too(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as up, ScriptedProvider() as good:
        slow = entry("llama-8b", up.base_url)
        slow["deployments"][0]["first_token_timeout"] = 0.2
        models = [slow, entry("llama-70b", good.base_url)]
        async with gateway(tmp_path, models, gateway={"breaker_failures": 2}) as run:
            for _ in range(2):
                response, headers = await ask(run, max_tokens=2)
                assert (response.model, headers["x-locus-stand-in"]) == ("llama-70b", "llama-70b")
            for call in up.calls:
                await asyncio.wait_for(call.closed.wait(), 20)
            assert (await ask(run, max_tokens=2))[0].model == "llama-70b"
            assert len(up.calls) == 2  # its breaker has opened
            assert [a["cause"] for a in (await run.records())[0]["failover"]] == ["timeout"]


async def test_a_slow_whole_answer_that_comes_first_is_kept(tmp_path: Path) -> None:
    async def slowly(call: Any, writer: asyncio.StreamWriter) -> Any:
        await asyncio.sleep(0.9)
        return await reply(200, completion("slow but sure", "m"))(call, writer)

    async with ScriptedProvider(slowly) as up, ScriptedProvider(silent()) as other:
        slow = entry("llama-8b", up.base_url)
        slow["deployments"][0]["first_token_timeout"] = 0.5
        async with gateway(tmp_path, [slow, entry("llama-70b", other.base_url)]) as run:
            response, headers = await ask(run, max_tokens=2)
            assert response.choices[0].message.content == "slow but sure"
            assert "x-locus-stand-in" not in headers
            await asyncio.wait_for(other.calls[0].closed.wait(), 20)
            assert [a["cause"] for a in (await run.records())[0]["failover"]] == ["hedged"]


async def test_no_answer_in_time_is_a_504(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as up:
        slow = entry("llama-8b", up.base_url)
        slow["deployments"][0]["timeout"] = 0.3
        async with gateway(tmp_path, [slow]) as run:
            with pytest.raises(openai.InternalServerError) as caught:
                await ask(run)
            assert caught.value.status_code == 504


@pytest.mark.parametrize("how", ["cut", "stall", "no finish", "error"])
async def test_a_stream_that_breaks_after_content_ends_with_an_error_and_no_done(tmp_path: Path, how: str) -> None:
    parts = [chunk("m", {"content": "half "})]
    if how == "error":
        parts.append(b'data: {"error": {"message": "key sk-secret-0123 failed"}}\n\n')
    async with ScriptedProvider(stream(parts, cut=how == "cut", stall=how == "stall")) as up:
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["idle_timeout"] = 0.3
        async with gateway(tmp_path, [model]) as run:
            got = ""
            with pytest.raises(openai.APIError, match="broke off"):  # noqa: PT012
                async for part in await run.client.chat.completions.create(model="auto", messages=ASK, stream=True):
                    got += part.choices[0].delta.content or ""
            assert got == "half "
            raw = await run.http.post("/v1/chat/completions", json={"model": "auto", "messages": ASK, "stream": True})
            assert "[DONE]" not in raw.text
            assert "sk-secret" not in raw.text
            record = (await run.records())[0]
            assert record["error"] == "stream_broken"


async def test_a_content_filter_in_mid_stream_is_not_routed_around(tmp_path: Path) -> None:
    filtered = b'data: {"error": {"code": "content_filter", "message": "violence"}}\n\n'
    async with ScriptedProvider(stream([chunk("m", {"content": "a"}), filtered])) as up, ScriptedProvider() as good:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]) as run:
            raw = await run.http.post(
                "/v1/chat/completions", json={"model": "llama-8b", "messages": ASK, "stream": True}
            )
            assert "content filter" in raw.text
            assert '"type":"invalid_request_error"' in raw.text  # coming back would meet the filter again
            assert "[DONE]" not in raw.text
            assert not good.calls


async def test_one_bad_event_in_a_healthy_stream_is_skipped(tmp_path: Path) -> None:
    parts = [
        chunk("m", {"content": "a"}),
        b"data: {bad\n\n",
        b": ping\n\n",
        chunk("m", {"content": "b"}),
        chunk("m", {}, "stop"),
    ]
    async with ScriptedProvider(stream(parts)) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        chunks = [c async for c in await run.client.chat.completions.create(model="auto", messages=ASK, stream=True)]
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "ab"


async def test_a_refused_optional_field_is_dropped_and_remembered(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        up.replies += [error(400, "Unrecognized request argument supplied: stream_options")]
        for _ in range(2):
            chunks = [
                c async for c in await run.client.chat.completions.create(model="auto", messages=ASK, stream=True)
            ]
            assert chunks[-1].choices[0].finish_reason == "stop"
        assert ["stream_options" in call.body for call in up.calls] == [True, False, False]


async def test_too_long_a_prompt_goes_to_a_larger_window_only(tmp_path: Path) -> None:
    too_long = error(400, "maximum context length is 8192 tokens", "context_length_exceeded")
    async with ScriptedProvider(too_long) as small, ScriptedProvider(answer("long")) as large:
        near, far = nearest_first("llama-8b")
        models = [
            entry("llama-8b", small.base_url),
            entry(near, small.base_url),
            entry(far, large.base_url, context_window=32768),
        ]
        async with gateway(tmp_path, models) as run:
            response, _ = await ask(run)
            assert response.model == far
            assert len(small.calls) == 1
        async with gateway(tmp_path, models[:2]) as run:
            with pytest.raises(openai.BadRequestError) as caught:
                await ask(run)
            assert caught.value.code == "context_length_exceeded"


async def test_a_content_filter_is_not_routed_around(tmp_path: Path) -> None:
    async with ScriptedProvider(error(400, "filtered: violence", "content_filter")) as up, ScriptedProvider() as good:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]) as run:
            with pytest.raises(openai.BadRequestError, match="filtered: violence"):
                await ask(run)
            assert not good.calls


async def test_the_breaker_opens_probes_and_closes(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as up, ScriptedProvider() as good:
        models = [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]
        settings = {"breaker_failures": 4, "cool_down": 0.5}
        clock = Time()
        async with gateway(tmp_path, models, gateway=settings, clock=clock) as run:
            for _ in range(4):
                response, headers = await ask(run)
                assert (response.model, headers["x-locus-stand-in"]) == ("llama-70b", "llama-70b")
            assert len(up.calls) == 4  # two requests with a retry each; then it rested
            ready = (await run.http.get("/health/ready")).json()
            assert ready["status"] == "ready"
            assert ready["models"]["llama-8b"]["deployments"]["llama-8b/0"] == "cooling down: server_error"
            assert (
                'locus_deployment_available{deployment="llama-8b/0",model="llama-8b"} 0.0'
                in (await run.http.get("/metrics")).text
            )
            up.default = answer("back")
            clock.now += 0.6
            response, headers = await ask(run)
            assert (response.model, "x-locus-stand-in" in headers) == ("llama-8b", False)


async def test_a_key_that_is_refused_twice_takes_the_deployment_out(tmp_path: Path) -> None:
    async with ScriptedProvider(error(401, "Incorrect API key sk-up")) as up, ScriptedProvider() as good:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]) as run:
            for _ in range(3):
                await ask(run)
            assert len(up.calls) == 2
            assert "taken out: auth" in (await run.http.get("/health/ready")).text
            raw = await run.client.chat.completions.with_raw_response.create(model="auto:best", messages=ASK)
            assert raw.headers["x-locus-model"] == "llama-70b"  # no candidate any more, rather than stood in for


async def test_the_only_model_is_never_cooled_into_a_black_hole(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as up:
        async with gateway(
            tmp_path, [entry("llama-8b", up.base_url)], gateway={"breaker_failures": 1, "cool_down": 60}
        ) as run:
            with pytest.raises(openai.InternalServerError):
                await ask(run)
            up.default = answer("back")
            assert (await ask(run))[0].choices[0].message.content == "back"


async def test_who_cools_down_is_asked_before_the_client_is_refused(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, ScriptedProvider() as other:
        models = [entry("llama-8b", up.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models, gateway={"breaker_failures": 1, "cool_down": 60, "retries": 0}) as run:
            other.replies += [error(500)]
            assert (await ask(run, "llama-70b"))[0].model == "llama-8b"  # and llama-70b cools down from now on
            up.default = error(500)
            assert (await ask(run))[0].model == "llama-70b"


async def test_limits_of_a_deployment_send_the_rest_elsewhere(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, ScriptedProvider() as good:
        limited = entry("llama-8b", up.base_url)
        limited["deployments"][0]["rpm"] = 2
        async with gateway(tmp_path, [limited, entry("llama-70b", good.base_url)]) as run:
            served = [(await ask(run))[0].model for _ in range(4)]
            assert served == ["llama-8b", "llama-8b", "llama-70b", "llama-70b"]


async def test_stand_ins_must_be_able_to_serve_the_request(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("tools")) as up:
        near, far = nearest_first("llama-8b")
        models = [
            entry("llama-8b", REFUSED, capabilities=["tools"]),
            entry(near, up.base_url),
            entry(far, up.base_url, capabilities=["tools"]),
        ]
        async with gateway(tmp_path, models) as run:
            response, _ = await ask(run, tools=[{"type": "function", "function": {"name": "f"}}])
            assert response.model == far


async def test_a_truncated_whole_answer_moves_on(tmp_path: Path) -> None:
    async def half(call: Any, writer: asyncio.StreamWriter) -> str:
        from tests.gateway.upstreams import head

        writer.write(head(200, 500, "application/json") + b'{"choices": [')
        await writer.drain()
        return "close"

    async with ScriptedProvider(half) as up, ScriptedProvider(reply(200, completion("whole", "x"))) as good:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", good.base_url)]) as run:
            response, _ = await ask(run)
            assert response.choices[0].message.content == "whole"


async def test_the_log_tells_once_why_a_deployment_is_not_asked_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "locus.deployments")
    refusal = {"error": {"message": "Incorrect API key provided: sk-up-of-this-test", "code": "invalid_api_key"}}
    async with ScriptedProvider(reply(401, refusal)) as bad, ScriptedProvider() as good:
        models = [entry("llama-8b", bad.base_url, good.base_url)]
        models[0]["deployments"][0] |= {"api_key": "sk-up-of-this-test", "weight": 1000}
        clock = Time()
        async with gateway(tmp_path, models, gateway={"cool_down": 0.2}, clock=clock) as run:
            for _ in range(3):
                await run.client.chat.completions.create(model="auto", messages=ASK)
            told = [record.getMessage() for record in caplog.records]
            assert len(told) == 1
            assert told[0].startswith("llama-8b/0 is taken out for 0 s: auth 401: Incorrect API key provided")
            assert told[0].endswith("; llama-8b/1 answers meanwhile")
            assert "sk-up" not in told[0]
            bad.default = good.default
            clock.now += 0.3
            for _ in range(3):
                await run.client.chat.completions.create(model="auto", messages=ASK)
            assert [record.getMessage() for record in caplog.records][1:] == ["llama-8b/0 answers again"]


@pytest.mark.parametrize("spare", [False, True])
async def test_a_stand_in_says_why_the_chosen_models_deployment_was_not_called(tmp_path: Path, spare: bool) -> None:
    refusal = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    async with ScriptedProvider(reply(401, refusal)) as bad, ScriptedProvider() as good:
        models = [entry("llama-8b", *[bad.base_url] * (1 + spare)), entry("llama-70b", good.base_url)]
        async with gateway(tmp_path, models) as run:
            for _ in range(3):
                raw = await run.client.chat.completions.with_raw_response.create(model="llama-8b", messages=ASK)
                assert raw.headers["x-locus-stand-in"] == "llama-70b"
                assert raw.headers["x-locus-stand-in-cause"] == "auth"
            assert raw.parse().locus["stand_in_cause"] == "auth"  # type: ignore[attr-defined]
            calls = len(bad.calls)
            record = (await run.records())[-1]
            assert len(bad.calls) == calls  # none for the last request
            assert record["served"] == "llama-70b"
            assert [(f["deployment"], f["cause"], f["called"]) for f in record["failover"]] == [
                (f"llama-8b/{i}", "auth", False) for i in range(1 + spare)
            ]
            assert record["failover"][0]["reason"] == "taken out: auth: Incorrect API key provided"
            route = await run.http.post("/v1/route", json={"model": "llama-8b", "messages": ASK})
            told = route.json()["stand_in"]
            assert (told["model"], told["cause"]) == ("llama-70b", "auth")
            assert told["reason"] == "taken out: auth: Incorrect API key provided"


async def test_a_stand_in_for_a_model_without_a_key_or_at_its_limit_says_so(tmp_path: Path) -> None:
    async with ScriptedProvider() as good:
        no_key, limited = entry("llama-8b", good.base_url), entry("mistral-7b", good.base_url)
        no_key["deployments"][0]["api_key"] = "os.environ/NOT_SET_HERE"
        limited["deployments"][0]["rpm"] = 1
        async with gateway(tmp_path, [no_key, limited, entry("llama-70b", good.base_url)]) as run:
            causes = []
            for name in ("llama-8b", "mistral-7b", "mistral-7b", "llama-70b"):
                raw = await run.client.chat.completions.with_raw_response.create(model=name, messages=ASK)
                causes.append(raw.headers.get("x-locus-stand-in-cause"))
            assert causes == ["no_key", None, "at_limit", None]
            assert (await run.records())[-1]["failover"] is None
