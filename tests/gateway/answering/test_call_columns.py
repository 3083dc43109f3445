"""The cost of calls and the columns of records about them."""

from dataclasses import replace

import orjson

from gateway.answering.attempts import Attempt, Attempts, CallStart
from gateway.answering.billed_parts import billed_part
from gateway.answering.call_columns import MAX_ATTEMPTS, failover_column, parts_column
from gateway.config.portfolio import Deployment, Model
from gateway.config.price import Price
from gateway.core.extras import Extras
from gateway.core.usage import Usage
from gateway.deployments.live import LiveModel
from gateway.routing.candidate import Candidate

PRICE = Price.of({"input": 3.0, "output": 15.0, "cached_input": 0.3, "cache_write": 3.75, "cache_write_1h": 6.0})
SPEC = Model("llama-8b", (), embedding=None, price=None, context_window=1000)
DEPLOYMENT = Deployment("llama-8b/0", "llama-8b", "direct", "up", price=PRICE)
CANDIDATE = Candidate(LiveModel(SPEC, ()))


def test_the_cost_of_a_call_has_cached_tokens_at_their_own_price() -> None:
    part = billed_part("llama-8b", DEPLOYMENT, Usage(1000, 200, 400, 100, 50, 20), estimated=False)
    assert part[:4] == ("llama-8b", "llama-8b/0", 1000, 200)
    assert part.cost_nusd == 450 * 3_000 + 400 * 300 + 100 * 3_750 + 50 * 6_000 + 200 * 15_000
    assert (part.cached_tokens, part.cache_write_tokens, part.reasoning_tokens) == (400, 150, 20)
    assert not part.estimated


def test_a_price_that_is_not_known_is_not_0() -> None:
    part = billed_part("llama-8b", replace(DEPLOYMENT, price=None), Usage(1000, 200), estimated=False)
    assert (part.prompt_tokens, part.cost_nusd) == (1000, None)


def test_images_have_no_price_in_litellms_table() -> None:
    """It has none for their tokens, or one by the piece for the same images; a price of the file is for all that is written."""
    images, usage = Extras(has_images=True), Usage(1000, 200)
    of_table = replace(DEPLOYMENT, price=replace(PRICE, services=()))
    assert billed_part("llama-8b", of_table, usage, estimated=False, extras=images).cost_nusd is None
    assert billed_part("llama-8b", of_table, usage, estimated=False).cost_nusd == 6_000_000
    assert billed_part("llama-8b", DEPLOYMENT, usage, estimated=False, extras=images).cost_nusd == 6_000_000


def test_one_call_needs_no_list_of_parts() -> None:
    part = billed_part("llama-8b", DEPLOYMENT, Usage(1, 1), estimated=True)
    assert parts_column([]) is None
    assert parts_column([part]) is None
    assert [row["estimated"] for row in orjson.loads(parts_column([part, part]) or "")] == [True, True]


def test_failed_calls_are_listed_in_order_up_to_a_limit() -> None:
    attempts = Attempts()
    attempts.entries = [
        Attempt(
            CANDIDATE,
            f"llama-8b/{number}",
            "timeout",
            None,
            0.12345,
            reason="slow" if number else "",
            call=CallStart(5.25),
        )
        for number in range(MAX_ATTEMPTS + 1)
    ]
    attempts.skipped = [
        Attempt(CANDIDATE, f"llama-8b/{name}", "auth", None, 0.0, reason="taken out: auth", called=False)
        for name in ("0", "x")
    ]
    rows = orjson.loads(failover_column(attempts, answered=True, started=5.0) or "")
    assert len(rows) == MAX_ATTEMPTS
    assert rows[0] == {
        "model": "llama-8b",
        "deployment": "llama-8b/0",
        "cause": "timeout",
        "status": None,
        "began_ms": 250.0,
        "elapsed_ms": 123.5,
        "rule": None,
        "distance": None,
        "predicted_loss": None,
        "after_content": False,
        "reason": None,
        "called": True,
    }
    assert rows[1]["reason"] == "slow"
    skipped, first, *_ = orjson.loads(failover_column(attempts, answered=False, started=5.0) or "")
    assert (skipped["deployment"], skipped["cause"], skipped["called"]) == ("llama-8b/x", "auth", False)
    assert skipped["began_ms"] is None
    assert first == rows[0]  # llama-8b/0 was called after all
    assert failover_column(Attempts(), answered=False, started=5.0) is None
