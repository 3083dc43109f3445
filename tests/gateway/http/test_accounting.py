"""The log of a request, with a real service and without sockets."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.answering.attempts import CANCELLED, HEDGED, Attempt, CallStart
from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import InvalidRequest
from gateway.http.accounting import RequestLog
from gateway.http.record_columns import CLIENT_CLOSED
from gateway.http.service import Service, open_service
from gateway.record.request_record import Record
from gateway.request.chat_request import parse_chat
from gateway.routing.candidate import Candidate
from tests.gateway.running import entry, eventually, shipped_router, write_portfolio

pytestmark = pytest.mark.anyio
REQUEST = parse_chat(orjson.dumps({"model": "llama-8b", "messages": [{"role": "user", "content": "Why?"}]}))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[Service]:
    portfolio = load_portfolio(write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:1/v1")]), {})
    async with open_service(portfolio, clock, router=shipped_router()) as opened:
        yield opened


def attempt(service: Service, cause: str) -> Attempt:
    candidate = Candidate(service.in_force.deployments.models["llama-8b"])
    return Attempt(candidate, "llama-8b/0", cause, None, 0.5, call=CallStart(100.0))


async def recorded(service: Service) -> Record:
    """The only record, as soon as it is in the database."""
    path = service.in_force.portfolio.settings.record
    assert path is not None
    await eventually(lambda: not service.recorder.pending and path.exists())
    with contextlib.closing(sqlite3.connect(path)) as db:
        (row,) = db.execute(f"SELECT {', '.join(Record._fields)} FROM requests").fetchall()
    return Record(*row)


async def test_a_client_that_disconnects_is_recorded_with_499(service: Service, clock: Clock) -> None:
    log = RequestLog("req-1", "chat", service)
    clock.now += 2.0
    log.error = "client_disconnected"
    assert not log.answer_started
    log.close()
    record = await recorded(service)
    assert (record.request_id, record.status, record.error) == ("req-1", CLIENT_CLOSED, "client_disconnected")
    assert record.latency_ms == pytest.approx(2000)
    assert record.cost_nusd is None


async def test_an_error_answer_has_its_status_and_code(service: Service) -> None:
    log = RequestLog("req-2", "messages", service)
    log.request = REQUEST
    log.answer_with_error(InvalidRequest("No.", param="model"))
    assert log.answer_started
    log.close()
    record = await recorded(service)
    assert (record.api, record.requested, record.status, record.error) == (
        "messages",
        "llama-8b",
        400,
        "invalid_request",
    )
    assert 'locus_requests_total{error="invalid_request"' in service.metrics.render().decode()


async def test_only_failures_count_as_failed_attempts(service: Service) -> None:
    log = RequestLog("req-3", "chat", service)
    log.attempts.entries = [attempt(service, cause) for cause in (HEDGED, "timeout", CANCELLED)]
    log.close()
    text = service.metrics.render().decode()
    assert 'locus_failed_attempts_total{cause="timeout",deployment="llama-8b/0"} 1.0' in text
    assert text.count("locus_failed_attempts_total{") == 1


async def test_the_prompt_of_a_cancelled_call_is_billed_as_an_estimate(service: Service) -> None:
    log = RequestLog("req-4", "chat", service)
    log.request = replace(REQUEST, requirements=replace(REQUEST.requirements, prompt_tokens=1000))
    log.attempts.entries = [attempt(service, CANCELLED)]
    log.close()
    record = await recorded(service)
    assert (record.prompt_tokens, record.completion_tokens, record.usage_estimated) == (1000, 0, 1)
    assert record.cost_nusd == 1_000_000


async def test_a_call_that_was_cancelled_before_it_began_costs_nothing(service: Service) -> None:
    log = RequestLog("req-6", "chat", service)
    log.request = REQUEST
    log.attempts.entries = [replace(attempt(service, CANCELLED), call=None)]  # it waited for its budget, or for a retry
    log.close()
    assert (await recorded(service)).cost_nusd is None


async def test_prompts_of_a_batch_add_up_by_deployment(service: Service) -> None:
    log = RequestLog("req-5", "completions", service)
    for tokens in (100, 200, 300):
        prompt_log = log.start_prompt()
        prompt_log.request = replace(REQUEST, requirements=replace(REQUEST.requirements, prompt_tokens=tokens))
        prompt_log.attempts.entries = [attempt(service, CANCELLED)]
        log.end_prompt(prompt_log)
    log.close()
    record = await recorded(service)
    assert record.prompt_tokens == 600
    assert record.parts is None  # one deployment
    assert len(orjson.loads(record.failover or "")) == 3
