"""Before the first content byte: every fault is invisible, or a true and harmless error where no deployment is left."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clients import CALM, LONG, Got, ask, forgive, in_flight, official, read, short, until
from tests.faults.conftest import Serve
from tests.faults.provider import SECRETS, Persona, broken, by_mode, http_date, numbered, page, play, refuses
from tests.gateway.running import gateway
from tests.gateway.upstreams import Reply, ScriptedProvider, chunk, completion, error, reply, silent

pytestmark = pytest.mark.anyio
TEXT = numbered(12)
NO_RETRY = {"auth", "not_found", "quota"}  # coming back cannot help


@dataclass(frozen=True)
class Fault:
    """A fault on every call, how often it is met before the next deployment's turn, and the cause in the record.

    `calls` and `cause` with two values are for whole answers and for streams.
    """

    name: str
    reply: Reply
    calls: int | tuple[int, int]
    cause: str | tuple[str, str]

    def met(self, streaming: bool) -> tuple[int, str]:
        calls = self.calls if isinstance(self.calls, int) else self.calls[streaming]
        return calls, self.cause if isinstance(self.cause, str) else self.cause[streaming]


ROLE = chunk("m", {"role": "assistant", "content": ""})
NO_CHOICES = b'data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}\n\n'
OVERLOADED = {"error": {"message": f"overloaded, {SECRETS}", "type": "overloaded_error"}}
HTML = page(b"<html><body>Bad gateway</body></html>")

FAULTS = [
    *(Fault(f"{status}", error(status, SECRETS), 2, "server_error") for status in (408, 425, 500, 502, 504)),
    *(Fault(f"{status}", error(status, SECRETS), 2, "overloaded") for status in (503, 529)),
    *(Fault(f"{status}", error(status, f"Incorrect API key provided: {SECRETS}"), 1, "auth") for status in (401, 403)),
    Fault("404 model", error(404, f"no model for {SECRETS}", "model_not_found"), 1, "not_found"),
    Fault("429 quota", error(429, f"You exceeded your current quota, {SECRETS}", "insufficient_quota"), 1, "quota"),
    Fault("402", error(402, f"Insufficient credits of {SECRETS}"), 1, "quota"),
    Fault("429 beyond the cap", error(429, SECRETS, headers={"retry-after": "30"}), 1, "rate_limited"),
    Fault("429 date beyond the cap", error(429, headers={"retry-after": http_date(3600)}), 1, "rate_limited"),
    Fault("429 ms beyond the cap", error(429, headers={"retry-after-ms": "60000"}), 1, "rate_limited"),
    Fault("429 ms within the cap", error(429, headers={"retry-after-ms": "20"}), 3, "rate_limited"),
    *(Fault(f"{place}: FIN", broken(place, "close"), 2, "*") for place in ("before headers", "in the headers")),
    *(Fault(f"{place}: RST", broken(place, "reset"), 2, "*") for place in ("before headers", "in the headers")),
    *(Fault(f"{place}: FIN", broken(place, "close"), 2, "*") for place in ("after the headers", "in the body")),
    *(Fault(f"{place}: RST", broken(place, "reset"), 2, "*") for place in ("after the headers", "in the body")),
    *(Fault(f"{place}: FIN", broken(place, "close"), 2, "*") for place in ("between events", "in a chunk")),
    *(Fault(f"{place}: RST", broken(place, "reset"), 2, "*") for place in ("between events", "in a chunk")),
    *(Fault(f"{place}: silence", broken(place, "stall"), 1, "timeout") for place in ("in the headers", "in a chunk")),
    *(Fault(f"{place}: trickle", broken(place, "trickle"), 1, "timeout") for place in ("in the headers",)),
    Fault("silence", silent(), 1, "timeout"),
    Fault("headers, then silence", broken("after the headers", "stall"), 1, "timeout"),
    Fault("role, then silence", broken("between events", "stall"), 1, "timeout"),
    Fault("comments only", by_mode(HTML, play([], "comments")), (2, 1), ("unreadable", "timeout")),
    Fault("role, then comments", by_mode(HTML, play([ROLE], "comments")), (2, 1), ("unreadable", "timeout")),
    Fault("empty deltas", by_mode(HTML, play([ROLE], "empty deltas")), (2, 1), ("unreadable", "timeout")),
    Fault("an event by the byte", by_mode(HTML, play([], "trickle")), (2, 1), ("unreadable", "timeout")),
    Fault("HTML", HTML, 2, "unreadable"),
    Fault("HTML as JSON", page(b"<html>", "application/json"), 2, "unreadable"),
    Fault("invalid JSON", page(b'{"choices": [', "application/json"), 2, "unreadable"),
    Fault("empty", page(b"", "application/json"), 2, "unreadable"),
    Fault("empty stream", page(b"", "text/event-stream"), 2, "unreadable"),
    Fault("JSON null", page(b"null", "application/json"), 2, "unreadable"),
    Fault("JSON list", page(b"[]", "application/json"), 2, "unreadable"),
    Fault("an error in a 200", reply(200, OVERLOADED), 2, "overloaded"),
    Fault("no choices", reply(200, {"object": "chat.completion"}), 2, "unreadable"),
    Fault("empty choices", reply(200, completion("x", "m") | {"choices": []}), 2, "unreadable"),
    Fault(
        "an error event",
        by_mode(reply(200, OVERLOADED), play([b'data: {"error": {"message": "overloaded"}}\n\n'])),
        2,
        "overloaded",
    ),
    Fault("an error event after the role", by_mode(HTML, play([ROLE, b'data: {"error": "no"}\n\n'])), 2, "*"),
    Fault("chunks without choices", by_mode(HTML, play([NO_CHOICES] * 5)), 2, "unreadable"),
    Fault("no JSON in the events", by_mode(HTML, play([b"data: {broken\n\n"] * 5)), 2, "unreadable"),
    Fault("[DONE] alone", by_mode(HTML, play([b"data: [DONE]\n\n"])), 2, "unreadable"),
    Fault("role and [DONE]", by_mode(HTML, play([ROLE, b"data: [DONE]\n\n"])), 2, "unreadable"),
    Fault("role and usage", by_mode(HTML, play([ROLE, chunk("m", None, usage={"prompt_tokens": 1})])), 2, "unreadable"),
    Fault("half an event", by_mode(HTML, play([ROLE, chunk("m", {"content": "x"})], "half event")), 2, "unreadable"),
]


def public_only(got: Got) -> None:
    """Nothing of the provider shows in an error."""
    for secret in ("sk-up", "org-acme", "10.1.2.3", "127.0.0.1", "up-llama", ".invalid"):
        assert secret not in got.raw
        assert secret not in str(got.headers)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_on_every_call(serve: Serve, fault: Fault) -> None:
    """First with a stand-in, which answers unseen; then with none, which is an error that gives nothing away."""
    async with ScriptedProvider(fault.reply) as bad, ScriptedProvider(Persona(TEXT)) as good:
        limits = {} if "timeout" in fault.cause else LONG
        models = [short(name, up.base_url, deployment=limits) for name, up in (("llama-8b", bad), ("llama-70b", good))]
        async with serve(models, gateway=CALM) as run:
            for streaming in (False, True):
                calls, _ = fault.met(streaming)
                bad.calls.clear()
                forgive(run)
                got = await (official if streaming else ask)(run, stream=streaming)
                got.complete(TEXT, streaming=streaming)
                assert got.models == ["llama-70b"]
                assert got.headers["x-locus-model"] == "llama-8b"
                assert got.headers["x-locus-stand-in"] == "llama-70b"
                assert len(bad.calls) == calls
                await until(lambda: all(call.ended_at for call in bad.calls))  # a silent call is not left open
            for streaming, record in zip((False, True), await run.records(), strict=True):
                calls, cause = fault.met(streaming)
                assert (record["served"], record["status"], record["error"]) == ("llama-70b", 200, None)
                met = [attempt["cause"] for attempt in record["failover"]]
                assert len(met) == calls
                assert cause == "*" or set(met) == {cause}
            good.default = fault.reply
            forgive(run)
            got = await ask(run, stream=True)
            assert got.status in (429, 502, 503, 504)
            assert got.error is not None
            assert "llama-8b" in got.error["message"]
            assert "llama-70b" in got.error["message"]
            assert ("x-should-retry" in got.headers) == (fault.cause in NO_RETRY)
            assert got.headers["x-request-id"]
            public_only(got)
            assert in_flight(run) == 0


@pytest.fixture
def unreachable() -> Iterator[dict[str, str]]:
    """Base URLs where no server can be reached: refused, no such host, no TLS there, and a host that takes no connection."""
    with socket.socket() as full, socket.socket() as mute, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # the queue is full then, and further connections are not taken
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        mute.bind(("127.0.0.1", 0))
        mute.listen(50)
        yield {
            "refused": "http://127.0.0.1:9/v1",
            "no such host": "http://nowhere.invalid/v1",
            "not taken": f"http://127.0.0.1:{full.getsockname()[1]}/v1",
            "silent in the TLS handshake": f"https://127.0.0.1:{mute.getsockname()[1]}/v1",
        }


@pytest.mark.parametrize("how", ["refused", "no such host", "no TLS", "not taken", "silent in the TLS handshake"])
async def test_no_server_answers(serve: Serve, how: str, unreachable: dict[str, str]) -> None:
    async with ScriptedProvider() as plain, ScriptedProvider(Persona(TEXT)) as good:
        url = plain.base_url.replace("http:", "https:") if how == "no TLS" else unreachable[how]
        models = [short("llama-8b", url, deployment={"timeout": 5}), short("llama-70b", good.base_url)]
        async with serve(models, gateway=CALM) as run:
            for streaming in (False, True):
                forgive(run)
                (await ask(run, stream=streaming)).complete(TEXT, streaming=streaming)
                met = (await run.records())[-1]["failover"]
                assert {attempt["cause"] for attempt in met} <= {"connection", "timeout"}
                assert len(met) == (2 if met[0]["cause"] == "connection" else 1)
            await good.stop()
            got = await ask(run, stream=False)
            assert got.status in (502, 504)
            public_only(got)
        assert not plain.calls


async def test_one_quick_retry_then_other_deployments_then_the_nearest_stand_in(serve: Serve) -> None:
    order: list[str] = []

    def failing(name: str) -> Reply:
        async def send(call: Any, writer: asyncio.StreamWriter) -> Any:
            order.append(name)
            return await error(500)(call, writer)

        return send

    async with (
        ScriptedProvider(failing("first")) as a,
        ScriptedProvider(failing("second")) as b,
        ScriptedProvider(failing("near")) as c,
        ScriptedProvider(Persona(TEXT)) as d,
    ):
        models = [
            short("mistral-7b", d.base_url),
            short("llama-70b", c.base_url),
            short("llama-8b", a.base_url, b.base_url),
        ]
        async with serve(models, gateway=CALM) as run:
            got = await ask(run, stream=True)
            got.complete(TEXT, streaming=True)
            own = order[:4]
            assert own in (["first", "first", "second", "second"], ["second", "second", "first", "first"])
            assert order[4:] == ["near", "near"]
            assert got.headers["x-locus-stand-in"] == "mistral-7b"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("fault", [error(500), broken("before headers", "reset"), HTML], ids=["500", "RST", "HTML"])
async def test_a_fault_of_one_call_is_healed_by_the_quick_retry(serve: Serve, fault: Reply, streaming: bool) -> None:
    async with ScriptedProvider(Persona(TEXT)) as up, ScriptedProvider() as other:
        up.replies.append(fault)
        models = [short("llama-8b", up.base_url), short("llama-70b", other.base_url)]
        async with serve(models, gateway=CALM) as run:
            got = await ask(run, stream=streaming)
            got.complete(TEXT, streaming=streaming)
            assert got.models == ["llama-8b"]
            assert "x-locus-stand-in" not in got.headers
            assert len(up.calls) == 2
            assert not other.calls


@pytest.mark.parametrize(
    ("headers", "at_least"),
    [({"retry-after": "1"}, 1.0), ({"retry-after-ms": "300"}, 0.3), (None, 0.0)],
    ids=["seconds", "ms", "backoff"],
)
async def test_a_rate_limit_is_waited_out(serve: Serve, headers: dict[str, str] | None, at_least: float) -> None:
    async with ScriptedProvider(Persona(TEXT)) as up, ScriptedProvider() as other:
        up.replies.append(error(429, headers=headers))
        models = [short("llama-8b", up.base_url), short("llama-70b", other.base_url)]
        async with serve(models, gateway=CALM) as run:
            got = await ask(run, stream=True)
            got.complete(TEXT, streaming=True)
            assert got.models == ["llama-8b"]
            assert up.calls[1].at - up.calls[0].at >= at_least
            assert not other.calls


async def test_a_rate_limit_until_a_date(serve: Serve) -> None:
    async with ScriptedProvider(Persona(TEXT)) as up:

        async def limited(call: Any, writer: asyncio.StreamWriter) -> Any:
            return await error(429, headers={"retry-after": http_date(2)})(call, writer)  # 1 to 2 seconds

        up.replies.append(limited)
        async with serve([short("llama-8b", up.base_url)], gateway=CALM) as run:
            (await ask(run, stream=False)).complete(TEXT, streaming=False)
            assert up.calls[1].at - up.calls[0].at >= 0.9


async def test_the_cap_on_retry_after_is_a_setting(serve: Serve) -> None:
    async with ScriptedProvider(error(429, headers={"retry-after": "2"})) as up, ScriptedProvider(Persona(TEXT)) as b:
        models = [short("llama-8b", up.base_url), short("llama-70b", b.base_url)]
        async with serve(models, gateway=CALM | {"max_retry_after": 1.0}) as run:
            (await ask(run, stream=False)).complete(TEXT, streaming=False)
            assert len(up.calls) == 1


async def test_never_more_than_four_tries_on_one_deployment(serve: Serve) -> None:
    limited = error(429, headers={"retry-after-ms": "1"})
    async with ScriptedProvider(limited) as up, ScriptedProvider(Persona(TEXT)) as good:
        models = [short("llama-8b", up.base_url), short("llama-70b", good.base_url)]
        async with serve(models, gateway=CALM | {"retries": 3}) as run:
            up.replies += [error(400, "stream_options is not known"), error(500)]
            got = await ask(run, stream=True)
            got.complete(TEXT, streaming=True)
            assert 2 <= len(up.calls) <= 4


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    ("name", "value"), [("stream_options", {"include_usage": True}), ("parallel_tool_calls", False), ("user", "u")]
)
async def test_a_refused_optional_field_is_dropped_and_remembered(
    serve: Serve, status: int, name: str, value: Any
) -> None:
    async with ScriptedProvider(refuses(name, status)) as up, ScriptedProvider() as other:
        models = [short("llama-8b", up.base_url), short("llama-70b", other.base_url)]
        async with serve(models, gateway=CALM) as run:
            for _ in range(2):
                got = await official(run, stream=True, **{name: value})
                got.complete("fine", streaming=True)
                assert got.models == ["llama-8b"]
            assert [name in call.body for call in up.calls] == [True, False, False]
            assert not other.calls


@pytest.mark.parametrize("streaming", [False, True])
async def test_too_long_a_prompt(serve: Serve, streaming: bool) -> None:
    message = "This model's maximum context length is 8192 tokens."
    too_long = error(400, message, "context_length_exceeded")
    async with ScriptedProvider(too_long) as small, ScriptedProvider(Persona(TEXT)) as large:
        models = [
            short("llama-8b", small.base_url),
            short("llama-70b", small.base_url),
            short("mistral-7b", large.base_url, context_window=32_768),
        ]
        async with serve(models, gateway=CALM) as run:
            got = await ask(run, stream=streaming)
            got.complete(TEXT, streaming=streaming)
            assert got.headers["x-locus-stand-in"] == "mistral-7b"
            assert len(small.calls) == 1
        async with serve(models[:2], gateway=CALM) as run:
            got = await official(run, stream=streaming)
            assert got.status == 400
            assert got.error is not None
            assert (got.error["code"], got.error["message"]) == ("context_length_exceeded", message)
            assert len(small.calls) == 2


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_content_filter_is_not_routed_around(serve: Serve, streaming: bool) -> None:
    filtered = error(400, "The prompt was filtered: violence", "content_filter")
    async with ScriptedProvider(filtered) as up, ScriptedProvider() as other:
        models = [short("llama-8b", up.base_url), short("llama-70b", other.base_url)]
        async with serve(models, gateway=CALM) as run:
            got = await official(run, stream=streaming)
            assert got.status == 400
            assert got.error is not None
            assert (got.error["code"], got.error["message"]) == ("content_filter", "The prompt was filtered: violence")
            assert len(up.calls) == 1
            assert not other.calls


async def test_a_deployment_that_needs_an_operator_is_taken_out_and_reported(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(error(401, f"Incorrect API key: {SECRETS}")) as up,
        ScriptedProvider(Persona(TEXT)) as good,
    ):
        models = [short("llama-8b", up.base_url), short("llama-70b", good.base_url)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            for _ in range(3):
                (await ask(run, stream=True)).complete(TEXT, streaming=True)
            assert len(up.calls) == 2
            ready = await run.http.get("/health/ready")
            assert ready.status_code == 200
            assert "auth" in ready.json()["models"]["llama-8b"]["deployments"]["llama-8b/0"]
            metrics = (await run.http.get("/metrics")).text
            assert 'locus_deployment_available{deployment="llama-8b/0",model="llama-8b"} 0.0' in metrics
            assert 'locus_failed_attempts_total{cause="auth",deployment="llama-8b/0"} 2.0' in metrics
            for text in (ready.text, metrics):
                assert "org-acme" not in text
                assert "127.0.0.1" not in text


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (502, error(500)),
        (502, broken("before headers", "reset")),
        (502, HTML),
        (504, silent()),
        (503, error(401)),
        (429, error(429, headers={"retry-after": "30.5"})),
    ],
    ids=["500", "RST", "HTML", "silence", "401", "429"],
)
async def test_everything_failed(serve: Serve, status: int, fault: Reply) -> None:
    async with ScriptedProvider(fault) as a, ScriptedProvider(fault) as b:
        if status == 429:
            b.default = error(429, headers={"retry-after": "20"})
        models = [short("llama-8b", a.base_url), short("llama-70b", b.base_url)]
        async with serve(models, gateway=CALM) as run:
            for streaming in (False, True):
                forgive(run)
                response = await run.http.post(
                    "/v1/chat/completions",
                    json={"model": "llama-8b", "stream": streaming, "messages": [{"role": "user", "content": "x"}]},
                    headers={"x-request-id": "mine-1"},
                )
                got = read_error(response)
                assert got.status == status
                assert got.headers["x-request-id"] == "mine-1"
                if status == 429:
                    assert got.headers["retry-after"] == "20"
                record = (await run.records())[-1]
                assert (record["request_id"], record["status"], record["served"]) == ("mine-1", status, None)
                assert record["cost_nusd"] is None or record["cost_nusd"] == 0
                assert {attempt["model"] for attempt in record["failover"]} == {"llama-8b", "llama-70b"}


def read_error(response: Any) -> Got:
    got = read(response)
    assert got.error is not None
    assert got.error.keys() >= {"message", "type", "param", "code"}
    assert got.headers.get("retry-after", "0").isdigit()
    assert "x-should-retry" not in got.headers  # an outage: clients may come back
    assert all(name in got.error["message"] for name in ("llama-8b", "llama-70b"))
    return got
