from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.core.errors import UnknownModel
from gateway.http.model_list import find_model, list_models, model_list, one_model, usd_per_token
from tests.conformance import validate
from tests.gateway.running import entry, gateway

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:9/v1"
VECTORS = {
    "name": "team/vectors:v2",
    "deployments": [{"model": "openai/up", "api_base": NOWHERE}],
    "max_input_tokens": 100,
    "dimensions": 3,
}
ABLE = entry(
    "llama-8b",
    NOWHERE,
    capabilities=["tools", "vision", "files"],
    price={"input": 2.0, "output": 8.0, "cached_input": 0.15},
    max_output_tokens=100,
)
PLAIN = entry(
    "llama-70b",
    context_window=50_000,
    deployments=[{"model": "openai/up", "api_base": NOWHERE, "several": False, "logprobs": False}],
)


async def test_auto_comes_first_then_policies_models_and_embedding_models(tmp_path: Path) -> None:
    async with gateway(tmp_path, [ABLE, PLAIN], embedding_models=[VECTORS]) as run:
        listed = [model.id async for model in run.client.models.list()]
    policies = ["auto:best", "auto:balanced", "auto:cheap", "auto:panel"]
    assert listed == ["auto", *policies, "llama-8b", "llama-70b", "team/vectors:v2", "locus-encoder"]


async def test_the_list_and_each_entry_are_what_the_official_document_says(tmp_path: Path) -> None:
    async with gateway(tmp_path, [ABLE, PLAIN], embedding_models=[VECTORS]) as run:
        listed = (await run.http.get("/v1/models")).json()
        one = (await run.http.get("/v1/models/auto")).json()
    validate(listed, "ListModelsResponse")
    validate(one, "Model")
    assert one == listed["data"][0]


@pytest.mark.parametrize("name", ["auto", "auto:cheap", "llama-8b", "team/vectors:v2", "locus-encoder"])
async def test_a_name_with_slashes_and_colons_is_found(tmp_path: Path, name: str) -> None:
    async with gateway(tmp_path, [ABLE], embedding_models=[VECTORS]) as run:
        assert (await run.client.models.retrieve(name)).id == name
        assert (await run.http.get(f"/models/{name}")).json()["id"] == name
        with pytest.raises(openai.NotFoundError, match="gpt-9"):
            await run.client.models.retrieve("gpt-9")


async def test_a_models_entry_says_what_it_can_do_and_costs(tmp_path: Path) -> None:
    async with gateway(tmp_path, [ABLE, PLAIN]) as run:
        able = find_model(run.service.in_force, "llama-8b")
        plain = find_model(run.service.in_force, "llama-70b")
    assert (able["context_length"], able["context_window"], able["max_output_tokens"]) == (8192, 8192, 100)
    assert able["mode"] == "chat"
    assert able["capabilities"] == ["files", "tools", "vision"]
    assert able["architecture"] == {
        "modality": "text+image+file->text",
        "input_modalities": ["text", "image", "file"],
        "output_modalities": ["text"],
    }
    assert {"tools", "tool_choice", "n", "logprobs", "max_tokens"} <= set(able["supported_parameters"])
    assert "response_format" not in able["supported_parameters"]
    assert able["pricing"] == {
        "input_usd_per_mtok": 2.0,
        "output_usd_per_mtok": 8.0,
        "cached_input_usd_per_mtok": 0.15,
        "cache_write_usd_per_mtok": 2.0,
        "cache_write_1h_usd_per_mtok": 2.0,
        "reasoning_usd_per_mtok": 8.0,
        "prompt": "0.000002",
        "completion": "0.000008",
        "input_cache_read": "0.00000015",
        "input_cache_write": "0.000002",
        "internal_reasoning": "0.000008",
    }
    assert plain["architecture"]["modality"] == "text->text"
    assert not {"tools", "n", "logprobs"} & set(plain["supported_parameters"])


async def test_a_price_that_is_not_known_is_null(tmp_path: Path) -> None:
    unknown = entry("llama-70b", NOWHERE, price=None)
    async with gateway(tmp_path, [ABLE, unknown]) as run:
        auto, one = (find_model(run.service.in_force, name) for name in ("auto", "llama-70b"))
    assert one["pricing"] is None
    assert auto["price_range"]["input_usd_per_mtok"] == [2.0, 2.0]
    async with gateway(tmp_path, [unknown]) as run:
        assert find_model(run.service.in_force, "auto")["price_range"] is None


async def test_the_prices_of_long_prompts_are_listed(tmp_path: Path) -> None:
    price = {"input": 1.0, "output": 2.0, "tiers": [{"above": 200_000, "input": 3.0}]}
    async with gateway(tmp_path, [entry("llama-8b", NOWHERE, price=price)]) as run:
        (tier,) = find_model(run.service.in_force, "llama-8b")["pricing"]["tiers"]
    assert (tier["above_prompt_tokens"], tier["input_usd_per_mtok"], tier["output_usd_per_mtok"]) == (200_000, 3.0, 2.0)


async def test_auto_can_do_what_the_models_that_it_chooses_from_can_together(tmp_path: Path) -> None:
    only_named = entry("only-named", NOWHERE, capabilities=["audio"], context_window=1_000_000)
    async with gateway(tmp_path, [ABLE, PLAIN, only_named]) as run:
        auto, cheap = (find_model(run.service.in_force, name) for name in ("auto", "auto:cheap"))
    assert (auto["context_length"], auto["max_output_tokens"]) == (50_000, 100)
    assert auto["architecture"]["input_modalities"] == ["text", "image", "file"]
    assert {"tools", "n"} <= set(auto["supported_parameters"])
    assert auto["pricing"] is None
    assert auto["price_range"] == {
        "input_usd_per_mtok": [1.0, 2.0],
        "output_usd_per_mtok": [1.0, 8.0],
        "cached_input_usd_per_mtok": [0.15, 1.0],
        "cache_write_usd_per_mtok": [1.0, 2.0],
        "cache_write_1h_usd_per_mtok": [1.0, 2.0],
        "reasoning_usd_per_mtok": [1.0, 8.0],
    }
    assert "balanced" in auto["description"]
    assert {key for key in auto if auto[key] != cheap[key]} == {"id", "description"}


async def test_an_embedding_models_entry_says_its_input_limit_and_dimensions(tmp_path: Path) -> None:
    async with gateway(tmp_path, [ABLE], embedding_models=[VECTORS]) as run:
        of_the_file = find_model(run.service.in_force, "team/vectors:v2")
        built_in = find_model(run.service.in_force, "locus-encoder")
        encoder = run.service.in_force.router.encoder
    assert (of_the_file["mode"], of_the_file["context_length"], of_the_file["dimensions"]) == ("embedding", 100, 3)
    assert (built_in["mode"], built_in["context_length"], built_in["dimensions"]) == (
        "embedding",
        512,
        encoder.text_dim,
    )
    assert built_in["pricing"]["input_usd_per_mtok"] == 0.0
    for one in (of_the_file, built_in):
        assert one["architecture"]["output_modalities"] == ["embeddings"]


async def test_anthropics_form_has_the_chat_models_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path, [ABLE], embedding_models=[VECTORS]) as run:
        in_force = run.service.in_force
    listed, one = model_list(in_force, anthropic=True), one_model(in_force, "llama-8b", anthropic=True)
    assert [model["id"] for model in listed["data"]] == [
        "auto",
        "auto:best",
        "auto:balanced",
        "auto:cheap",
        "auto:panel",
        "llama-8b",
    ]
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("auto", "llama-8b", False)
    assert one == listed["data"][-1]
    read = anthropic.types.ModelInfo.model_validate(one, strict=False)
    assert (read.type, read.display_name, read.max_input_tokens, read.max_tokens) == ("model", "llama-8b", 8192, 100)
    assert read.created_at == in_force.since.replace(microsecond=0)


async def test_an_unknown_name_is_refused_in_either_form(tmp_path: Path) -> None:
    async with gateway(tmp_path, [ABLE]) as run:
        for more in ({}, {"anthropic": True}):
            with pytest.raises(UnknownModel, match="`gpt-9` is not in the portfolio"):
                one_model(run.service.in_force, "gpt-9", **more)
        entries: list[dict[str, Any]] = list_models(run.service.in_force)
        assert all(find_model(run.service.in_force, one["id"]) == one for one in entries)


@pytest.mark.parametrize(
    ("usd_per_mtok", "text"),
    [(0.15, "0.00000015"), (0.0, "0"), (1_000_000.0, "1"), (2.5, "0.0000025"), (0.000001, "0.000000000001")],
)
def test_prices_per_token_are_texts_without_exponents(usd_per_mtok: float, text: str) -> None:
    assert usd_per_token(usd_per_mtok) == text
