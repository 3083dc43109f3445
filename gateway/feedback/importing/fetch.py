"""Exports over HTTPS, page by page."""

import base64
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException

import orjson

from gateway.config.addresses import is_loopback
from gateway.core.json_types import JsonObject, objects_in
from gateway.feedback.importing.open_webui import EXPORT
from gateway.feedback.importing.statement import ImportFailed

TIMEOUT_S = 60.0
PAGE = 100  # scores; Langfuse gives no more at once
MOST_PAGES = 10_000
LARGEST = 1 << 30  # bytes of an answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would send the credentials to another address."""

    def redirect_request(self, *_: object) -> None:
        return None


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def open_webui_export(url: str, environment: Mapping[str, str]) -> bytes:
    """The exported feedback of an Open WebUI at a URL, by an administrator's API key in OPEN_WEBUI_API_KEY.

    Raises:
        ImportFailed: no answer, or no key.
    """
    key = _needed(environment, "OPEN_WEBUI_API_KEY")
    try:
        return _get(_joined(url, EXPORT), {"authorization": f"Bearer {key}"})
    except _Refused as exc:
        raise ImportFailed(f"{url}{EXPORT}: status {exc.status}") from exc


def langfuse_scores(url: str, environment: Mapping[str, str], name: str | None = None) -> Iterator[JsonObject]:
    """All scores of a Langfuse project, by LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY; by version 3 of its API, or else version 2.

    Args:
        name: only scores of this name.

    Raises:
        ImportFailed: no answer, or no keys.
    """
    keys = f"{_needed(environment, 'LANGFUSE_PUBLIC_KEY')}:{_needed(environment, 'LANGFUSE_SECRET_KEY')}"
    headers = {"authorization": f"Basic {base64.b64encode(keys.encode()).decode()}"}
    asked = {"limit": str(PAGE)} | ({} if name is None else {"name": name})
    try:
        try:
            yield from _by_cursor(_joined(url, "/api/public/v3/scores"), asked | {"fields": "subject"}, headers)
        except _Refused as exc:
            if exc.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise
            yield from _by_page(_joined(url, "/api/public/v2/scores"), asked, headers)
    except _Refused as exc:
        raise ImportFailed(f"{url}: status {exc.status}") from exc


def _by_cursor(url: str, query: dict[str, str], headers: dict[str, str]) -> Iterator[JsonObject]:
    for _ in range(MOST_PAGES):
        rows, meta = _page(url, query, headers)
        yield from rows
        if not isinstance(meta.get("cursor"), str):
            return
        query = query | {"cursor": meta["cursor"]}
    raise ImportFailed(f"{url}: more than {MOST_PAGES} pages")


def _by_page(url: str, query: dict[str, str], headers: dict[str, str]) -> Iterator[JsonObject]:
    for page in range(1, MOST_PAGES + 1):
        rows, meta = _page(url, query | {"page": str(page)}, headers)
        yield from rows
        if not rows or not isinstance(meta.get("totalPages"), int) or page >= meta["totalPages"]:
            return
    raise ImportFailed(f"{url}: more than {MOST_PAGES} pages")


def _page(url: str, query: dict[str, str], headers: dict[str, str]) -> tuple[list[JsonObject], JsonObject]:
    try:
        answer = orjson.loads(_get(f"{url}?{urllib.parse.urlencode(query)}", headers))
    except orjson.JSONDecodeError as exc:
        raise ImportFailed(f"{url}: the answer is not JSON") from exc
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise ImportFailed(f"{url}: the answer has no `data`")
    meta = answer.get("meta")
    return objects_in(answer["data"]), meta if isinstance(meta, dict) else {}


def _get(url: str, headers: dict[str, str]) -> bytes:
    opener = urllib.request.build_opener(_NoRedirect())
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as exc:
        raise _Refused(exc.code) from exc
    except (OSError, HTTPException) as exc:  # URLError is an OSError; IncompleteRead is none
        raise ImportFailed(f"{url.partition('?')[0]}: {getattr(exc, 'reason', None) or exc}") from exc
    if answer.length:  # a read with a limit does not complain
        raise ImportFailed(f"{url.partition('?')[0]}: the answer is cut, {answer.length} bytes are missing")
    if len(body) > LARGEST:
        raise ImportFailed(f"{url.partition('?')[0]}: the answer is larger than {LARGEST >> 20} MiB")
    return body


def _joined(url: str, path: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ImportFailed("the address must not contain credentials; they are read from environment variables")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ImportFailed(f"{url}: keys are sent by https only, or by http to this machine")
    return url.rstrip("/") + path


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise ImportFailed(f"set the environment variable {name}")
    return value
