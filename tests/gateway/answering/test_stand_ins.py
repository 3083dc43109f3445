"""What may answer for a model that fails: settings, fallbacks and requests decide, in every format, with real sockets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.faults.clients import metric
from tests.gateway.running import EMBEDDINGS, Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, answer, chunk, error, silent, stream

pytestmark = pytest.mark.anyio
REFUSED = "http://127.0.0.1:9/v1"
CALM = {"breaker_failures": 100, "retries": 0}
USER: Any = {"role": "user", "content": "What is the capital of France?"}
PATHS = ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"]


def body(path: str, model: str, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": model} | more
    match path:
        case "/v1/responses":
            return asked | {"input": USER["content"]}
        case "/v1/completions":
            return asked | {"prompt": USER["content"]}
        case _:
            return asked | {"messages": [USER], "max_tokens": 20}


async def ask(run: Gateway, model: str = "llama-8b", headers: Mapping[str, str] | None = None, **more: Any) -> Any:
    return await run.http.post(PATHS[0], json=body(PATHS[0], model, **more), headers=dict(headers or {}))


def text(response: Any) -> str | None:
    return None if response.status_code != 200 else str(response.json()["choices"][0]["message"]["content"])


def three(first: str, same: str, other: str, **more: Any) -> list[dict[str, Any]]:
    """A model with two deployments, of which the first is called first; and another model."""
    models = [entry("llama-8b", first, same, **more), entry("llama-70b", other)]
    models[0]["deployments"][0]["weight"] = 1_000_000
    return models


# mode -> what answers if the first deployment fails, and if both fail
MODES = {
    "never": (None, None),
    "same_model": ("same", None),
    "nearest": ("same", "other"),
    "best": ("same", "other"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", ["gateway", "model", "header", "body"])
async def test_what_may_answer(tmp_path: Path, mode: str, place: str) -> None:
    async with ScriptedProvider(answer("same")) as same, ScriptedProvider(answer("other")) as other:
        own = {"stand_ins": mode} if place == "model" else {}
        settings = CALM | ({"stand_ins": mode} if place == "gateway" else {"stand_ins": "never"})
        models = three(REFUSED, same.base_url, other.base_url, **own)
        headers = {"x-locus-stand-ins": mode} if place == "header" else {}
        more = {"locus": {"stand_ins": mode}} if place == "body" else {}
        async with gateway(tmp_path, models, gateway=settings) as run:
            first = await ask(run, headers=headers, **more)
            same.default = error(500)
            second = await ask(run, headers=headers, **more)
            assert (text(first), text(second)) == MODES[mode]
            if MODES[mode][1] is None:
                told = second.json()["error"]["message"]
                assert (
                    f"No other model may answer: the {'request' if place in ('header', 'body') else 'portfolio'} says"
                    in told
                )
                assert f"`stand_ins: {mode}`" in told
                assert not other.calls


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("streaming", [False, True])
async def test_the_request_decides_in_every_format(tmp_path: Path, path: str, streaming: bool) -> None:
    async with ScriptedProvider(answer("other")) as other:
        models = [entry("llama-8b", REFUSED), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            asked = body(path, "llama-8b", stream=streaming)
            refused = await run.http.post(path, json=asked | {"locus": {"stand_ins": "same_model"}})
            assert refused.status_code == 502
            assert "No other model may answer: the request says `stand_ins: same_model`." in refused.text
            assert not other.calls
            answered = await run.http.post(path, json=asked, headers={"x-locus-stand-ins": "nearest"})
            assert answered.headers["x-locus-stand-in-rule"] == "nearest"
            assert '"stand_in_rule":"nearest"' in answered.text
            assert "locus" not in other.calls[0].body
            records = await run.records()
            assert [record["stand_in_rule"] for record in records] == [None, "nearest"]
            told = {"chosen": "llama-8b", "served": "llama-70b", "rule": "nearest"}
            assert await metric(run, "locus_stand_ins_total", **told) == 1


async def test_a_slow_model_is_not_joined_by_another_one_that_may_not_answer(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as slow, ScriptedProvider(answer("other")) as other:
        models = [entry("llama-8b", slow.base_url), entry("llama-70b", other.base_url)]
        models[0]["deployments"][0] |= {"first_token_timeout": 0.1, "timeout": 0.4}
        async with gateway(tmp_path, models, gateway=CALM) as run:
            held = await ask(run, stream=True, headers={"x-locus-stand-ins": "same_model"})
            assert held.status_code == 504
            assert "No other model may answer: the request says `stand_ins: same_model`." in held.text
            assert not other.calls
            assert '"content":"other"' in (await ask(run, stream=True)).text


@pytest.mark.parametrize(("mode", "answered"), [("same_model", False), ("never", False), ("best", True)])
async def test_a_broken_stream_is_continued_only_by_models_that_may_answer(
    tmp_path: Path, mode: str, answered: bool
) -> None:
    broken = stream([chunk("m", {"role": "assistant", "content": "Paris"})], cut=True)
    async with ScriptedProvider(broken) as first, ScriptedProvider(answer("Paris, of course.")) as other:
        models = [entry("llama-8b", first.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            got = await ask(run, stream=True, locus={"stand_ins": mode})
            assert bool(other.calls) == answered
            assert ("stream_broken" in got.text) != answered
            assert ('"models":["llama-8b","llama-70b"]' in got.text) == answered


async def test_fallbacks_are_asked_in_their_order_and_no_other_model(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as down, ScriptedProvider(answer("last")) as last:
        fallbacks = {"fallbacks": ["mistral-7b", "llama-70b"]}  # not the order of the distances
        models = [entry("llama-8b", down.base_url, **fallbacks), entry("llama-70b", last.base_url)]
        models += [entry("mistral-7b", down.base_url), entry("other", last.base_url)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            answered = await ask(run)
            assert (text(answered), answered.headers["x-locus-stand-in"]) == ("last", "llama-70b")
            assert answered.json()["locus"]["stand_in_rule"] == "fallbacks"
            (record,) = await run.records()
            assert [(a["model"], a["rule"]) for a in record["failover"]] == [
                ("llama-8b", None),
                ("mistral-7b", "fallbacks"),
            ]
            assert record["stand_in_rule"] == "fallbacks"
            last.default = error(500)
            calls = len(last.calls)
            failed = (await ask(run)).json()["error"]["message"]
            said = "the portfolio says `fallbacks: [mistral-7b, llama-70b]` for llama-8b"
            assert failed.endswith(f"No other model may answer: {said}.")
            assert len(last.calls) == calls + 1  # of llama-70b alone
            nearest = await ask(run, headers={"x-locus-stand-ins": "nearest"})  # the request says what counts
            tried = (await run.records())[-1]["failover"]
            assert list(dict.fromkeys(a["model"] for a in tried)) == ["llama-8b", "llama-70b", "mistral-7b", "other"]
            assert nearest.status_code == 502


async def test_auto_goes_to_the_fallbacks_of_the_model_that_it_chose(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("fallback")) as good:
        models = [entry(name, REFUSED) for name in EMBEDDINGS] + [entry("plain", good.base_url)]
        for model in models[:3]:
            model["fallbacks"] = ["plain"]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            answered = await ask(run, "auto:best")
            assert (text(answered), answered.headers["x-locus-stand-in"]) == ("fallback", "plain")


async def test_the_stand_in_of_a_routed_request_is_the_first_one_that_route_shows(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("good")) as good:
        async with gateway(tmp_path, [entry(name, good.base_url) for name in EMBEDDINGS]) as run:
            shown = (await run.http.post("/v1/route", json={"model": "auto:best", "messages": [USER]})).json()
        by_p = sorted(shown["candidates"], key=lambda one: -one["p_correct"])
        assert [one["model"] for one in shown["stand_ins"]["in_order"]] == [one["model"] for one in by_p[1:]]
        models = [entry(name, REFUSED if name == shown["chosen"] else good.base_url) for name in EMBEDDINGS]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            answered = await ask(run, "auto:best")
            assert answered.headers["x-locus-stand-in"] == by_p[1]["model"]
            assert answered.headers["x-locus-stand-in-rule"] == "best"


async def test_official_clients_show_who_answered(tmp_path: Path) -> None:
    """Their models keep fields that they do not know, in complete answers and in streams."""
    async with ScriptedProvider(answer("Paris.")) as good:
        models = [entry("llama-8b", REFUSED), entry("llama-70b", good.base_url)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            told: list[Any] = []
            asked: dict[str, Any] = {"model": "llama-8b", "messages": [USER]}
            chat = await run.client.chat.completions.create(**asked)
            assert chat.choices[0].message.content == "Paris."
            told.append((chat.model_extra or {})["locus"])
            chunks = [one async for one in await run.client.chat.completions.create(**asked, stream=True)]
            assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Paris."
            told.append(next(one.model_extra["locus"] for one in chunks if "locus" in (one.model_extra or {})))
            response = await run.client.responses.create(model="llama-8b", input="What is the capital of France?")
            assert response.output_text == "Paris."
            told.append((response.model_extra or {})["locus"])
            async with run.client.responses.stream(model="llama-8b", input="What is the capital?") as events:
                final = await events.get_final_response()
            assert final.output_text == "Paris."
            told.append((final.model_extra or {})["locus"])
            async with anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0) as client:
                message = await client.messages.create(**asked, max_tokens=20)
                told.append((message.model_extra or {})["locus"])
                async with client.messages.stream(**asked, max_tokens=20) as written:
                    assert await written.get_final_text() == "Paris."
                    told.append(((await written.get_final_message()).model_extra or {})["locus"])
    for one in told:
        assert (one["model"], one["stand_in"], one["stand_in_rule"]) == ("llama-8b", "llama-70b", "best")
        assert one["stand_in_cause"] == "connection"
        assert one["stand_in_distance"] > 0
        assert -1 <= one["stand_in_predicted_loss"] <= 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_too_long_a_prompt_for_a_server_started_with_less_goes_to_an_equal_window(
    tmp_path: Path, streaming: bool
) -> None:
    said = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion)."
    async with (
        ScriptedProvider(error(400, said, "context_length_exceeded")) as short,
        ScriptedProvider(answer("long")) as full,
    ):
        window = {"context_window": 32_768}
        models = [entry("llama-8b", short.base_url, **window), entry("llama-70b", full.base_url, **window)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            got = await ask(run, stream=streaming)
            assert got.headers["x-locus-stand-in"] == "llama-70b"
            assert got.headers["x-locus-stand-in-cause"] == "context_length"
            assert len(short.calls) == 1
        async with gateway(tmp_path, models[:1], gateway=CALM) as run:
            with pytest.raises(openai.BadRequestError) as caught:
                await run.client.chat.completions.create(model="llama-8b", messages=[USER])
            assert caught.value.code == "context_length_exceeded"
