"""Canaries: a distinct string wherever a secret can be configured or a provider can repeat one, then every kind of failure,
then a search for each canary in everything that leaves the gateway: answers, logs, output, metrics, database.
"""

import asyncio
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.core.safe_logging import SafeFormatter
from tests.gateway.running import EMBEDDINGS, Gateway, running, write_portfolio
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer, chunk, head, reply, reset, silent, stream
from tests.ports import free_port

pytestmark = pytest.mark.anyio

GATEWAY_KEY, ADMIN_KEY = "canary-gateway-key", "canary-admin-key"
CLIENT = ("canary-client-header", "canary-client-cookie", "canary-wrong-key")
PROMPT = "canary-prompt: why is the sky blue, and what would it take to make it green?"


def found(data: bytes, canaries: Iterable[str]) -> list[str]:
    text = data.lower()
    return [canary for canary in canaries if canary.lower().encode() in text]


# What a provider does, by the name that stands in the path of its URL. `{leak}` is all that it knows of the operator.


def saying(status: int, **headers: str) -> Callable[[str], Reply]:
    def make(leak: str) -> Reply:
        error = {"message": f"no: {leak}", "type": leak, "param": leak, "code": leak}
        return reply(status, {"error": error}, {name: value.format(leak=leak) for name, value in headers.items()})

    return make


def body(status: int, text: str, content_type: str = "application/json") -> Callable[[str], Reply]:
    def make(leak: str) -> Reply:
        async def send(call: Call, writer: asyncio.StreamWriter) -> None:
            data = text.replace("{leak}", leak).encode()
            writer.write(head(status, len(data), content_type) + data)
            await writer.drain()

        return send

    return make


def streaming(*parts: str, cut: bool = False, stall: bool = False) -> Callable[[str], Reply]:
    return lambda leak: stream([part.replace("{leak}", leak).encode() for part in parts], cut=cut, stall=stall)


def raw(text: str) -> Callable[[str], Reply]:
    def make(leak: str) -> Reply:
        async def send(call: Call, writer: asyncio.StreamWriter) -> str:
            writer.write(text.replace("{leak}", leak).encode())
            await writer.drain()
            return "close"

        return send

    return make


CONTENT = chunk("up", {"role": "assistant", "content": "some words"}).decode()
ERROR_EVENT = 'data: {"error": {"message": "{leak}", "type": "{leak}", "code": "{leak}"}}\n\n'
FAULTS: dict[str, Callable[[str], Reply]] = {
    **{
        f"says-{status}": saying(status) for status in (401, 402, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 529)
    },
    "retry-after": saying(429, **{"retry-after": "{leak}"}),
    "redirect": saying(302, location="http://127.0.0.1:9/{leak}", **{"set-cookie": "a={leak}"}),
    "redirect-post": saying(308, location="http://canary.invalid/{leak}"),
    "no-json": body(200, "{leak} {not json"),
    "no-json-500": body(500, "<html>{leak}</html>", "text/html"),
    "html": body(200, "<html>{leak}</html>", "text/html"),
    "error-in-200": body(200, '{"error": {"message": "{leak}", "code": "{leak}"}}'),
    "error-text": body(200, '{"error": "{leak}"}'),
    "no-choices": body(200, '{"choices": "{leak}", "message": "{leak}"}'),
    "bad-types": body(200, '{"choices": [{"message": "{leak}"}], "usage": {"prompt_tokens": "{leak}"}}'),
    "not-http": raw("{leak}\r\n\r\n"),
    "bad-header": raw("HTTP/1.1 200 OK\r\n{leak}\r\n\r\n"),
    "bad-chunks": raw(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{leak}\r\n"
    ),
    "truncated": raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"x": "{leak}'),
    "bad-gzip": raw("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\n\r\n{leak}"),
    "error-event": streaming(ERROR_EVENT),
    "error-event-later": streaming(CONTENT, ERROR_EVENT),
    "bad-events": streaming(CONTENT, *["data: {leak}\n\n"] * 4),
    "bad-choices": streaming(
        CONTENT, 'data: {"choices": "{leak}"}\n\n', 'data: {"choices": [{"delta": "{leak}"}]}\n\n', cut=True
    ),
    "cut": streaming(CONTENT, 'data: {"x": "{leak}', cut=True),
    "stall": streaming(CONTENT, ": {leak}\n\n", stall=True),
    "closed": lambda leak: reset(),
    "silent": lambda leak: silent(),
}
REJECTIONS: dict[
    str, Callable[[str], Reply]
] = {  # whose reason is for the client: all of it but what is configured here
    **{f"says-{status}": saying(status) for status in (400, 413, 415, 422)},
    "filter": body(400, '{"error": {"message": "{leak}", "code": "content_filter"}}'),
    "too-long": body(
        400, '{"error": {"message": "maximum context length; {leak}", "code": "context_length_exceeded"}}'
    ),
    "field": body(400, '{"error": {"message": "unknown parameter stream_options {leak}"}}'),
    "text": body(400, '{"detail": "{leak}", "error": "{leak}"}'),
    "event": streaming('data: {"error": {"message": "content_filter {leak}", "code": 400}}\n\n'),
}


class Leaky:
    """Deployments with canaries, at a provider that repeats them; what must show nowhere."""

    def __init__(self, provider: ScriptedProvider, faults: dict[str, Callable[[str], Reply]]) -> None:
        self.models: list[dict[str, Any]] = []
        self.environment: dict[str, str] = {}
        self.own: dict[str, list[str]] = {}  # model -> its canaries
        self._faults = faults
        self._root = provider.base_url.removesuffix("/v1")
        provider.default = self._reply

    async def _reply(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        _, model, fault, *_ = call.path.split("/")
        leak = " ".join(self.own[model])
        return await self._faults[fault](leak)(call, writer)

    @property
    def canaries(self) -> list[str]:
        every = [canary for canaries in self.own.values() for canary in canaries]
        return [*every, GATEWAY_KEY, ADMIN_KEY, *CLIENT]

    def direct(self, fault: str, at: str = "") -> str:
        name = f"direct-{fault}"  # the point after it keeps one canary from being the beginning of another
        key, header, organization, path = (f"canary-{part}-{name}." for part in ("key", "head", "org", "path"))
        self.environment[f"KEY_{fault}"] = key
        self._add(
            name,
            {
                "model": "openai/up",
                "api_base": f"{at or self._root}/{name}/{fault}/{path}/v1",
                "api_key": f"os.environ/KEY_{fault}",
                "extra_headers": {"x-account": header},
                "organization": organization,
            },
            [key, header, organization, path],
        )
        return name

    def anthropic(self, fault: str) -> str:
        name = f"anthropic-{fault}"
        key, header, path, secret = (f"canary-{part}-{name}." for part in ("key", "head", "path", "aws"))
        self._add(
            name,
            {
                "model": "anthropic/claude-3-haiku",
                "api_base": f"{self._root}/{name}/{fault}/{path}",
                "api_key": key,
                "extra_headers": {"x-account": header},
                "aws_secret_access_key": secret,
            },
            [key, header, path, secret],
        )
        return name

    def bedrock(self, fault: str) -> str:
        name = f"bedrock-{fault}"
        access, secret, token, path = (f"canary-{part}-{name}." for part in ("access", "aws", "session", "path"))
        deployment = {
            "model": "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
            "aws_access_key_id": access,
            "aws_secret_access_key": secret,
            "aws_session_token": token,
            "aws_region_name": "us-east-1",
            "aws_bedrock_runtime_endpoint": f"{self._root}/{name}/{fault}/{path}",
        }
        self._add(name, deployment, [access, secret, token, path])
        return name

    def _add(self, name: str, deployment: dict[str, Any], canaries: list[str]) -> None:
        limits = {"timeout": 0.4, "first_token_timeout": 0.4, "idle_timeout": 0.2, "connect_timeout": 0.4}
        self.own[name] = canaries
        self.models.append(
            {
                "name": name,
                "deployments": [deployment | limits],
                "price": {"input": 1.0, "output": 1.0},
                "context_window": 8192,
                "capabilities": [],
            }
        )

    @asynccontextmanager
    async def gateway(self, folder: Path) -> AsyncIterator[Gateway]:
        settings = {"keys": [GATEWAY_KEY], "admin_key": ADMIN_KEY, "retries": 0}
        path = write_portfolio(folder, self.models, gateway=settings)
        async with running(load_portfolio(path, self.environment)) as run:
            yield run


async def ask(run: Gateway, model: str, stream: bool, path: str = "/v1/chat/completions") -> bytes:
    """One request with secrets of its own; everything that comes back."""
    headers = {"authorization": f"Bearer {GATEWAY_KEY}", "x-secret": CLIENT[0], "cookie": f"session={CLIENT[1]}"}
    request = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
    return everything(await run.http.post(path, json=request, headers=headers))


def everything(response: httpx.Response) -> bytes:
    return b"".join(name + b": " + value + b"\n" for name, value in response.headers.raw) + response.content


def as_served(caplog: pytest.LogCaptureFixture, level: int) -> None:
    """Captures what `locus serve` would print, were it to log from this level on. The test's own client is left out."""
    caplog.set_level(level)
    caplog.handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    caplog.handler.addFilter(lambda record: not record.name.startswith("httpcore"))


async def operators_view(run: Gateway) -> dict[str, bytes]:
    """What the operator can ask for, and what the gateway leaves on disk."""
    outputs = {}
    for path in ("/metrics", "/health/ready", "/health/live", "/v1/models", "/nothing/here"):
        for key in (ADMIN_KEY, GATEWAY_KEY, CLIENT[2], None):
            headers = {} if key is None else {"authorization": f"Bearer {key}"}
            outputs[f"{path} {key}"] = everything(await run.http.get(path, headers=headers))
    assert await run.records()
    folder = run.service.in_force.portfolio.settings.record
    assert folder is not None
    for file in folder.parent.glob("record.db*"):
        outputs[file.name] = file.read_bytes()
    return outputs


def search(outputs: dict[str, bytes], canaries: list[str]) -> None:
    leaks = [f"{where}: {canary}" for where, data in outputs.items() for canary in found(data, canaries)]
    assert not leaks, "\n".join(leaks)


def own_keys_only(provider: ScriptedProvider, leaky: Leaky) -> None:
    """Each provider got its own secrets, and no others."""
    for call in provider.calls:
        model = call.path.split("/")[1]
        received = (call.path + str(call.headers)).encode() + call.raw
        assert set(found(received, leaky.canaries)) <= set(leaky.own[model])


async def test_no_failure_of_a_provider_shows_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    as_served(caplog, logging.DEBUG)
    outputs = {}
    async with ScriptedProvider() as provider:
        leaky = Leaky(provider, FAULTS)
        models = [leaky.direct(fault) for fault in FAULTS]
        models.append(leaky.direct("refused", f"http://127.0.0.1:{free_port()}"))
        models.append(leaky.direct("no-name", "http://canary.invalid"))
        models.append(leaky.direct("no-tls", provider.base_url.replace("http:", "https:")))
        async with leaky.gateway(tmp_path) as run:

            async def one(model: str) -> None:
                for stream in (False, True):
                    outputs[f"{model} {stream}"] = await ask(run, model, stream)
                outputs[f"{model} route"] = await ask(run, model, False, "/v1/route")

            await asyncio.gather(*map(one, models))
            outputs |= await operators_view(run)
    assert {call.path.split("/")[2] for call in provider.calls} == FAULTS.keys()
    own_keys_only(provider, leaky)
    allowed = {"host", "content-type", "content-length", "user-agent", "authorization", "accept", "accept-encoding"}
    assert {name for call in provider.calls for name in call.headers} <= allowed | {"x-account", "openai-organization"}
    outputs |= {"log": caplog.text.encode(), "output": "".join(capfd.readouterr()).encode()}
    search(outputs, leaky.canaries)
    search(
        {where: data for where, data in outputs.items() if where in ("log", "output") or "record" in where}, [PROMPT]
    )


async def test_a_rejection_that_goes_to_the_client_shows_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    as_served(caplog, logging.DEBUG)
    outputs = {}
    async with ScriptedProvider() as provider:
        leaky = Leaky(provider, REJECTIONS)
        models = [leaky.direct(fault) for fault in REJECTIONS]
        async with leaky.gateway(tmp_path) as run:
            for model in models:
                for stream in (False, True):
                    outputs[f"{model} {stream}"] = await ask(run, model, stream)
            outputs |= await operators_view(run)
    own_keys_only(provider, leaky)
    search(outputs | {"log": caplog.text.encode()}, leaky.canaries)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(("says-401", "says-500", "redirect", "no-json", "cut", "silent"), id="failures"),
        pytest.param(("says-400", "filter", "too-long"), id="rejections"),
    ],
)
async def test_no_failure_through_litellm_shows_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], faults: tuple[str, ...]
) -> None:
    as_served(
        caplog, logging.INFO
    )  # litellm itself writes headers and URLs at DEBUG, a level that `locus serve` never has
    outputs = {}
    async with ScriptedProvider() as provider:
        leaky = Leaky(provider, FAULTS | REJECTIONS)
        models = [make(fault) for fault in faults for make in (leaky.anthropic, leaky.bedrock)]
        async with leaky.gateway(tmp_path) as run:

            async def one(model: str) -> None:
                for stream in (False, True):
                    outputs[f"{model} {stream}"] = await ask(run, model, stream)

            await asyncio.gather(*map(one, models))
            outputs |= await operators_view(run)
    assert {call.path.split("/")[1] for call in provider.calls} == set(models)
    own_keys_only(provider, leaky)
    # A signature is made with the secret key, which itself never travels.
    assert not any(found(str(call.headers).encode(), ["canary-aws-bedrock"]) for call in provider.calls)
    outputs |= {"log": caplog.text.encode(), "output": "".join(capfd.readouterr()).encode()}
    search(outputs, leaky.canaries)


async def test_a_stand_in_is_called_with_its_own_key_alone(tmp_path: Path) -> None:
    async with ScriptedProvider(saying(500)("")) as broken, ScriptedProvider(answer("fine")) as healthy:
        models = []
        for name, provider, key in (("llama-8b", broken, "canary-key-a"), ("llama-70b", healthy, "canary-key-b")):
            deployment = {"model": "openai/up", "api_base": provider.base_url, "api_key": key}
            model = {"name": name, "embedding": EMBEDDINGS[name], "deployments": [deployment], "context_window": 8192}
            models.append(model | {"price": {"input": 1.0, "output": 1.0}, "capabilities": []})
        path = write_portfolio(tmp_path, models, gateway={"keys": [GATEWAY_KEY]})
        async with running(load_portfolio(path, {})) as run:
            for stream in (False, True):
                response = await ask(run, "llama-8b", stream)
                assert b"x-locus-stand-in: llama-70b" in response
    for provider, own in ((broken, "canary-key-a"), (healthy, "canary-key-b")):
        assert provider.calls
        for call in provider.calls:
            assert found(
                str(call.headers).encode() + call.raw, ["canary-key-a", "canary-key-b", GATEWAY_KEY, *CLIENT]
            ) == [own]
            assert call.headers["authorization"] == f"Bearer {own}"


async def test_a_client_chooses_neither_address_nor_header_nor_key(tmp_path: Path) -> None:
    """Not by fields that client libraries have for it, nor by the address of a picture that litellm would fetch."""
    async with ScriptedProvider() as elsewhere, ScriptedProvider() as provider:
        leaky = Leaky(provider, FAULTS)
        models = [leaky.direct("says-500"), leaky.anthropic("says-500"), leaky.bedrock("says-500")]
        for model in leaky.models:
            model["capabilities"] = ["vision"]
        picture = {"type": "image_url", "image_url": {"url": f"{elsewhere.base_url}/picture.png"}}
        text = {"type": "text", "text": PROMPT}
        fields = dict.fromkeys(("api_base", "base_url", "aws_bedrock_runtime_endpoint"), elsewhere.base_url)
        fields |= dict.fromkeys(("api_key", "aws_access_key_id", "organization"), CLIENT[0])
        fields |= {name: {"x-secret": CLIENT[0]} for name in ("extra_headers", "headers")}
        async with leaky.gateway(tmp_path) as run:
            for model in models:
                for content in ([text], [text, picture]):
                    request = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
                    headers = {"authorization": f"Bearer {GATEWAY_KEY}", "x-secret": CLIENT[0]}
                    await run.http.post("/v1/chat/completions", json=request, headers=headers)
    assert not elsewhere.calls
    assert {call.path.split("/")[1] for call in provider.calls} == set(models)
    for call in provider.calls:
        assert not found((call.path + str(call.headers)).encode(), [*CLIENT, GATEWAY_KEY])


async def test_a_defect_of_the_gateway_shows_no_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected exception may hold anything; only its type and place are told."""
    as_served(caplog, logging.DEBUG)

    texts = [
        "canary-" + what for what in ("cause", "defect")
    ]  # not as they stand in this line, which a traceback shows

    def defect(*args: object) -> None:
        try:
            raise ValueError(texts[0])
        except ValueError as exc:
            raise RuntimeError(texts[1], {"api_key": texts[1]}) from exc

    async with ScriptedProvider() as provider:
        leaky = Leaky(provider, FAULTS)
        model = leaky.direct("says-500")
        async with leaky.gateway(tmp_path) as run:
            monkeypatch.setattr(run.service.in_force.routing, "decide", defect)
            outputs = {path: await ask(run, model, False, path) for path in ("/v1/chat/completions", "/v1/route")}
            outputs |= await operators_view(run)
    assert all(b'"code":"internal_error"' in outputs[path] for path in ("/v1/chat/completions", "/v1/route"))
    search(outputs | {"log": caplog.text.encode()}, texts)


SECRET = "canary-in-a-bad-file"
GOOD: dict[str, Any] = {"model": "openai/up", "api_base": "http://127.0.0.1:9/v1", "api_key": "os.environ/UP_KEY"}
BAD_DEPLOYMENTS: list[dict[str, Any]] = [
    {"api_key": [SECRET]},
    {"api_key": {SECRET: SECRET}},
    {"api_key": f"{SECRET}\n"},
    {"api_base": f"http://user:{SECRET}@127.0.0.1/v1"},
    {"api_base": f"http://127.0.0.1/{SECRET}\x07"},
    {"api_base": f"http://127.0.0.1/v1?key={SECRET}"},
    {"api_base": f"http:///{SECRET}"},
    {"api_base": f"127.0.0.1/{SECRET}"},
    {"api_base": f"http://127.0.0.1:{SECRET}/v1"},
    {"api_key": f"Bearer {SECRET}"},
    {"api_key": f"${{{SECRET}}}"},
    {"extra_headers": {"X-Key": f"{SECRET} os.environ/UP_KEY"}},
    {"api_base": [f"http://127.0.0.1/v1?key={SECRET}"]},
    {"extra_headers": SECRET},
    {"extra_headers": {"authorization": [SECRET]}},
    {"extra_headers": {"x-account": {"a": SECRET}}},
    {"aws_secret_access_key": SECRET},
    {"organization": [SECRET]},
    {"apikey": SECRET},
    {"client_secret": SECRET},
    {"model": "bedrock/x", "aws_secret_access_key": [SECRET]},
    {"model": "bedrock/x", "aws_session_token": {"a": SECRET}},
    {"model": "azure/x", "azure_ad_token": 12, "azure_password": [SECRET]},
    {"model": "vertex_ai/x", "vertex_credentials": {"private_key": SECRET}},
    {"timeout": "soon", "api_key": SECRET},
]


@pytest.mark.parametrize("wrong", BAD_DEPLOYMENTS)
def test_a_bad_deployment_shows_no_secret(tmp_path: Path, wrong: dict[str, Any]) -> None:
    entry = {"name": "a", "deployments": [GOOD | wrong], "price": {"input": 1.0, "output": 1.0}, "context_window": 9}
    path = write_portfolio(tmp_path, [entry | {"capabilities": []}])
    try:
        text = repr(load_portfolio(path, {"UP_KEY": SECRET}))
    except PortfolioError as exc:
        text = str(exc)
    assert SECRET not in text


@pytest.mark.parametrize(
    "text",
    [
        f"gateway: {{keys: {SECRET}}}",
        f"gateway: {{keys: [[{SECRET}]]}}",
        f"gateway: {{keys: {{a: {SECRET}}}}}",
        f"gateway: {{admin_key: [{SECRET}]}}",
        f"gateway: {{admin_key: {{a: {SECRET}}}}}",
        f"gateway: {{adminkey: {SECRET}}}",
        f"gateway: {{keys: [&{SECRET} a, *{SECRET}b]}}",
        f"gateway: {{keys: [!{SECRET} a]}}",
        f"gateway: {{keys: [{SECRET}, ]]}}",
        f'gateway: {{keys: ["{SECRET}\\q"]}}',
        f"gateway: {{keys: [{SECRET}\x00]}}",
        f"gateway: keys: {SECRET}: b",
        SECRET,
        f"[{SECRET}]",
    ],
)
def test_a_bad_file_shows_no_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "portfolio.yaml"
    path.write_text(text)
    with pytest.raises(PortfolioError) as caught:
        load_portfolio(path, {})
    assert SECRET not in str(caught.value)


# `locus serve` with everything logged that anybody logs.
SERVE = """
import logging, sys
from gateway.commands import serve
log_to_stderr = serve.log_to_stderr
serve.log_to_stderr = lambda *how: (log_to_stderr(*how), logging.getLogger().setLevel(logging.DEBUG))
serve.serve(sys.argv[1:])
"""


def locus(*arguments: str, environment: dict[str, str]) -> bytes:
    command = [sys.executable, "-m", "gateway.commands.main", *arguments]
    run = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    return run.stdout + run.stderr


async def until(condition: Callable[[], bool], process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while not condition():
            assert process.returncode is None
            await asyncio.sleep(0.05)


async def test_the_process_prints_no_secret(tmp_path: Path) -> None:
    """Start, failures, reloads that fail, a stop; then the other commands on the same files."""
    printed = tmp_path / "printed"
    environment = dict(os.environ) | {"PYTHONASYNCIODEBUG": "1", "OPENAI_API_KEY": "canary-usual-variable"}
    async with ScriptedProvider() as provider:
        leaky = Leaky(provider, FAULTS)
        models = [
            leaky.direct(fault) for fault in ("says-401", "says-500", "redirect", "bad-chunks", "cut", "not-http")
        ]
        environment |= leaky.environment
        canaries = [*leaky.canaries, "canary-usual-variable", SECRET]
        path = write_portfolio(
            tmp_path, leaky.models, gateway={"keys": [GATEWAY_KEY], "admin_key": ADMIN_KEY, "retries": 0}
        )
        good = path.read_text()
        with printed.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-X", "dev", "-c", SERVE, "--config", str(path), "--port", "0"),
                env=environment,
                stdout=output,
                stderr=output,
            )
        try:
            await until(lambda: b"curl -i http://" in printed.read_bytes(), process)
            url = printed.read_text().partition("curl -i ")[2].partition("/v1/")[0]
            outputs = {}
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                headers = {"authorization": f"Bearer {GATEWAY_KEY}", "x-secret": CLIENT[0]}
                for model in models:
                    for stream in (False, True):
                        request = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
                        response = await http.post("/v1/chat/completions", json=request, headers=headers)
                        outputs[f"{model} {stream}"] = everything(response)
                for i, bad in enumerate(
                    [
                        yaml.safe_dump({"models": [{"name": "a", "deployments": [GOOD | {"api_key": [SECRET]}]}]}),
                        f"gateway: {{keys: [{SECRET}, ]]}}",
                        good.replace("name: direct-cut", f"name: direct-cut\n  embedding: no/such\n  {SECRET[:6]}: 1"),
                    ]
                ):
                    path.write_text(bad)
                    process.send_signal(signal.SIGHUP)
                    said = b"cannot be used"
                    await until(lambda said=said, i=i: printed.read_bytes().count(said) > i, process)
                    ready = await http.get("/health/ready", headers={"authorization": f"Bearer {ADMIN_KEY}"})
                    outputs[f"ready {i}"] = everything(ready)
                    assert ready.json()["reload_error"]
                    outputs[f"check {i}"] = locus("check", str(path), environment=environment)
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0
    outputs["start of a bad file"] = locus("serve", "--config", str(path), "--port", "0", environment=environment)
    path.write_text(good)
    outputs["log"] = locus("log", "--config", str(path), environment=environment)
    outputs["log --json"] = locus("log", "--json", "--config", str(path), environment=environment)
    assert b"direct-says-500/0" in outputs["log --json"]
    with sqlite3.connect(tmp_path / "record.db") as db:
        outputs["database"] = json.dumps(db.execute("SELECT * FROM requests").fetchall()).encode()
    outputs["printed"] = printed.read_bytes()
    search(outputs, canaries)
    search({name: outputs[name] for name in ("printed", "log", "log --json", "database")}, [PROMPT])


async def test_check_shows_no_secret(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        leaky = Leaky(provider, FAULTS)
        leaky.direct("says-500")
        leaky.anthropic("says-500")
        leaky.bedrock("says-500")
    path = write_portfolio(tmp_path, leaky.models, gateway={"keys": [GATEWAY_KEY], "admin_key": ADMIN_KEY})
    shown = locus("check", str(path), environment=dict(os.environ) | leaky.environment)
    assert b"direct-says-500" in shown
    search({"check": shown}, leaky.canaries)
