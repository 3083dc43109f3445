"""The trace context of clients, and what providers are told of it."""

from pathlib import Path

import pytest

from gateway.telemetry.trace_context import Parent, TraceContext, is_in_sample, parse_traceparent, parse_tracestate
from tests.gateway.running import entry, gateway
from tests.gateway.telemetry.collector import collecting, otel
from tests.gateway.upstreams import ScriptedProvider, error

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
BODY = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_traceparent_is_read() -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-01".encode()) == Parent(int(TRACE, 16), int(SPAN, 16), True)
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-02".encode()) == Parent(int(TRACE, 16), int(SPAN, 16), False)
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-more".encode()) is not None  # a later version


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
    ],
)
def test_an_invalid_traceparent_is_not_read(value: str) -> None:
    assert parse_traceparent(value.encode()) is None


def test_lines_of_tracestate_are_joined() -> None:
    lines = [(b"tracestate", b"a=1"), (b"host", b"x"), (b"tracestate", b" b=2 ")]
    assert parse_tracestate(lines) == "a=1,b=2"
    assert parse_tracestate([(b"tracestate", b"a=" + b"x" * 600)]) == ""
    assert parse_tracestate([(b"tracestate", "ä=1".encode())]) == ""


def test_the_headers_of_a_call_have_its_own_span() -> None:
    context = TraceContext(int(TRACE, 16), 1, 2, True, "a=1")
    assert context.headers(0xAB) == {"traceparent": f"00-{TRACE}-{0xAB:016x}-01", "tracestate": "a=1"}
    assert context._replace(sampled=False, state="").headers(1)["traceparent"].endswith("-00")


def test_a_sample_is_a_share_of_all_trace_ids() -> None:
    ids = [n * 0x9E3779B97F4A7C15 for n in range(1, 2001)]
    assert not any(is_in_sample(number, 0.0) for number in ids)
    assert all(is_in_sample(number, 1.0) for number in ids)
    assert 0.25 < sum(is_in_sample(number, 0.3) for number in ids) / len(ids) < 0.35


@pytest.mark.anyio
@pytest.mark.parametrize("propagate", [True, False])
async def test_providers_are_told_of_the_trace_only_if_the_settings_say_so(tmp_path: Path, propagate: bool) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        up.replies.append(error(500))
        settings = otel(collector, otel={"propagate": propagate})
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **settings) as run:
            given = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"}
            await run.http.post("/v1/chat/completions", json=BODY, headers=given)
            (root,) = await collector.roots(1)
            (record,) = await run.records()
    assert (root.trace_id, root.parent, root.state) == (TRACE, SPAN, "a=1")
    assert record["trace_id"] == TRACE
    told = [call.headers.get("traceparent") for call in up.calls]
    calls = sorted(collector.children(root), key=lambda call: call["locus.hop"])
    assert told == ([f"00-{TRACE}-{call.id}-01" for call in calls] if propagate else [None, None])
    assert {call.headers.get("tracestate") for call in up.calls} == {"a=1" if propagate else None}


@pytest.mark.anyio
@pytest.mark.parametrize(("sampler", "exported"), [("parentbased_always_on", 1), ("always_on", 2)])
async def test_the_clients_decision_comes_first_with_a_parent_based_sampler(
    tmp_path: Path, sampler: str, exported: int
) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        settings = otel(collector, environment={"OTEL_TRACES_SAMPLER": sampler})
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **settings) as run:
            for flags in ("00", "01"):
                given = {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}
                await run.http.post("/v1/chat/completions", json=BODY, headers=given)
        assert len(await collector.roots(exported)) == exported


@pytest.mark.anyio
async def test_the_record_has_the_clients_trace_without_an_export(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        await run.http.post("/v1/chat/completions", json=BODY, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
        await run.http.post("/v1/chat/completions", json=BODY)
        assert [record["trace_id"] for record in await run.records()] == [TRACE, None]
        assert "traceparent" not in up.calls[0].headers
