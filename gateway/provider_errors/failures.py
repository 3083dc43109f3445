"""What a failed call to an upstream means for the next step. Pure: status, headers and body -> one `UpstreamFailure`."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from http import HTTPStatus
from typing import Any

from gateway.core.safe_logging import log_defect
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


NEEDS_OPERATOR = frozenset({Cause.AUTH, Cause.NOT_FOUND, Cause.QUOTA})  # time does not heal these: an operator must
REQUEST_FAULTS = frozenset({Cause.CONTENT_FILTER, Cause.REJECTED})  # the request is at fault: no other model is asked
QUICK_RETRY = frozenset({Cause.SERVER_ERROR, Cause.CONNECTION, Cause.UNREADABLE})
_SAYS_NOTHING = {"", *(status.phrase.lower() for status in HTTPStatus)}
_WAITING = frozenset(
    {Cause.RATE_LIMITED, Cause.OVERLOADED, Cause.SERVER_ERROR, Cause.QUOTA}
)  # a time to wait makes sense
_TOLD = frozenset(  # the client may hear of it in the provider's own words
    {
        Cause.CONTEXT_LENGTH,
        Cause.TOO_LARGE,
        Cause.CONTENT_FILTER,
        Cause.FIELD_REFUSED,
        Cause.VALUE_REFUSED,
        Cause.UNSUPPORTED,
        Cause.REFUSED,
        Cause.REJECTED,
    }
)
_STATUS_OF_CODE = {  # of errors inside a stream, which often name no status
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
    """One failed call.

    Attributes:
        cause: what kind of failure.
        status: the provider's HTTP status; None where it never answered.
        retry_after_s: what the provider asked for, seconds.
        error: the provider's own error object, only for causes that the client should hear of.
        field: the request field that the error is about, where it is known: for `FIELD_REFUSED` and `VALUE_REFUSED` one of
            `OPTIONAL_FIELDS` or `ALTERNATIVE_NAME`; for `UNSUPPORTED` any field, or `developer`, `roles`, `prefill`,
            `tool_call_id`, `reasoning_content`, `missing_reasoning`, `image`, `audio`, `file`, `content`.
        detail: a word for the log; never contains the provider's text.
        reason: the provider's own words in one line, for the client, the record and the log. `redact` takes the deployment's
            secrets and the request's own words out of it before it goes anywhere.
        told: the whole error as it came, to classify it again; None where the provider never answered.
    """

    cause: Cause
    status: int | None = None
    retry_after_s: float | None = None
    error: Mapping[str, Any] | None = None
    field: str | None = None
    detail: str = ""
    reason: str = ""
    error_body: ErrorBody | None = dataclass_field(default=None, repr=False)

    @property
    def client_message(self) -> str:
        """What the provider said, with the request's own words where it repeats them: for the client alone."""
        return str((self.error or {}).get("message") or self.reason)

    @property
    def has_no_reason(self) -> bool:
        """Whether the provider gives no reason but, at most, the name of a status, as a server does that does not know the path."""
        return self.client_message.strip(" .;0123456789").lower() in _SAYS_NOTHING

    def __str__(self) -> str:
        status = "" if self.status is None else f" {self.status}"
        return f"{self.cause.value}{status}{f' ({self.detail})' if self.detail else ''}"


def classify(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
    """The failure that an answer with an error status stands for."""
    return _failure(status, read_error(body), parse_retry_after(headers))


def classify_event(error: Any) -> UpstreamFailure:
    """The failure that an `error` object inside a stream, or in an answer with status 200, stands for."""
    told = read_error_value(error)
    return _failure(told.status or _status_of(told.codes), told, None)


def classify_without_request_text(failure: UpstreamFailure, request: Mapping[str, Any]) -> UpstreamFailure:
    """The failure, classified again without those of the provider's words that the request put into its mouth.

    Providers repeat refused values, so a client could write `unknown parameter: seed` into one. What changes the state that all
    clients share must be decided by this.

    Args:
        request: its fields.
    """
    if failure.error_body is None:
        return failure
    told = mask_request_text(failure.error_body, request)
    return failure if told is failure.error_body else _failure(failure.status, told, failure.retry_after_s)


def unexpected(exc: Exception) -> UpstreamFailure:
    """The failure that an unexpected exception stands for."""
    log_defect(log, "an upstream call failed unexpectedly", exc)
    return UpstreamFailure(Cause.UNREADABLE, detail=type(exc).__name__)


def _failure(status: int | None, told: ErrorBody, retry_after_s: float | None) -> UpstreamFailure:
    cause, field = _cause(status, told)
    return UpstreamFailure(
        cause,
        status=status,
        retry_after_s=retry_after_s if retry_after_s is not None or cause not in _WAITING else told.wait_s,
        error=told.error if cause in _TOLD else None,
        field=field,
        reason=told.reason,
        error_body=told,
    )


def _cause(status: int | None, told: ErrorBody) -> tuple[Cause, str | None]:
    """What an error means by the table, and the request field that it is about where that is known."""
    text = " ".join((*told.message.lower().split(), "|", *sorted(told.codes)))
    for row in TABLE:
        if row.matches(status, told, text):
            return row.cause, row.field
    if status in (400, 422, None) and (of_field := _of_field(told, text)) is not None:
        return of_field
    if status is not None and 400 <= status < 500:
        return BY_STATUS.get(status, Cause.REFUSED), None
    return BY_STATUS.get(status or 500, Cause.SERVER_ERROR), None


def _of_field(told: ErrorBody, text: str) -> tuple[Cause, str | None] | None:
    """The cause of an error that names a field of the request, or something that this one model cannot do."""
    field = named_field(told.param, text)
    if field is None:
        return (Cause.UNSUPPORTED, None) if is_model_limitation(text) else None
    if not is_optional_field(field):
        return Cause.UNSUPPORTED, field
    return (Cause.FIELD_REFUSED if is_unknown_field(field, told.codes, text) else Cause.VALUE_REFUSED), field


def _status_of(codes: frozenset[str]) -> int | None:
    """The HTTP status that an error's type or code stands for; None where it has none of the known ones."""
    return next((status for code, status in _STATUS_OF_CODE.items() if code in codes), None)
