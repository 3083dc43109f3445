"""Errors in the form of the Messages API."""

import re

import orjson

from gateway.api.messages.types import ErrorDetails, ErrorObject
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
# Anthropic's clients search for this sentence and read both numbers, to know by how much they must shorten the conversation.
_TOO_LONG = "prompt is too long: {} tokens > {} maximum"
_IS_TOO_LONG = re.compile(r"prompt is too long: \d+ tokens > \d+ maximum")


def error_object(error: GatewayError) -> ErrorObject:
    """Return the error as `{"type": "error", "error": {"type", "message"}}`."""
    default = "invalid_request_error" if 400 <= error.status < 500 else "api_error"
    details: ErrorDetails = {"type": _TYPES.get(error.status, default), "message": error.message}
    if isinstance(error, StreamBroken) and error.status >= 500:  # agents do not retry an `api_error` in a stream
        details["type"] = "overloaded_error"
    if isinstance(error, ContextTooLong) and not _IS_TOO_LONG.search(error.message):
        details["message"] = _TOO_LONG.format(error.tokens, error.window)
    if isinstance(error, ThreadUnsupported):  # Anthropic's clients send the whole conversation when they read this
        details["details"] = {"error_code": error.code, "unsupported": ["thread"]}
    return {"type": "error", "error": details}


def error_body(error: GatewayError, request_id: str) -> bytes:
    """Return the body of an error response."""
    return orjson.dumps({**error_object(error), "request_id": request_id})


def error_event(error: GatewayError) -> bytes:
    """The event that ends a stream early."""
    return b"event: error\ndata: " + orjson.dumps(error_object(error)) + b"\n\n"
