"""What providers call a model, and the model of the space that each name means."""

from pathlib import Path

import pytest

from router.model.model_families import RANKS, Families

NAMES = Path(__file__).with_name("space_names.txt").read_text().splitlines()
FAMILIES = Families(NAMES)
SONNET, OPUS = "anthropic/claude-3-5-sonnet-20241022", "anthropic/claude-opus-4-5-20251101"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def meant(name: str) -> str | None:
    found = FAMILIES.find(name)
    return found[0].stated if len(found) == 1 else None


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-5.4", "openai/gpt-5.4-2026-03-05"),
        ("openai/gpt-5.4", "openai/gpt-5.4-2026-03-05"),
        ("azure/gpt-5.4", "openai/gpt-5.4-2026-03-05"),
        ("azure/eu/gpt-5.4-2026-03-05", "openai/gpt-5.4-2026-03-05"),
        ("gpt-5.6-luna-2026-07-09", "openai/gpt-5.6-luna"),
        ("gpt-4o", "openai/gpt-4o-2024-11-20"),  # the newest snapshot
        ("azure/gpt-35-turbo", "openai/gpt-3.5-turbo-0125"),
        ("chatgpt-4o-latest", "openai/chatgpt-4o-latest-2025-03-27"),
        ("anthropic/claude-opus-4-5", OPUS),
        ("claude-opus-4-5-20251101", OPUS),
        ("vertex_ai/claude-opus-4-5@20251101", OPUS),
        ("bedrock/us.anthropic.claude-opus-4-5-20251101-v1:0", OPUS),
        ("bedrock/us-east-1/6-month-commitment/anthropic.claude-opus-4-5-20251101-v1:0", OPUS),
        ("openrouter/anthropic/claude-opus-4.5", OPUS),
        ("databricks/databricks-claude-opus-4-5", OPUS),
        ("replicate/anthropic/claude-4.5-sonnet", "anthropic/claude-sonnet-4-5-20250929"),
        ("openrouter/anthropic/claude-3.7-sonnet:thinking", "anthropic/claude-3-7-sonnet-20250219:thinking"),
        ("bedrock/converse/us.anthropic.claude-3-5-sonnet-20241022-v2:0", SONNET),
        ("vertex_ai/claude-3-5-sonnet-v2@20241022", SONNET),
        ("gemini/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("vertex_ai/gemini-2.0-flash", "google/gemini-2.0-flash-001"),
        ("openrouter/qwen/qwen3-8b", "Qwen/Qwen3-8B"),
        ("openrouter/qwen/qwen-2.5-7b-instruct:free", "Qwen/Qwen2.5-7B-Instruct"),
        ("openrouter/qwen/qwen3-235b-a22b-2507", "Qwen/Qwen3-235B-A22B-Instruct-2507"),
        ("together_ai/Qwen/Qwen3-235B-A22B-Instruct-2507-tput", "Qwen/Qwen3-235B-A22B-Instruct-2507"),
        ("groq/openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("groq/llama-3.1-8b-instant", LLAMA),
        ("cerebras/llama3.1-8b", LLAMA),
        ("ollama/llama3.1:8b", LLAMA),
        ("ollama_chat/llama3.1:8b-instruct-q4_K_M", LLAMA),
        ("ollama/llama3.1", LLAMA),
        ("ollama/qwen3:8b", "Qwen/Qwen3-8B"),
        ("ollama/qwen3.5:35b", "Qwen/Qwen3.5-35B-A3B"),
        ("ollama/gemma3:27b", "google/gemma-3-27b-it"),
        ("ollama/hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "meta-llama/Llama-3.2-3B-Instruct"),
        ("fireworks_ai/accounts/fireworks/models/deepseek-v3p1", "deepseek-ai/DeepSeek-V3.1"),
        ("fireworks_ai/accounts/fireworks/models/llama-v3p1-8b-instruct", LLAMA),
        ("bedrock/us-east-1/deepseek.v3.2", "deepseek-ai/DeepSeek-V3.2"),
        ("mistral.mistral-7b-instruct-v0:2", "mistralai/Mistral-7B-Instruct-v0.2"),
        ("deepinfra/google/gemma-4-31B-it", "google/gemma-4-31b-it"),
        ("mistral/mistral-large-latest", "mistralai/mistral-large-2512"),
        ("mistral/mistral-medium-3-5", "mistralai/mistral-medium-3.5"),
        ("mistral/mistral-medium-2604", "mistralai/mistral-medium-3.5"),
        ("mistral/open-mistral-nemo", "mistralai/Mistral-Nemo-Instruct-2407"),
        ("xai/grok-4", "x-ai/grok-4-0709"),
        ("azure_ai/grok-4-fast-non-reasoning", "x-ai/grok-4-fast:no-thinking"),
        ("hosted_vllm/Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-8B"),
        ("hosted_vllm/unsloth/Llama-3.1-8B-Instruct-bnb-4bit", LLAMA),
        ("nvidia/Gemma-4-31B-IT-NVFP4", "google/gemma-4-31b-it"),
        ("custom/gpt-oss-20b", "openai/gpt-oss-20b"),
    ],
)
def test_a_name_of_a_provider_means_a_model_of_the_space(name: str, model: str) -> None:
    assert meant(name) == model


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-audio-preview-2024-12-17",
        "gpt-4o-2024-05-13",  # a snapshot that the space does not have
        "gpt-4",
        "gpt-5-codex",
        "ft:gpt-4o-mini-2024-07-18:acme::x",
        "custom/gpt-4o",  # a server of its own that calls a model so
        "litellm_proxy/claude-opus-4-5",
        "claude-opus-5-5",
        "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
        "gemini/gemini-2.5-flash-preview-09-2025",
        "gemini/gemini-3.1-flash-lite",  # the space has its preview
        "openrouter/qwen/qwen3-80b",
        "openrouter/qwen/qwen3-32b",
        "hosted_vllm/llama-3.1-8b",  # base or instruct?
        "ollama/llama3.1:8b-text-q4_0",
        "ollama/qwen3:30b",  # of April 2025, or of July 2025 and thinking
        "ollama/qwen3-vl:8b",  # instruct or thinking?
        "ollama/deepseek-r1",  # a distilled model of 8B
        "ollama/mistral-large",
        "dashscope/qwen3-vl-32b-thinking",
        "dashscope/qwen3-max-2026-01-23",
        "dashscope/qwen3-coder-plus",
        "zai/glm-4.5-air",
        "xai/grok-3-mini",  # the space has its beta
        "mistral/codestral-2508",
        "mistral/codestral-latest",
        "mistral/magistral-small-latest",
        "mistral/mistral-large-4",
        "wandb/OpenPipe/Qwen3-14B-Instruct",
        "a-company/Qwen3-8B",
        "anthropic/gpt-4o",
        "",
        "/",
    ],
)
def test_a_name_of_another_model_means_none(name: str) -> None:
    assert meant(name) is None


def test_the_newest_snapshot_says_which_others_there_are() -> None:
    [family] = FAMILIES.find("gpt-4o")
    assert (family.name, family.older) == ("openai/gpt-4o-2024-11-20", ("openai/gpt-4o-2024-08-06",))
    [dated] = FAMILIES.find("gpt-4o-2024-08-06")
    assert (dated.name, dated.older) == ("openai/gpt-4o-2024-08-06", ())


@pytest.mark.parametrize("name", NAMES)
def test_each_model_is_found_by_its_own_name(name: str) -> None:
    [family] = FAMILIES.find(name)
    assert family.variant(family.setting) == name
    bare = name.partition("/")[2]
    assert [found.variant(found.setting) for found in FAMILIES.find(bare)] == [name]


@pytest.mark.parametrize(
    ("name", "setting", "variant"),
    [
        ("gpt-5.4", None, "medium"),  # of none, medium and xhigh
        ("gpt-5.4", "high", "xhigh"),
        ("gpt-5.4", "low", "medium"),
        ("gpt-5.4", "minimal", "none"),
        ("gpt-5.4-mini", None, "high"),  # of none and high
        ("claude-opus-4-5", None, None),
        ("claude-opus-4-5", "high", "high"),
        ("claude-opus-4-5", "thinking", "thinking"),
        ("claude-opus-4-5", "max", "high"),
        ("claude-opus-4-5", "none", None),
        ("gemini-2.5-pro", "low", "low"),
        ("gemini-2.5-pro", "medium", None),
        ("Qwen3-8B", "none", "no-thinking"),
        ("Qwen3-8B", "high", None),
        ("gpt-4.1", "high", None),
    ],
)
def test_the_variant_with_the_nearest_setting_counts(name: str, setting: str | None, variant: str | None) -> None:
    [family] = FAMILIES.find(name)
    assert family.variant(setting) == family.variants[variant]


def test_every_variant_of_the_space_has_a_rank() -> None:
    assert {setting for name in NAMES for setting in FAMILIES.find(name)[0].variants} <= RANKS.keys()
