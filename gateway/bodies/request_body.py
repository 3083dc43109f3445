"""Reads the body of a client's request within its limits, and charges its memory."""

from starlette.types import Receive

from gateway.bodies.content_encoding import content_encodings, decoded
from gateway.bodies.json_cost import BYTES_PER_BYTE
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import LARGE, offloaded
from gateway.core.errors import BodyTooLarge

COUNTED = 256 << 10  # bytes from which the values of a body are counted; memory for a smaller one is
BYTES_PER_SMALL_BYTE = 24  # charged by its bytes alone


async def read_body(receive: Receive, limit: int, encoding: bytes = b"") -> bytes:
    """The whole request body, decoded. Its memory is charged while it is read; see `gateway.bodies.memory_budget`.

    Args:
        limit: bytes, of the body as it is sent and as it is decoded.
        encoding: the `Content-Encoding` header.

    Raises:
        BodyTooLarge: more than `limit` bytes; checked while reading, so no more than that is ever held.
        UnsupportedEncoding: the body cannot be decoded.
        Overloaded: there is no memory for it now.
        ConnectionResetError: the client went away before the body was complete.
    """
    encodings = content_encodings(encoding) if encoding else []
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("client left while sending its request")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"The request body is larger than {limit} bytes, the limit of this gateway.")
        more = message.get("more_body")
        if more or size > COUNTED:
            charge(len(part) * BYTES_PER_BYTE)
        else:  # a small body, whose values are not counted later; its earlier parts have been charged as bytes
            charge(size * BYTES_PER_SMALL_BYTE - (size - len(part)) * BYTES_PER_BYTE)
        parts.append(part)
        if not more:
            break
    body = parts[0] if len(parts) == 1 else await offloaded(size, b"".join, parts)
    if encodings:
        body = await offloaded(LARGE, decoded, body, encodings, limit)
        charge(len(body) * (BYTES_PER_BYTE if len(body) > COUNTED else BYTES_PER_SMALL_BYTE))
    return body
