"""The shape in which the Messages API tells errors."""

import re
from typing import Any

import orjson

from gateway.core.errors import ContextTooLong, GatewayError, StreamBroken, ThreadUnsupported

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# Anthropic's clients find this sentence, and both numbers in it, to shorten a conversation by as much as it takes.
_TOO_LONG = "prompt is too long: {} tokens > {} maximum"
_TOO_LONG_SAID = re.compile(r"prompt is too long: \d+ tokens > \d+ maximum")


def error_object(error: GatewayError) -> dict[str, Any]:
    """`{"type": "error", "error": {"type", "message"}}`."""
    other = "invalid_request_error" if 400 <= error.status < 500 else "api_error"
    told: dict[str, Any] = {"type": _TYPES.get(error.status, other), "message": error.message}
    if isinstance(error, StreamBroken) and error.status >= 500:  # agents take `api_error` in a stream for final
        told["type"] = "overloaded_error"
    if isinstance(error, ContextTooLong) and not _TOO_LONG_SAID.search(error.message):
        told["message"] = _TOO_LONG.format(error.tokens, error.window)
    if isinstance(error, ThreadUnsupported):  # by this Anthropic's clients know how to go on
        told["details"] = {"error_code": error.code, "unsupported": ["thread"]}
    return {"type": "error", "error": told}


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The body of an error answer."""
    return orjson.dumps(error_object(error) | {"request_id": request_id})
