"""Provider prefixes of LiteLLM's model names: who speaks the OpenAI protocol itself, where, and by which key variable."""

import difflib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

# How a server is told to go on from an assistant message at the end: "message": it does so by itself; "prefix": by a
# mark on that message; "vllm": by two fields of the request; "": it does not.
Prefill = Literal["", "message", "prefix", "vllm"]


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is reached.

    Attributes:
        api_base: base URL that `/chat/completions` is appended to; None where the portfolio must give it.
        key_variable: environment variable that holds the key by custom; None for local servers, which need none.
        local: runs on hardware of one's own: no price per token.
        prefill: how it is told to go on from an assistant message at the end.
    """

    api_base: str | None = None
    key_variable: str | None = None
    local: bool = False
    prefill: Prefill = ""


OPENAI_COMPATIBLE = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY", prefill="message"),
    "openrouter": Provider("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", prefill="message"),
    "together_ai": Provider("https://api.together.xyz/v1", "TOGETHERAI_API_KEY", prefill="message"),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY", prefill="prefix"),
    "fireworks_ai": Provider("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY", prefill="message"),
    "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY"),
    "perplexity": Provider("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "deepinfra": Provider("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "cerebras": Provider("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "sambanova": Provider("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "nvidia_nim": Provider("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "moonshot": Provider("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nebius": Provider("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    "novita": Provider("https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    "hyperbolic": Provider("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    "litellm_proxy": Provider(None, "LITELLM_PROXY_API_KEY"),
    "hosted_vllm": Provider(local=True, prefill="vllm"),
    "llamafile": Provider("http://127.0.0.1:8080/v1", local=True, prefill="message"),
    "lm_studio": Provider("http://127.0.0.1:1234/v1", local=True, prefill="message"),
    "ollama": Provider("http://127.0.0.1:11434/v1", local=True, prefill="message"),
    "ollama_chat": Provider("http://127.0.0.1:11434/v1", local=True, prefill="message"),
}
_OLLAMA = ("ollama", "ollama_chat")

# Providers with protocols of their own, reached through litellm; the value is the key variable by custom.
THROUGH_LITELLM: dict[str, str | None] = {
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "vertex_ai": None,
    "vertex_ai_beta": None,
    "azure": "AZURE_API_KEY",
    "azure_ai": "AZURE_AI_API_KEY",
    "bedrock": None,
    "sagemaker": None,
    "sagemaker_chat": None,
    "cohere": "COHERE_API_KEY",
    "cohere_chat": "COHERE_API_KEY",
    "ai21": "AI21_API_KEY",
    "ai21_chat": "AI21_API_KEY",
    "replicate": "REPLICATE_API_KEY",
    "huggingface": "HF_TOKEN",
    "databricks": "DATABRICKS_API_KEY",
    "watsonx": "WATSONX_APIKEY",
    "cloudflare": "CLOUDFLARE_API_KEY",
    "snowflake": "SNOWFLAKE_JWT",
    "predibase": "PREDIBASE_API_KEY",
    "oci": None,
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a LiteLLM model name leads.

    Attributes:
        direct: may its bytes be relayed, or must litellm translate?
        upstream_model: the name that the upstream (direct) or litellm expects.
        prefill: how it is told to go on from an assistant message at the end; of a server that nobody knows a guess.
    """

    provider: str
    direct: bool
    upstream_model: str
    api_base: str | None
    key_variable: str | None
    local: bool
    prefill: Prefill = ""


def resolve(model: str, api_base: str | None) -> Target:
    """The target of a model name such as `groq/llama-3.1-8b-instant`; one without a prefix is OpenAI's.

    Ollama's base may be given with or without `/v1`.

    Raises:
        ValueError: unknown provider, one whose address must be given, or an address with a password in it; the message
            says what to write.
    """
    if api_base is not None and "@" in urlsplit(api_base).netloc:
        raise ValueError("`api_base` has a user or password in it, which would show: give `api_key` or `extra_headers`")
    prefix, slash, rest = model.partition("/")
    if not slash:
        prefix, rest = "openai", model
    if not rest:
        raise ValueError(f"{model!r} names a provider but no model")
    if prefix in OPENAI_COMPATIBLE:
        provider = OPENAI_COMPATIBLE[prefix]
        base = (api_base or provider.api_base or "").rstrip("/")
        if not base:
            raise ValueError(f"{prefix}/ has no address of its own: give `api_base`")
        if prefix in _OLLAMA and not base.endswith("/v1"):
            base += "/v1"
        # A key by custom belongs to the provider's own address; a server of one's own may need none.
        key_variable = provider.key_variable if api_base is None or provider.api_base is None else None
        unknown = (
            prefix == "openai" and api_base is not None
        )  # most servers of one's own are vLLM, or ignore what it needs
        prefill: Prefill = "vllm" if unknown else provider.prefill
        return Target(prefix, True, rest, base, key_variable, provider.local or is_local(base), prefill)
    if prefix in THROUGH_LITELLM:
        return Target(prefix, False, model, api_base, THROUGH_LITELLM[prefix], local=False)
    known = sorted({*OPENAI_COMPATIBLE, *THROUGH_LITELLM})
    close = difflib.get_close_matches(prefix, known, n=3)
    hint = f"did you mean {', '.join(c + '/' for c in close)}?" if close else f"known are {', '.join(known)}."
    raise ValueError(
        f"unknown provider {prefix!r}; {hint} For any OpenAI-compatible server write openai/{rest} with `api_base`"
    )


def is_local(api_base: str) -> bool:
    """Is this address on this machine?"""
    host = urlsplit(api_base).hostname or ""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())
