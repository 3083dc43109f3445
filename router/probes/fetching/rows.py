"""Reads rows of a data set by the protocol of the Hugging Face datasets server: `/rows`, in pages of at most 100."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from router.errors import RouterError
from router.probes.json_types import JsonObject, JsonValue, as_json

if TYPE_CHECKING:
    import aiohttp
    from tenacity import RetryCallState

HUB = "https://huggingface.co"
PAGE = 100
MOST_BYTES = 64 << 20
TRIES = 6
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class FetchError(RouterError):
    """A data set cannot be read: the message names it, the server and the reason, and never the token."""


class _AgainError(FetchError):
    """The server may answer a later call."""

    def __init__(self, message: str, after_s: float | None) -> None:
        super().__init__(message)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Server:
    """Where rows come from.

    Attributes:
        url: such as https://datasets-server.huggingface.co, without a slash at the end.
        token: of the user's account, for data sets that need one; sent by HTTPS or to this machine only.
        pause_s: the first pause before another try; it doubles, up to a minute.
    """

    url: str
    token: str = ""
    pause_s: float = 1.0

    @property
    def headers(self) -> Mapping[str, str]:
        """What each request carries."""
        parts = urlsplit(self.url)
        safe = parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")
        return {"authorization": f"Bearer {self.token}"} if self.token and safe else {}


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, each with its number in the data set, and how many rows there are in all."""

    rows: list[tuple[int, JsonObject]]
    total: int


def default_endpoint(environ: Mapping[str, str]) -> str:
    """The datasets server of `HF_ENDPOINT`, by default of huggingface.co: its host with "datasets-server." before it."""
    parts = urlsplit(environ.get("HF_ENDPOINT") or HUB)
    return f"{parts.scheme}://datasets-server.{parts.netloc}"


def user_token(environ: Mapping[str, str]) -> str:
    """`HF_TOKEN`; empty if it is not set."""
    return environ.get("HF_TOKEN", "").strip()


async def pages(server: Server, dataset: str, config: str, split: str, most: int | None) -> AsyncIterator[Page]:
    """The pages of a split. Where `most` rows are fewer than it has, pages spread evenly over it.

    Raises:
        FetchError: refused, not found, not in the form of the protocol, or out of reach after six tries.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=server.headers, timeout=timeout, trust_env=True) as session:
        query = {"dataset": dataset, "config": config, "split": split}
        first = await _page(session, server, {**query, "offset": "0", "length": str(PAGE)})
        yield first
        for offset in offsets(first.total, most):
            yield await _page(session, server, {**query, "offset": str(offset), "length": str(PAGE)})


def offsets(total: int, most: int | None) -> list[int]:
    """Where the pages after the first one start, for at least `most` rows: all of them, or evenly spread."""
    count = -(-total // PAGE)
    wanted = count if most is None else min(count, -(-most // PAGE))
    return [PAGE * (i * count // wanted) for i in range(1, wanted)]


async def _page(session: "aiohttp.ClientSession", server: Server, query: Mapping[str, str]) -> Page:
    from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(_AgainError),
        stop=stop_after_attempt(TRIES),
        wait=lambda state: _pause_s(server, state),
        reraise=True,
    ):
        with attempt:
            return await _once(session, server, query)
    raise AssertionError("tenacity raises the last failure")


def _pause_s(server: Server, state: "RetryCallState") -> float:
    failure = state.outcome.exception() if state.outcome else None
    asked = failure.after_s if isinstance(failure, _AgainError) else None
    return float(min(60.0, server.pause_s * 2 ** (state.attempt_number - 1) if asked is None else asked))


async def _once(session: "aiohttp.ClientSession", server: Server, query: Mapping[str, str]) -> Page:
    import aiohttp

    name = f"{query['dataset']} ({query['config']}, {query['split']}) at {server.url}"
    try:
        async with session.get(f"{server.url}/rows", params=query) as response:
            body = await _bounded(response, name)
            if response.status != 200:
                _refuse(response, body, name)
    except (TimeoutError, aiohttp.ClientError) as exc:
        raise _AgainError(f"{name}: {type(exc).__name__}: {exc}", None) from exc
    return _read(body, name)


async def _bounded(response: "aiohttp.ClientResponse", name: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MOST_BYTES:
            raise FetchError(f"{name}: a page has more than {MOST_BYTES >> 20} MiB")
    return bytes(body)


def _refuse(response: "aiohttp.ClientResponse", body: bytes, name: str) -> None:
    """Raises the error of a status."""
    try:
        reason = str(_object(body).get("error", ""))[:300]
    except ValueError:
        reason = ""
    message = f"{name}: status {response.status}{f': {reason}' if reason else ''}"
    if response.status in _AGAIN:
        after = response.headers.get("retry-after", "")
        raise _AgainError(message, float(after) if after.isdigit() else None)
    if response.status in (401, 403):
        message += "; HF_TOKEN may name a token of an account that has access"
    raise FetchError(message)


def _object(body: bytes) -> JsonObject:
    value = as_json(json.loads(body))
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _read(body: bytes, name: str) -> Page:
    """A page of `{"rows": [{"row_idx": 0, "row": {...}, "truncated_cells": []}], "num_rows_total": 1319}`."""
    try:
        page = _object(body)
        total, listed = page["num_rows_total"], page["rows"]
        if not isinstance(total, int) or not isinstance(listed, list):
            raise ValueError("num_rows_total or rows has another type")
        return Page([_row(item) for item in listed if not _is_truncated(item)], total)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise FetchError(f"{name}: not the protocol of the datasets server: {type(exc).__name__}: {exc}") from exc


def _is_truncated(item: JsonValue) -> bool:
    return isinstance(item, dict) and bool(item.get("truncated_cells"))


def _row(item: JsonValue) -> tuple[int, JsonObject]:
    if not isinstance(item, dict):
        raise ValueError("a row is no object")
    number, row = item["row_idx"], item["row"]
    if not isinstance(number, int) or not isinstance(row, dict):
        raise ValueError("row_idx or row has another type")
    return number, row


def server_from(environ: Mapping[str, str], endpoint: str | None) -> Server:
    """The server that the command line or the environment names.

    Raises:
        FetchError: the address is not one of HTTP.
    """
    url = (endpoint or default_endpoint(environ)).rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise FetchError(f"endpoint {url!r}: expected an address that starts with https://")
    return Server(url, user_token(environ))
