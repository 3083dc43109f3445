"""Two requests have one key only if owner, portfolio and everything that decides about the answer are equal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.cache_key import UNKEYED, cache_key, portfolio_version
from gateway.config.access import EVERYTHING, Allowed
from gateway.config.portfolio import Portfolio
from gateway.model_versions.stored import InUse
from gateway.request.chat_request import parse_chat
from gateway.request.overrides import with_overrides
from gateway.request.request import Native
from gateway.routing.placed_models import placed_models
from router.model.serving import Router
from tests.gateway.live import model, portfolio

BODY: dict[str, Any] = {
    "model": "auto",
    "messages": [{"role": "user", "content": "How far is the moon?"}],
    "temperature": 0,
    "max_tokens": 10,
}


def key(
    body: bytes | None = None,
    headers: dict[bytes, bytes] | None = None,
    *,
    api: str = "chat",
    owner: str = "o",
    version: bytes = b"1",
    kept: str | None = None,
    allowed: Allowed = EVERYTHING,
    **fields: Any,
) -> bytes:
    request = parse_chat(orjson.dumps(BODY | fields) if body is None else body)
    request = with_overrides(request, headers or {})
    request = replace(request, overrides=replace(request.overrides, allowed=allowed))
    return cache_key(request, api, owner, version, kept)


def test_spaces_the_order_of_keys_and_labels_do_not_count() -> None:
    reordered = b'{ "temperature" : 0, "max_tokens":10, "messages":[{"content":"How far is the moon?","role":"user"}],\n"model":"auto"}'
    assert key(reordered) == key()
    labels = dict.fromkeys(UNKEYED - {"stream", "stream_options", "metadata"}, "x")
    assert key(stream=True, stream_options={"include_usage": True}, metadata={"a": "b"}, **labels) == key()
    assert key(None, {b"x-locus-session": b"s1", b"x-locus-cache": b"1h"}) == key()


@pytest.mark.parametrize(
    "other",
    [
        {"owner": "p"},
        {"api": "messages"},
        {"version": b"2"},
        {"kept": "llama-8b"},
        {"headers": {b"x-locus-policy": b"best"}},
        {"headers": {b"x-locus-quality": b"3"}},
        {"headers": {b"x-locus-allow": b"llama-8b"}},
        {"headers": {b"x-locus-exclude": b"llama-8b"}},
        {"headers": {b"x-locus-failover": b"off"}},
        {"headers": {b"x-locus-min-p-correct": b"0.5"}},
        {"seed": 1},
        {"safety_identifier": "u1"},
        {"allowed": Allowed(frozenset({"llama-8b"}))},
        {"allowed": Allowed(None, ("best",))},
    ],
)
def test_everything_else_counts(other: dict[str, Any]) -> None:
    assert key(**other) != key()


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0x20, 0x7E))
def test_one_changed_byte_is_another_request(at: int, byte: int) -> None:
    body = orjson.dumps(BODY)
    at %= len(body)
    changed = body[:at] + bytes([byte]) + body[at + 1 :]
    try:
        request = parse_chat(changed)
    except Exception:
        return  # the gateway refuses it
    same = orjson.loads(changed) == orjson.loads(body)
    assert (cache_key(request, "chat", "o", b"1", None) == key(body)) is same


def test_headers_that_the_provider_gets_count() -> None:
    request = parse_chat(orjson.dumps(BODY))
    keys = {
        cache_key(
            replace(request, native=Native("messages", b"{}", {"max_tokens": 1}, headers)), "messages", "o", b"", None
        )
        for headers in ({}, {"anthropic-beta": "context-1m"}, {"anthropic-beta": "other"})
    }
    assert len(keys) == 3


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


def in_force(
    folder: Path, router: Router, price: float = 1.0, url: str = "http://127.0.0.1:9/v1", **more: Any
) -> Portfolio:
    one = model("llama-8b", price={"input": price, "output": 1.0}, deployment={"api_base": url})
    return placed_models(portfolio(folder, one, **more), router, InUse()).portfolio


def test_the_version_of_a_portfolio(tmp_path: Path, router: Router) -> None:
    base = portfolio_version(in_force(tmp_path, router), router, {})
    assert portfolio_version(in_force(tmp_path, router, gateway={"retries": 1}), router, {}) == base
    others = [
        in_force(tmp_path, router, price=2.0),
        in_force(tmp_path, router, url="http://127.0.0.1:10/v1"),
        in_force(tmp_path, router, policies={"balanced": {"quality": 3}}),
        in_force(tmp_path, router, policies={"balanced": {"quality": 3, "ensemble": True}}),
    ]
    assert len({base, *(portfolio_version(other, router, {}) for other in others)}) == 5
    assert portfolio_version(in_force(tmp_path, router), router, {"llama-8b": "quarantined"}) != base


def test_a_new_embedding_of_a_model_is_a_new_version(tmp_path: Path, router: Router) -> None:
    before = in_force(tmp_path, router)
    row = router.space.rows([before.models[0].embedding or ""])[0]
    embeddings = replace(router.space.embeddings, z=router.space.embeddings.z.copy())
    embeddings.z[row, 0] += 0.5
    moved = Router.load()
    moved.space.embeddings = embeddings
    assert portfolio_version(before, moved, {}) != portfolio_version(before, router, {})
    other = (row + 1) % len(embeddings)  # not of a model of the portfolio
    embeddings.z[row] = router.space.embeddings.z[row]
    embeddings.z[other, 0] += 0.5
    assert portfolio_version(before, moved, {}) == portfolio_version(before, router, {})
