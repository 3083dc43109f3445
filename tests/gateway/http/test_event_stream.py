"""Keep-alive comments and what is written after them."""

import asyncio
from typing import Any

import pytest

from gateway.http.event_stream import EventStream

pytestmark = pytest.mark.anyio


async def test_an_error_is_written_behind_a_comment_that_was_given_up() -> None:
    sent: list[Any] = []
    begun, slow = asyncio.Event(), asyncio.Event()

    async def send(message: Any) -> None:
        if not sent:
            sent.append(message)
            begun.set()
            await slow.wait()  # the client does not read
        sent.append(message)

    events = EventStream(send, 0.01)
    async with asyncio.timeout(5):
        await begun.wait()
    events.stop()
    await events.write(b"data: error\n\n", more=False)
    assert sent[-1] == {"type": "http.response.body", "body": b"data: error\n\n", "more_body": False}
