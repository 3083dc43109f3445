import pytest

from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.upstream.litellm_failure import litellm_failure


class Response:
    headers = {"retry-after": "7"}  # noqa: RUF012


class RateLimitError(Exception):
    status_code = 429
    response = Response()


class APIConnectionError(Exception):
    status_code = 500


class Timeout(Exception):
    status_code = 408


def transform_request() -> None:
    raise ValueError("Invalid image received")


def call_provider() -> None:
    raise ConnectionResetError("reset by peer")


def failed(function: object) -> APIConnectionError:
    """The exception that litellm makes of an error in its own code."""
    assert callable(function)
    try:
        try:
            function()
        except Exception as exc:
            raise APIConnectionError(str(exc)) from exc
    except APIConnectionError as exc:
        return exc
    raise AssertionError("it did not fail")


def test_a_status_is_classified_with_its_headers() -> None:
    failure = litellm_failure(RateLimitError("litellm.RateLimitError: AnthropicException - slow down"))
    assert (failure.cause, failure.status, failure.retry_after_s) == (Cause.RATE_LIMITED, 429, 7.0)
    assert failure.reason == "slow down"


@pytest.mark.parametrize("exc", [TimeoutError(), Timeout("litellm.Timeout: too slow")])
def test_timeouts(exc: Exception) -> None:
    assert litellm_failure(exc).cause is Cause.TIMEOUT


def test_a_traceback_is_not_part_of_the_reason() -> None:
    failure = litellm_failure(RateLimitError("cannot read this\nTraceback (most recent call last)\n  File /home/me"))
    assert failure.reason == "cannot read this"


def test_a_request_that_litellm_cannot_translate_is_unsupported() -> None:
    failure = litellm_failure(failed(transform_request))
    assert (failure.cause, failure.status) == (Cause.UNSUPPORTED, 400)
    assert failure.error is not None
    assert str(failure.error["message"]).endswith("Invalid image received")


def test_a_network_error_is_a_connection_failure() -> None:
    assert litellm_failure(failed(call_provider)).cause is Cause.CONNECTION


def test_a_server_that_cannot_be_reached_is_a_connection_failure_without_objects() -> None:
    class InternalServerError(Exception):
        status_code = 500

    words = "Cannot connect to host api.example:443 ssl:<ssl.SSLContext object at 0x7f00> [Name or service not known]"
    failure = litellm_failure(
        InternalServerError(f"litellm.InternalServerError: {words}. Handle with `litellm.InternalServerError`.")
    )
    assert failure.cause is Cause.CONNECTION
    assert failure.reason == "Cannot connect to host api.example:443 [Name or service not known]."


def test_an_address_that_is_not_fetched_is_unsupported() -> None:
    failure = litellm_failure(RateLimitError("Unable to fetch image from URL. url=http://inner/secret"))
    assert failure.cause is Cause.UNSUPPORTED
    assert "inner" not in failure.reason


def test_a_failure_stays_as_it_is() -> None:
    failure = UpstreamFailure(Cause.UNREADABLE)
    assert litellm_failure(failure) is failure
