"""What the client is told where no model answered."""

from pathlib import Path
from typing import Any

import pytest

from gateway.answering.attempts import Attempt, Attempts, all_failed, overrun
from gateway.api.messages.errors import error_object
from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import GatewayError, UpstreamsFailed
from gateway.deployments.live import LiveDeployments
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify
from gateway.routing.candidate import Candidate
from tests.gateway.running import entry, write_portfolio

NO = "Sorry"
OUTAGE = (503, "Loading model")
REFUSAL = (400, "This model does not support tools")
TOO_LONG = (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.")


@pytest.fixture
def candidates(tmp_path: Path) -> list[Candidate]:
    names = ("first", "second", "third")
    portfolio = load_portfolio(write_portfolio(tmp_path, [entry(name, "http://127.0.0.1:9/v1") for name in names]), {})
    models = LiveDeployments(portfolio).models
    return [Candidate(models[name]) for name in names]


def told(candidates: list[Candidate], *answers: tuple[int, str] | UpstreamFailure) -> GatewayError:
    """The error after the models have failed in turn."""
    attempts = Attempts()
    for candidate, answer in zip(candidates, answers, strict=False):
        failure = answer if isinstance(answer, UpstreamFailure) else classify(answer[0], {}, answer[1].encode())
        attempts.failures.append(failure)
        cause, status, reason = failure.cause.value, failure.status, failure.reason
        attempts.entries.append(Attempt(candidate, f"{candidate.model.name}/0", cause, status, 0.1, reason=reason))
    return all_failed(attempts, candidates)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([REFUSAL, (400, "Another reason with this model"), (422, "Invalid role")], 400),
        ([OUTAGE, REFUSAL], 503),
        ([(500, NO), REFUSAL], 502),
        ([REFUSAL, (500, NO)], 502),
        ([OUTAGE, (529, "overloaded")], 503),
        ([(429, NO), (429, NO)], 429),
        ([(429, NO), OUTAGE], 503),
        ([(401, "Invalid API key"), (404, "The model does not exist")], 503),
        ([UpstreamFailure(Cause.TIMEOUT)], 504),
        ([UpstreamFailure(Cause.CONNECTION)], 502),
        ([UpstreamFailure(Cause.LOCAL)], 503),
        ([(404, "No such File object: file-1")], 404),
        ([(404, "Not Found")], 503),
        ([(401, "Unauthorized")], 503),
        ([(403, "Access denied")], 503),
        ([(401, "Sign in to download the image")], 400),
        ([(402, "You can only afford 30 tokens: fewer max_tokens")], 400),
        ([(429, "Request too large for m on tokens per min (TPM): Limit 5, Requested 8")], 413),
        ([(500, "Jinja: roles must alternate")], 400),
        ([], 503),
    ],
)
def test_the_status(candidates: list[Candidate], answers: list[Any], status: int) -> None:
    error = told(candidates, *answers)
    assert error.status == status
    if status >= 500 or status == 429:
        assert error.type == "server_error"
        # when to come back, or that coming back does not help before an operator has acted
        assert error.headers.get("retry-after", "").isdigit() or error.headers["x-should-retry"] == "false"


def test_all_refused_is_told_in_the_words_of_the_first(candidates: list[Candidate]) -> None:
    error = told(candidates, REFUSAL, (400, "Invalid role"))
    assert error.envelope()["error"]["message"] == REFUSAL[1]
    assert error.headers == {"x-should-retry": "false"}


def test_each_model_is_told_with_its_cause_and_reason(candidates: list[Candidate]) -> None:
    message = told(candidates, OUTAGE, REFUSAL, UpstreamFailure(Cause.TIMEOUT)).message
    assert message == (
        "Every model that was tried failed. first: overloaded (Loading model); "
        "second: unsupported (This model does not support tools); third: timeout."
    )


@pytest.mark.parametrize(
    ("answers", "again"),
    [
        ([(500, NO)], True),
        ([OUTAGE], True),
        ([(429, NO)], True),
        ([(401, "Invalid API key"), (500, NO)], True),
        ([], True),
        ([(401, "Invalid API key"), (402, "Insufficient credits")], False),
        ([REFUSAL], False),
    ],
)
def test_clients_are_told_not_to_come_back_only_where_that_cannot_help(
    candidates: list[Candidate], answers: list[Any], again: bool
) -> None:
    assert ("x-should-retry" not in told(candidates, *answers).headers) == again


def test_a_prompt_that_is_too_long_is_told_as_agents_know_it(candidates: list[Candidate]) -> None:
    error = told(candidates, TOO_LONG)
    assert error.status == 400
    chat = error.envelope()["error"]
    assert (chat["code"], chat["type"], chat["message"]) == (
        "context_length_exceeded",
        "invalid_request_error",
        TOO_LONG[1],
    )
    messages = error_object(error)["error"]
    assert messages == {
        "type": "invalid_request_error",
        "message": "prompt is too long: 9001 tokens > 8192 maximum",
    }


def test_anthropics_own_sentence_stays(candidates: list[Candidate]) -> None:
    said = "prompt is too long: 210000 tokens > 200000 maximum"
    assert error_object(told(candidates, (400, said)))["error"]["message"] == said


@pytest.mark.parametrize(
    ("message", "tokens", "window"),
    [
        (TOO_LONG[1], 9001, 8192),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", 210_000, 200_000),
        ("the request exceeds the available context size", 4097, 4096),
        ("prompt too long; exceeded by 400 tokens", 4097, 4096),
        ("You sent 9,001 tokens", 9001, 4096),
    ],
)
def test_how_much_too_long(message: str, tokens: int, window: int) -> None:
    assert overrun(message, 4096) == (tokens, window)


@pytest.mark.parametrize(
    ("seconds", "again", "told"), [(1, True, "1"), (300, True, "300"), (1, False, None), (300, False, "300")]
)
def test_a_time_to_come_back_is_told_where_it_is_known(seconds: int, again: bool, told: str | None) -> None:
    headers = UpstreamsFailed(503, "none", retry_after_s=seconds, retryable=again).headers
    assert headers.get("retry-after") == told
    assert ("x-should-retry" in headers) is not again
