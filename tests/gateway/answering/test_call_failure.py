"""What a failed call says about its deployment and about the request."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.answering.call_failure import (
    lacks_path,
    redact_and_digest,
    refusal_of_model,
    request_digest,
    update_breaker,
)
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify
from gateway.request.chat_request import ChatRequest, parse_chat
from tests.gateway.live import Time, candidates, deployment, model, stand_in


def request(*texts: str, **fields: Any) -> ChatRequest:
    messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": text} for i, text in enumerate(texts)]
    return parse_chat(
        orjson.dumps({"model": "m", "messages": messages or [{"role": "user", "content": "Hi"}]} | fields)
    )


def test_the_next_turn_of_a_conversation_is_no_other_request() -> None:
    assert request_digest(request("a", "b", "c")) == request_digest(request("a"))
    assert request_digest(request("a")) != request_digest(request("b"))


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (UpstreamFailure(Cause.OVERLOADED, retry_after_s=7), "open"),
        (UpstreamFailure(Cause.SERVER_ERROR), "closed"),
        (UpstreamFailure(Cause.LOCAL), "closed"),
        (UpstreamFailure(Cause.DIVERGED), "closed"),
        (UpstreamFailure(Cause.CONTENT_FILTER), "closed"),
    ],
)
def test_what_the_breaker_learns_of_one_failure(tmp_path: Path, failure: UpstreamFailure, state: str) -> None:
    clock = Time()
    live = deployment(tmp_path, clock)
    live.start()
    update_breaker(live, failure, clock())
    assert live.breaker.state(clock()) == state


def test_faults_of_the_deployment_count_and_faults_of_the_request_do_not(tmp_path: Path) -> None:
    clock = Time()
    live = deployment(tmp_path, clock)
    for _ in range(20):
        update_breaker(live, UpstreamFailure(Cause.CONTENT_FILTER), clock())
    assert live.breaker.state(clock()) == "closed"
    for _ in range(live.breaker.settings.breaker_failures):
        update_breaker(live, UpstreamFailure(Cause.TIMEOUT), clock())
    assert live.breaker.state(clock()) == "open"


def test_a_refused_key_takes_the_deployment_out_and_each_change_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Time()
    (candidate,) = candidates(tmp_path, model("m", 2), clock=clock)
    live = candidate.model.deployments[0]
    refused = UpstreamFailure(Cause.AUTH, 401, reason="Invalid API key")
    for _ in range(9):
        update_breaker(live, refused, clock())
    assert live.breaker.confirmed
    assert [record.getMessage() for record in caplog.records] == [
        "m/0 is taken out for 5 s: auth 401: Invalid API key; m/1 answers meanwhile",
        "m/0 is taken out for 300 s: auth 401: Invalid API key; m/1 answers meanwhile",
    ]


def test_a_403_without_words_takes_out_at_once_only_if_the_request_was_the_gateways_own(tmp_path: Path) -> None:
    clock = Time()
    for own in (False, True):
        (candidate,) = candidates(tmp_path, model("m", 2), clock=clock)
        live = candidate.model.deployments[0]
        update_breaker(live, UpstreamFailure(Cause.REFUSED, 403), clock(), b"one", own_request=own)
        assert live.breaker.taken_out is own


def test_a_client_cannot_write_a_cause_that_others_would_meet(tmp_path: Path) -> None:
    live = deployment(tmp_path)
    said = "Unknown parameter: 'seed'"
    body = orjson.dumps({"error": {"message": f"Cannot accept: {said}"}})
    honest, echoed = classify(400, {}, body), classify(400, {}, body)
    redact_and_digest(honest, live, request("Hello"))
    redact_and_digest(echoed, live, request(said))
    assert (honest.cause, honest.field) == (Cause.FIELD_REFUSED, "seed")
    assert echoed.cause is not Cause.FIELD_REFUSED


def test_secrets_are_removed_and_the_digest_is_given_where_it_may_take_a_deployment_out(tmp_path: Path) -> None:
    live = deployment(tmp_path, api_key="sk-secret-1234567")
    asked = request("Hello")
    failure = classify(401, {}, b'{"error": {"message": "Invalid key sk-secret-1234567"}}')
    assert redact_and_digest(failure, live, asked) == request_digest(asked)
    assert "sk-secret" not in failure.reason
    assert redact_and_digest(classify(500, {}, b"no"), live, asked) == b""


@pytest.mark.parametrize(
    ("status", "message", "lacks"),
    [
        (404, "Not Found", True),
        (405, "Method Not Allowed", True),
        (404, "The model `m` does not exist", True),
        (405, "No such file: file-1", False),
    ],
)
def test_whether_a_server_lacks_the_path(status: int, message: str, lacks: bool) -> None:
    failure = classify(status, {}, orjson.dumps({"error": {"message": message}}))
    assert lacks_path(failure, request("Hello")) is lacks


@pytest.mark.parametrize(
    ("failure", "flags", "cause"),
    [
        (UpstreamFailure(Cause.UNSUPPORTED, 400), {}, Cause.UNSUPPORTED),
        (UpstreamFailure(Cause.UNSUPPORTED, 400), {"named": True}, Cause.UNSUPPORTED),
        (UpstreamFailure(Cause.FIELD_REFUSED, 400), {}, Cause.UNSUPPORTED),
        (UpstreamFailure(Cause.FIELD_REFUSED, 400), {"named": True}, Cause.REJECTED),
        (UpstreamFailure(Cause.REJECTED, 400), {}, Cause.REJECTED),
    ],
)
def test_a_refusal_for_which_no_change_is_known(
    tmp_path: Path, failure: UpstreamFailure, flags: dict[str, bool], cause: Cause
) -> None:
    (candidate,) = candidates(tmp_path, model("m"), **flags)
    assert refusal_of_model(failure, candidate).cause is cause


def test_what_a_stand_in_rejects_may_be_its_own_rule(tmp_path: Path) -> None:
    (chosen,) = candidates(tmp_path, model("m"))
    assert refusal_of_model(UpstreamFailure(Cause.REJECTED, 400), stand_in(chosen)).cause is Cause.UNSUPPORTED
    assert refusal_of_model(UpstreamFailure(Cause.REJECTED, 409), stand_in(chosen)).cause is Cause.REJECTED
