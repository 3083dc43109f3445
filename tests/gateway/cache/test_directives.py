"""When the cache is used for a request, and which stored answers it may get."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.cache.directives import TTL_S, Directives, directives, is_deterministic
from gateway.cache.entry import Entry, Templates
from gateway.config.portfolio import Portfolio
from gateway.request.chat_request import ChatRequest, parse_chat
from gateway.request.overrides import with_overrides
from gateway.routing.requested_policy import policy_name
from tests.gateway.cache.test_answer_cache import ORIGIN
from tests.gateway.live import model, portfolio

POLICIES = {"kept": {"quality": 5, "cache": {"ttl": "10m"}}, "fresh": {"quality": 5}}


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Portfolio:
    return portfolio(tmp_path_factory.mktemp("p"), model("llama-8b"), policies=POLICIES, default_policy="kept")


def asked(headers: dict[str, str], **fields: Any) -> tuple[ChatRequest, dict[bytes, bytes]]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0} | fields
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    return with_overrides(parse_chat(orjson.dumps(body)), raw), raw


def allowed(portfolio: Portfolio, headers: dict[str, str] | None = None, **fields: Any) -> Directives | None:
    request, raw = asked(headers or {}, **fields)
    return directives(request, portfolio, policy_name(portfolio, request), raw)


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        ({}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": 0.1}, False),
        ({"temperature": None}, False),
        ({"temperature": None, "seed": 7}, True),
        ({"n": 1}, True),
        ({"n": 2}, False),
        ({"model": "auto:kept"}, True),
        ({"model": "auto:fresh"}, False),
        ({"model": "llama-8b"}, True),  # by the default policy
        ({"web_search_options": {}}, True),  # empty: no search
        ({"web_search_options": {"search_context_size": "low"}}, False),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ({"tools": [{"name": "f", "input_schema": {}}]}, True),
        ({"tools": [{"type": "web_search"}]}, False),
        ({"mcp_servers": [{"url": "https://mcp.example"}]}, False),
    ],
)
def test_by_policy_and_determinism(cached: Portfolio, fields: dict[str, Any], used: bool) -> None:
    found = allowed(cached, **fields)
    assert (found is not None) is used
    assert found is None or found.ttl_s == 600


def test_without_a_policy_with_a_cache_it_is_off(tmp_path: Path) -> None:
    plain = portfolio(tmp_path, model("llama-8b"))
    assert allowed(plain) is None
    assert allowed(plain, {"x-locus-cache": "on"}) == Directives(TTL_S)


@pytest.mark.parametrize(("wish", "ttl_s"), [("on", 600), ("15m", 900), ("20", 20), ("off", None), ("1h", 3600)])
def test_a_request_asks_for_it(cached: Portfolio, wish: str, ttl_s: float | None) -> None:
    found = allowed(cached, {"x-locus-cache": wish}, temperature=1)
    assert (None if found is None else found.ttl_s) == ttl_s
    in_body = allowed(cached, locus={"cache": {"on": True, "off": False, "20": 20}.get(wish, wish)}, temperature=1)
    assert in_body == found


def test_a_file_without_a_cache_stores_nothing_even_if_asked(cached: Portfolio) -> None:
    off = replace(cached, settings=cached.settings.model_copy(update={"cache": None}))
    assert allowed(off, {"x-locus-cache": "on"}) is None


def test_cache_control_of_the_client(cached: Portfolio) -> None:
    assert allowed(cached, {"cache-control": "no-cache"}) == Directives(600, reads=False)
    assert allowed(cached, {"cache-control": "No-Store"}) == Directives(600, stores=False)
    assert allowed(cached, {"cache-control": "private, max-age=5"}) == Directives(600, max_age_s=5)
    assert allowed(cached, {"cache-control": "max-age=soon"}) == Directives(600)


@pytest.mark.parametrize(
    ("headers", "youngest_s"),
    [
        ({"x-stainless-retry-count": "0"}, 0),
        ({"x-stainless-retry-count": "1"}, 660),
        ({"x-stainless-retry-count": "2", "x-stainless-read-timeout": "20.0"}, 160),
        ({"x-stainless-retry-count": "1", "x-stainless-timeout": "never"}, 660),
        ({"x-stainless-retry-count": "x"}, 0),
    ],
)
def test_a_retry_gets_nothing_that_was_stored_since_its_first_try(
    cached: Portfolio, headers: dict[str, str], youngest_s: float
) -> None:
    found = allowed(cached, headers)
    assert found is not None
    assert found.min_age_s == youngest_s


@pytest.mark.parametrize(
    ("directive", "stored_ttl_s", "age_s", "may"),
    [
        (Directives(60), 60, 0, True),
        (Directives(60), 60, 60, False),
        (Directives(60), 600, 61, False),
        (Directives(600), 60, 61, False),
        (Directives(60, max_age_s=5), 60, 5, True),
        (Directives(60, max_age_s=5), 60, 6, False),
        (Directives(600, min_age_s=100), 600, 99, False),
        (Directives(600, min_age_s=100), 600, 100, True),
    ],
)
def test_the_age_of_an_answer(directive: Directives, stored_ttl_s: float, age_s: float, may: bool) -> None:
    assert directive.allows(Entry(Templates(b"{}"), ORIGIN, 1000, stored_ttl_s), 1000 + age_s) is may


def test_true_and_false_are_no_temperature() -> None:
    assert not is_deterministic({"temperature": False})
