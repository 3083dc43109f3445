"""Finds the model of the model space that a LiteLLM model name means, by the same name or by a known name of a provider.

A name that could also mean another snapshot, a base model or a fine-tuned model is not matched.
"""

import difflib
import re
from collections.abc import Collection

_LLAMA_31, _LLAMA_3 = "meta-llama/Llama-3.1-{}-Instruct", "meta-llama/Meta-Llama-3-{}-Instruct"
_MISTRAL, _MIXTRAL = "mistralai/Mistral-7B-Instruct-v0.3", "mistralai/Mixtral-8x7B-Instruct-v0.1"
_NEMO, _LARGE = "mistralai/Mistral-Nemo-Instruct-2407", "mistralai/Mistral-Large-Instruct-2407"

# provider -> its name of the model -> model of the space. Ollama's tags without an ending are the instruct models. An
# undated name of OpenAI, Anthropic or Google is listed only if it has a single snapshot.
KNOWN: dict[str, dict[str, str]] = {
    "ollama": {
        **{f"llama3.1:{n}": _LLAMA_31.format(n.upper()) for n in ("8b", "70b", "405b")},
        **{f"llama3:{n}": _LLAMA_3.format(n.upper()) for n in ("8b", "70b")},
        **{f"qwen2.5:{n}": f"Qwen/Qwen2.5-{n.upper()}-Instruct" for n in ("3b", "7b", "32b", "72b")},
        **{f"qwen2:{n}": f"Qwen/Qwen2-{n.upper()}-Instruct" for n in ("7b", "72b")},
        **{f"gemma2:{n}": f"google/gemma-2-{n}-it" for n in ("2b", "27b")},
        "llama3.1": _LLAMA_31.format("8B"),
        "llama3": _LLAMA_3.format("8B"),
        "qwen2.5": "Qwen/Qwen2.5-7B-Instruct",
        "qwen2": "Qwen/Qwen2-7B-Instruct",
        "mistral:7b": _MISTRAL,
        "mistral:7b-instruct-v0.3": _MISTRAL,
        "mistral:7b-instruct-v0.2": "mistralai/Mistral-7B-Instruct-v0.2",
        "mixtral:8x7b": _MIXTRAL,
        "mistral-nemo": _NEMO,
        "mistral-nemo:12b": _NEMO,
        "phi3.5": "microsoft/Phi-3.5-mini-instruct",
        "phi3.5:3.8b": "microsoft/Phi-3.5-mini-instruct",
    },
    "groq": {
        "llama-3.1-8b-instant": _LLAMA_31.format("8B"),
        "llama-3.1-70b-versatile": _LLAMA_31.format("70B"),
        "llama3-8b-8192": _LLAMA_3.format("8B"),
        "llama3-70b-8192": _LLAMA_3.format("70B"),
        "mixtral-8x7b-32768": _MIXTRAL,
    },
    "together_ai": {
        **{f"meta-llama/meta-llama-3.1-{n}-instruct-turbo": _LLAMA_31.format(n.upper()) for n in ("8b", "70b", "405b")},
        **{f"qwen/qwen2.5-{n}-instruct-turbo": f"Qwen/Qwen2.5-{n.upper()}-Instruct" for n in ("7b", "72b")},
    },
    "fireworks_ai": {
        **{f"llama-v3p1-{n}-instruct": _LLAMA_31.format(n.upper()) for n in ("8b", "70b", "405b")},
        **{f"llama-v3-{n}-instruct": _LLAMA_3.format(n.upper()) for n in ("8b", "70b")},
        "qwen2p5-72b-instruct": "Qwen/Qwen2.5-72B-Instruct",
        "mixtral-8x7b-instruct": _MIXTRAL,
    },
    "openrouter": {
        "openai/gpt-4o-mini": "openai/gpt-4o-mini-2024-07-18",
        "anthropic/claude-3-haiku": "anthropic/claude-3-haiku-20240307",
        "anthropic/claude-3-opus": "anthropic/claude-3-opus-20240229",
        "anthropic/claude-3.5-haiku": "anthropic/claude-3-5-haiku-20241022",
        "google/gemini-2.0-flash-001": "google/gemini-2.0-flash-001",
        "mistralai/mixtral-8x7b-instruct": _MIXTRAL,
        "mistralai/mistral-nemo": _NEMO,
        "qwen/qwen-2.5-7b-instruct": "Qwen/Qwen2.5-7B-Instruct",
        "qwen/qwen-2.5-72b-instruct": "Qwen/Qwen2.5-72B-Instruct",
        "qwen/qwen-2-72b-instruct": "Qwen/Qwen2-72B-Instruct",
    },
    "bedrock": {
        **{f"meta.llama3-1-{n}-instruct-v1:0": _LLAMA_31.format(n.upper()) for n in ("8b", "70b", "405b")},
        **{f"meta.llama3-{n}-instruct-v1:0": _LLAMA_3.format(n.upper()) for n in ("8b", "70b")},
        "anthropic.claude-3-haiku-20240307-v1:0": "anthropic/claude-3-haiku-20240307",
        "anthropic.claude-3-sonnet-20240229-v1:0": "anthropic/claude-3-sonnet-20240229",
        "anthropic.claude-3-opus-20240229-v1:0": "anthropic/claude-3-opus-20240229",
        "anthropic.claude-3-5-haiku-20241022-v1:0": "anthropic/claude-3-5-haiku-20241022",
        "anthropic.claude-3-5-sonnet-20241022-v2:0": "anthropic/claude-3-5-sonnet-20241022",
        "mistral.mistral-7b-instruct-v0:2": "mistralai/Mistral-7B-Instruct-v0.2",
        "mistral.mixtral-8x7b-instruct-v0:1": _MIXTRAL,
        "mistral.mistral-large-2407-v1:0": _LARGE,
    },
    "mistral": {
        "mistral-large-2407": _LARGE,
        "open-mistral-nemo": _NEMO,
        "open-mistral-nemo-2407": _NEMO,
        "open-mixtral-8x7b": _MIXTRAL,
    },
    "openai": {
        "gpt-4o-mini": "openai/gpt-4o-mini-2024-07-18",
        "gpt-4-turbo": "openai/gpt-4-turbo-2024-04-09",
        "o1-mini": "openai/o1-mini-2024-09-12",
    },
    "gemini": {"gemini-2.0-flash": "google/gemini-2.0-flash-001"},
    "vertex_ai": {
        "claude-3-haiku@20240307": "anthropic/claude-3-haiku-20240307",
        "claude-3-opus@20240229": "anthropic/claude-3-opus-20240229",
        "claude-3-sonnet@20240229": "anthropic/claude-3-sonnet-20240229",
        "claude-3-5-haiku@20241022": "anthropic/claude-3-5-haiku-20241022",
        "claude-3-5-sonnet-v2@20241022": "anthropic/claude-3-5-sonnet-20241022",
        "gemini-2.0-flash": "google/gemini-2.0-flash-001",
    },
    "anthropic": {},
    "xai": {},
}
_MAKERS = {  # provider -> maker of the models that it names without a maker
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex_ai": "google",
    "xai": "x-ai",
    "mistral": "mistralai",
}
_SAME_PROVIDER = {"ollama_chat": "ollama", "vertex_ai_beta": "vertex_ai"}
_QUANTISED = re.compile(r"-(instruct|chat|it)(-(q\d\w*|fp16|bf16))?$")  # Ollama's ending for the same weights
_ROUTES = re.compile(r"^(converse|converse_like|invoke|chat|responses)/")
_REGION = re.compile(r"^(us|eu|apac|au|jp|global|us-gov)\.")
_VARIANT = re.compile(r":(free|nitro|floor|extended|beta)$")


def same_model(model: str, space: Collection[str]) -> str | None:
    """The model of the space that a name certainly means, or None.

    `ollama/llama3.1:8b` means `meta-llama/Llama-3.1-8B-Instruct`.

    Args:
        model: LiteLLM's name, with its provider.
    """
    provider, name = _parts(model)
    if provider == "azure":  # the name is that of a deployment, which the user chooses freely
        return None
    if (found := KNOWN.get(provider, {}).get(name)) is not None:
        return found if found in space else None
    if provider == "ollama" and (ending := _QUANTISED.search(name)):
        return same_model(f"ollama/{name[: ending.start()]}", space)
    names = {name, f"{_MAKERS[provider]}/{name}"} if provider in _MAKERS else {name}
    wanted = {_normal(n) for n in names if "/" in n}
    matches = [candidate for candidate in space if _normal(candidate) in wanted]
    return matches[0] if len(matches) == 1 else None


def resembles(model: str, space: Collection[str]) -> str | None:
    """The model of the space with the most similar name, as a hint for the user; or None."""
    _, name = _parts(model)
    tails = {_normal(candidate.rpartition("/")[2]): candidate for candidate in space}
    close = difflib.get_close_matches(_normal(name.rpartition("/")[2]), list(tails), n=1, cutoff=0.75)
    return tails[close[0]] if close else None


def _parts(model: str) -> tuple[str, str]:
    """Provider and name, without regions, routes and variants, which do not change the model."""
    provider, slash, name = model.partition("/")
    provider, name = (provider, name) if slash else ("openai", model)
    provider, name = _SAME_PROVIDER.get(provider, provider), name.lower()
    if provider == "bedrock":
        name = _REGION.sub("", _ROUTES.sub("", name))
    if provider == "openrouter":
        name = _VARIANT.sub("", name)
    if provider == "fireworks_ai":
        name = name.removeprefix("accounts/fireworks/models/")
    if provider == "ollama":
        name = name.removesuffix(":latest")
    return provider, name


def _normal(name: str) -> str:
    maker, _, rest = name.lower().rpartition("/")
    maker = {"meta": "meta-llama", "mistral": "mistralai", "deepseek": "deepseek-ai"}.get(maker, maker)
    rest = re.sub(r"[ _.:@]", "-", rest)
    rest = rest.removeprefix("meta-") if rest.startswith("meta-llama-3") else rest
    return f"{maker}/{rest}"
