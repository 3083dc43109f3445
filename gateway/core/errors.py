"""Every error that a client can see, named by cause. Status, OpenAI `type` and `code` live on the class.

    GatewayError
    ├── InvalidRequest            400  the request itself is wrong; `param` names the field
    │   ├── ThreadUnsupported     400  a conversation that the provider keeps
    │   ├── PreviousResponseNotFound  400  unknown, forgotten or another client's
    │   ├── BodyTooLarge          413
    │   ├── UnsupportedEncoding   415  a body compressed in a way that the gateway cannot read
    │   ├── MalformedHttp         400  no HTTP/1.1 request can be read
    │   ├── HeadTooLarge          431
    │   ├── RequestTimeout        408  headers or body did not arrive in time
    │   ├── UnknownModel          404
    │   └── NoEligibleModel       400  no model of the portfolio can serve what the request needs
    │       └── ContextTooLong    400  the prompt is longer than every context window that came into question
    ├── AuthenticationFailed      401
    ├── Forbidden                 403  only for the operator, and no admin key is set
    ├── NotFound                  404
    ├── MethodNotAllowed          405
    ├── ProviderRejected          the provider's own 4xx: this request would fail everywhere
    ├── Overloaded                503  the gateway itself has no room
    ├── UpstreamsFailed           429 / 502 / 503 / 504: every attempt failed
    ├── StreamBroken              502  content was already sent when the upstream failed: in-band only
    │   └── StreamFiltered        400  a content filter ended the answer
    ├── Stopped                   503  the gateway stops, and its grace period is over
    └── InternalError             500

Messages name public things: portfolio names, and what a provider said, without the deployment's keys, addresses and headers.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import orjson

# To client libraries: do not ask again. Only where coming back cannot help; for an outage it would end an agent's work.
NO_RETRY = {"x-should-retry": "false"}


class GatewayError(Exception):
    """An error with its HTTP status and OpenAI error object.

    Args:
        message: for the client; names the thing and what was found.
        param: the request field at fault.
        headers: further response headers, such as `retry-after`.
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
        """What records and metrics call it: one of a few words of our own."""
        return self.code

    def body(self) -> bytes:
        """The OpenAI error envelope as JSON."""
        return orjson.dumps(self.envelope())

    def envelope(self) -> dict[str, Any]:
        """The OpenAI error envelope: `{"error": {"message", "type", "param", "code"}}`."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(GatewayError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class ThreadUnsupported(InvalidRequest):
    """A conversation kept by Anthropic, which another model could not go on with. Its clients then send all of it."""

    code = "thread_unsupported_request"

    def __init__(self) -> None:
        message = "`thread` is not supported: the next turn may go to another model. Send the whole conversation."
        super().__init__(message, param="thread")


class PreviousResponseNotFound(InvalidRequest):
    """A response to go on with that is not stored, no longer, or not for this client."""

    code = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        message = f"Previous response with id '{response_id[:100]}' not found."
        super().__init__(message, param="previous_response_id")


class BodyTooLarge(InvalidRequest):
    status = 413
    code = "body_too_large"


class UnsupportedEncoding(InvalidRequest):
    """The body's `Content-Encoding`; the answer names those that can be read (RFC 9110, 15.5.16)."""

    status = 415
    code = "unsupported_encoding"

    def __init__(self, message: str, readable: Iterable[str]) -> None:
        super().__init__(message, headers={"accept-encoding": ", ".join(readable)})


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
    """The prompt is longer than the context window of every model that came into question. Agents then shorten it.

    Args:
        tokens: that the request needs, prompt and answer.
        window: that there are, of the largest window.
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

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=NO_RETRY)


class Forbidden(GatewayError):
    status = 403
    type = "permission_error"
    code = "forbidden"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=NO_RETRY)


class NotFound(GatewayError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowed(GatewayError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class ProviderRejected(GatewayError):
    """A provider's 4xx that no other model takes either; its own error object is handed on.

    Args:
        cause: our word for it, since theirs may say anything.
    """

    type = "invalid_request_error"

    def __init__(self, status: int, error: Mapping[str, Any], cause: str) -> None:
        super().__init__(str(error.get("message") or "The provider rejected the request."), headers=NO_RETRY)
        self.status = status if 400 <= status < 500 else 400  # servers tell refusals with 500 too
        self.error = dict(error)
        self.cause = cause
        code = error.get("code")
        self.code = str(code) if code is not None else "provider_rejected"

    @property
    def recorded(self) -> str:
        return self.cause

    def envelope(self) -> dict[str, Any]:
        told = {key: self.error.get(key) for key in ("type", "param", "code")}
        known = {key: value for key, value in told.items() if isinstance(value, str)}
        own = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        return {"error": self.error | own | known}


class Overloaded(GatewayError):
    status = 503
    type = "server_error"  # by which agents of OpenAI's APIs come back
    code = "overloaded"


class UpstreamsFailed(GatewayError):
    """No model answered.

    Args:
        again: coming back may help: it was an outage, not refused keys, unknown models or used-up quotas alone. Clients then
            hear of a time only where it is longer than a second: until deployments that are out of service are tried again.
    """

    type = "server_error"
    code = "upstreams_failed"

    def __init__(self, status: int, message: str, *, retry_after_s: int = 1, again: bool = True) -> None:
        time = {"retry-after": str(retry_after_s)} if again or retry_after_s > 1 else {}
        super().__init__(message, headers=time | ({} if again else NO_RETRY))
        self.status = status


class StreamBroken(GatewayError):
    status = 502
    type = "server_error"
    code = "stream_broken"


class StreamFiltered(StreamBroken):
    """A content filter ended the answer. Coming back meets it again."""

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
