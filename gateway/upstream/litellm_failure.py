"""Classifies the exceptions of litellm: an error of the provider, no connection, a timeout, or a request it cannot translate."""

import re
import traceback

import orjson

from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify

NOT_FETCHED = "Addresses in messages are not fetched here"
_REFUSED_ADDRESS = (NOT_FETCHED, "Unable to fetch image from URL", "URL targets a blocked address")
# The beginning of litellm's messages.
_PREFIX = re.compile(r"(?:litellm\.)?(?:\w+Error|Timeout): (?:litellm\.\w+: )?(?:\w+(?:Exception|Error) *-? *)?")
_TRACEBACK = "Traceback (most recent call last)"  # with paths of this machine, if litellm cannot read an answer
_BUG_REPORT = "This looks like a bug in LiteLLM"
_NO_CONNECTION = "Cannot connect to host"  # aiohttp's words, which litellm may raise as an error of the server
_NOISE = re.compile(
    r" ssl:(?:<[^<>]{1,100}>|default)| *\(?Handle with `litellm\.\w+`\.?\)?"
)  # objects and advice for developers
_MAX_MESSAGE = 20_000  # characters
_NETWORK_LIBRARIES = frozenset({"aiohttp", "anyio", "botocore", "h11", "httpcore", "httpx", "openai", "ssl"})
_VALUE_ERRORS = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
# Functions of litellm that write a request, and those that read an answer.
_WRITES_REQUEST = re.compile(
    r"transform_(?:\w+_)?request|_pt$|map_openai_params|_transform_messages|^validate_|convert_to_\w+_(?:message|tool)"
    r"|response_format|get_optional_params"
)
_READS_ANSWER = re.compile(r"transform_(?:\w+_)?response|convert_to_model_response|(?:process|parse)_response|chunk")


def litellm_failure(exc: Exception) -> UpstreamFailure:
    """An exception of litellm as an `UpstreamFailure`."""
    if isinstance(exc, UpstreamFailure):
        return exc
    name = type(exc).__name__
    if any(mark in str(exc) for mark in _REFUSED_ADDRESS):
        message = "An address in the messages cannot be fetched for this model: send the data itself, as a data URL."
        return UpstreamFailure(
            Cause.UNSUPPORTED, status=400, error={"message": message, "type": "invalid_request_error"}, reason=message
        )
    if isinstance(exc, TimeoutError) or name == "Timeout":
        return UpstreamFailure(Cause.TIMEOUT, detail="silent beyond the limit")
    status = getattr(exc, "status_code", None)
    headers = getattr(getattr(exc, "response", None), "headers", None) or {}
    failure = classify(status if isinstance(status, int) else 500, headers, orjson.dumps(_error_body(exc)))
    if name == "APIConnectionError" and _is_translation_error(exc):
        message = f"The request cannot be translated for this model's provider: {failure.reason}"
        error = {"message": message, "type": "invalid_request_error"}
        return UpstreamFailure(
            Cause.UNSUPPORTED, 400, error=error, reason=failure.reason, error_body=failure.error_body
        )
    no_connection = name == "APIConnectionError" or _NO_CONNECTION in str(exc)
    if no_connection and failure.cause is Cause.SERVER_ERROR:
        return UpstreamFailure(Cause.CONNECTION, detail=name, reason=failure.reason, error_body=failure.error_body)
    return failure


def _is_translation_error(exc: BaseException) -> bool:
    """True if litellm failed to translate the request.

    It raises `APIConnectionError`, but the provider is not at fault, and was not called.
    """
    while (earlier := exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)) is not None:
        exc = earlier
        if isinstance(exc, OSError) or type(exc).__module__.partition(".")[0] in _NETWORK_LIBRARIES:
            return False
    if type(exc) is not Exception and not isinstance(exc, _VALUE_ERRORS):
        return False
    called = [frame.name for frame in traceback.extract_tb(exc.__traceback__)]
    return any(map(_WRITES_REQUEST.search, called)) and not any(map(_READS_ANSWER.search, called))


def _error_body(exc: Exception) -> JsonObject:
    """An exception as an OpenAI error body, whose `reason` is the name of litellm's exception class."""
    message = str(getattr(exc, "message", exc))[:_MAX_MESSAGE].partition(_TRACEBACK)[0].partition(_BUG_REPORT)[0]
    message = _NOISE.sub("", _PREFIX.sub("", message)).strip()
    return {"error": {"message": message, "type": "invalid_request_error", "reason": type(exc).__name__}}
