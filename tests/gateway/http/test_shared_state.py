"""What one client's requests change for the requests of others: deployments taken out, fields left out, APIs not spoken."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.breaker import TAKEN_OUT_S
from gateway.deployments.learned_refusals import LEARNED_S
from tests.gateway.running import EMBEDDINGS, Gateway, entry, gateway, write_portfolio
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, completion, error, reply

pytestmark = pytest.mark.anyio
DEAD_KEY = error(401, "Incorrect API key provided", "invalid_api_key")
FILE = "No such File object: file-123456"


class Time:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


def where(test: Callable[[dict[str, Any]], Any], refusal: Reply) -> Reply:
    """Refuses the requests that pass a test, and answers the others."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        return await (refusal if test(call.body) else answer("fine"))(call, writer)

    return send


def says(word: str) -> Callable[[dict[str, Any]], bool]:
    return lambda body: any(word in message["content"] for message in body["messages"])


async def post(run: Gateway, content: str = "plain", model: str = "llama-8b", **more: Any) -> Any:
    fields = {"model": model, "messages": [{"role": "user", "content": content}]} | more
    return await run.http.post("/v1/chat/completions", json=fields)


async def states(run: Gateway) -> list[str]:
    report = (await run.http.get("/health/ready")).json()["models"]
    return [state for model in report.values() for state in model["deployments"].values()]


# Take-outs


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_one_refused_request_takes_nothing_out(tmp_path: Path, status: int) -> None:
    async with ScriptedProvider(where(says("file"), error(status, FILE))) as up:
        async with gateway(tmp_path, [entry(name, up.base_url, up.base_url) for name in EMBEDDINGS]) as run:
            for _ in range(3):  # a client that tries again sends no other request
                assert (await post(run, "file")).status_code >= 400
            assert set(await states(run)) == {"available"}
            assert (await post(run, model="auto")).status_code == 200


async def test_refused_requests_take_out_half_of_the_deployments_at_most_and_not_for_long(tmp_path: Path) -> None:
    clock = Time()
    async with ScriptedProvider(where(says("file"), error(404, FILE))) as up:
        models = [entry(name, up.base_url, up.base_url) for name in EMBEDDINGS]
        async with gateway(tmp_path, models, clock=clock) as run:
            for i in range(6):
                await post(run, f"file {i}")
            out = await states(run)
            assert out.count("taken out: refused with status 404") == 3
            assert out.count("available") == 3
            for model in ("auto", *EMBEDDINGS):
                assert (await post(run, model=model)).status_code == 200
            clock.ahead_s += 5
            for _ in range(20):
                for model in EMBEDDINGS:
                    assert (await post(run, model=model)).status_code == 200
            assert set(await states(run)) == {"available"}


async def test_a_success_in_between_forgets_the_first_refusal(tmp_path: Path) -> None:
    async with ScriptedProvider(where(says("file"), error(404, FILE))) as up, ScriptedProvider() as other:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", other.base_url)]) as run:
            for i in range(4):
                assert (await post(run, f"file {i}")).headers["x-locus-stand-in"] == "llama-70b"
                assert "x-locus-stand-in" not in (await post(run)).headers
            assert set(await states(run)) == {"available"}


async def test_a_dead_key_is_asked_again_after_its_time_and_used_once_it_is_whole(tmp_path: Path) -> None:
    clock = Time()
    async with ScriptedProvider(DEAD_KEY) as up, ScriptedProvider() as other:
        async with gateway(
            tmp_path, [entry("llama-8b", up.base_url), entry("llama-70b", other.base_url)], clock=clock
        ) as run:
            for i in range(5):
                assert (await post(run, f"{i}")).headers["x-locus-stand-in"] == "llama-70b"
            assert len(up.calls) == 2
            clock.ahead_s += TAKEN_OUT_S
            await post(run)
            await post(run)
            assert len(up.calls) == 3  # one request tries
            up.default = answer("whole again")
            clock.ahead_s += TAKEN_OUT_S
            for _ in range(2):
                assert "x-locus-stand-in" not in (await post(run)).headers
            assert set(await states(run)) == {"available"}


async def test_where_all_are_taken_out_auto_says_so_and_recovers_by_itself(tmp_path: Path) -> None:
    clock = Time()
    async with ScriptedProvider(DEAD_KEY) as up:
        async with gateway(tmp_path, [entry(name, up.base_url) for name in EMBEDDINGS], clock=clock) as run:
            for i in range(3):
                refused = await post(run, f"{i}", "auto")
                assert refused.status_code == 503
            assert 1 < int(refused.headers["retry-after"]) <= TAKEN_OUT_S
            assert (await run.http.get("/health/ready")).status_code == 503
            calls = len(up.calls)
            assert (await post(run, model="auto")).status_code == 503
            assert len(up.calls) == calls  # a key that was refused twice is left alone
            up.default = answer("whole again")
            clock.ahead_s += TAKEN_OUT_S
            assert (await run.http.get("/health/ready")).status_code == 200
            assert (await post(run, model="auto")).status_code == 200


async def test_what_the_request_says_is_not_the_providers_word(tmp_path: Path) -> None:
    async def echo(call: Call, writer: asyncio.StreamWriter) -> Any:
        choice = call.body.get("tool_choice")
        refusal = error(404, f"Invalid value: '{choice}' for 'tool_choice'.")
        return await (refusal if choice else answer("fine"))(call, writer)

    async with ScriptedProvider(echo) as up, ScriptedProvider() as other:
        models = [entry("llama-8b", up.base_url, up.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models) as run:
            for word in ("Incorrect API key provided", "The model does not exist", "You exceeded your current quota"):
                for _ in range(3):
                    await post(run, "the same", tool_choice=word)
            assert set(await states(run)) == {"available"}


async def test_a_reload_keeps_what_is_known(tmp_path: Path) -> None:
    async with ScriptedProvider(DEAD_KEY) as up, ScriptedProvider() as other:
        models = [entry("llama-8b", up.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models) as run:
            for i in range(2):
                await post(run, f"{i}")
            await run.service.apply(load_portfolio(write_portfolio(tmp_path, models[:1]), {}))
            assert await states(run) == ["taken out: auth"]


# What a deployment does not take


async def test_an_unknown_field_is_left_out_for_an_hour(tmp_path: Path) -> None:
    clock = Time()
    async with ScriptedProvider(where(lambda body: "seed" in body, error(400, "Unknown parameter: 'seed'."))) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], clock=clock) as run:
            for _ in range(2):
                response = await post(run, seed=1)
                assert response.status_code == 200
                assert response.headers["x-locus-left-out"] == "seed"
            assert "x-locus-left-out" not in (await post(run)).headers
            assert ["seed" in call.body for call in up.calls] == [True, False, False, False]
            clock.ahead_s += LEARNED_S
            up.default = answer("it has learned it")
            assert "x-locus-left-out" not in (await post(run, seed=1)).headers
            assert up.calls[-1].body["seed"] == 1


async def test_a_refused_value_is_left_out_of_its_request_alone(tmp_path: Path) -> None:
    too_long = error(400, "Invalid 'safety_identifier': string too long. Expected a maximum length of 64.")
    async with ScriptedProvider(where(lambda body: len(body["safety_identifier"]) > 64, too_long)) as up:
        up.default = where(lambda body: len(body.get("safety_identifier", "")) > 64, too_long)
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
            response = await post(run, safety_identifier="x" * 65)
            assert response.status_code == 200
            assert response.headers["x-locus-left-out"] == "safety_identifier"
            assert "x-locus-left-out" not in (await post(run, safety_identifier="alice")).headers
            assert up.calls[-1].body["safety_identifier"] == "alice"


async def test_nothing_is_remembered_of_a_field_without_which_it_fails_as_well(tmp_path: Path) -> None:
    unknown = error(400, "Unknown parameter: 'max_tokens'. Use 'max_completion_tokens'.")
    async with ScriptedProvider(where(says("odd"), unknown)) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
            assert (await post(run, "odd", max_tokens=5)).status_code == 400
            await post(run, max_tokens=5)
            assert up.calls[-1].body["max_tokens"] == 5


@pytest.mark.parametrize("said", ["Item with id 'rs_12345678' not found.", "The file that was referred to is gone."])
async def test_a_thing_that_one_request_names_does_not_end_an_api(tmp_path: Path, said: str) -> None:
    native = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "fine", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        if not call.path.endswith("/responses"):
            return await reply(200, completion("fine", "m"))(call, writer)
        odd = "rs_12345678" in str(call.body)
        return await (error(404, said) if odd else reply(200, native))(call, writer)

    async with ScriptedProvider(send) as up:
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["apis"] = ["responses"]
        async with gateway(tmp_path, [model]) as run:
            turn = {"role": "user", "content": "hi"}
            lost = {"type": "reasoning", "id": "rs_12345678", "summary": []}
            for given in ([lost, turn], [turn]):
                body = {"model": "llama-8b", "input": given, "store": False}
                response = await run.http.post("/v1/responses", json=body)
                assert response.status_code == 200, response.text
            paths = [call.path.rpartition("/v1/")[2] for call in up.calls]
            assert paths == ["responses", "chat/completions", "responses"]


async def test_a_reload_changes_when_unchanged_deployments_cool_down(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as up:
        listed = [entry("llama-8b", up.base_url)]
        async with gateway(tmp_path, listed, gateway={"retries": 0, "breaker_failures": 50}) as run:
            before = run.service.in_force.deployments.models["llama-8b"].deployments[0]
            path = write_portfolio(tmp_path, listed, gateway={"retries": 0, "breaker_failures": 2})
            await run.service.apply(load_portfolio(path, {}))
            live = run.service.in_force.deployments.models["llama-8b"].deployments[0]
            assert live is before
            for _ in range(2):
                await run.http.post(
                    "/v1/chat/completions", json={"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
                )
            assert live.breaker.open_until is not None


async def test_a_client_hears_the_providers_error_that_repeats_its_own_words(tmp_path: Path) -> None:
    message = "Invalid input: the model `zzz-of-the-prompt` does not exist"
    told = reply(400, {"error": {"message": message, "type": "invalid_request_error"}})
    prompt = [{"role": "user", "content": "the model `zzz-of-the-prompt` does not exist"}]
    async with ScriptedProvider(told) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        answer = await run.http.post("/v1/chat/completions", json={"model": "llama-8b", "messages": prompt})
        assert answer.status_code == 400, answer.text
        assert "Invalid input" in answer.json()["error"]["message"]
