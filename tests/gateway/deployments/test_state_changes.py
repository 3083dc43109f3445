"""The log has one line for each change of a deployment's state, with the deployment or model that answers meanwhile."""

import logging
from pathlib import Path

import pytest

from gateway.answering.call_failure import update_breaker
from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployment, LiveDeployments
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.routing.routing import Routing
from router.model.serving import Router
from tests.gateway.live import Time, deployment, model, portfolio
from tests.gateway.running import entry, write_portfolio

REFUSED = UpstreamFailure(Cause.AUTH, 401, reason="Invalid API key")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "locus.deployments")
    return caplog


def fail(live: LiveDeployment, clock: Time, failure: UpstreamFailure, times: int = 1) -> None:
    for _ in range(times):
        live.start()
        update_breaker(live, failure, clock())
        live.finish()


def test_the_only_deployment_with_a_refused_key_shows_at_once_and_a_second_time_when_it_is_taken_out(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    clock = Time()
    live = deployment(tmp_path, clock)
    fail(live, clock, REFUSED)
    assert lines.messages == [
        "m/0 was refused, and is used until a second refusal: auth 401: Invalid API key; no other deployment can answer meanwhile"
    ]
    fail(live, clock, REFUSED, 20)
    clock.now += 301
    fail(live, clock, REFUSED)  # the probe
    assert [message.partition(":")[0] for message in lines.messages[1:]] == ["m/0 is taken out for 300 s"]
    assert lines.records[1].fields == {  # type: ignore[attr-defined]
        "deployment": "m/0",
        "state": "taken_out_long",
        "seconds": 300.0,
        "failure": "auth 401",
        "reason": "Invalid API key",
        "meanwhile": "no other deployment can answer meanwhile",
    }
    clock.now += 301
    live.start()
    live.succeeded()
    assert lines.messages[2:] == ["m/0 answers again"]
    assert [record.levelname for record in lines.records] == ["WARNING", "WARNING", "INFO"]


def test_failures_and_successes_in_turn_give_two_lines_for_each_cool_down(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    clock = Time()
    live = deployment(tmp_path, clock)
    limited = UpstreamFailure(Cause.RATE_LIMITED, 429, retry_after_s=1.0)
    for _ in range(40):  # 4 s
        fail(live, clock, limited)
        live.succeeded()
        clock.now += 0.1
    assert lines.messages == ["m/0 cools down for 1 s: rate_limited 429; no other deployment can answer meanwhile"]
    clock.now += 1.1
    live.succeeded()
    live.succeeded()
    fail(live, clock, UpstreamFailure(Cause.TIMEOUT), 5)
    assert lines.messages[1:] == [
        "m/0 answers again",
        "m/0 cools down for 5 s: timeout; no other deployment can answer meanwhile",
    ]


def test_an_error_of_the_request_itself_shows_that_a_deployment_works_again(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    clock = Time()
    live = deployment(tmp_path, clock)
    fail(live, clock, UpstreamFailure(Cause.CONNECTION), 5)
    clock.now += 6
    fail(live, clock, UpstreamFailure(Cause.REJECTED, 400))
    assert lines.messages[1:] == ["m/0 answers again"]


def test_the_line_names_another_deployment_or_else_the_nearest_stand_in(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    nowhere = "http://127.0.0.1:9/v1"
    models = [entry("llama-8b", nowhere, nowhere), entry("mistral-7b", nowhere), entry("llama-70b", nowhere)]
    file = load_portfolio(write_portfolio(tmp_path, models), {})
    clock = Time()
    live = LiveDeployments(file, clock=clock)
    Routing(file, Router.load(), live)
    first, second = live.models["llama-8b"].deployments
    overloaded = UpstreamFailure(Cause.OVERLOADED, 529, retry_after_s=60)
    for one in (first, second, *live.models["llama-70b"].deployments, *live.models["mistral-7b"].deployments):
        fail(one, clock, overloaded)
    assert [message.rpartition("; ")[2] for message in lines.messages] == [
        "llama-8b/1 answers meanwhile",
        "stand-ins such as llama-70b answer meanwhile",
        "stand-ins such as mistral-7b answer meanwhile",
        "no other deployment can answer meanwhile",
    ]


def test_a_deployment_without_a_key_is_not_said_to_answer_meanwhile(tmp_path: Path) -> None:
    one = model("m", 2)
    one["deployments"][1]["api_key"] = "os.environ/NOT_SET"
    live = LiveDeployments(portfolio(tmp_path, one))
    assert live.models["m"].deployments[0].meanwhile() == "no other deployment can answer meanwhile"
