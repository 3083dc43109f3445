"""What browsers are told: preflights, headers on answers, streams and errors, and who may not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.settings import Settings
from gateway.http.app import create_app
from gateway.http.cors import Cors
from gateway.http.service import open_service
from tests.gateway.running import entry, serving, shipped_router, write_portfolio
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
APP = "https://app.example"
KEY = {"authorization": "Bearer sk-gate-1"}
BODY: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"}


@asynccontextmanager
async def browsed(folder: Path, **settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """A gateway with these settings, and its service, whose settings a test may change."""
    async with ScriptedProvider() as up:
        path = write_portfolio(folder, [entry("llama-8b", up.base_url)], gateway=settings)
        async with open_service(load_portfolio(path, {}), router=shipped_router()) as service:
            app = Cors(create_app(service), lambda: service.in_force.portfolio.settings)
            async with serving(app) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as http:
                yield http, service


async def ask(http: httpx.AsyncClient, origin: str | None, **more: Any) -> httpx.Response:
    headers = KEY if origin is None else KEY | {"origin": origin}
    return await http.post("/v1/chat/completions", json=BODY | more, headers=headers)


async def preflight(http: httpx.AsyncClient, origin: str, path: str = "/v1/chat/completions") -> httpx.Response:
    return await http.options(path, headers={"origin": origin} | ASKS)


async def test_a_preflight_needs_no_key_and_allows_what_clients_send(tmp_path: Path) -> None:
    async with browsed(tmp_path, keys=["sk-gate-1"], cors_origins=[APP, "http://localhost:3000"]) as (http, _):
        for path in ("/v1/chat/completions", "/v1/models", "/chat/completions", "/v1/no-such-thing"):
            for origin in (APP, "http://localhost:3000"):
                allowed = await preflight(http, origin, path)
                assert allowed.status_code == 200
                assert allowed.headers["access-control-allow-origin"] == origin
                assert allowed.headers["access-control-allow-headers"] == ASKS["access-control-request-headers"]
                assert "POST" in allowed.headers["access-control-allow-methods"]
                assert "access-control-allow-credentials" not in allowed.headers
                assert "Origin" in allowed.headers["vary"]
        for origin in ("https://evil.example", "https://app.example.evil", "http://app.example", "null"):
            refused = await preflight(http, origin)
            assert refused.status_code == 400
            assert "access-control-allow-origin" not in refused.headers


async def test_a_page_of_the_internet_may_ask_a_gateway_on_a_private_network(tmp_path: Path) -> None:
    async with browsed(tmp_path, cors_origins=[APP]) as (http, _):
        asks = {"origin": APP, "access-control-request-private-network": "true"} | ASKS
        allowed = await http.options("/v1/chat/completions", headers=asks)
        assert allowed.headers["access-control-allow-private-network"] == "true"


async def test_answers_streams_and_errors_can_be_read(tmp_path: Path) -> None:
    async with browsed(tmp_path, keys=["sk-gate-1"], cors_origins=[APP]) as (http, _):
        answers = [
            await ask(http, APP),
            await ask(http, APP, stream=True),
            await ask(http, APP, model="gpt-9"),
            await http.get("/v1/models", headers={"origin": APP}),  # no key
            await http.get("/v1/no-such-thing", headers=KEY | {"origin": APP}),
            await http.put("/v1/models", headers=KEY | {"origin": APP}),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 404, 401, 404, 405]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == APP
            assert answer.headers["access-control-expose-headers"] == "*"  # x-locus-*, x-request-id, retry-after
            assert "Origin" in answer.headers["vary"]
        assert answers[1].text.endswith("data: [DONE]\n\n")


async def test_others_are_served_without_leave_to_read(tmp_path: Path) -> None:
    async with browsed(tmp_path, keys=["sk-gate-1"], cors_origins=[APP]) as (http, _):
        for origin in ("https://evil.example", None):
            answer = await ask(http, origin)
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers


async def test_pages_of_all_origins_with_a_key(tmp_path: Path) -> None:
    async with browsed(tmp_path, keys=["sk-gate-1"], cors_origins=["*"]) as (http, _):
        assert (await preflight(http, "https://any.example")).headers["access-control-allow-origin"] == "*"
        assert (await ask(http, "https://any.example")).headers["access-control-allow-origin"] == "*"
        assert (await http.post("/v1/chat/completions", json=BODY, headers={"origin": APP})).status_code == 401


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    async with browsed(tmp_path, keys=["sk-gate-1"]) as (http, _):
        assert (await preflight(http, APP)).status_code == 401
        answer = await ask(http, APP)
        assert answer.status_code == 200
        assert not [name for name in (*answer.headers, answer.headers.get("vary", "")) if "origin" in name.lower()]


async def test_a_reload_changes_it(tmp_path: Path) -> None:
    async with browsed(tmp_path, keys=["sk-gate-1"]) as (http, service):
        portfolio = service.in_force.portfolio
        for origins in ((APP,), (), ("https://other.example", APP), ("https://other.example",)):
            await service.apply(
                replace(portfolio, settings=portfolio.settings.model_copy(update={"cors_origins": origins}))
            )
            allowed = (await ask(http, APP)).headers.get("access-control-allow-origin")
            assert allowed == (APP if APP in origins else None)


# Without keys


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": APP}, 200),
        ({"origin": "https://other.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": APP, "host": "evil.example"}, 403),  # by a name that points to 127.0.0.1
        ({"origin": "http://localhost:8080"}, 200),
    ],
)
async def test_without_keys_a_page_that_the_file_names_is_served(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with browsed(tmp_path, cors_origins=[APP]) as (http, _):
        answer = await http.post("/v1/chat/completions", json=BODY, headers=headers)
        assert answer.status_code == status
        if status == 403:
            assert ("cors_origins" in answer.json()["error"]["message"]) == ("host" not in headers)


async def test_no_page_is_the_operator(tmp_path: Path) -> None:
    for settings in ({"cors_origins": [APP]}, {"cors_origins": ["*"], "keys": ["sk-gate-1"]}):
        async with browsed(tmp_path, **settings) as (http, _):
            page = KEY | {"origin": APP}
            assert (await http.get("/metrics", headers=page)).status_code == 403
            assert (await http.get("/metrics", headers=KEY)).status_code == 200
            assert (await http.get("/health/ready", headers=page)).json() == {"status": "ready"}
            assert "models" in (await http.get("/health/ready")).json()


# The setting


def problems(folder: Path, origins: Any, **settings: Any) -> list[str]:
    models = [entry("llama-8b", "http://127.0.0.1:1/v1")]
    path = write_portfolio(folder, models, gateway={"cors_origins": origins} | settings)
    lines = path.read_text().splitlines()
    first = lines.index("  cors_origins:") + 2
    with pytest.raises(PortfolioError) as raised:
        load_portfolio(path, {})
    return [problem.removeprefix(f"{path}:").replace(f"{first}:", "L:", 1) for problem in raised.value.problems]


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example/",
        "https://app.example/path",
        "https://app.example:443",
        "http://app.example:80",
        "HTTPS://app.example",
        "https://App.example",
        "https://*.example",
        "https://user@app.example",
        "https://app.example:0",
        "https://",
        "app.example",
        "null",
        "",
    ],
)
async def test_what_no_browser_sends_is_a_problem_of_the_file(tmp_path: Path, origin: str) -> None:
    assert problems(tmp_path, [origin]) == [
        f"L: gateway.cors_origins[0]: found {origin!r}; expected `*`, or scheme, host and any unusual port in lower case, "
        "such as https://app.example"
    ]


async def test_pages_of_all_origins_without_keys_are_a_problem_of_the_file(tmp_path: Path) -> None:
    assert problems(tmp_path, ["*"]) == [
        "L: gateway.cors_origins[0]: found '*'; without `keys` every web page that a browser on this machine shows could use "
        "the gateway"
    ]


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://[::1]:8080", "http://127.0.0.1", "https://app.example:8443", "http://a:443",
     "chrome-extension://abcdefghijklmnop", "vscode-webview://0f1e2d", "capacitor://localhost", "https://xn--bcher-kva.example"],
)  # fmt: skip
async def test_origins_that_browsers_send(tmp_path: Path, origin: str) -> None:
    path = write_portfolio(
        tmp_path, [entry("llama-8b", "http://127.0.0.1:1/v1")], gateway={"cors_origins": [origin, APP]}
    )
    assert load_portfolio(path, {}).settings.cors_origins == (origin, APP)
    assert Settings().cors_origins == ()
