"""Classifies failed upstream calls. Pure functions: status, headers and body give an `UpstreamFailure`."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from http import HTTPStatus

from gateway.core.safe_logging import log_exception
from gateway.provider_errors.causes import ALTERNATIVE_NAME, OPTIONAL_FIELDS, Cause
from gateway.provider_errors.error_body import ErrorBody, read_error, read_error_value
from gateway.provider_errors.error_fields import is_model_limitation, is_optional_field, is_unknown_field, named_field
from gateway.provider_errors.error_table import BY_STATUS, TABLE
from gateway.provider_errors.request_echo import mask_request_text
from gateway.provider_errors.retry_after import MAX_RETRY_AFTER_S, parse_retry_after

__all__ = [
    "ALTERNATIVE_NAME",
    "MAX_RETRY_AFTER_S",
    "NEEDS_OPERATOR",
    "NO_FAILOVER",
    "OPTIONAL_FIELDS",
    "QUICK_RETRY",
    "REQUEST_FAULTS",
    "Cause",
    "UpstreamFailure",
    "classify",
    "classify_event",
    "classify_without_request_text",
    "parse_retry_after",
    "unexpected",
]

log = logging.getLogger("locus.upstream")


# These causes do not end by themselves: an operator must act.
NEEDS_OPERATOR = frozenset({Cause.AUTH, Cause.NOT_FOUND, Cause.QUOTA})
# The request is invalid for every model, so that no other model is called.
NO_FAILOVER = frozenset({Cause.CONTENT_FILTER, Cause.REJECTED})
# A limit of the gateway refused the call before it was made.
NOT_CALLED = frozenset({Cause.BUDGET, Cause.AT_LIMIT})
# One quick retry is useful.
QUICK_RETRY = frozenset({Cause.SERVER_ERROR, Cause.CONNECTION, Cause.UNREADABLE})
# The request is at fault, at least for this model.
REQUEST_FAULTS = NO_FAILOVER | {
    Cause.CONTEXT_LENGTH,
    Cause.TOO_LARGE,
    Cause.FIELD_REFUSED,
    Cause.VALUE_REFUSED,
    Cause.UNSUPPORTED,
}
# Causes for which a wait time is meaningful.
_WITH_WAIT = frozenset({Cause.RATE_LIMITED, Cause.OVERLOADED, Cause.SERVER_ERROR, Cause.QUOTA})
# The client gets the provider's own error object.
_SHOWN_TO_CLIENT = REQUEST_FAULTS | {Cause.REFUSED}
_NO_REASON = {"", *(status.phrase.lower() for status in HTTPStatus)}
_STATUS_OF_CODE = {  # for errors in a stream, which often contain no status
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "ratelimiterror": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
    "unavailable": 503,
    "authentication_error": 401,
    "authenticationerror": 401,
    "unauthenticated": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "billing_error": 402,
    "not_found_error": 404,
    "notfounderror": 404,
    "not_found": 404,
    "request_too_large": 413,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "internal_error": 500,
    "internalservererror": 500,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "bad_request": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
}


@dataclass(eq=False)
class UpstreamFailure(Exception):
    """Raised when an upstream call fails.

    Attributes:
        cause: the kind of failure.
        status: the provider's HTTP status; None if there was no response.
        retry_after_s: the wait time that the provider asked for, in seconds.
        error: the provider's own error object; only for causes that are shown to the client.
        field: the request field that the error is about, if known. For `FIELD_REFUSED` and `VALUE_REFUSED` it is one of
            `OPTIONAL_FIELDS` or `ALTERNATIVE_NAME`; for `UNSUPPORTED` any field, or `developer`, `roles`, `prefill`,
            `tool_call_id`, `reasoning_content`, `missing_reasoning`, `image`, `audio`, `file`, `content`.
        detail: additional information for the log; it never contains the provider's text.
        reason: the error message in one line, for the client, the record and the log. `redact` removes the deployment's secrets
            and the request's own text before the reason is used.
        error_body: the complete error, to classify it again; None if there was no response.
    """

    cause: Cause
    status: int | None = None
    retry_after_s: float | None = None
    error: Mapping[str, object] | None = None
    field: str | None = None
    detail: str = ""
    reason: str = ""
    error_body: ErrorBody | None = dataclass_field(default=None, repr=False)

    @property
    def client_message(self) -> str:
        """The error message for the client. It may repeat text of the request, so that only this client may see it."""
        return str((self.error or {}).get("message") or self.reason)

    @property
    def has_no_reason(self) -> bool:
        """True if the error has no message, or only the name of a status, as servers send it for an unknown path."""
        return self.client_message.strip(" .;0123456789").lower() in _NO_REASON

    def __str__(self) -> str:
        status = "" if self.status is None else f" {self.status}"
        return f"{self.cause.value}{status}{f' ({self.detail})' if self.detail else ''}"


def classify(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """Classify a response that has an error status."""
    return _failure(status, read_error(body), parse_retry_after(headers))


def classify_event(error: object) -> UpstreamFailure:
    """Classify an `error` object in a stream, or in a response with status 200."""
    body = read_error_value(error)
    return _failure(body.status or _status_of(body.codes), body, None)


def classify_without_request_text(failure: UpstreamFailure, request: Mapping[str, object]) -> UpstreamFailure:
    """Classify a failure again, without the text of the request that its message repeats.

    Providers repeat refused values, so that a client could write `unknown parameter: seed` into one. Changes of the state that all
    clients share must depend on this classification only. If the message repeats nothing, the same object is returned.

    Args:
        request: the fields of the request.
    """
    if failure.error_body is None:
        return failure
    body = mask_request_text(failure.error_body, request)
    return failure if body is failure.error_body else _failure(failure.status, body, failure.retry_after_s)


def unexpected(exc: Exception) -> UpstreamFailure:
    """Log an unexpected exception, and return a failure for it."""
    log_exception(log, "an upstream call failed unexpectedly", exc)
    return UpstreamFailure(Cause.UNREADABLE, detail=type(exc).__name__)


def _failure(status: int | None, body: ErrorBody, retry_after_s: float | None) -> UpstreamFailure:
    cause, field = _cause(status, body)
    return UpstreamFailure(
        cause,
        status=status,
        retry_after_s=retry_after_s if retry_after_s is not None or cause not in _WITH_WAIT else body.wait_s,
        error=body.error if cause in _SHOWN_TO_CLIENT else None,
        field=field,
        reason=body.reason,
        error_body=body,
    )


def _cause(status: int | None, body: ErrorBody) -> tuple[Cause, str | None]:
    """Return the cause of an error, and the request field that it is about, if known."""
    text = " ".join((*body.message.lower().split(), "|", *sorted(body.codes)))
    for row in TABLE:
        if row.matches(status, body, text):
            return row.cause, row.field
    if status in (400, 422, None) and (of_field := _of_field(body, text)) is not None:
        return of_field
    if status is not None and 400 <= status < 500:
        return BY_STATUS.get(status, Cause.REFUSED), None
    return BY_STATUS.get(status or 500, Cause.SERVER_ERROR), None


def _of_field(body: ErrorBody, text: str) -> tuple[Cause, str | None] | None:
    """Return the cause of an error that names a request field or a limitation of the model; None for other errors."""
    field = named_field(body.param, text)
    if field is None:
        return (Cause.UNSUPPORTED, None) if is_model_limitation(text) else None
    if not is_optional_field(field):
        return Cause.UNSUPPORTED, field
    return (Cause.FIELD_REFUSED if is_unknown_field(field, body.codes, text) else Cause.VALUE_REFUSED), field


def _status_of(codes: frozenset[str]) -> int | None:
    """Return the HTTP status for the first known error type or code; None if no code is known."""
    return next((status for code, status in _STATUS_OF_CODE.items() if code in codes), None)
