"""Names of models as providers, hubs, gateways and clouds write them, taken apart."""

import pytest

from router.model.name_parts import SETTINGS, NameParts, parse_name

THINKING = SETTINGS["thinking"]


def parts(name: str) -> tuple[object, ...]:
    """Families, version, size, tiers, roles, effort."""
    found = parse_name(name)
    return found.families, found.version, found.size_b, set(found.tiers), set(found.roles), found.effort


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt-5.4-mini-2026-03-17:high", (("gpt",), 5.4, None, {"mini"}, set(), SETTINGS["high"])),
        ("openai/gpt-5.2-codex:none", (("gpt",), 5.2, None, set(), {"code"}, SETTINGS["none"])),
        ("openai/gpt-3.5-turbo-0125", (("gpt",), 3.5, None, {"turbo"}, set(), None)),
        ("openai/chatgpt-4o-latest-2025-03-27", (("gpt", "o"), 4.0, None, set(), set(), None)),
        ("openai/o3-pro-2025-06-10", (("o",), 3.0, None, {"pro"}, set(), None)),
        ("openai/gpt-oss-120b", (("gpt", "oss"), None, 120.0, set(), set(), None)),
        ("anthropic/claude-3-5-sonnet-20241022", (("claude",), 3.5, None, {"sonnet"}, set(), None)),
        ("anthropic/claude-opus-4-20250514:thinking", (("claude",), 4.0, None, {"opus"}, set(), THINKING)),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", (("qwen",), 3.0, 30.0, set(), set(), THINKING)),
        ("Qwen/Qwen2.5-Coder-0.5B-Instruct", (("qwen",), 2.5, 0.5, set(), {"code", "instruct"}, None)),
        ("Qwen/Qwen3.8-2.4T-A95B", (("qwen",), 3.8, 2400.0, set(), set(), None)),
        ("nvidia/Llama-3_1-Nemotron-51B-Instruct", (("llama", "nemotron"), 3.1, 51.0, set(), {"instruct"}, None)),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", (("mixtral",), 0.1, 56.0, set(), {"instruct"}, None)),
        ("google/gemma-3n-E4B-it", (("gemma", "n"), 3.0, 4.0, set(), {"instruct"}, None)),
        ("google/gemma-3-270m-it", (("gemma",), 3.0, 0.27, set(), {"instruct"}, None)),
        ("google/gemini-2.5-flash-preview-05-20", (("gemini",), 2.5, None, {"flash"}, set(), None)),
        ("ai21labs/AI21-Jamba-Mini-1.7", (("jamba",), 1.7, None, {"mini"}, set(), None)),
        ("", ((), None, None, set(), set(), None)),
    ],
)
def test_the_parts_of_a_name(name: str, expected: tuple[object, ...]) -> None:
    assert parts(name) == expected


@pytest.mark.parametrize(
    ("spelling", "plain"),
    [
        ("qwen3:8b", "Qwen/Qwen3-8B"),
        ("unsloth/Qwen3-8B-GGUF", "Qwen/Qwen3-8B"),
        ("llama3.1:70b-instruct-q4_K_M", "meta-llama/Llama-3.1-70B-Instruct"),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", "meta-llama/Llama-3.1-70B-Instruct"),
        ("bedrock/us.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic/claude-opus-4-5"),
        ("vertex_ai/claude-opus-4-5@20251101", "anthropic/claude-opus-4-5"),
        ("deepseek/deepseek-v3.2:free", "deepseek-ai/DeepSeek-V3.2"),
    ],
)
def test_other_spellings_have_the_same_parts(spelling: str, plain: str) -> None:
    assert parts(spelling) == parts(plain)


def test_the_provider_is_the_part_before_the_last_slash() -> None:
    assert parse_name("openrouter/anthropic/claude-opus-5").provider == "anthropic"
    assert parse_name("gpt-5").provider == ""


@pytest.mark.parametrize(
    "name", ["/", ":", "a" * 5000, "9" * 400 + "b", "0b", "日本語/モデル", "x" + "\n" + "y", "1.2.3.4.5"]
)
def test_any_text_is_a_name(name: str) -> None:
    found = parse_name(name)
    assert isinstance(found, NameParts)
    assert found.size_b is None or 0 < found.size_b < 1e9
    assert found.version is None or 0 <= found.version < 100
