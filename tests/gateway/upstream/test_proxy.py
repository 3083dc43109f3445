"""The proxies of the environment: the URLs they are for, calls through a real one, and credentials, which appear nowhere."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.upstream.proxy import Proxies
from tests.gateway.running import entry, running, write_portfolio

PROXY = {"http_proxy": "http://proxy.example:3128", "https_proxy": "http://secure.example:3128"}


def through(url: str, **environment: str) -> str | None:
    proxy = Proxies(environment).proxy_for(url)
    return None if proxy is None else proxy.url


def test_the_scheme_of_the_url_selects_the_proxy() -> None:
    assert through("http://provider.example/v1", **PROXY) == "http://proxy.example:3128"
    assert through("https://provider.example/v1", **PROXY) == "http://secure.example:3128"
    assert through("https://provider.example/v1", HTTP_PROXY="http://p:1") is None
    assert through("https://provider.example/v1", ALL_PROXY="http://all:1") == "http://all:1"
    assert through("https://provider.example/v1", ALL_PROXY="http://all:1", HTTPS_PROXY="https://p:1") == "https://p:1"
    assert through("https://provider.example/v1", HTTPS_PROXY="upper:1", https_proxy="lower:2") == "http://lower:2"
    assert (
        through("http://provider.example/v1", HTTP_PROXY="http://p:1", REQUEST_METHOD="GET") is None
    )  # a client's header
    assert through("https://provider.example/v1", HTTPS_PROXY="") is None
    assert through("https://provider.example/v1") is None


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1",
        "http://LOCALHOST/v1",
        "http://127.0.0.1:8000/v1",
        "http://127.8.9.1/v1",
        "http://[::1]:8000/v1",
        "http://vllm.localhost/v1",
    ],
)
def test_servers_of_this_machine_are_called_directly(url: str) -> None:
    assert through(url, **PROXY) is None
    assert through(url, no_proxy="", **PROXY) is None


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        ("example.com", ["example.com", "api.example.com", "example.com:8443"], ["notexample.com", "example.com.evil"]),
        (".example.com", ["example.com", "a.b.example.com"], ["example.org"]),
        ("*.example.com", ["api.example.com"], ["example.org"]),
        ("EXAMPLE.com", ["api.Example.Com", "example.com."], []),
        ("10.0.0.0/8, 192.168.1.7", ["10.1.2.3", "192.168.1.7:8000"], ["11.0.0.1", "192.168.1.8", "ten.example"]),
        ("fd00::/8 [2001:db8::1]:8000", ["[fd00::7]", "[2001:db8::1]:8000"], ["[2001:db8::1]:9000"]),
        ("gpu-box:8000,other", ["gpu-box:8000", "other:1"], ["gpu-box:9000", "gpu-box"]),
        ("*", ["example.com", "10.0.0.1"], []),
        (" , ,", [], ["example.com"]),
    ],
)
def test_no_proxy(no_proxy: str, direct: list[str], proxied: list[str]) -> None:
    for hosts, expected in ((direct, None), (proxied, PROXY["http_proxy"])):
        for host in hosts:
            assert through(f"http://{host}/v1", no_proxy=no_proxy, **PROXY) == expected, host


def test_credentials_are_not_part_of_the_url() -> None:
    proxy = Proxies({"https_proxy": "http://ada:s%40cret@proxy.example:3128"}).proxy_for("https://provider.example")
    assert proxy is not None
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.headers == {"proxy-authorization": "Basic " + base64.b64encode(b"ada:s@cret").decode()}
    assert "cret" not in repr(proxy)


@pytest.mark.parametrize("value", ["socks5://ada:secret@p:1080", "http://", "http://ada:secret@p:port"])
def test_an_invalid_proxy_is_logged(value: str, caplog: pytest.LogCaptureFixture) -> None:
    assert through("https://provider.example", HTTPS_PROXY=value) is None
    assert "HTTPS_PROXY is not used" in caplog.text
    assert "secret" not in caplog.text


class Proxy:
    """Answers each request itself, and records its bytes."""

    def __init__(self, answer: bytes) -> None:
        self.heard: list[bytes] = []
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard.append(head)
        writer.write(self._answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(answer: bytes) -> AsyncIterator[tuple[Proxy, Proxies]]:
    proxy = Proxy(answer)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        at = server.sockets[0].getsockname()[1]
        value = f"http://ada:proxy-secret@127.0.0.1:{at}"
        yield proxy, Proxies({"http_proxy": value, "https_proxy": value})


@pytest.mark.anyio
async def test_calls_of_every_kind_go_through_the_proxy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    vectors = {
        "name": "vectors",
        "deployments": [{"model": "openai/v", "api_base": "http://provider.invalid/v1", "api_key": "sk-up"}],
        "max_input_tokens": 100,
        "price": {"input": 1},
    }
    claude: dict[str, Any] = entry("claude") | {
        "deployments": [{"model": "anthropic/claude-x", "api_base": "http://provider.invalid", "api_key": "sk-up"}]
    }
    models = [
        entry("plain", "http://provider.invalid/v1"),
        entry("tls", "https://provider.invalid/v1", "https://provider.invalid/v1"),
        claude,
    ]
    path = write_portfolio(tmp_path, models, embedding_models=[vectors], gateway={"retries": 0})
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 5}
    calls = [
        ("/v1/chat/completions", body | {"model": "plain"}, b"POST http://provider.invalid/v1/chat/completions"),
        ("/v1/chat/completions", body | {"model": "tls"}, b"CONNECT provider.invalid:443"),
        ("/v1/messages", body | {"model": "claude"}, b"POST http://provider.invalid/v1/messages"),
        (
            "/v1/messages/count_tokens",
            body | {"model": "claude"},
            b"POST http://provider.invalid/v1/messages/count_tokens",
        ),
        ("/v1/embeddings", {"model": "vectors", "input": "Hello."}, b"POST http://provider.invalid/v1/embeddings"),
    ]
    refusal = b"HTTP/1.1 502 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with proxied(refusal) as (proxy, proxies), running(load_portfolio(path, {}), proxies=proxies) as run:
        for url, asked, line in calls:
            proxy.heard.clear()
            answered = await run.http.post(url, json=asked, headers={"x-locus-failover": "off"})
            assert proxy.heard, url
            assert proxy.heard[0].startswith(line)
            token = base64.b64encode(b"ada:proxy-secret")
            assert b"proxy-authorization: basic " + token.lower() in proxy.heard[0].lower()
            assert "proxy-secret" not in answered.text
            assert str(answered.headers).count("proxy-secret") == 0
    assert "proxy-secret" not in caplog.text
    assert base64.b64encode(b"ada:proxy-secret").decode() not in caplog.text
