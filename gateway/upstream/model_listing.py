"""Asks servers which models they have: shows if a server answers, accepts the key, and has the model. Such requests cost nothing.

The lists are `GET /models` of OpenAI's and Anthropic's protocols, and `GET /api/tags` of Ollama. Providers that only litellm can
call are not asked.
"""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

import orjson

from gateway.config.portfolio import Deployment
from gateway.config.problems import similar
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.upstream.direct import DirectUpstream
from gateway.upstream.proxy import Proxies
from gateway.upstream.redact import redact

TIMEOUT_S = 5.0  # of one request
ALL_S = 20.0  # of all requests together
MAX_CONCURRENT = 32
_NO_LIST = (404, 405, 501)  # statuses of a server that has no list of models
_REFUSED = (401, 403)
_OLLAMA = ("ollama/", "ollama_chat/")
_DATE = re.compile(r"-20\d{6}")  # at the end of a name of Anthropic, which is accepted without it
_KEY_PATHS = {"openrouter.ai": "/key"}  # where the list is public, and another path shows if the key is accepted


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a deployment after its server was asked.

    Attributes:
        state: "failed" if no call to the deployment would succeed; "unknown" if its server was not asked, or has no list.
        words: the reason, or what could not be checked; without secrets.
        latency_ms: of the answer; None if there was none.
    """

    state: Literal["ok", "failed", "unknown"]
    words: str = ""
    latency_ms: float | None = None


NOT_ASKED = Found("unknown", "not asked: litellm calls it")


async def find_models(deployments: Iterable[Deployment], proxies: Proxies) -> dict[str, Found]:
    """What the servers say of these deployments, by id; those that cannot be called for want of a key are left out.

    Each server is asked once for each key. It takes at most `ALL_S` seconds, whatever the servers do.
    """
    asked: dict[tuple[object, ...], list[Deployment]] = {}
    found: dict[str, Found] = {}
    for one in deployments:
        if one.missing_key is not None:
            continue
        if one.path == "direct" or "messages" in one.apis:
            asked.setdefault(_server(one), []).append(one)
        else:
            found[one.id] = NOT_ASKED
    limit = asyncio.Semaphore(MAX_CONCURRENT)
    async with DirectUpstream(proxies) as direct:
        tasks = {asyncio.create_task(_ask(direct, group, limit)): group for group in asked.values()}
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=ALL_S)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        for task, group in tasks.items():
            late = dict.fromkeys((one.id for one in group), Found("failed", f"no answer within {ALL_S:g} s"))
            found |= late if task.cancelled() else task.result()
    return found


def _server(one: Deployment) -> tuple[object, ...]:
    """Deployments with equal values have one list of models."""
    key = None if one.api_key is None else one.api_key.reveal()
    headers = tuple(sorted((name, value.reveal()) for name, value in one.headers.items()))
    return one.native_base or one.api_base, key, headers, one.path, one.known_as.startswith(_OLLAMA)


async def _ask(direct: DirectUpstream, group: list[Deployment], limit: asyncio.Semaphore) -> dict[str, Found]:
    """What their common server says of these deployments."""
    first = replace(group[0], timeout_s=TIMEOUT_S, connect_timeout_s=TIMEOUT_S, idle_timeout_s=TIMEOUT_S)
    path = "/models" if first.path == "direct" else "/models?limit=1000"
    if first.known_as.startswith(_OLLAMA):
        first, path = replace(first, native_base=(first.api_base or "").removesuffix("/v1")), "/api/tags"
    async with limit:
        started = time.monotonic()
        try:
            names = _names(await direct.fetch(first, path))
        except UpstreamFailure as failure:
            latency_ms = (time.monotonic() - started) * 1000
            return dict.fromkeys((one.id for one in group), _of_failure(failure, first, latency_ms))
        latency_ms = (time.monotonic() - started) * 1000
        note = await _key_note(direct, first, path)
    if isinstance(note, Found):
        return dict.fromkeys((one.id for one in group), replace(note, latency_ms=latency_ms))
    return {one.id: replace(_model(one, names, note), latency_ms=latency_ms) for one in group}


async def _key_note(direct: DirectUpstream, first: Deployment, path: str) -> str | Found:
    """What is not known of the key: a list that is public says nothing about it. A failure if the key turns out to be refused."""
    if first.api_key is None and not first.headers:
        return ""
    try:
        await direct.fetch(replace(first, api_key=None, headers={}), path)
    except UpstreamFailure:
        return ""
    if (key_path := _KEY_PATHS.get(urlsplit(first.api_base or "").hostname or "")) is not None:
        try:
            await direct.fetch(first, key_path)
        except UpstreamFailure as failure:
            return _of_failure(failure, first, 0.0)
        return ""
    return "the key was not checked, since the list is public"


def _of_failure(failure: UpstreamFailure, deployment: Deployment, latency_ms: float) -> Found:
    redact(failure, deployment, {})
    said = f": {failure.reason}" if failure.reason else ""
    if failure.cause is Cause.AUTH or failure.status in _REFUSED:
        return Found("failed", f"key refused{said}", latency_ms)
    if failure.status in _NO_LIST:
        return Found("unknown", "answers, but lists no models", latency_ms)
    if failure.cause is Cause.TIMEOUT:
        return Found("failed", f"no answer within {TIMEOUT_S:g} s")
    if failure.cause is Cause.CONNECTION:
        return Found("failed", failure.reason or "no connection")
    return Found("failed", f"{failure}{said}", latency_ms)


def _model(one: Deployment, names: frozenset[str], note: str) -> Found:
    """Whether the list has the deployment's model."""
    if not names:
        return Found("unknown", "lists no models")
    name = one.upstream_model.removeprefix("anthropic/")
    # Ollama adds a tag; OpenRouter has variants such as `:nitro`, which it does not list.
    exact = {name, f"{name}:latest", f"models/{name}", name.rpartition(":")[0]}
    undated = name.removesuffix("-latest")
    if not exact.isdisjoint(names) or any(_DATE.sub("", listed) == undated for listed in names):
        return Found("ok", note)
    close = similar(name, sorted(names))
    hint = f"; did you mean {close}?" if close else ""
    return Found("failed", f"the server does not have {name}{hint}")


def _names(body: bytes) -> frozenset[str]:
    """The names in a list: `{"data": [{"id"}]}`, Ollama's `{"models": [{"name"}]}`, or a list alone; empty if it is none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return frozenset()
    if isinstance(value, Mapping):
        value = value.get("data", value.get("models"))
    entries = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    named = (entry.get(key) for entry in entries for key in ("id", "name", "model"))
    return frozenset(name for name in named if isinstance(name, str))
