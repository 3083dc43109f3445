import datetime as dt
import email.utils
import random

import orjson
import pytest

from gateway.failover import retry_delay
from gateway.portfolio import RetrySettings
from gateway.upstream.failures import Cause, UpstreamFailure, classify, classify_event, parse_retry_after


def body(message: str, code: str | None = None) -> bytes:
    return orjson.dumps({"error": {"message": message, "code": code}})


def test_a_rejection_keeps_the_error_object_and_others_do_not() -> None:
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


SETTINGS = RetrySettings(retries=2, max_retry_after_s=10)


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
def test_what_is_tried_again_and_when(failure: UpstreamFailure, tries: int, low: float, high: float) -> None:
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
def test_what_moves_on_at_once(failure: UpstreamFailure, tries: int) -> None:
    assert retry_delay(failure, tries, SETTINGS, random.Random(0)) is None


def test_a_used_up_quota_inside_a_stream_is_no_server_error() -> None:
    error = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"}
    assert classify_event(error).cause is Cause.QUOTA
