"""Keep-alive comments and what is written after them."""

import asyncio
from typing import Any

import pytest

from gateway.http.event_stream import COMMENT, HEADERS, EventStream

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
    async with asyncio.timeout(60):
        await begun.wait()
    events.stop()
    await events.write(b"data: error\n\n", more=False)
    assert sent[-1] == {"type": "http.response.body", "body": b"data: error\n\n", "more_body": False}


async def test_headers_are_sent_once_and_before_the_first_events() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    events = EventStream(send, 0)
    assert not events.begun
    await events.write(b"data: 1\n\n", [(b"x-locus-model", b"m")])
    await events.write(b"data: 2\n\n", [(b"x-locus-model", b"m")], more=False)
    assert events.begun
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * 2]
    assert sent[0]["headers"] == [*HEADERS, (b"x-locus-model", b"m")]
    assert [(message["body"], message["more_body"]) for message in sent[1:]] == [
        (b"data: 1\n\n", True),
        (b"data: 2\n\n", False),
    ]


async def test_silence_is_filled_with_comments_until_the_stream_is_stopped() -> None:
    sent: list[Any] = []
    third = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 4:
            third.set()

    events = EventStream(send, 0.01)
    async with asyncio.timeout(60):
        await third.wait()
    events.stop()
    number = len(sent)
    await asyncio.sleep(0.05)
    assert len(sent) == number
    assert sent[0]["headers"] == list(HEADERS)
    assert {message["body"] for message in sent[1:]} == {COMMENT}
