"""Wait times in headers, fields and sentences."""

import pytest

from gateway.provider_errors.retry_after import MAX_RETRY_AFTER_S, parse_retry_after, wait_in_field, wait_in_text


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),  # a time in the past
        ({"retry-after-ms": "nan"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 1m6.5s.", 66.5),
        ("retry after 2 minutes", 120.0),
        ("available again in 300ms", 0.3),
        ('{"retryDelay": "12s"}', 12.0),
        ("try again later", None),
        ("it took 5 seconds", None),
    ],
)
def test_sentences(text: str, seconds: float | None) -> None:
    assert wait_in_text(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2.5s", 2.5), ("300ms", 0.3), ("7", 7.0), (3, 3.0), (-1, 0.0), (True, None), ("soon", None), (None, None)],
)
def test_fields(value: object, seconds: float | None) -> None:
    assert wait_in_field(value) == pytest.approx(seconds)
