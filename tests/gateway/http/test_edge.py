"""Keys, who sees what, and what never shows: over real sockets."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from gateway.config.access import Access
from gateway.config.access_reader import plain_key
from gateway.config.portfolio_file import load_portfolio
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.core.key_digest import key_digest
from gateway.core.safe_logging import SafeFormatter, install_exception_hooks, log_loop_exception, safe_traceback
from gateway.http.authentication_failures import AuthenticationFailures
from gateway.http.edge import Edge
from gateway.keys.authentication import Authentication
from tests.gateway.running import DIALECTS, NO_KEYS, Gateway, entry, gateway, running, serving, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
KEYS = {"K1": "sk-gateway-1", "K2": "sk-gateway-2", "ADMIN": "sk-admin"}
_CREDENTIALS = {b"authorization", b"x-api-key"}
CANARY = "canary-sk-0123456789"
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]


@asynccontextmanager
async def keyed(folder: Path, **settings: Any) -> AsyncIterator[Gateway]:
    async with ScriptedProvider() as up:
        path = write_portfolio(folder, [entry("llama-8b", up.base_url)], gateway=settings)
        async with running(load_portfolio(path, KEYS)) as run:
            run.service.reload_error = "portfolio.yaml: models: something private"
            yield run


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def status(run: Gateway, path: str, headers: Any = None) -> int:
    return (await run.http.get(path, headers=headers)).status_code


async def test_the_admin_key_opens_what_is_the_operators_and_nothing_else(tmp_path: Path) -> None:
    keys = ["os.environ/K1", "os.environ/K2"]
    async with keyed(tmp_path, keys=keys, admin_key="os.environ/ADMIN", host="0.0.0.0") as run:
        for given in (bearer("sk-admin"), {"x-api-key": "sk-admin"}):
            assert "locus_requests_in_flight" in (await run.http.get("/metrics", headers=given)).text
            hint = await run.http.get("/v1/models", headers=given)
            assert hint.status_code == 401
            assert "This is the admin key" in hint.json()["error"]["message"]
            assert "llama-8b" in (await run.http.get("/health/ready", headers=given)).text
        for given in (
            {},
            bearer("sk-gateway-1"),
            bearer("sk-admi"),
            bearer("sk-admin2"),
            {"x-api-key": "sk-gateway-2"},
        ):
            refused = await run.http.get("/metrics", headers=given)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
            assert "sk-" not in refused.text
            ready = await run.http.get("/health/ready", headers=given)
            assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        for key in ("sk-gateway-1", "sk-gateway-2"):
            assert await status(run, "/v1/models", bearer(key)) == 200
        assert await status(run, "/admin/anything", bearer("sk-gateway-1")) == 401
        assert await status(run, "/health/live") == 200


async def test_without_an_admin_key_only_this_machine_sees_it(tmp_path: Path) -> None:
    async with keyed(tmp_path, host="127.0.0.1") as run:
        assert await status(run, "/metrics") == 200
        ready = (await run.http.get("/health/ready")).json()
        assert ready["models"]["llama-8b"]["available"] is True
        assert "private" in ready["reload_error"]
        for name in ("forwarded", "x-forwarded-for", "x-real-ip"):  # a proxy on this machine speaks for others
            assert await status(run, "/metrics", {name: "203.0.113.7"}) == 403
            assert (await run.http.get("/health/ready", headers={name: "203.0.113.7"})).json() == {"status": "ready"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
async def test_without_an_admin_key_a_network_sees_nothing(tmp_path: Path, host: str) -> None:
    async with keyed(tmp_path, keys=["os.environ/K1"], host=host) as run:
        for given in ({}, bearer("sk-gateway-1"), bearer("x")):
            refused = await run.http.get("/metrics", headers=given)
            assert refused.status_code == 403
            assert "admin_key" in refused.json()["error"]["message"]
            assert (await run.http.get("/health/ready", headers=given)).json() == {"status": "ready"}


async def test_a_key_is_never_taken_from_the_address(tmp_path: Path) -> None:
    async with keyed(tmp_path, keys=["os.environ/K1"], admin_key="os.environ/ADMIN") as run:
        for name in ("key", "api_key", "api-key", "x-api-key", "authorization", "access_token"):
            for path, key in (("/v1/models", "sk-gateway-1"), ("/metrics", "sk-admin")):
                assert await status(run, f"{path}?{name}={key}") == 401
        for path in ("/metrics/", "//metrics", "/%6detrics", "/METRICS", "/./metrics", "/v1/../metrics", "/metrics%2f"):
            async with httpx.AsyncClient(base_url=run.url, follow_redirects=True, timeout=60) as http:
                assert "locus_requests" not in (await http.get(path, headers=bearer("sk-gateway-1"))).text


@pytest.mark.parametrize(
    "key", [b"Bearer \xff\xfe\x80", "Bearer kéy".encode(), b"Bearer \xf0\x9f\x94\x91", b"\xff", b""]
)
async def test_odd_keys_are_refused_like_others(tmp_path: Path, key: bytes) -> None:
    async with keyed(tmp_path, keys=["os.environ/K1"], admin_key="os.environ/ADMIN") as run:
        for name in (b"authorization", b"x-api-key"):
            for path in ("/v1/models", "/metrics"):
                assert await status(run, path, [(name, key)]) == 401


async def test_a_key_that_is_not_ascii_can_be_used(tmp_path: Path) -> None:
    for key in ("schlüssel-0123", b"latin-\xfc".decode(errors="surrogateescape")):
        async with ScriptedProvider() as up:
            path = write_portfolio(tmp_path, [entry("llama-8b", up.base_url)], gateway={"keys": ["os.environ/K"]})
            async with running(load_portfolio(path, {"K": key})) as run:
                raw = b"Bearer " + key.encode(errors="surrogateescape")
                assert await status(run, "/v1/models", [(b"authorization", raw)]) == 200
                assert await status(run, "/v1/models", [(b"authorization", raw + b"x")]) == 401


# What never shows


async def fails(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/later":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    if scope["path"] == "/chained":
        try:
            raise KeyError(CANARY)
        except KeyError as exc:
            raise ValueError(f"{CANARY} inside") from exc
    if scope["path"] == "/group":
        raise ExceptionGroup(CANARY, [OSError(CANARY)])
    raise RuntimeError(f"sent {CANARY}")


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/now", ["RuntimeError"]),
        ("/later", ["RuntimeError"]),
        ("/chained", ["KeyError", "ValueError"]),
        ("/group", ["OSError"]),
    ],
)
async def test_a_defect_is_logged_by_type_and_place(
    path: str, kinds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Edge(fails, Settings, DIALECTS, NO_KEYS)) as (_, url), httpx.AsyncClient(timeout=60) as http:
        try:
            response = await http.get(url + path)
            assert response.status_code == 500
            assert CANARY not in response.text
        except httpx.RemoteProtocolError:
            assert path == "/later"
    printed = "\n".join(SafeFormatter().format(record) for record in caplog.records)
    assert CANARY not in printed
    assert all(kind in printed for kind in kinds)
    assert "in fails" in printed


async def test_the_event_loop_tells_no_arguments(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(log_loop_exception)

    def callback(secret: str) -> None:
        raise RuntimeError(secret)

    async def task() -> None:
        raise RuntimeError(CANARY)

    loop.call_soon(callback, CANARY)
    forgotten = asyncio.create_task(task(), name=CANARY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del forgotten
    loop.call_exception_handler({"message": "Unclosed connection", "connection": CANARY})
    loop.set_exception_handler(before)
    assert len(caplog.records) == 3
    assert CANARY not in caplog.text
    assert "in callback" in caplog.records[0].places  # type: ignore[attr-defined]
    assert "Unclosed connection" in caplog.text


def test_crashes_tell_no_texts(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(place, name, getattr(place, name))
    install_exception_hooks()

    def run() -> None:
        raise RuntimeError(CANARY)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    error = RuntimeError(CANARY)
    sys.excepthook(RuntimeError, error, None)

    class Destroyed:
        def __del__(self) -> None:
            raise RuntimeError(CANARY)

    Destroyed()
    assert len(caplog.records) == 3
    assert all("RuntimeError" in record.places for record in caplog.records)  # type: ignore[attr-defined]
    assert CANARY not in caplog.text


def test_a_log_of_another_library_shows_no_text() -> None:
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError(CANARY)
    info = (raised.type, raised.value, raised.tb)
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "x.py", 1, "failed", (), info)
    logging.Formatter().format(record)  # leaves its text in the record
    assert "RuntimeError" in SafeFormatter().format(record)
    assert CANARY not in SafeFormatter().format(record)
    assert "test_edge" in safe_traceback(raised.value)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),  # by a name that points to 127.0.0.1
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://intranet"}, 403),
        ({"origin": "chrome-extension://abcdefghijklmnopabcdefghijklmnop"}, 403),
        ({"origin": "moz-extension://3c6bf0a1-6bd4-4f7e-9d3b-6a1f0b2f7c11"}, 403),
        ({"origin": "file://"}, 403),
        ({"origin": "localhost"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "tauri://localhost"}, 200),  # a program of this machine with a web page as its window
        ({"origin": "http://app.localhost"}, 200),
        ({"x-forwarded-for": "127.0.0.1"}, 403),
        ({"x-forwarded-proto": "https"}, 403),
        ({"x-forwarded-something": "x"}, 403),
        ({"forwarded": "for=192.0.2.60"}, 403),
        ({"via": "1.1 proxy"}, 403),
        ({"x-real-ip": "192.0.2.60"}, 403),
        ({"cf-connecting-ip": "192.0.2.60"}, 403),
        ({"host": "localhost:4000"}, 200),
        ({"host": "h" * 301}, 403),  # which would stay in memory, too
        ({"host": "[::1]:4000"}, 200),
        ({"host": "[::1"}, 403),
        ({"host": "evil.example@127.0.0.1"}, 403),
        ({"host": "127.0.0.1/evil.example"}, 403),
        ({"host": "x://127.0.0.1"}, 403),
        ({"origin": "https://evil.example@localhost"}, 403),
        ({"origin": "https://localhost:80:evil"}, 403),
    ],
)
async def test_without_keys_other_peoples_web_pages_are_not_served(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
            body = {"model": "auto", "messages": [{"role": "user", "content": "Hello, who are you?"}]}
            response = await run.http.post("/v1/chat/completions", json=body, headers=headers)
            assert response.status_code == status
            if status == 403:
                assert next(iter(headers)) in response.json()["error"]["message"]
                assert "`keys`" in response.json()["error"]["message"]
            assert len(up.calls) == (status == 200)
            assert (await run.http.get("/health/live", headers=headers)).status_code == 200


async def test_with_keys_the_key_alone_counts(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], gateway={"keys": ["sk-gate-1"]}) as run:
            headers = {"host": "models.example", "origin": "https://app.example", "authorization": "Bearer sk-gate-1"}
            headers |= {"x-forwarded-for": "192.0.2.60", "via": "1.1 proxy"}
            assert (await run.http.get("/v1/models", headers=headers)).status_code == 200


async def test_refused_keys_are_counted_and_logged_without_the_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"keys": ["os.environ/K1"], "admin_key": "os.environ/ADMIN"}
    async with keyed(tmp_path, **keys) as run:
        for _ in range(20):
            assert await status(run, "/v1/models", bearer("sk-guess")) == 401
        assert await status(run, "/v1/models") == 401
        assert await status(run, "/metrics", bearer("sk-gateway-1")) == 401
        text = (await run.http.get("/metrics", headers=bearer("sk-admin"))).text
    assert 'locus_keys_refused_total{key="gateway",reason="wrong"} 20.0' in text
    assert 'locus_keys_refused_total{key="gateway",reason="missing"} 1.0' in text
    assert 'locus_keys_refused_total{key="admin",reason="wrong"} 1.0' in text
    told = [record for record in caplog.records if record.name == "locus.keys"]
    assert [record.getMessage() for record in told] == [
        "a request was refused: it has a wrong gateway key, from 127.0.0.1"
    ]


async def test_refused_keys_that_follow_share_a_line(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[tuple[str, str]] = []
    refused = AuthenticationFailures(lambda key, reason: counted.append((key, reason)), interval_s=0.05)
    for _ in range(3):
        refused.add("admin", "missing", "192.0.2.7")
    await asyncio.sleep(0.2)
    refused.add("gateway", "wrong", "192.0.2.8")
    assert counted == [("admin", "missing")] * 3 + [("gateway", "wrong")]
    first = "a request was refused: it has no admin key, from 192.0.2.7"
    last = "a request was refused: it has a wrong gateway key, from 192.0.2.8"
    assert [record.getMessage() for record in caplog.records] == [first, f"{first}; 2 in the last 0.05 s", last]


async def echo_owner(scope: Scope, receive: Receive, send: Send) -> None:
    headers = dict(scope["headers"])
    told = {"owner": key_digest(headers), "credentials": sorted(_CREDENTIALS & headers.keys())}
    await JSONResponse(told)(scope, receive, send)


@pytest.mark.parametrize("keys", [(), (Secret("sk-alice"), Secret("sk-bob"))])
async def test_the_owner_is_the_key_that_authenticated_the_request(keys: tuple[Secret, ...]) -> None:
    same = [
        {"authorization": "Bearer sk-alice"},
        {"authorization": "bearer  sk-alice"},
        {"x-api-key": "sk-alice"},
        {"x-api-key": "sk-alice", "authorization": "Basic sk-bob"},
        {"authorization": "Bearer sk-alice", "x-api-key": "sk-bob"},
        {"authorization": "Bearer sk-alice", "owner": "someone"},
    ]
    other = {"x-api-key": "sk-bob", "authorization": "Basic sk-alice"}
    access = Access(tuple(plain_key(key, i, "") for i, key in enumerate(keys)))
    async with (
        serving(Edge(echo_owner, Settings, DIALECTS, Authentication(lambda: access))) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        answers = [(await http.get("/v1/models", headers=headers)).json() for headers in same]
        foreign = (await http.get("/v1/models", headers=other)).json()
    assert len({answer["owner"] for answer in answers}) == 1
    assert "alice" not in answers[0]["owner"]
    assert (foreign["owner"] != answers[0]["owner"]) is bool(keys)  # without keys there is one owner
    assert not any(answer["credentials"] for answer in [*answers, foreign])  # no key travels further in


# The shape of errors


def anthropic_shape(answer: httpx.Response, kind: str) -> None:
    body = answer.json()
    assert body.keys() == {"type", "error", "request_id"}
    assert (body["type"], body["error"]["type"]) == ("error", kind)
    assert body["error"]["message"]
    assert body["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


def openai_shape(answer: httpx.Response, code: str) -> None:
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["code"] == code
    assert "request-id" not in answer.headers


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_errors_at_the_edge_have_the_shape_of_the_paths_api(tmp_path: Path, prefix: str) -> None:
    async with keyed(tmp_path, keys=["os.environ/K1"]) as run:
        below = f"{prefix}/messages/no-such-thing"
        anthropic_shape(await run.http.get(below), "authentication_error")
        anthropic_shape(await run.http.get(below, headers={"x-api-key": "sk-gateway-1"}), "not_found_error")
        anthropic_shape(await run.http.post(f"{below}?beta=true", headers=bearer("sk-gateway-1")), "not_found_error")
        for path in ("/responses/x/y/z", "/messages-of-another-kind", "/models/x", "/"):
            path = f"{prefix}{path}" if path != "/" or prefix else "/no-such-thing"
            openai_shape(await run.http.get(path), "invalid_api_key")
            assert (await run.http.get(path, headers=bearer("sk-gateway-1"))).json()["error"][
                "type"
            ] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/v1/responses", "/v1/chat/completions"])
async def test_a_defect_is_told_in_the_shape_of_the_paths_api(path: str) -> None:
    async with serving(Edge(fails, Settings, DIALECTS, NO_KEYS)) as (_, url), httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(url + path, headers={"x-request-id": "mine"})
        assert answer.status_code == 500
        if "messages" in path:
            anthropic_shape(answer, "api_error")
            assert answer.headers["request-id"] == "mine"
        else:
            openai_shape(answer, "internal_error")


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b": begun\n\n", "more_body": True})
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    ("path", "name", "told"),
    [
        ("/v1/messages?beta=true", "error", {"type": "error", "error": {"type": "overloaded_error"}}),
        ("/v1/responses", "error", {"type": "error", "code": "gateway_stopped", "param": None, "sequence_number": 0}),
        ("/v1/chat/completions", None, {"error": {"type": "server_error", "param": None, "code": "gateway_stopped"}}),
        ("/v1/completions", None, {"error": {"type": "server_error", "param": None, "code": "gateway_stopped"}}),
    ],
)
async def test_a_stream_that_a_stop_cuts_ends_as_its_api_says(
    path: str, name: str | None, told: dict[str, Any]
) -> None:
    async with (
        serving(Edge(endless, Settings, DIALECTS, NO_KEYS), grace_s=0.1) as (server, url),
        httpx.AsyncClient(timeout=60) as http,
    ):
        async with http.stream("POST", url + path) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == ": begun"
            server.ask_to_stop()
            rest = [line async for line in lines if line]
    assert rest[:-1] == ([] if name is None else [f"event: {name}"])
    event = json.loads(rest[-1].removeprefix("data: "))
    message = event["error"].pop("message") if "error" in event else event.pop("message")
    assert "stopped" in message
    assert event == told


async def test_anthropics_client_reads_them(tmp_path: Path) -> None:
    async with keyed(tmp_path, keys=["os.environ/K1"]) as run:
        async with anthropic.AsyncAnthropic(base_url=run.url, api_key="sk-wrong", max_retries=0) as client:
            with pytest.raises(anthropic.AuthenticationError) as raised:
                await client.models.retrieve("x", extra_headers={"x-request-id": "mine"})
            assert "sk-wrong" not in str(raised.value)
            with pytest.raises(anthropic.AuthenticationError) as raised:
                await client.messages.create(model="auto", max_tokens=9, messages=ASK)
            assert raised.value.body["error"]["type"] == "authentication_error"
            assert raised.value.request_id == raised.value.body["request_id"]


# Methods and addresses


async def test_options_says_what_a_path_takes(tmp_path: Path) -> None:
    async with keyed(tmp_path) as run:
        for path, methods in (
            ("/v1/chat/completions", "OPTIONS, POST"),
            ("/v1/models", "GET, HEAD, OPTIONS"),
            ("/models/llama-8b", "GET, HEAD, OPTIONS"),
            ("/health/live", "GET, HEAD, OPTIONS"),
        ):
            answer = await run.http.options(path)
            assert (answer.status_code, answer.headers["allow"], answer.content) == (204, methods, b"")
            refused = await run.http.put(path)
            assert (refused.status_code, refused.headers["allow"]) == (405, methods)
            openai_shape(refused, "method_not_allowed")
        assert (await run.http.options("/v1/no-such-thing")).status_code == 404


async def test_head_is_get_without_a_body(tmp_path: Path) -> None:
    async with keyed(tmp_path) as run:
        for path in ("/v1/models", "/health/live", "/v1/no-such-thing"):
            got, head = await run.http.get(path), await run.http.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-type"] == got.headers["content-type"]
        assert (await run.http.head("/v1/chat/completions")).status_code == 405


async def test_what_follows_the_path_changes_nothing(tmp_path: Path) -> None:
    async with keyed(tmp_path) as run:
        body = {"model": "auto", "messages": ASK}
        for query in ("?beta=true", "?", "?api-version=2026-01-01&x=%20"):
            assert (await run.http.post(f"/v1/chat/completions{query}", json=body)).status_code == 200
            assert (await run.http.get(f"/v1/models{query}")).status_code == 200
