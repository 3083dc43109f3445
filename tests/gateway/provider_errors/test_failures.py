import datetime as dt
import email.utils
import random
from typing import Any

import orjson
import pytest

from gateway.answering.retry import retry_delay
from gateway.config.settings import RetrySettings
from gateway.provider_errors.failures import (
    Cause,
    UpstreamFailure,
    classify,
    classify_event,
    classify_without_request_text,
    parse_retry_after,
)
from gateway.provider_errors.request_echo import mask_request_text


def body(message: str, code: str | None = None) -> bytes:
    return orjson.dumps({"error": {"message": message, "code": code}})


def test_only_a_rejection_keeps_the_error_object() -> None:
    assert classify(400, {}, body("this cannot be")).error == {"message": "this cannot be"}
    assert classify(401, {}, body("invalid API key sk-123 of org-acme")).error is None


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"message": "x", "code": 429}, Cause.RATE_LIMITED),
        ({"message": "Rate limit", "type": "rate_limit_error"}, Cause.RATE_LIMITED),
        ({"type": "overloaded_error"}, Cause.OVERLOADED),
        ({"message": "context_length_exceeded"}, Cause.CONTEXT_LENGTH),
        ("just text", Cause.SERVER_ERROR),
    ],
)
def test_errors_inside_a_stream(error: object, cause: Cause) -> None:
    assert classify_event(error).cause is cause


def test_retry_after_in_all_its_forms() -> None:
    assert parse_retry_after({"retry-after": "7"}) == 7
    assert parse_retry_after({"retry-after-ms": "1500"}) == 1.5
    soon = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30))
    assert 25 < (parse_retry_after({"retry-after": soon}) or 0) <= 30
    assert parse_retry_after({"retry-after": "soon"}) is None
    assert parse_retry_after({}) is None


SETTINGS = RetrySettings(retries=2, max_retry_after=10)


@pytest.mark.parametrize(
    ("failure", "tries", "low", "high"),
    [
        (UpstreamFailure(Cause.RATE_LIMITED, retry_after_s=4), 1, 4, 4),
        (UpstreamFailure(Cause.RATE_LIMITED, retry_after_s=4), 2, 4, 4),
        (UpstreamFailure(Cause.RATE_LIMITED), 1, 0, 0.5),
        (UpstreamFailure(Cause.RATE_LIMITED), 2, 0, 1.0),
        (UpstreamFailure(Cause.SERVER_ERROR), 1, 0, 0.1),
        (UpstreamFailure(Cause.CONNECTION), 1, 0, 0.1),
        (UpstreamFailure(Cause.FIELD_REFUSED, field="stream_options"), 1, 0, 0),
    ],
)
def test_causes_that_are_retried_and_their_delays(
    failure: UpstreamFailure, tries: int, low: float, high: float
) -> None:
    for seed in range(20):
        delay = retry_delay(failure, tries, SETTINGS, random.Random(seed))
        assert delay is not None
        assert low <= delay <= high


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (UpstreamFailure(Cause.RATE_LIMITED, retry_after_s=11), 1),
        (UpstreamFailure(Cause.RATE_LIMITED), 3),
        (UpstreamFailure(Cause.SERVER_ERROR), 2),
        (UpstreamFailure(Cause.TIMEOUT), 1),
        (UpstreamFailure(Cause.AUTH), 1),
        (UpstreamFailure(Cause.CONTEXT_LENGTH), 1),
        (UpstreamFailure(Cause.FIELD_REFUSED, field="stream_options"), 4),
    ],
)
def test_causes_that_are_not_retried(failure: UpstreamFailure, tries: int) -> None:
    assert retry_delay(failure, tries, SETTINGS, random.Random(0)) is None


def test_a_used_up_quota_inside_a_stream_is_no_server_error() -> None:
    error = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}
    assert classify_event(error).cause is Cause.QUOTA


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>", "403 Forbidden"),
        (b"  upstream \x1b[31mbroke\n twice\x00 ", "upstream \\x1b[31mbroke twice\\x00"),
        (orjson.dumps({"detail": "Not here"}), "Not here"),
        (
            orjson.dumps({"detail": [{"loc": ["body", "n"], "msg": "no"}, {"loc": ["body", "stop", 0], "msg": "odd"}]}),
            "n: no; stop.0: odd",
        ),
        (
            orjson.dumps(
                {"error": {"message": "Provider failed", "metadata": {"raw": '{"error": {"message": "Why"}}'}}}
            ),
            "Provider failed; Why",
        ),
        (orjson.dumps({"message": "x" * 400}), "x" * 299 + "…"),
        (b"", ""),
    ],
)
def test_the_reason_is_one_line_for_every_form_of_body(raw: bytes, reason: str) -> None:
    assert classify(500, {}, raw).reason == reason


@pytest.mark.parametrize(
    ("status", "raw", "seconds"),
    [
        (429, body("Please try again in 6.2s."), 6.2),
        (429, body("Please try again in 20ms."), 0.02),
        (429, body("Please try again in 1m2.5s. Visit us"), 62.5),
        (429, body("Please retry after 6 seconds."), 6),
        (503, orjson.dumps({"error": "Model m is currently loading", "estimated_time": 20.5}), 20.5),
        (429, orjson.dumps({"error": {"message": "no", "details": [{"retryDelay": "3s"}]}}), 3),
        (429, body("Try again in 99999999 days."), 86_400),
        (429, body("Try again later."), None),
        (400, body("Try again in 3s with another image."), None),
    ],
)
def test_the_wait_time_is_read_from_the_error_body(status: int, raw: bytes, seconds: float | None) -> None:
    assert classify(status, {}, raw).retry_after_s == seconds


def test_the_header_takes_precedence_over_the_body_for_the_wait_time() -> None:
    assert classify(429, {"retry-after": "2"}, body("Try again in 6s.")).retry_after_s == 2


FULL = [f"value {i}" for i in range(10_000)]


@pytest.mark.parametrize(
    ("message", "request_", "cause"),
    [
        ("Invalid value: 'unknown parameter: seed'.", {"tool_choice": "unknown parameter: seed"}, Cause.REJECTED),
        ("Bad 'unknown parameter: seed and …", {"stop": "unknown parameter: seed and more"}, Cause.FIELD_REFUSED),
        ("Bad 'unknown parameter: seed'", {"stop": "Say unknown parameter: seed and more"}, Cause.REJECTED),
        ("Odd: invalid api key", {"messages": [{"role": "user", "content": "invalid api key"}]}, Cause.REJECTED),
        ("Odd: invalid api key", {"messages": [{"role": "user", "content": "What is a key?"}]}, Cause.AUTH),
        ("Odd name: model not found", {"tools": [{"function": {"name": "model not found"}}]}, Cause.REJECTED),
        ("Odd name: model not found", {"metadata": {"model not found": "x"}}, Cause.REJECTED),
        ("Odd name: model not found", {"tool_choice": "model not found", "metadata": FULL}, Cause.REJECTED),
        ("The model cannot be found: model not found", {"stop": "not fo"}, Cause.NOT_FOUND),
        ("Unknown parameter: user", {"messages": [{"role": "user", "content": "user"}]}, Cause.FIELD_REFUSED),
        ("The model `gpt-9` does not exist", {"model": "gpt-9"}, Cause.NOT_FOUND),
    ],
)
def test_a_client_cannot_forge_a_providers_error(message: str, request_: dict[str, Any], cause: Cause) -> None:
    assert classify_without_request_text(classify(400, {}, body(message)), request_).cause is cause


def test_short_text_of_the_request_is_masked_as_whole_words_only() -> None:
    told = classify(400, {}, body("maximum context length is 8192 tokens")).error_body
    assert told is not None
    request_ = {"messages": [{"role": "user", "content": [{"type": "text", "text": "toke"}]}]}
    assert mask_request_text(told, request_) is told
    assert mask_request_text(told, {"stop": ["8192"]}).message == "maximum context length is *** tokens"


def test_a_message_without_text_of_the_request_stays_the_same() -> None:
    failure = classify(400, {}, body("invalid api key"))
    assert classify_without_request_text(failure, {"messages": [{"role": "user", "content": "Hi there"}]}) is failure


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 200_000,
        b'{"error":' * 900 + b"1" + b"}" * 900,
        b"[" * 900 + b"]" * 900,
        b'{"error": {"message": ' + b"[" * 800 + b"]" * 800 + b', "code": ' + b"[" * 100 + b"]" * 100 + b"}}",
        orjson.dumps({"error": '{"error": ' * 3_000 + "}" * 3_000}),
        b"\xff\xfe<title",
        b'"text"',
        b"null",
    ],
)
def test_every_body_can_be_read(raw: bytes) -> None:
    failure = classify(400, {}, raw)
    assert failure.cause is Cause.REJECTED
    assert len(failure.reason) <= 300


def test_the_client_gets_all_messages_of_a_wrapped_error() -> None:
    wrapped = {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "It is too odd"}}}
    error = classify(400, {}, orjson.dumps(wrapped)).error
    assert error == {"message": "Provider returned error; It is too odd", "code": 400}
