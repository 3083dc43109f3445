"""LiteLLM's model names and the models of the model space that they mean."""

import pytest

from gateway.migrate.model_aliases import KNOWN, resembles, same_model
from router.model.serving import SPACE
from router.model.space import ModelSpace

NAMES = ModelSpace.load(SPACE).models


def test_every_known_name_means_a_model_of_the_shipped_space() -> None:
    assert {name for models in KNOWN.values() for name in models.values()} <= set(NAMES)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("gpt-4o-mini", "openai/gpt-4o-mini-2024-07-18"),
        ("gpt-4o", None),  # an alias that moves
        ("ollama/llama3.1:8b", "meta-llama/Llama-3.1-8B-Instruct"),
        ("ollama_chat/llama3.1:8b-instruct-q4_K_M", "meta-llama/Llama-3.1-8B-Instruct"),
        ("ollama/llama3.1:8b-text-q4_0", None),  # the base model
        ("openrouter/meta-llama/llama-3.1-8b-instruct:free", "meta-llama/Llama-3.1-8B-Instruct"),
        ("openrouter/mistralai/mistral-7b-instruct-v0.3", "mistralai/Mistral-7B-Instruct-v0.3"),
        ("bedrock/converse/us.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic/claude-3-5-sonnet-20241022"),
        ("bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0", None),  # the snapshot before
        ("fireworks_ai/accounts/fireworks/models/llama-v3p1-70b-instruct", "meta-llama/Llama-3.1-70B-Instruct"),
        ("vertex_ai/claude-3-5-sonnet-v2@20241022", "anthropic/claude-3-5-sonnet-20241022"),
        ("gemini/gemini-1.5-pro-002", "google/gemini-1.5-pro-002"),
        ("xai/grok-2-1212", "x-ai/grok-2-1212"),
        ("hosted_vllm/meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("hosted_vllm/unsloth/Llama-3.1-8B-Instruct", None),  # quantised by another maker
        ("hosted_vllm/llama-3.1-8b", None),  # base or instruct?
        ("azure/gpt-4o-2024-08-06", None),  # the name of a deployment, chosen by its user
    ],
)
def test_a_name_means_a_model_of_the_space_only_if_that_is_certain(model: str, name: str | None) -> None:
    assert same_model(model, NAMES) == name


def test_a_similar_name_is_a_hint_only() -> None:
    assert resembles("hosted_vllm/unsloth/Llama-3.1-8B-Instruct", NAMES) == "meta-llama/Llama-3.1-8B-Instruct"
    assert resembles("openai/our-finetune", NAMES) is None
