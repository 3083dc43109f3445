"""Reads the bodies of provider responses within limits of size, memory and time.

The HTTP client decompresses only as much as is read, so that the limits hold for the decompressed body.
"""

import asyncio

import aiohttp

from gateway.bodies.json_cost import BYTES_PER_BYTE, json_cost
from gateway.bodies.lenient_json import loads_clean
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.core.errors import GatewayError
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure

MAX_ANSWER_BYTES = 128 << 20  # the size of 2,048 vectors of 3,072 numbers as text
MAX_ERROR_BYTES = 64 << 10  # of an error; the reason is at the beginning of its body
COUNTED = 256 << 10  # bytes; in a longer answer the values are counted before it is parsed
READ_SIZE = 16 << 10  # bytes that are read from a connection, and processed, at a time
CHARGED_STEP = 256 << 10  # bytes of an event that are not charged, since nearly all events are shorter
TURN_BYTES = 256 << 10  # bytes of a complete answer that are read before other tasks run
# Limits of one answer. The largest answers, with log probabilities, have fewer.
MAX_CONTAINERS = 400_000  # objects and lists
MAX_VALUES = 2_000_000  # keys and values


async def read_response_body(response: aiohttp.ClientResponse, idle_s: float) -> bytes:
    """A complete body, or the first part of an error's body. Its memory is charged to the request that is being served.

    Args:
        idle_s: the longest time without data, seconds.

    Raises:
        UpstreamFailure: it is too large, or there is no memory for it.
        TimeoutError: no data came for `idle_s`.
    """
    content = response.content
    error = response.status >= 400
    limit = MAX_ERROR_BYTES if error else MAX_ANSWER_BYTES
    if content.is_eof():  # true for a short body, which arrives with the headers
        return _charged(content.read_nowait(-1))
    parts: list[bytes] = []
    size = 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(idle_s) as timeout:
        while part := await content.read(READ_SIZE):
            parts.append(_charged(part))
            size += len(part)
            await _let_others_run(size, len(part), TURN_BYTES)
            if size > limit:
                response.close()  # to use the connection again, the rest would have to be read
                if error:
                    break
                raise UpstreamFailure(Cause.UNREADABLE, detail=f"answer of more than {limit >> 20} MB")
            timeout.reschedule(loop.time() + idle_s)
    return parts[0] if len(parts) == 1 else await offloaded(size, b"".join, parts)


def check_cost(data: bytes) -> None:
    """Charges the memory that an answer will take after it is parsed.

    Raises:
        UpstreamFailure: it has too many values, or there is no memory for it.
    """
    if len(data) <= COUNTED:
        return
    cost = json_cost(data)
    if cost.containers > MAX_CONTAINERS or cost.values > MAX_VALUES:
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"answer of {cost.values} JSON values")
    charge_answer(cost.memory - BYTES_PER_BYTE * len(data))


def lenient_object(data: bytes) -> tuple[JsonObject | None, bool]:
    """The JSON object in `data`, or None; and True if its bytes are valid JSON that may be passed on unchanged.

    Raises:
        UpstreamFailure: as for `check_cost`.
    """
    check_cost(data)
    try:
        value, strict = loads_clean(data)
    except ValueError:
        return None, False
    return (value, strict) if isinstance(value, dict) else (None, False)


class StreamMeter:
    """Charges the memory that one stream holds, and lets other tasks run while it receives much data at once."""

    def __init__(self) -> None:
        self._size = 0
        self._charged = 0

    async def received(self, size: int, held: int) -> None:
        """Records a read from the connection.

        Args:
            size: the number of bytes that were read.
            held: the number of bytes of the incomplete event that is held.

        Raises:
            UpstreamFailure: there is no memory for it.
        """
        self._size += size
        if abs(held - self._charged) > CHARGED_STEP:
            charge_answer(BYTES_PER_BYTE * (held - self._charged))
            self._charged = held
        await _let_others_run(self._size, size, READ_SIZE)


async def _let_others_run(size: int, new: int, turn: int) -> None:
    """Yields to the event loop if the last `new` of `size` bytes complete another `turn` bytes.

    Reading data that has already arrived does not yield.
    """
    if size % turn < new:
        await asyncio.sleep(0)


def charge_answer(size: int) -> None:
    """Charges memory for data of a provider, as `memory_budget.charge` does.

    Raises:
        UpstreamFailure: there is no memory for it, which is not a fault of the provider.
    """
    try:
        charge(size)
    except GatewayError as exc:
        raise UpstreamFailure(Cause.LOCAL, detail="no memory for the answer") from exc


def _charged(data: bytes) -> bytes:
    charge_answer(BYTES_PER_BYTE * len(data))
    return data
