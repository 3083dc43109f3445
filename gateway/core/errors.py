"""The errors that the gateway returns to clients, one class per cause. The class holds status, OpenAI `type` and `code`.

    GatewayError
    ├── InvalidRequest            400  the request itself is wrong; `param` names the field
    │   ├── ThreadUnsupported     400  the conversation is stored at the provider
    │   ├── PreviousResponseNotFound  400  unknown, deleted, or of another client
    │   ├── BodyTooLarge          413
    │   ├── UnsupportedEncoding   415  the body has a `Content-Encoding` that the gateway cannot decode
    │   ├── MalformedHttp         400  the bytes are not an HTTP/1.1 request
    │   ├── HeadTooLarge          431
    │   ├── RequestTimeout        408  headers or body did not arrive in time
    │   ├── UnknownModel          404
    │   └── NoEligibleModel       400  no model of the portfolio meets the requirements of the request
    │       └── ContextTooLong    400  the prompt is longer than the context window of every candidate
    ├── AuthenticationFailed      401
    │   ├── KeyExpired            401  the key or its team has expired
    │   └── KeyRevoked            401  the key was revoked, or its team was deleted
    ├── Forbidden                 403  only the operator may do this, and no admin key is set
    │   └── ModelNotAllowed       403  the key may not use this model or policy
    ├── NotFound                  404
    ├── Conflict                  409  the name of a key or team is in use
    ├── MethodNotAllowed          405
    ├── RateLimited               429  a limit of the key or its team, which a wait helps against
    ├── QuotaUsedUp               429  a budget of the key or its team is spent
    ├── ProviderRejected          the provider's own 4xx: the request would fail at every provider
    ├── StoreUnavailable          503  the database is away, and nothing is known without it
    ├── Overloaded                503  the gateway is at its limit of requests or memory
    ├── UpstreamsFailed           429 / 502 / 503 / 504: every attempt failed
    ├── StreamBroken              502  the upstream failed after content had been sent: an event in the stream
    │   └── StreamFiltered        400  a content filter ended the stream
    ├── Stopped                   503  the gateway stops, and its grace period has ended
    └── InternalError             500

A message contains only public text: names of the portfolio and the provider's words, never keys, addresses or headers of a
deployment.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Literal

import orjson

from gateway.core.json_types import JsonObject

# Tells client libraries not to retry. Set only where a retry cannot succeed; after an outage it would end an agent's work.
NO_RETRY = {"x-should-retry": "false"}


class GatewayError(Exception):
    """An error with its HTTP status and OpenAI error object.

    Args:
        message: for the client: names the field or model and the value found.
        param: the request field that caused the error.
        headers: additional response headers, such as `retry-after`.
    """

    status: int = 500
    type: ClassVar[str] = "server_error"
    code: str | None = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = dict(headers or {})

    @property
    def recorded(self) -> str | None:
        """The name of this error in records and metrics, from a small fixed set."""
        return self.code

    def body(self) -> bytes:
        """The OpenAI error envelope as JSON."""
        return orjson.dumps(self.envelope())

    def envelope(self) -> JsonObject:
        """The OpenAI error envelope: `{"error": {"message", "type", "param", "code"}}`."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(GatewayError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class ThreadUnsupported(InvalidRequest):
    """The conversation is stored at Anthropic, so another model cannot continue it. Clients then send the whole conversation."""

    code = "thread_unsupported_request"

    def __init__(self) -> None:
        message = "`thread` is not supported: the next turn may go to another model. Send the whole conversation."
        super().__init__(message, param="thread")


class PreviousResponseNotFound(InvalidRequest):
    """`previous_response_id` names a response that is not stored, has expired, or belongs to another client."""

    code = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        message = f"Previous response with id '{response_id[:100]}' not found."
        super().__init__(message, param="previous_response_id")


class BodyTooLarge(InvalidRequest):
    status = 413
    code = "body_too_large"


class UnsupportedEncoding(InvalidRequest):
    """The body's `Content-Encoding` is not supported; `accept-encoding` lists those that are (RFC 9110, 15.5.16)."""

    status = 415
    code = "unsupported_encoding"

    def __init__(self, message: str, supported: Iterable[str]) -> None:
        super().__init__(message, headers={"accept-encoding": ", ".join(supported)})


class MalformedHttp(InvalidRequest):
    code = "malformed_http"


class HeadTooLarge(InvalidRequest):
    status = 431
    code = "headers_too_large"


class RequestTimeout(InvalidRequest):
    status = 408
    code = "request_timeout"


class UnknownModel(InvalidRequest):
    status = 404
    code = "model_not_found"


class NoEligibleModel(InvalidRequest):
    code = "no_eligible_model"


class ContextTooLong(NoEligibleModel):
    """The prompt is longer than the context window of every candidate. Agents react by shortening it.

    Args:
        tokens: number of tokens that the request needs for prompt and answer.
        window: size of the largest context window, tokens.
    """

    code = "context_length_exceeded"

    def __init__(self, message: str, *, tokens: int, window: int) -> None:
        super().__init__(message, headers=NO_RETRY)
        self.tokens = tokens
        self.window = window

    @property
    def recorded(self) -> str:
        return "context_length"


class AuthenticationFailed(GatewayError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"
    reason: ClassVar[Literal["missing", "wrong", "expired", "revoked"]] = "wrong"  # in metrics and in the log

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=NO_RETRY)


class KeyExpired(AuthenticationFailed):
    code = "key_expired"
    reason = "expired"

    def __init__(self, at: datetime) -> None:
        super().__init__(
            f"The key expired at {at:%Y-%m-%d %H:%M} UTC: ask the operator of the gateway for another one."
        )


class KeyRevoked(AuthenticationFailed):
    reason = "revoked"


class Forbidden(GatewayError):
    status = 403
    type = "permission_error"
    code = "forbidden"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, param=param, headers=NO_RETRY)


class ModelNotAllowed(Forbidden):
    """The key, or its team, may not use the model or policy that the request names."""

    code = "model_not_allowed"


class NotFound(GatewayError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class Conflict(GatewayError):
    status = 409
    type = "invalid_request_error"
    code = "conflict"


class MethodNotAllowed(GatewayError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class ProviderRejected(GatewayError):
    """A provider's 4xx that every other model would return too; the client gets the provider's error object.

    Args:
        cause: value of a `Cause`, used in records and metrics.
    """

    type = "invalid_request_error"

    def __init__(self, status: int, error: Mapping[str, object], cause: str) -> None:
        super().__init__(str(error.get("message") or "The provider rejected the request."), headers=NO_RETRY)
        self.status = status if 400 <= status < 500 else 400  # some servers refuse requests with a 500
        self.error = dict(error)
        self.cause = cause
        code = error.get("code")
        self.code = str(code) if code is not None else "provider_rejected"

    @property
    def recorded(self) -> str:
        return self.cause

    def envelope(self) -> JsonObject:
        fields = {key: self.error.get(key) for key in ("type", "param", "code")}
        known = {key: value for key, value in fields.items() if isinstance(value, str)}
        own = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        return {"error": self.error | own | known}


class StoreUnavailable(GatewayError):
    status = 503
    type = "server_error"
    code = "store_unavailable"


class RateLimited(GatewayError):
    """A limit of the key or its team is reached.

    Args:
        kind: "requests" or "tokens"; the error's type, as in OpenAI's API.
    """

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, kind: str, retry_after_s: int) -> None:
        super().__init__(message, headers={"retry-after": str(retry_after_s)})
        self.kind = kind

    def envelope(self) -> JsonObject:
        return {"error": {"message": self.message, "type": self.kind, "param": None, "code": self.code}}


class QuotaUsedUp(GatewayError):
    """A budget of the key or its team has too little left. A retry helps only in the next window.

    Args:
        retry_after_s: until then; None if the budget has no further window.
    """

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
        super().__init__(message, headers=wait | NO_RETRY)


class Overloaded(GatewayError):
    status = 503
    type = "server_error"  # clients of OpenAI's APIs retry on this type
    code = "overloaded"


class UpstreamsFailed(GatewayError):
    """No model answered.

    Args:
        retryable: a retry may succeed, because there was an outage, and not only refused keys, unknown models or spent quotas.
            If False, `retry-after` is sent only if it is longer than a second: until the gateway tries a deployment again.
    """

    type = "server_error"
    code = "upstreams_failed"

    def __init__(self, status: int, message: str, *, retry_after_s: int = 1, retryable: bool = True) -> None:
        wait = {"retry-after": str(retry_after_s)} if retryable or retry_after_s > 1 else {}
        super().__init__(message, headers=wait | ({} if retryable else NO_RETRY))
        self.status = status


class StreamBroken(GatewayError):
    status = 502
    type = "server_error"
    code = "stream_broken"


class StreamFiltered(StreamBroken):
    """A content filter ended the stream. A retry would be filtered again."""

    status = 400
    type = "invalid_request_error"
    code = "content_filter"


class Stopped(GatewayError):
    status = 503
    type = "server_error"
    code = "gateway_stopped"

    def __init__(self) -> None:
        super().__init__("The gateway is being stopped; ask again.")


class InternalError(GatewayError):
    pass
