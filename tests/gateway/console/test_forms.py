"""Forms that a client sends."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from gateway.console.forms import form_fields
from gateway.core.client_limits import LIMITS
from gateway.core.errors import GatewayError, RequestTimeout

pytestmark = pytest.mark.anyio


def sent(*parts: bytes, complete: bool = True) -> Request:
    """A request whose body arrives in parts; what lacks of it never comes."""
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if complete:
        waiting[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    connection = SimpleNamespace(limits=replace(LIMITS, body_idle_s=0.05))
    return Request({"type": "http", "headers": [], "state": {"connection": connection}}, receive)


async def test_a_form_that_stays_incomplete_is_refused_after_the_time_of_every_body() -> None:
    assert await form_fields(sent(b"key=a&n", b"ext=%2Fui&key=b")) == {"key": "b", "next": "/ui"}
    async with asyncio.timeout(20):
        with pytest.raises(RequestTimeout, match="not complete"):
            await form_fields(sent(b"key=a", complete=False))


@pytest.mark.parametrize("body", [b"a" * 70_000, b"key=\xff", b"key=%ff", b"&".join([b"a=1"] * 101)])
async def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError):
        await form_fields(sent(body))
