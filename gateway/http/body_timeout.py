"""Limits how long a client may take to send a request body."""

import asyncio
import time

from starlette.types import Message, Receive

from gateway.core.client_limits import ClientLimits
from gateway.core.errors import RequestTimeout


class BodyTimeout:
    """An ASGI `receive` with a timeout. It costs a timer per part of the body, so use it only if the body is incomplete.

    A call raises `RequestTimeout` if no part arrives in time, or if the whole body takes too long.
    """

    def __init__(self, receive: Receive, limits: ClientLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._began = time.monotonic()
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:  # the only message that can follow is the client's disconnect
            return await self._receive()
        idle_s = self._limits.body_idle_s
        left_s = self._began + self._limits.body_s - time.monotonic()
        try:
            async with asyncio.timeout(min(idle_s, left_s)):
                message = await self._receive()
        except TimeoutError:
            reason = f"nothing came for {idle_s:g} s" if left_s > idle_s else "it comes too slowly"
            text = f"The request body is not complete: {reason}."
            raise RequestTimeout(text, headers={"connection": "close"}) from None
        self._complete = not message.get("more_body")
        return message
