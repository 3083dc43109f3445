"""Reading the answers of providers within limits, as bytes as they come off the connection.

The HTTP client decompresses piece by piece and only as far as pieces are taken, so that the limits hold for what comes out.
"""

import asyncio
from typing import Any

import aiohttp

from gateway.bodies.json_cost import BYTES_PER_BYTE, json_cost
from gateway.bodies.lenient_json import loads_clean
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.core.errors import GatewayError
from gateway.provider_errors.failures import Cause, UpstreamFailure

MAX_ANSWER_BYTES = 128 << 20  # what 2,048 vectors of 3,072 numbers take as text
MAX_ERROR_BYTES = 64 << 10  # of an error's body; what says why stands at its beginning
COUNTED = 256 << 10  # bytes from which the values of an answer are counted before it is parsed
PIECE = 16 << 10  # bytes that are taken off a connection, and worked on, at a time
CHARGED_STEP = 256 << 10  # bytes of an event that are not charged: nearly all are shorter
TURN_BYTES = 256 << 10  # of a whole answer, after which everything else has its turn
MAX_CONTAINERS = 400_000  # objects and lists, and
MAX_VALUES = 2_000_000  # keys and values of an answer: beyond any with log probabilities


async def read_response_body(response: aiohttp.ClientResponse, idle_s: float) -> bytes:
    """A whole body; of an error's, the beginning. Its memory is charged to the request that is being served.

    Args:
        idle_s: longest silence. An answer that has begun is nearly there, so that a silence in the middle of it is a fault.

    Raises:
        UpstreamFailure: it is too large, or there is no memory for it.
        TimeoutError: a silence.
    """
    content = response.content
    error = response.status >= 400
    limit = MAX_ERROR_BYTES if error else MAX_ANSWER_BYTES
    if content.is_eof():  # as a short one, which comes with its headers
        return _charged(content.read_nowait(-1))
    parts: list[bytes] = []
    size = 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(idle_s) as silence:
        while part := await content.read(PIECE):
            parts.append(_charged(part))
            size += len(part)
            await _let_others_run(size, len(part), TURN_BYTES)
            if size > limit:
                response.close()  # the rest would have to be read before the connection could be used again
                if error:
                    break
                raise UpstreamFailure(Cause.UNREADABLE, detail=f"answer of more than {limit >> 20} MB")
            silence.reschedule(loop.time() + idle_s)
    return parts[0] if len(parts) == 1 else await offloaded(size, b"".join, parts)


def check_cost(data: bytes) -> None:
    """Charges what an answer will take once it is parsed.

    Raises:
        UpstreamFailure: it has too many values, or there is no memory for it.
    """
    if len(data) <= COUNTED:
        return
    cost = json_cost(data)
    if cost.containers > MAX_CONTAINERS or cost.values > MAX_VALUES:
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"answer of {cost.values} JSON values")
    charge_answer(cost.memory - BYTES_PER_BYTE * len(data))


def lenient_object(data: bytes) -> tuple[dict[str, Any] | None, bool]:
    """The object in `data`, and whether its bytes may be handed on as they are; None where it is none.

    Raises:
        UpstreamFailure: as `check_cost`.
    """
    check_cost(data)
    try:
        value, strict = loads_clean(data)
    except ValueError:
        return None, False
    return (value, strict) if isinstance(value, dict) else (None, False)


class StreamMeter:
    """Charges what is held of one stream, and lets everything else run while it brings much at once."""

    def __init__(self) -> None:
        self._size = 0
        self._charged = 0

    async def took(self, size: int, held: int) -> None:
        """So many bytes have been taken off the connection, with `held` of an event whose end has not come.

        Raises:
            UpstreamFailure: there is no memory for them.
        """
        self._size += size
        if abs(held - self._charged) > CHARGED_STEP:
            charge_answer(BYTES_PER_BYTE * (held - self._charged))
            self._charged = held
        await _let_others_run(self._size, size, PIECE)


async def _let_others_run(size: int, new: int, turn: int) -> None:
    """Gives up the event loop where `new` bytes, with which there are `size`, complete another `turn`.

    To read what has arrived already does not give it up.
    """
    if size % turn < new:
        await asyncio.sleep(0)


def charge_answer(size: int) -> None:
    """As `gateway.memory.charge`, for what a provider sent.

    Raises:
        UpstreamFailure: there is no memory for it; that says nothing about the provider.
    """
    try:
        charge(size)
    except GatewayError as exc:
        raise UpstreamFailure(Cause.LOCAL, detail="no memory for the answer") from exc


def _charged(data: bytes) -> bytes:
    charge_answer(BYTES_PER_BYTE * len(data))
    return data
