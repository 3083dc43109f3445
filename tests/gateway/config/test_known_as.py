"""The names by which deployments are recognised, and what LiteLLM's own names mean in the model space."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from gateway.config.known_as import known_as
from gateway.config.litellm_table import all_models
from router.model.model_families import Families
from router.model.name_tables import FREE_NAMES, PROVIDERS

NAMES = Path(__file__).parents[2] / "router/model/space_names.txt"
FAMILIES = Families(NAMES.read_text().splitlines())


@pytest.mark.parametrize(
    ("model", "api_base", "name"),
    [
        ("gpt-4o", None, "gpt-4o"),
        ("openai/gpt-4o", "https://api.openai.com/v1", "openai/gpt-4o"),
        ("openai/gpt-4o", "http://127.0.0.1:8000/v1", "custom/gpt-4o"),
        ("gpt-4o", "http://127.0.0.1:8000/v1", "custom/gpt-4o"),
        ("openai/Qwen/Qwen3-8B", "http://127.0.0.1:8000/v1", "custom/Qwen/Qwen3-8B"),
        ("hosted_vllm/Qwen/Qwen3-8B", "http://127.0.0.1:8000/v1", "hosted_vllm/Qwen/Qwen3-8B"),
    ],
)
def test_an_openai_compatible_server_is_not_openai(model: str, api_base: str | None, name: str) -> None:
    assert known_as(model, api_base) == name


_KINDS = """
    air audio base chat code coder codex exp fable flash fp8 haiku high instruct large lite low luna max medium mini multi nano
    omni opus plus preview pro search small sol sonnet speciale terminus terra thinking turbo ultra vision vl
    """.split()  # noqa: SIM905
_LEFT_OUT = {"chat", "exp", "fp8", "instruct", "large", "high", "low", "turbo", "vision", "code"}


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+|\d+", name.lower()))


def test_what_tells_models_apart_is_in_the_names_of_both() -> None:
    """Over all chat models in LiteLLM's table. The list itself was read by eye; this holds later tables to the same rule."""
    chat = [name for name, entry in all_models().items() if entry.get("mode") in ("chat", "responses", "completion")]
    matches = {name: families[0] for name in chat if len(families := FAMILIES.find(name)) == 1}
    unlike = defaultdict(list)
    for name, family in matches.items():
        text = name.rpartition("/")[2].replace("non-reasoning", "no-thinking")
        text = text if text.startswith("Phi-") else re.sub(r"-(reasoning|think)$", "-thinking", text)
        ours = family.stated.rpartition("/")[2]
        for kind in set(_KINDS) - _LEFT_OUT:
            if (kind in _words(text)) != (kind in _words(ours)):
                unlike[f"{text} | {ours}"].append(kind)
        sizes = [set(re.findall(r"(?<![\da-z.])\d+(?:[.p]\d+)?(?=b(?![a-z]))", part.lower())) for part in (text, ours)]
        if sizes[0] and sizes[1] and not {size.replace("p", ".") for size in sizes[0]} & sizes[1]:
            unlike[f"{text} | {ours}"].append("size")
    assert dict(unlike) == {}
    assert len(matches) > len(chat) / 2


def test_every_prefix_of_litellms_chat_models_is_a_known_provider() -> None:
    chat = [name for name, entry in all_models().items() if entry.get("mode") in ("chat", "responses")]
    prefixes = {name.partition("/")[0] for name in chat if "/" in name}
    # `meta` is a maker too; the others serve no language models of other makers
    assert prefixes - PROVIDERS - FREE_NAMES <= {"fal_ai", "meta", "microsoft_365_copilot", "scaledown"}
