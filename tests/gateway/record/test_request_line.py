"""The log line of a request: readable as text, with stable names as JSON."""

import logging
from typing import Any

import pytest

from gateway.record.request_line import RequestLine, log_request
from gateway.record.request_record import Record

RECORD = Record(
    request_id="req_1",
    time=1.0,
    requested="auto",
    policy="balanced",
    chosen="large",
    served="large",
    deployment="large/0",
    p_correct=0.83127,
    stand_in_distance=None,
    predicted_loss=None,
    candidates=None,
    failover=None,
    parts=None,
    stream=True,
    status=200,
    error=None,
    prompt_tokens=812,
    completion_tokens=94,
    usage_estimated=False,
    cost_nusd=312_000,
    latency_ms=1204.25,
    first_token_ms=310.04,
    overhead_ms=1.217,
    prompt="secret prompt",
)


@pytest.mark.parametrize(
    ("changed", "cause", "text"),
    [
        ({}, None, "auto → large 200, balanced, p 0.83, 812+94 tokens, 0.000312 USD, 310/1204 ms, req_1"),
        (
            {"stream": False, "cost_nusd": None, "key_name": "alice"},
            None,
            "auto → large 200, balanced, p 0.83, 812+94 tokens, price unknown, 1204 ms, key alice, req_1",
        ),
        (
            {"trace_id": "4bf9"},
            None,
            "auto → large 200, balanced, p 0.83, 812+94 tokens, 0.000312 USD, 310/1204 ms, req_1, trace 4bf9",
        ),
        (
            {"served": "small", "policy": None, "p_correct": None, "requested": "large"},
            "auth",
            "large → small for large (auth) 200, 812+94 tokens, 0.000312 USD, 310/1204 ms, req_1",
        ),
        (
            {"served": None, "status": 503, "error": "upstreams_failed", "prompt_tokens": None, "first_token_ms": None},
            None,
            "auto 503 upstreams_failed, balanced, p 0.83, 1204 ms, req_1",
        ),
        (
            {"requested": "text of a client", "chosen": None, "served": None, "status": 404, "error": "model_not_found"}
            | {"policy": None, "p_correct": None, "prompt_tokens": None, "first_token_ms": None},
            None,
            "? 404 model_not_found, 1204 ms, req_1",
        ),
        ({"cache": "hit"}, None, "auto → large 200, from the cache, balanced"),
        ({"simulated": True}, None, "auto → large 200, simulated, balanced, p 0.83, 812+94 tokens, 0.000312 USD, "),
    ],
)
def test_the_text_says_who_asked_for_what_and_which_model_answered_at_what_cost(
    changed: dict[str, Any], cause: str | None, text: str
) -> None:
    assert str(RequestLine(RECORD._replace(**changed), cause)).startswith(text)


def test_json_has_the_names_of_the_record_and_no_content() -> None:
    fields = RequestLine(RECORD, "auth").fields()
    assert fields.keys() - {"message", "stand_in_cause"} <= set(Record._fields)
    assert (fields["request_id"], fields["p_correct"], fields["cost_nusd"]) == ("req_1", 0.8313, 312_000)
    assert (fields["first_token_ms"], fields["latency_ms"], fields["stand_in_cause"]) == (310.0, 1204.2, "auth")
    assert "secret prompt" not in str(fields)


def test_a_request_is_logged_from_level_info(caplog: pytest.LogCaptureFixture) -> None:
    for level in (logging.WARNING, logging.INFO):
        caplog.set_level(level, "locus.request")
        log_request(RECORD, None)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert caplog.records[0].fields()["served"] == "large"  # type: ignore[attr-defined]
