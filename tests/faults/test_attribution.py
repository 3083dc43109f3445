"""Who answered, who failed and who is billed: headers, chunks, record and metrics name the same models."""

from pathlib import Path
from typing import Any

import pytest

from router.model.serving import SPACE
from router.model.space import ModelSpace
from tests.faults.clients import ASK, CALM, ask, metric, official, short
from tests.faults.provider import Persona, numbered
from tests.gateway.running import EMBEDDINGS, gateway
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
TEXT = numbered(10)
NAMES = ("llama-8b", "llama-70b", "mistral-7b")


def priced(name: str, url: str, price: float) -> dict[str, Any]:
    return short(name, url, price={"input": price, "output": price})


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_stand_in_is_named_and_paid_everywhere(tmp_path: Path, streaming: bool) -> None:
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(Persona(TEXT)) as b:
        models = [priced("llama-8b", a.base_url, 100.0), priced("llama-70b", b.base_url, 2.0)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            got = await official(run, stream=streaming)
            got.complete(TEXT, streaming=streaming)
            assert got.models == ["llama-70b"]
            distance = ModelSpace.load(SPACE).distance(EMBEDDINGS["llama-8b"], EMBEDDINGS["llama-70b"])
            assert got.headers["x-locus-model"] == "llama-8b"
            assert got.headers["x-locus-stand-in"] == "llama-70b"
            assert float(got.headers["x-locus-stand-in-distance"]) == pytest.approx(distance, abs=1e-3)
            (record,) = await run.records()
            assert (record["chosen"], record["served"]) == ("llama-8b", "llama-70b")
            assert record["deployment"] == "llama-70b/0"
            assert record["stand_in_distance"] == pytest.approx(distance, abs=1e-3)
            loss = float(got.headers["x-locus-stand-in-predicted-loss"])
            assert record["predicted_loss"] == pytest.approx(loss, abs=1e-4)
            assert (record["prompt_tokens"], record["completion_tokens"]) == (len(ASK[0]["content"].split()), 10)
            tokens = record["prompt_tokens"] + 10
            assert record["cost_nusd"] == tokens * 2_000  # nothing for the attempts that failed
            assert [(t["model"], t["cause"], t["status"]) for t in record["failover"]] == [
                ("llama-8b", "server_error", 500)
            ] * 2
            told = {"chosen": "llama-8b", "served": "llama-70b", "rule": "best"}
            assert await metric(run, "locus_stand_ins_total", **told) == 1
            assert got.headers["x-locus-stand-in-rule"] == record["stand_in_rule"] == "best"
            assert await metric(run, "locus_tokens_total", model="llama-70b", kind="completion") == 10
            assert await metric(run, "locus_tokens_total", model="llama-8b", kind="completion") in (None, 0)
            assert await metric(run, "locus_failed_attempts_total", deployment="llama-8b/0", cause="server_error") == 2


async def test_each_hop_has_its_reason_distance_and_predicted_loss(tmp_path: Path) -> None:
    space = ModelSpace.load(SPACE)
    async with ScriptedProvider(error(500)) as bad, ScriptedProvider(Persona(TEXT)) as good:
        near = [
            n.model for n in space.neighbors(EMBEDDINGS["llama-8b"], among=[EMBEDDINGS[name] for name in NAMES[1:]])
        ]
        names = {embedding: name for name, embedding in EMBEDDINGS.items()}
        last = names[near[-1]]
        models = [short(name, good.base_url if name == last else bad.base_url) for name in NAMES]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            (await ask(run, stream=True)).complete(TEXT, streaming=True)
            (record,) = await run.records()
            candidates = {attempt["model"]: attempt for attempt in record["failover"]}
            assert list(candidates) == ["llama-8b", names[near[0]]]
            stand_in = candidates[names[near[0]]]
            assert stand_in["distance"] == pytest.approx(space.distance(EMBEDDINGS["llama-8b"], near[0]), abs=1e-3)
            assert -1 <= stand_in["predicted_loss"] <= 1
            assert candidates["llama-8b"].get("distance") is None


async def test_a_joined_answer_is_paid_by_its_parts(tmp_path: Path) -> None:
    """Each model's tokens at its own price; spend and metrics go by model."""
    first = Persona(TEXT, cut_after=4, usage="each")
    async with ScriptedProvider(first) as a, ScriptedProvider(Persona(TEXT)) as b:
        models = [priced("llama-8b", a.base_url, 100.0), priced("llama-70b", b.base_url, 1.0)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            got = await ask(run, stream=True, stream_options={"include_usage": True})
            got.complete(TEXT, streaming=True)
            assert got.headers["x-locus-model"] == "llama-8b"
            (record,) = await run.records()
            (usage,) = got.usages
            first_prompt = len(ASK[0]["content"].split())
            second = b.calls[-1].tokens
            assert (record["completion_tokens"], second) == (10, 6)
            second_prompt = record["prompt_tokens"] - first_prompt
            cost = (first_prompt + 4) * 100.0 + (second_prompt + second) * 1.0
            assert record["cost_nusd"] == cost * 1_000
            assert usage["prompt_tokens"] == record["prompt_tokens"]
            assert await metric(run, "locus_tokens_total", model="llama-8b", kind="completion") == 4
            assert await metric(run, "locus_tokens_total", model="llama-70b", kind="completion") == 6


async def test_an_estimate_counts_only_its_own_part(tmp_path: Path) -> None:
    """A provider that says its usage only at the end is cut before: its part is estimated, and that is in the record."""
    async with ScriptedProvider(Persona(TEXT, cut_after=4)) as a, ScriptedProvider(Persona(TEXT)) as b:
        models = [priced("llama-8b", a.base_url, 1.0), priced("llama-70b", b.base_url, 1.0)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            (await ask(run, stream=True)).complete(TEXT, streaming=True)
            (record,) = await run.records()
            assert record["completion_tokens"] == 4 + b.calls[-1].tokens == 10
            assert record["usage_estimated"]


async def test_failed_attempts_are_not_billed(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as bad:
        async with gateway(tmp_path, [short(name, bad.base_url) for name in NAMES], gateway=CALM) as run:
            assert (await ask(run, stream=False)).status == 502
            (record,) = await run.records()
            assert record["served"] is None
            assert not record["completion_tokens"]
            assert not record["cost_nusd"]
            text = (await run.http.get("/metrics")).text
            assert 'locus_tokens_total{kind="completion"' not in text


@pytest.mark.parametrize("streaming", [False, True])
async def test_max_predicted_loss_refuses_too_much_worse_a_stand_in(tmp_path: Path, streaming: bool) -> None:
    policies = {"strict": {"cost_weight": 0.0, "max_predicted_loss": 0.0}, "lax": {"cost_weight": 0.0}}
    async with ScriptedProvider(Persona(TEXT)) as up:
        models = [short(name, up.base_url) for name in NAMES]
        async with gateway(tmp_path, models, policies=policies, default_policy="strict", gateway=CALM) as run:
            got = await ask(run, "auto:lax", stream=False)
            best = got.headers["x-locus-model"]
        async with ScriptedProvider(error(500)) as bad:
            models = [short(name, bad.base_url if name == best else up.base_url) for name in NAMES]
            async with gateway(tmp_path, models, policies=policies, default_policy="strict", gateway=CALM) as run:
                up.calls.clear()
                got = await official(run, "auto:strict", stream=streaming)
                assert got.status == 503
                assert got.error is not None
                assert "max_predicted_loss" in got.error["message"]
                assert "x-should-retry" not in got.headers
                assert not up.calls
                record = (await run.records())[-1]
                assert (record["chosen"], record["served"], record["status"]) == (best, None, 503)
                got = await official(run, "auto:lax", stream=streaming)
                got.complete(TEXT, streaming=streaming)
                assert got.headers["x-locus-stand-in"] != best


async def test_max_predicted_loss_allows_a_stand_in_that_is_good_enough(tmp_path: Path) -> None:
    policies = {"mild": {"cost_weight": 0.0, "max_predicted_loss": 1.0}}
    async with ScriptedProvider(error(500)) as bad, ScriptedProvider(Persona(TEXT)) as good:
        async with gateway(
            tmp_path, [short(name, good.base_url) for name in NAMES], policies=policies, default_policy="mild"
        ) as run:
            best = (await ask(run, "auto", stream=False)).headers["x-locus-model"]
        models = [short(name, bad.base_url if name == best else good.base_url) for name in NAMES]
        async with gateway(tmp_path, models, policies=policies, default_policy="mild", gateway=CALM) as run:
            (await ask(run, "auto", stream=True)).complete(TEXT, streaming=True)


async def test_max_predicted_loss_holds_for_a_takeover_too(tmp_path: Path) -> None:
    """After content, the model that goes on must be good enough as well; else the stream ends with the error."""
    policies = {"strict": {"cost_weight": 0.0, "max_predicted_loss": 0.0}}
    async with ScriptedProvider(Persona(TEXT)) as up:
        models = [short(name, up.base_url) for name in NAMES]
        async with gateway(tmp_path, models, policies=policies, default_policy="strict", gateway=CALM) as run:
            best = (await ask(run, "auto", stream=False)).headers["x-locus-model"]
            up.calls.clear()
        async with ScriptedProvider(error(500)) as bad:
            bad.replies.append(Persona(TEXT, cut_after=4))
            models = [short(name, bad.base_url if name == best else up.base_url) for name in NAMES]
            async with gateway(tmp_path, models, policies=policies, default_policy="strict", gateway=CALM) as run:
                (await ask(run, "auto", stream=True)).broken(numbered(4))
                assert not up.calls
