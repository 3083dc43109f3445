"""Which models of the space a portfolio's models are, with their reasoning settings, over a gateway with a space of its own."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.routing.model_embeddings import find_embedding, found_embeddings, with_embedding
from router.errors import ArtifactError
from router.model.serving import SPACE
from router.model.space import ModelSpace
from tests.gateway.running import EMBEDDINGS, entry, gateway, write_portfolio

REFUSED = "http://127.0.0.1:9/v1"
ASK = [{"role": "user", "content": "Janet has 16 eggs and eats three. How many eggs are left for the market?"}]
# The variants of a made-up model, and those of a model that providers call by another name, are models of the shipped space.
VARIANTS = {
    "mine/thinker-20990101": "llama-8b",
    "mine/thinker-20990101:high": "llama-70b",
    "mine/thinker-20990101:none": "mistral-7b",
    "qwen/qwen9-8b": "llama-8b",
    "qwen/qwen9-8b:thinking": "llama-70b",
}


@pytest.fixture
def space(tmp_path: Path) -> ModelSpace:
    shipped = ModelSpace.load(SPACE)
    rows = shipped.rows([EMBEDDINGS[name] for name in VARIANTS.values()])
    own = ModelSpace(
        list(VARIANTS),
        shipped.embeddings.take(rows),
        shipped.checkpoint,
    )
    own.save(tmp_path / "own.safetensors")
    return own


def models(*entries: dict[str, Any], folder: Path, space: ModelSpace) -> list[Any]:
    portfolio = load_portfolio(write_portfolio(folder, list(entries)), {})
    found = found_embeddings(portfolio, space)
    return [with_embedding(model, found[model.name]) for model in portfolio.models]


def through_litellm(name: str, **params: Any) -> dict[str, Any]:
    return entry("m", embedding=None) | {"deployments": [{"model": name, "api_key": "k"} | params]}


def test_a_request_chooses_the_variant_unless_the_deployment_does(tmp_path: Path, space: ModelSpace) -> None:
    free, fixed, stated, named = models(
        through_litellm("openrouter/qwen/qwen9-8b"),
        through_litellm("replicate/qwen/qwen9-8b", reasoning_effort="high") | {"name": "fixed"},
        entry("stated", REFUSED, embedding="thinker:high"),
        through_litellm("openrouter/qwen/qwen9-8b-thinking") | {"name": "named"},
        folder=tmp_path,
        space=space,
    )
    assert free.embedding == "qwen/qwen9-8b"
    assert {free.embedding_by_setting.get(s, free.embedding) for s in ("thinking", "high")} == {
        "qwen/qwen9-8b:thinking"
    }
    assert "low" not in free.embedding_by_setting
    assert (fixed.embedding, fixed.embedding_by_setting) == ("qwen/qwen9-8b:thinking", {})
    assert stated.embedding == "mine/thinker-20990101:high"
    assert stated.embedding_by_setting["minimal"] == "mine/thinker-20990101:none"
    assert (named.embedding, named.embedding_by_setting) == ("qwen/qwen9-8b:thinking", {})


def test_no_embedding_is_guessed(tmp_path: Path, space: ModelSpace) -> None:
    portfolio = load_portfolio(
        write_portfolio(
            tmp_path,
            [
                entry("other", REFUSED),
                through_litellm("openrouter/qwen/qwen9-8b") | {"name": "excluded", "embedding": "none"},
                entry("wrong", REFUSED, embedding="qwen/qwen9-80b"),
            ],
        ),
        {},
    )
    assert [find_embedding(model, space).name for model in portfolio.models[:2]] == [None, None]
    with pytest.raises(ArtifactError) as missing:
        found_embeddings(portfolio, space)
    (problem,) = str(missing.value).splitlines()
    assert "models[2].embedding: the model space has no 'qwen/qwen9-80b'; close to it: qwen/qwen9-8b" in problem


@pytest.mark.anyio
async def test_a_decision_goes_by_the_variant_that_the_request_asks_for(tmp_path: Path, space: ModelSpace) -> None:
    portfolio = [entry("thinker", REFUSED, embedding="mine/thinker"), entry("llama-8b", REFUSED)]
    async with gateway(tmp_path, portfolio, spaces=[str(tmp_path / "own.safetensors")]) as run:

        async def of_thinker(**fields: Any) -> tuple[str, float]:
            body = {"model": "auto:best", "messages": ASK} | fields
            candidates = (await run.http.post("/v1/route", json=body)).json()["candidates"]
            (found,) = [c for c in candidates if c["model"] == "thinker"]
            return found["embedding"], found["p_correct"]

        shipped = run.service.in_force.router
        q = shipped.encoder.encode([ASK[0]["content"]])
        for fields, name in (
            ({}, "mine/thinker-20990101"),
            ({"reasoning_effort": "high"}, "mine/thinker-20990101:high"),
            ({"reasoning_effort": "none"}, "mine/thinker-20990101:none"),
            ({"reasoning_effort": "minimal"}, "mine/thinker-20990101:none"),
            ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "mine/thinker-20990101:high"),
        ):
            embedding, p = await of_thinker(**fields)
            assert embedding == name
            assert p == pytest.approx(shipped.predict(q, [name, EMBEDDINGS["llama-8b"]]).p_correct[0, 0], abs=1e-6)
