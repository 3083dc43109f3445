"""Overrides of the routing for one request, and the policy for utility calls."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.core.errors import InvalidRequest
from gateway.request.chat_request import parse_chat
from gateway.request.overrides import with_overrides
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
TITLE = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history."


def models(url: str) -> list[dict[str, Any]]:
    return [
        entry("llama-70b", url, price={"input": 5.0, "output": 5.0}),
        entry("mistral-7b", url, price={"input": 0.1, "output": 0.1}),
    ]


async def post(
    run: Gateway, headers: dict[str, str] | None = None, path: str = "/v1/chat/completions", **fields: Any
) -> Any:
    return await run.http.post(path, json={"model": "auto:best", "messages": ASK} | fields, headers=headers)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({}, "llama-70b"),
        ({"policy": "cheap"}, "mistral-7b"),
        ({"cost_weight": 1e6}, "mistral-7b"),
        ({"max_loss": 1}, "mistral-7b"),
        ({"max_loss": 0}, "llama-70b"),
        ({"policy": "cheap", "quality": 10}, "llama-70b"),
        ({"exclude": "llama-70b"}, "mistral-7b"),
        ({"allow": "mistral-7b, llama-70b"}, "llama-70b"),
        ({"cost_weight": 1e6, "allow": "llama-70b"}, "llama-70b"),
    ],
)
async def test_headers_and_body_override_the_choice(tmp_path: Path, asked: dict[str, Any], chosen: str) -> None:
    policies = {"best": {"cost_weight": 0}, "cheap": {"min_p_correct": 0.01}}
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, models(up.base_url), policies=policies, default_policy="best") as run,
    ):
        headers = {f"x-locus-{name.replace('_', '-')}": str(value) for name, value in asked.items()}
        assert (await post(run, headers)).headers["x-locus-model"] == chosen
        assert (await post(run, locus=asked)).headers["x-locus-model"] == chosen
        assert all("locus" not in call.body for call in up.calls)


async def test_a_minimum_p_correct_excludes_cheap_models(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, models(up.base_url)) as run:
        body = {"model": "auto", "messages": ASK}
        candidates = (await run.http.post("/v1/route", json=body)).json()["candidates"]
        p = {c["model"]: c["p_correct"] for c in candidates}
        assert p["mistral-7b"] < p["llama-70b"]
        between = (p["mistral-7b"] + p["llama-70b"]) / 2
        cheap = {"x-locus-cost-weight": "1000000"}
        assert (await post(run, cheap)).headers["x-locus-model"] == "mistral-7b"
        assert (await post(run, cheap | {"x-locus-min-p-correct": f"{between}"})).headers[
            "x-locus-model"
        ] == "llama-70b"


async def test_a_minimum_that_no_model_reaches_is_said_in_a_header(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, models(up.base_url)) as run:
        for minimum, missed in (("0.001", None), ("1", "1"), ("0.9999", "0.9999")):
            answered = await post(run, {"x-locus-min-p-correct": minimum})
            assert answered.status_code == 200
            assert answered.headers.get("x-locus-min-p-correct-missed") == missed


async def test_two_rules_for_one_request_are_refused(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, models(up.base_url)) as run:
        for headers, body in (
            ({"x-locus-cost-weight": "1", "x-locus-quality": "5"}, {}),
            ({"x-locus-cost-weight": "1"}, {"quality": 5}),
        ):
            refused = (await post(run, headers, locus=body)).json()["error"]
            assert "two rules for one choice" in refused["message"]
            assert "x-locus-cost-weight" in refused["message"]
            assert refused["param"].endswith("quality")
        assert (await post(run, {"x-locus-quality": "10"}, locus={"quality": 0})).headers[
            "x-locus-model"
        ] == "llama-70b"


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"x-locus-polcy": "cheap"}, "x-locus-polcy"),
        ({"x-locus-cost-weight": "much"}, "x-locus-cost-weight"),
        ({"x-locus-min-p-correct": "1.5"}, "x-locus-min-p-correct"),
        ({"x-locus-max-loss": "5%"}, "x-locus-max-loss"),
        ({"x-locus-quality": "11"}, "x-locus-quality"),
        ({"x-locus-quality": "nan"}, "x-locus-quality"),
        ({"x-locus-failover": "maybe"}, "x-locus-failover"),
        ({"x-locus-stand-ins": "none"}, "x-locus-stand-ins"),
        ({"x-locus-stand-ins": "nearest", "x-locus-failover": "off"}, "x-locus-stand-ins"),
        ({"x-locus-cache": "soon"}, "x-locus-cache"),
        ({"x-locus-cache": "0"}, "x-locus-cache"),
        ({"x-locus-cache": "2000d"}, "x-locus-cache"),
        ({"x-locus-allow": "no-such-model"}, "x-locus-allow"),
        ({"x-locus-policy": "nothing"}, "x-locus-policy"),
    ],
)
async def test_invalid_overrides_are_reported(tmp_path: Path, headers: dict[str, str], param: str) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, models(up.base_url)) as run:
        refused = await post(run, headers)
        assert refused.status_code in (400, 404)
        assert refused.json()["error"]["param"] == param
        assert not up.calls


async def test_failover_can_be_switched_off(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as down, ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-70b", down.base_url), entry("llama-8b", up.base_url)]) as run:
            assert (await post(run, model="llama-70b")).headers["x-locus-stand-in"] == "llama-8b"
            calls = len(up.calls)
            assert (await post(run, {"x-locus-failover": "off"}, model="llama-70b")).status_code == 502
            assert len(up.calls) == calls


@pytest.mark.parametrize(
    ("own", "stand_ins"),
    [
        ({}, None),
        ({"failover": True}, None),
        ({"failover": "off"}, "same_model"),
        ({"failover": False, "stand_ins": "never"}, "never"),
        ({"failover": True, "stand_ins": "nearest"}, "nearest"),
        ({"stand_ins": "best"}, "best"),
        ({"stand_ins": None}, None),
    ],
)
def test_failover_off_is_short_for_stand_ins(own: dict[str, Any], stand_ins: str | None) -> None:
    request = parse_chat(orjson.dumps({"model": "m", "messages": ASK, "locus": own}))
    assert with_overrides(request, {}).overrides.stand_ins == stand_ins


@pytest.mark.parametrize(
    ("own", "ensemble"),
    [("on", True), (True, True), ("off", False), (False, False), ("3", 3), (9, 9), (None, None)],
)
def test_an_ensemble_is_on_off_or_a_number_of_models(own: object, ensemble: bool | int | None) -> None:
    request = parse_chat(orjson.dumps({"model": "auto", "messages": ASK, "locus": {"ensemble": own}}))
    assert with_overrides(request, {}).overrides.ensemble is ensemble


@pytest.mark.parametrize("own", ["1", "10", "three", "²", 1, 10, 2.5, "", [3]])
def test_other_ensembles_are_refused(own: object) -> None:
    request = parse_chat(orjson.dumps({"model": "auto", "messages": ASK, "locus": {"ensemble": own}}))
    with pytest.raises(InvalidRequest, match="`on`, `off`, or a number of models from 2 to 9"):
        with_overrides(request, {})


async def test_requirements_that_no_model_meets_are_reported(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        one = entry("llama-8b", up.base_url)
        one["deployments"][0] |= {"several": False, "logprobs": False}
        async with gateway(tmp_path, [one]) as run:
            for field, requirements in (({"n": 2}, "several"), ({"logprobs": True}, "logprobs")):
                refused = await post(run, **field)
                assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_eligible_model")
                assert f"all models: cannot: {requirements}" in refused.json()["error"]["message"]
            pdf = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA=="}}
            refused = await post(run, messages=[{"role": "user", "content": [pdf]}])
            assert "files" in refused.json()["error"]["message"]


async def test_utility_calls_go_to_the_cheap_policy(tmp_path: Path) -> None:
    policies = {"best": {"cost_weight": 0}, "cheap": {"min_p_correct": 0.01}}
    settings = {"utility_calls": {"policy": "cheap", "front_ends": ["open-webui"], "patterns": ["^Name this thread"]}}
    async with (
        ScriptedProvider() as up,
        gateway(tmp_path, models(up.base_url), policies=policies, default_policy="best", gateway=settings) as run,
    ):
        for text, chosen in (
            (TITLE, "mistral-7b"),
            ("Name this thread, please.", "mistral-7b"),
            ("Who names threads?", "llama-70b"),
        ):
            got = await post(run, model="auto", messages=[{"role": "user", "content": text}])
            assert got.headers["x-locus-model"] == chosen
        named = await post(run, model="llama-70b", messages=[{"role": "user", "content": TITLE}])
        assert named.headers["x-locus-model"] == "llama-70b"


async def test_evidence_is_shown(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, models(up.base_url)) as run:
        question = [{"role": "user", "content": "Find the remainder when 7^23 is divided by 31."}]
        evidence = (await post(run, path="/v1/route", messages=question)).json()["evidence"]
        assert (evidence["passed_by"], evidence["failed_by"]) == ("llama-70b", "mistral-7b")
        assert evidence["queries"] or evidence["why_none"]
        similarities = [query["similarity"] for query in evidence["queries"]]
        assert similarities == sorted(similarities, reverse=True)
        assert all(query["query_id"] for query in evidence["queries"])


async def test_a_named_model_is_called_even_without_a_known_capability(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, ScriptedProvider() as other:
        one = entry("llama-8b", up.base_url)
        one["deployments"][0] |= {"several": False}
        async with gateway(tmp_path, [one, entry("llama-70b", other.base_url)]) as run:
            assert (await post(run, model="llama-8b", n=2)).status_code == 200
            assert up.calls[0].body["n"] == 2
            refused = await run.http.post("/v1/completions", json={"model": "llama-8b", "prompt": "a", "suffix": "b"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_eligible_model")
            assert "`suffix`" in refused.json()["error"]["message"]
