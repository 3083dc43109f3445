"""Exports over HTTP from a server on loopback that speaks as Open WebUI and Langfuse do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.feedback.importing.fetch import langfuse_scores, open_webui_export
from gateway.feedback.importing.statement import ImportFailed
from tests.gateway.running import serving
from tests.gateway.upstreams import Call, ScriptedProvider

pytestmark = pytest.mark.anyio
KEYS = {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-2"}
BASIC = "Basic cGstbGYtMTpzay1sZi0y"
SCORES = [{"id": f"s{i}", "value": 1} for i in range(250)]


@asynccontextmanager
async def server(*, v3: int = 200) -> AsyncIterator[tuple[str, list[Request]]]:
    asked: list[Request] = []

    async def by_cursor(request: Request) -> Response:
        asked.append(request)
        if v3 != 200:
            return JSONResponse({"message": "x"}, v3)
        if request.headers["authorization"] != BASIC:
            return JSONResponse({"message": "no"}, 401)
        begin = int(request.query_params.get("cursor", "0"))
        end = begin + int(request.query_params["limit"])
        meta: dict[str, Any] = {"limit": 100} | ({"cursor": str(end)} if end < len(SCORES) else {})
        return JSONResponse({"data": SCORES[begin:end], "meta": meta})

    async def by_page(request: Request) -> Response:
        asked.append(request)
        page, limit = int(request.query_params["page"]), int(request.query_params["limit"])
        meta = {"page": page, "limit": limit, "totalItems": len(SCORES), "totalPages": 3}
        return JSONResponse({"data": SCORES[(page - 1) * limit : page * limit], "meta": meta})

    async def export(request: Request) -> Response:
        asked.append(request)
        known = request.headers["authorization"] == "Bearer sk-owui"
        return JSONResponse([{"id": "a"}]) if known else JSONResponse({"detail": "401"}, 401)

    async def moved(request: Request) -> Response:
        asked.append(request)
        return RedirectResponse("/api/public/v2/scores")

    app = Starlette(
        routes=[
            Route("/api/public/v3/scores", by_cursor),
            Route("/api/public/v2/scores", by_page),
            Route("/moved/api/public/v3/scores", moved),
            Route("/api/v1/evaluations/feedbacks/all/export", export),
        ]
    )
    async with serving(app) as (_, url):
        yield url, asked


async def scores(url: str, keys: dict[str, str] = KEYS, name: str | None = None) -> list[Any]:
    return await asyncio.to_thread(lambda: list(langfuse_scores(url, keys, name)))


async def test_all_pages_of_langfuse() -> None:
    async with server() as (url, asked):
        assert await scores(f"{url}/", name="correct") == SCORES
        assert [request.query_params.get("cursor") for request in asked] == [None, "100", "200"]
        assert {request.query_params["fields"] for request in asked} == {"subject"}
        assert {request.query_params["name"] for request in asked} == {"correct"}


@pytest.mark.parametrize("status", [404, 410])
async def test_a_langfuse_without_version_3(status: int) -> None:
    async with server(v3=status) as (url, asked):
        assert await scores(url) == SCORES
        assert [request.url.path[-9:] for request in asked] == ["v3/scores", *["v2/scores"] * 3]


async def test_open_webui() -> None:
    async with server() as (url, _):
        assert await asyncio.to_thread(open_webui_export, url, {"OPEN_WEBUI_API_KEY": "sk-owui"}) == b'[{"id":"a"}]'
        with pytest.raises(ImportFailed, match="status 401"):
            await asyncio.to_thread(open_webui_export, url, {"OPEN_WEBUI_API_KEY": "sk-other"})


async def test_refusals_name_the_reason_and_no_key() -> None:
    async with server() as (url, asked):
        with pytest.raises(ImportFailed, match="status 401") as refused:
            await scores(url, KEYS | {"LANGFUSE_SECRET_KEY": "sk-other"})
        assert "sk-" not in str(refused.value)
        with pytest.raises(ImportFailed, match="status 307"):  # the keys go to no other address
            await scores(f"{url}/moved")
        assert asked[-1].url.path == "/moved/api/public/v3/scores"
    with pytest.raises(ImportFailed, match="refused"):
        await scores(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://langfuse.example", "by https only"),
        ("ftp://127.0.0.1", "by https only"),
        ("https://me:secret@langfuse.example", "must not contain credentials"),
    ],
)
def test_keys_are_not_sent_in_clear(url: str, message: str) -> None:
    with pytest.raises(ImportFailed, match=message) as refused:
        list(langfuse_scores(url, KEYS))
    assert "secret" not in str(refused.value)


def test_missing_keys_are_named() -> None:
    with pytest.raises(ImportFailed, match="LANGFUSE_SECRET_KEY"):
        list(langfuse_scores("https://langfuse.example", {"LANGFUSE_PUBLIC_KEY": "a"}))
    with pytest.raises(ImportFailed, match="OPEN_WEBUI_API_KEY"):
        open_webui_export("https://webui.example", {})


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\n[{", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n[{", "the answer is cut, 18 bytes are missing"),
        (b"no HTTP at all\r\n\r\n", "no HTTP at all"),
    ],
)
async def test_an_answer_that_is_cut_is_said_to_be(sent: bytes, words: str) -> None:
    async def cut(call: Call, writer: asyncio.StreamWriter) -> str:
        writer.write(sent)
        await writer.drain()
        return "close"

    async with ScriptedProvider(cut) as provider:
        url = provider.base_url.removesuffix("/v1")
        with pytest.raises(ImportFailed) as failed:
            await asyncio.to_thread(open_webui_export, url, {"OPEN_WEBUI_API_KEY": "sk-owui"})
    assert words in str(failed.value)
    assert "sk-owui" not in str(failed.value)
