"""Odd but possible: what clients, providers and operators send that is not planned for. Real sockets throughout."""

import asyncio
import gzip
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.server.reload import Reloader
from tests.gateway.running import Gateway, entry, eventually, gateway, leaving, write_portfolio
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, chunk, completion, error, head, reply, stream

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
LONG_KEY = "sk-canary-0123456789"


async def post(run: Gateway, body: bytes | dict[str, Any], path: str = "/v1/chat/completions") -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await run.http.post(path, content=content, headers={"content-type": "application/json"})


def idle(run: Gateway) -> bool:
    """No call counted as under way, no probe held."""
    live = [d for m in run.service.in_force.deployments.models.values() for d in m.deployments]
    return all(d.in_flight == 0 for d in live)


# What clients send


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/route"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b"\xff\xfe", 400),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        (b'{"model": "\\u0000\\u202e\\ud83d\\ude00", "messages": [{"role": "user", "content": "x"}]}', 404),
        (b'{"model": "auto", "messages": [{"role": "user", "content": ""}]}', 200),
        (b'{"model": "auto", "messages": [{"role": "user", "content": null}], "tools": null}', 200),
        (b'{"model": "auto", "messages": [{"role": "user", "content": []}], "stream_options": null}', 200),
        (b'{"model": "llama-8b", "max_tokens": 18446744073709551615, "messages": [{"role": "user"}]}', 200),
        (b'{"model": "auto", "max_tokens": 18446744073709551615, "messages": [{"role": "user"}]}', 200),
        (b'{"model": "auto", "messages": [{"role": "user"}], "x": ' + b"[" * 300 + b"]" * 300 + b"}", 400),
        (b'{"model": "auto", "messages": [{"role": "user"}], "tools": ' + b"[" * 300 + b"]" * 300 + b"}", 400),
        (b"[" * 100_000, 400),
    ],
)
async def test_no_body_makes_an_internal_error(tmp_path: Path, path: str, body: bytes, status: int) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        response = await post(run, body, path)
        assert response.status_code == status, response.text
        if status != 200:
            assert response.json()["error"]["message"]
        assert idle(run)


@pytest.mark.parametrize(
    "body",
    [
        b'{"mod\\u0065l": "theirs", "model": "auto", "messages": [{"role": "user", "content": "hi"}]}',
        b'{"mod\\u0065l": "auto", "metadata": {"model": "auto"}, "messages": [{"role": "user", "content": "hi"}]}',
        b'{"model": "theirs", "model": "auto", "messages": [{"role": "user", "content": "hi"}]}',
    ],
)
async def test_a_client_cannot_name_the_upstream_model(tmp_path: Path, body: bytes) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        assert (await post(run, body)).status_code == 200
        pairs: list[tuple[str, Any]] = []
        import json

        json.loads(up.calls[0].raw, object_pairs_hook=lambda found: pairs.extend(found) or dict(found))
        top = [value for key, value in pairs if key == "model" and value != "auto"]
        assert top == ["up-llama-8b"]
        assert up.calls[0].body["model"] == "up-llama-8b"


async def test_usage_is_asked_for_where_the_client_sends_null_options(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        await post(run, {"model": "auto", "messages": ASK, "stream": True, "stream_options": None})
        assert (await run.records())[0]["completion_tokens"] == 1


async def test_one_clients_wrong_stream_options_do_not_stop_the_accounting_of_others(tmp_path: Path) -> None:
    async def strict(call: Call, writer: asyncio.StreamWriter) -> Any:
        options = call.body.get("stream_options")
        if options is not None and (not call.body.get("stream") or set(options) != {"include_usage"}):
            return await error(400, "stream_options is not allowed like this")(call, writer)
        return await answer("fine")(call, writer)

    async with ScriptedProvider(strict) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        wrong = {"model": "auto", "messages": ASK, "stream_options": {"include_usage": True}}
        assert (await post(run, wrong)).status_code == 200
        wrong = {"model": "auto", "messages": ASK, "stream": True, "stream_options": {"bogus": 1}}
        assert (await post(run, wrong)).status_code == 200
        await post(run, {"model": "auto", "messages": ASK, "stream": True})
        assert (await run.records())[-1]["completion_tokens"] == 1


async def test_a_refusal_that_dropping_does_not_heal_reaches_the_client(tmp_path: Path) -> None:
    always = error(400, "Unknown parameter: stream_options; something else is wrong")
    async with ScriptedProvider(always) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        response = await post(run, {"model": "llama-8b", "messages": ASK, "stream": True})
        assert response.status_code == 400
        assert "something else" in response.text
        assert len(up.calls) == 2
        assert idle(run)


async def test_requests_with_the_same_id_are_both_recorded(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        for _ in range(2):
            body = {"model": "auto", "messages": ASK}
            response = await run.http.post("/v1/chat/completions", json=body, headers={"x-request-id": "same"})
            assert response.headers["x-request-id"] == "same"
        assert [r["request_id"] for r in await run.records()] == ["same", "same"]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
async def test_other_methods(tmp_path: Path, method: str) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        response = await run.http.request(method, "/v1/chat/completions")
        assert response.status_code == 405
        assert response.headers["allow"] == "OPTIONS, POST"
        assert response.headers["x-request-id"]
        asked = await run.http.options("/v1/chat/completions")
        assert (asked.status_code, asked.headers["allow"]) == (204, "OPTIONS, POST")
        assert (await run.http.head("/v1/models")).status_code == 200


async def test_a_malformed_host_header_is_no_internal_error(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        response = await run.http.get("/nothing/here", headers={"host": "["})
        assert response.status_code == 403
        assert "`host`" in response.json()["error"]["message"]


async def test_names_beyond_ascii_and_with_slashes(tmp_path: Path) -> None:
    names = ['org/名前 "q"\\', "größe"]
    async with ScriptedProvider() as up:
        models = [entry("llama-8b", up.base_url) | {"name": name} for name in names]
        async with gateway(tmp_path, models) as run:
            for name in names:
                response = await post(run, {"model": name, "messages": ASK})
                assert response.json()["model"] == name
                assert response.headers.raw
                assert dict(response.headers.raw)[b"x-locus-model"].decode() == name
                from urllib.parse import quote

                for path in (quote(name), quote(name, safe="")):
                    assert (await run.http.get(f"/v1/models/{path}")).json()["id"] == name
            assert (await run.http.get("/metrics")).status_code == 200


@pytest.mark.parametrize("name", ['"a\\nx-evil: 1"', '"a\\ud800"'])
def test_a_name_that_no_header_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "portfolio.yaml"
    path.write_text(f"models:\n  - name: {name}\n    context_window: 8\n    deployments: [{{model: ollama/m}}]\n")
    with pytest.raises(PortfolioError, match=r":2: (models\[0\]\.name: .*printable|not valid YAML: .*escape)"):
        load_portfolio(path, {})


async def test_a_client_that_leaves_while_asking_for_a_route_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        host, port = run.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/route HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
        await writer.drain()
        await eventually(lambda: bool(run.server.server_state.tasks))
        writer.close()
        await eventually(lambda: not run.server.server_state.tasks)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        error(429, headers={"retry-after": "5"}),  # leaves while waiting for the retry
        stream([chunk("m", {"role": "assistant"})], stall=True),
        stream([chunk("m", {"content": "a"})], stall=True),
    ],
)
async def test_a_probe_that_its_client_leaves_is_given_back(tmp_path: Path, fault: Reply, streaming: bool) -> None:
    settings = {"breaker_failures": 1, "cool_down": 0.2, "retries": 1}
    async with ScriptedProvider(error(500)) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway=settings) as run:
            body = {"model": "llama-8b", "messages": ASK, "stream": streaming}
            assert (await post(run, body)).status_code == 502
            (live,) = run.service.in_force.deployments.models["llama-8b"].deployments
            await eventually(lambda: live.breaker.available(run.service.clock()))
            up.default = fault
            before = len(up.calls)

            def soon_after_the_call() -> bool:
                return len(up.calls) > before and time.monotonic() > up.calls[-1].at + 0.1

            await leaving(run.http.post("/v1/chat/completions", json=body), soon_after_the_call)
            await eventually(lambda: idle(run))
            now = run.service.clock() + 3600
            assert live.breaker.available(now)
            assert (await run.records())[-1]["error"] == "client_disconnected"
            assert b"locus_requests_in_flight 0.0" in run.service.metrics.render()
            up.default = answer("back")
            assert (await post(run, body)).status_code == 200


# What providers send


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 2**63, "completion_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": "3"},
        {"prompt_tokens": None},
        [],
        "many",
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_odd_usage_breaks_neither_the_answer_nor_the_record(tmp_path: Path, usage: Any, streaming: bool) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        up.replies.append(
            stream([chunk("m", {"content": "a"}), chunk("m", {}, "stop"), chunk("m", None, usage=usage)])
            if streaming
            else reply(200, completion("a", "m") | {"usage": usage})
        )
        body = {"model": "llama-8b", "messages": ASK, "stream": streaming}
        response = await post(run, body)
        assert response.status_code == 200
        assert not streaming or response.text.endswith("data: [DONE]\n\n")
        await post(run, body)
        assert len(await run.records()) == 2
        assert 'locus_requests_total{error="",model="llama-8b",policy="",status="200"} 2.0' in run_metrics(run)


def run_metrics(run: Gateway) -> str:
    return run.service.metrics.render().decode()


@pytest.mark.parametrize("streaming", [False, True])
async def test_compressed_answers(tmp_path: Path, streaming: bool) -> None:
    async def send(call: Call, writer: asyncio.StreamWriter) -> None:
        parts = b"".join([chunk("m", {"content": "a"}), chunk("m", {}, "stop"), b"data: [DONE]\n\n"])
        body = gzip.compress(parts if streaming else orjson.dumps(completion("a", "m")))
        kind = "text/event-stream" if streaming else "application/json"
        writer.write(head(200, None, kind, {"content-encoding": "gzip"}))
        for i in range(0, len(body), 20):
            part = body[i : i + 20]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with ScriptedProvider(send) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        response = await post(run, {"model": "llama-8b", "messages": ASK, "stream": streaming})
        assert response.status_code == 200
        assert "content-encoding" not in response.headers
        assert '"content":"a"' in response.text


def raw(data: bytes) -> Reply:
    async def send(call: Call, writer: asyncio.StreamWriter) -> str:
        writer.write(data)
        await writer.drain()
        return "close"

    return send


SSE = "text/event-stream"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        raw(b"garbage\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"),
        raw(head(200, 5, "application/json", {"content-encoding": "gzip"}) + b"hello"),
        raw(head(200, 5, SSE, {"content-encoding": "gzip"}) + b"hello"),
        raw(head(200, 5, SSE, {"content-encoding": "br"}) + b"hello"),
        raw(head(200, None, SSE) + b"zz\r\n"),
        raw(head(200, 2, "application/json", {"x": "y" * 200_000}) + b"{}"),
        reply(200, {"choices": [{"message": None}]}),
        reply(302, b"", {"location": "http://127.0.0.1:9/elsewhere"}),
        reply(307, b"", {"location": "http://127.0.0.1:9/elsewhere"}),
        error(429, headers={"retry-after": "9" * 400}),
        error(429, headers={"retry-after-ms": "inf"}),
        error(400, f"API key not valid: {LONG_KEY}"),
        error(400, f"Incorrect API key provided: {LONG_KEY}"),
        stream([chunk("m", {"content": "x"}, choices=[["x"]])]),
        stream([chunk("m", {"content": "x"}, choices=[{"index": {}, "delta": None}])] * 3),
    ],
)
async def test_odd_faults_move_on(tmp_path: Path, fault: Reply, streaming: bool) -> None:
    async with ScriptedProvider(fault) as bad, ScriptedProvider(answer("saved")) as good:
        models = [entry("llama-8b", bad.base_url), entry("llama-70b", good.base_url)]
        async with gateway(tmp_path, models) as run:
            response = await post(run, {"model": "llama-8b", "messages": ASK, "stream": streaming})
            assert response.status_code == 200, response.text
            assert response.headers["x-locus-stand-in"] == "llama-70b"
            assert LONG_KEY not in response.text
            assert len(bad.calls) <= 3
            assert idle(run)
        async with gateway(tmp_path, models[:1]) as run:
            response = await post(run, {"model": "llama-8b", "messages": ASK, "stream": streaming})
            assert response.status_code in (429, 502, 503)
            assert response.json()["error"]["type"] == "server_error"


def test_a_key_that_no_header_can_carry_is_refused(tmp_path: Path) -> None:
    broken = entry("llama-8b", "http://127.0.0.1:9/v1")
    broken["deployments"][0]["api_key"] = "os.environ/KEY"
    with pytest.raises(PortfolioError, match="the environment variable KEY has a line break") as caught:
        load_portfolio(write_portfolio(tmp_path, [broken]), {"KEY": LONG_KEY + "\nx: y"})
    assert LONG_KEY not in str(caught.value)


async def streamed(folder: Path, parts: list[bytes], **more: Any) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """The text, the chunks and the record of one stream."""
    reply_ = stream(parts, **more)
    async with ScriptedProvider(reply_) as up, gateway(folder, [entry("llama-8b", up.base_url)]) as run:
        response = await post(run, {"model": "llama-8b", "messages": ASK, "stream": True})
        assert response.status_code == 200, response.text
        assert idle(run)
        found = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
        return response.text, [orjson.loads(f) for f in found if f != "[DONE]"], (await run.records())[0]


async def test_an_azure_style_stream(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    text, chunks, record = await streamed(
        tmp_path,
        [
            chunk("", None, prompt_filter_results=[{"prompt_index": 0}]),
            chunk("gpt", {"role": "assistant", "content": ""}),
            chunk("gpt", {"content": "a"}, logprobs={"content": []}),
            chunk("gpt", {}, "stop"),
            chunk("gpt", None, usage=usage),
            b"data: [DONE]\n\n",
        ],
    )
    assert text.endswith("data: [DONE]\n\n")
    assert {c["model"] for c in chunks} == {"llama-8b"}
    assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 2)


async def test_chunks_without_a_model_get_one(tmp_path: Path) -> None:
    bare = {"choices": [{"index": 0, "delta": {"content": "a"}}], "x_groq": {"model": "inner"}}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    parts = [b"data: " + orjson.dumps(value) + b"\n\n" for value in (bare, last)]
    _, chunks, _ = await streamed(tmp_path, parts)
    assert [c.get("model") for c in chunks] == ["llama-8b"] * 2
    assert chunks[0]["x_groq"] == {"model": "inner"}


async def test_empty_data_lines_are_no_bad_events(tmp_path: Path) -> None:
    text, _, record = await streamed(
        tmp_path, [b"data:\n\n"] * 5 + [chunk("m", {"content": "a"}), b"data: \n\n", chunk("m", {}, "stop")]
    )
    assert text.endswith("data: [DONE]\n\n")
    assert record["error"] is None


@pytest.mark.parametrize("how", ["cut", "stall"])
async def test_an_answer_that_is_finished_cannot_break_any_more(tmp_path: Path, how: str) -> None:
    parts = [chunk("m", {"content": "whole"}), chunk("m", {}, "stop")]
    async with ScriptedProvider(stream(parts, pause_s=0.05, cut=how == "cut", stall=how == "stall")) as up:
        model = entry("llama-8b", up.base_url)
        model["deployments"][0]["idle_timeout"] = 0.3
        async with gateway(tmp_path, [model]) as run:
            response = await post(run, {"model": "llama-8b", "messages": ASK, "stream": True})
            assert response.text.endswith("data: [DONE]\n\n")
            assert (await run.records())[0]["error"] is None


async def test_two_choices_of_which_one_breaks(tmp_path: Path) -> None:
    one = [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}, {"index": 1, "delta": {"content": "b"}}]
    text, _, record = await streamed(tmp_path, [chunk("m", None, choices=one)], cut=True)
    assert "[DONE]" not in text
    assert record["error"] == "stream_broken"


@pytest.mark.parametrize(("depth", "whole"), [(300, True), (2_000, False)])
async def test_a_chunk_that_is_nested_deep_is_written_again_or_breaks_the_stream(
    tmp_path: Path, depth: int, whole: bool
) -> None:
    deep = b'data: {"usage": {"prompt_tokens": 1}, "x": ' + b"[" * depth + b"]" * depth
    deep += b', "choices": [{"index": 0, "delta": {}}]}\n\n'
    text, _, record = await streamed(
        tmp_path, [chunk("m", {"content": "a"}), deep, chunk("m", {}, "stop")], pause_s=0.1
    )
    assert text.count('"content":"a"') == 1
    assert ("[DONE]" in text, '"error"' in text) == (whole, not whole)
    assert (record["error"] is None) == whole


# What operators do


async def test_a_reload_during_a_stream_lets_it_finish(tmp_path: Path) -> None:
    parts = [chunk("m", {"content": "a"}), chunk("m", {"content": "b"}), chunk("m", {}, "stop")]
    async with ScriptedProvider(stream(parts, pause_s=0.2)) as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
            asked = asyncio.create_task(post(run, {"model": "llama-8b", "messages": ASK, "stream": True}))
            await eventually(lambda: bool(up.calls))
            changed = load_portfolio(write_portfolio(tmp_path, [entry("llama-70b", up.base_url)]), {})
            await run.service.apply(changed)
            assert (await post(run, {"model": "llama-8b", "messages": ASK})).status_code == 404
            response = await asked
            assert response.text.count('"model":"llama-8b"') == 3
            assert response.text.endswith("data: [DONE]\n\n")


async def test_the_reloader_survives_unexpected_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reports: list[str | None] = []

    async def apply(portfolio: Portfolio, _: object) -> None:
        if portfolio.models[0].name == "bad":
            raise LookupError(f"a text with {LONG_KEY}")

    path = tmp_path / "portfolio.yaml"

    def write(name: str) -> None:
        path.write_text(f"models:\n  - name: {name}\n    context_window: 8\n    deployments: [{{model: ollama/m}}]\n")

    write("first")
    async with Reloader(path, {}, apply, reports.append, interval_s=0.05):
        for number, name in enumerate(("bad", "second"), start=1):
            write(name)
            for _ in range(1_200):
                if len(reports) >= number:
                    break
                await asyncio.sleep(0.05)
    assert len(reports) == 2
    assert "LookupError" in str(reports[0])
    assert reports[1] is None
    assert LONG_KEY not in caplog.text + str(reports[0])
