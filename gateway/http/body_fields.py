"""The JSON objects that small requests have as their bodies: those of the operator, and feedback."""

from collections.abc import Collection

from starlette.requests import Request

from gateway.bodies.request_body import read_body
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.request.request import parse_object

MAX_BODY = 1 << 16  # bytes


async def body_fields(request: Request, known: Collection[str] | None = None, limit: int = MAX_BODY) -> JsonObject:
    """The fields of the body; none if it is empty.

    Args:
        known: the fields that the endpoint has; None: it checks them itself.
        limit: bytes.

    Raises:
        InvalidRequest: the body is no JSON object, or has an unknown field.
        BodyTooLarge: it is longer than the limit.
    """
    return fields_of(await body_bytes(request, limit), known)


async def body_bytes(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, decoded.

    Raises:
        BodyTooLarge: it is longer than the limit.
    """
    return await read_body(request.receive, limit, dict(request.scope["headers"]).get(b"content-encoding", b""))


def fields_of(body: bytes, known: Collection[str] | None = None) -> JsonObject:
    """The fields of a body, as for `body_fields`."""
    fields = parse_object(body or b"{}")
    if known is not None and (unknown := sorted(fields.keys() - set(known))):
        raise InvalidRequest(
            f"Unknown field `{unknown[0][:64]}`; known are {', '.join(sorted(known))}.", param=unknown[0]
        )
    return fields
