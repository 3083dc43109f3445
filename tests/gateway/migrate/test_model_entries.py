"""Models of a LiteLLM configuration as entries of a portfolio file."""

from pathlib import Path

from gateway.config.portfolio_file import FALLBACK_WINDOW
from gateway.config.yaml_reader import Place
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.model_entries import ModelEntries
from tests.gateway.migrate.entries import read_models

SPACE = ["openai/gpt-4o-2024-08-06", "meta-llama/Llama-3.1-8B-Instruct"]


def written(
    folder: Path, params: str, info: str = "{}", *, embedding: bool = False
) -> tuple[dict[str, object], dict[Place, list[str]], ImportedValues]:
    """The entry of one model, its comments and its findings."""
    text = f"model_list:\n  - model_name: m\n    litellm_params: {params}\n    model_info: {info}\n"
    models, values = read_models(folder, text)
    assert not values.problems
    entries = ModelEntries(values, SPACE)
    if embedding:
        return entries.embedding_model(0, models.embedding_models["m"]), entries.comments, values
    return entries.model(0, models.models["m"]), entries.comments, values


def test_a_model_of_the_table_needs_its_name_embedding_and_deployments_only(tmp_path: Path) -> None:
    entry, comments, values = written(tmp_path, "{model: openai/gpt-4o-2024-08-06}")
    assert entry == {
        "name": "m",
        "embedding": "openai/gpt-4o-2024-08-06",
        "deployments": [{"model": "openai/gpt-4o-2024-08-06"}],
    }
    assert (comments, values.findings) == ({}, [])


def test_facts_of_model_info_are_written(tmp_path: Path) -> None:
    entry, _, _ = written(
        tmp_path,
        "{model: openai/gpt-4o-2024-08-06}",
        "{input_cost_per_token: 0.000001, output_cost_per_token: 0.000002, max_input_tokens: 4096, max_output_tokens: 512,"
        " supports_vision: false}",
    )
    assert entry["price"] == {"input": 1.0, "output": 2.0}
    assert (entry["context_window"], entry["max_output_tokens"]) == (4096, 512)
    assert entry["capabilities"] == ["tools", "json_schema", "files"]


def test_base_model_names_the_model_behind_a_deployment_of_azure(tmp_path: Path) -> None:
    entry, _, _ = written(
        tmp_path,
        "{model: azure/ours, api_base: 'https://a.example', api_key: k}",
        "{base_model: azure/gpt-4o-2024-08-06}",
    )
    assert entry["embedding"] == "openai/gpt-4o-2024-08-06"
    assert entry["context_window"] == 128_000


def test_what_is_not_known_is_a_comment_and_a_finding(tmp_path: Path) -> None:
    entry, comments, values = written(
        tmp_path, "{model: openai/Llama-3.1-8B-Instruct-Ours, api_base: 'http://gpu:8000/v1', api_key: k}"
    )
    assert "embedding" not in entry
    assert "context_window" not in entry
    assert "price" not in entry
    assert comments[("models", 0, "deployments")][1:] == [
        "embedding: meta-llama/Llama-3.1-8B-Instruct  # is it this one?"
    ]
    messages = [finding.message for finding in values.findings if finding.kind == "look"]
    assert f"the context window of m is not known: {FALLBACK_WINDOW} tokens are assumed" in messages
    assert "the price of m is not known: `auto` counts it as the highest" in messages


def test_an_embedding_model_has_an_input_limit_and_a_price_of_inputs(tmp_path: Path) -> None:
    entry, _, _ = written(
        tmp_path,
        "{model: openai/text-embedding-3-small, input_cost_per_token: 0.000001}",
        "{max_input_tokens: 100, output_vector_size: 8}",
        embedding=True,
    )
    assert entry == {
        "name": "m",
        "deployments": [{"model": "openai/text-embedding-3-small"}],
        "price": {"input": 1.0},
        "max_input_tokens": 100,
        "dimensions": 8,
    }


def test_half_a_price_is_not_a_price(tmp_path: Path) -> None:
    half = "{model: openai/ours, api_base: 'http://gpu:8000/v1', api_key: k, input_cost_per_token: 0.000001}"
    entry, comments, _ = written(tmp_path, half)
    assert "price" not in entry
    assert any("the price of m is not known" in line for line in comments[("models", 0)])
    listed, _, _ = written(tmp_path, "{model: openai/gpt-4o-2024-08-06, input_cost_per_token: 0.000001}")
    assert listed["price"] == {"input": 1.0, "output": 10.0}
