"""The providers: the prefixes of LiteLLM's model names, with protocol, address, key variable and abilities of each."""

import difflib
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gateway.config.addresses import AddressError, check_address, is_loopback

# How a request asks a server to continue an assistant message at its end. "message": the server does so by itself;
# "prefix": by a mark on the message; "vllm": by two fields of the request; "": the server cannot continue it.
Prefill = Literal["", "message", "prefix", "vllm"]


_NONE: frozenset[str] = frozenset()
_COMPLETIONS = frozenset({"completions"})


@dataclass(frozen=True, slots=True)
class Provider:
    """Address, key variable and capabilities of a provider's chat API.

    Attributes:
        api_base: base URL that `/chat/completions` is appended to; None where the portfolio must give it.
        key_variable: environment variable that usually holds the key; None for local servers, which need no key.
        local: runs on the operator's own hardware: no price per token.
        prefill: how a request asks it to continue an assistant message at its end.
        several: supports `n` (several choices).
        logprobs: gives log probabilities in OpenAI's form.
        chat: True if it has chat models; otherwise it has embedding models only.
        apis: further API formats that it supports completely: of "messages", "responses" and "completions".
    """

    api_base: str | None = None
    key_variable: str | None = None
    local: bool = False
    prefill: Prefill = ""
    several: bool = False
    logprobs: bool = False
    apis: frozenset[str] = _NONE
    chat: bool = True


OLLAMA_ADDRESS = "http://127.0.0.1:11434"


def _ollama() -> Provider:
    return Provider(f"{OLLAMA_ADDRESS}/v1", None, True, "message", logprobs=True, apis=_COMPLETIONS)


# The abilities are those of each provider's public documentation; anything that it does not mention is unsupported.
OPENAI_COMPATIBLE = {
    "openai": Provider(
        "https://api.openai.com/v1", "OPENAI_API_KEY", several=True, logprobs=True, apis=frozenset({"responses"})
    ),
    "groq": Provider("https://api.groq.com/openai/v1", "GROQ_API_KEY", prefill="message"),
    "openrouter": Provider(
        "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", prefill="message", logprobs=True, apis=_COMPLETIONS
    ),
    "together_ai": Provider(  # its logprobs are a number, and answered in a form of its own
        "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", prefill="message", several=True, apis=_COMPLETIONS
    ),
    "deepseek": Provider("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", logprobs=True),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY", prefill="prefix", several=True),
    "fireworks_ai": Provider(
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_AI_API_KEY",
        prefill="message",
        several=True,
        logprobs=True,
        apis=_COMPLETIONS,
    ),
    "xai": Provider("https://api.x.ai/v1", "XAI_API_KEY", several=True, logprobs=True),
    "perplexity": Provider("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "deepinfra": Provider("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", several=True, apis=_COMPLETIONS),
    "cerebras": Provider("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", logprobs=True),
    "sambanova": Provider("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "nvidia_nim": Provider("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "moonshot": Provider("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", several=True),
    "nebius": Provider("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY", several=True, logprobs=True),
    "novita": Provider("https://api.novita.ai/v3/openai", "NOVITA_API_KEY", several=True, logprobs=True),
    "hyperbolic": Provider("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", several=True),
    "litellm_proxy": Provider(None, "LITELLM_PROXY_API_KEY", several=True, logprobs=True),
    "hosted_vllm": Provider(local=True, prefill="vllm", several=True, logprobs=True, apis=_COMPLETIONS),
    "llamafile": Provider("http://127.0.0.1:8080/v1", local=True, prefill="message", apis=_COMPLETIONS),
    "lm_studio": Provider("http://127.0.0.1:1234/v1", local=True, prefill="message", apis=_COMPLETIONS),
    "ollama": _ollama(),
    "ollama_chat": _ollama(),
}
_OLLAMA = ("ollama", "ollama_chat")

# Providers with protocols of their own, called through litellm, which must translate `n` and `logprobs` too.
THROUGH_LITELLM = {
    "anthropic": Provider(None, "ANTHROPIC_API_KEY", apis=frozenset({"messages"})),
    "gemini": Provider(None, "GEMINI_API_KEY", several=True, logprobs=True),
    "vertex_ai": Provider(several=True, logprobs=True),
    "vertex_ai_beta": Provider(several=True, logprobs=True),
    "azure": Provider(None, "AZURE_API_KEY", several=True, logprobs=True),
    "azure_ai": Provider(None, "AZURE_AI_API_KEY", several=True, logprobs=True),
    "bedrock": Provider(),
    "sagemaker": Provider(),
    "sagemaker_chat": Provider(several=True, logprobs=True),
    "cohere": Provider(None, "COHERE_API_KEY"),
    "cohere_chat": Provider(None, "COHERE_API_KEY"),
    "ai21": Provider(None, "AI21_API_KEY", several=True),
    "ai21_chat": Provider(None, "AI21_API_KEY", several=True),
    "replicate": Provider(None, "REPLICATE_API_KEY"),
    "huggingface": Provider(None, "HF_TOKEN"),
    "databricks": Provider(None, "DATABRICKS_API_KEY", several=True),
    "watsonx": Provider(None, "WATSONX_APIKEY", several=True, logprobs=True),
    "cloudflare": Provider(None, "CLOUDFLARE_API_KEY"),
    "snowflake": Provider(None, "SNOWFLAKE_JWT"),
    "predibase": Provider(None, "PREDIBASE_API_KEY"),
    "oci": Provider(),
    "voyage": Provider(None, "VOYAGE_API_KEY", chat=False),
    "jina_ai": Provider(None, "JINA_AI_API_KEY", chat=False),
}
_VERTEX = ("vertex_ai", "vertex_ai_beta")
# The environment variable that litellm reads the address from, for providers without an address of their own.
ADDRESS_VARIABLES = {"azure": "AZURE_API_BASE", "azure_ai": "AZURE_AI_API_BASE"}
_ANTHROPIC = "https://api.anthropic.com"


@dataclass(frozen=True, slots=True)
class Target:
    """The server and model that a LiteLLM model name stands for.

    Attributes:
        direct: True if its bytes are relayed unchanged; otherwise litellm translates.
        upstream_model: the name that the upstream (direct) or litellm expects.
        prefill, several, logprobs, apis, chat: as a provider's; of an unknown server a guess.
        native_base: base that the paths of `apis` are appended to, as `/messages`; None where litellm alone knows it.
    """

    provider: str
    direct: bool
    upstream_model: str
    api_base: str | None
    key_variable: str | None
    local: bool
    prefill: Prefill = ""
    several: bool = False
    logprobs: bool = False
    apis: frozenset[str] = _NONE
    native_base: str | None = None
    chat: bool = True


def resolve(model: str, api_base: str | None) -> Target:
    """The target of a model name such as `groq/llama-3.1-8b-instant`; a name without a prefix is a model of OpenAI.

    The base URL of Ollama and Anthropic may be given with or without `/v1`.

    Raises:
        AddressError: no call can reach the address.
        ValueError: the provider is unknown, the model is another provider's, or its address is missing. The messages of
            both errors say what to write.
    """
    prefix, slash, rest = model.partition("/")
    if not slash:
        prefix, rest = "openai", model
    if not rest:
        raise ValueError(f"{model!r} names a provider but no model")
    if api_base is not None:
        check_address(api_base, prefix)
        if prefix in OPENAI_COMPATIBLE and prefix not in _OLLAMA:
            _check_path(api_base, OPENAI_COMPATIBLE[prefix].api_base)
    elif prefix == "openai" and (maker := _maker(rest)) is not None:
        raise ValueError(f"{rest} is no model of OpenAI: write {maker}/{rest}, or give the `api_base` of its server")
    if prefix in OPENAI_COMPATIBLE:
        return _direct_target(prefix, rest, api_base)
    if prefix in THROUGH_LITELLM:
        return _litellm_target(prefix, model, api_base)
    known = sorted({*OPENAI_COMPATIBLE, *THROUGH_LITELLM})
    close = [one for one in known if prefix in one.split("_")] or difflib.get_close_matches(prefix, known, n=3)
    hint = f"did you mean {', '.join(c + '/' for c in close)}?" if close else f"known are {', '.join(known)}."
    raise ValueError(
        f"unknown provider {prefix!r}; {hint} For any OpenAI-compatible server write openai/{rest} with `api_base`"
    )


def _direct_target(prefix: str, model: str, api_base: str | None) -> Target:
    """A server that speaks OpenAI's protocol."""
    provider = OPENAI_COMPATIBLE[prefix]
    base = (api_base or provider.api_base or "").rstrip("/")
    if not base:
        raise ValueError(f"{prefix}/ has no address of its own: give `api_base`")
    if prefix in _OLLAMA and not base.endswith("/v1"):
        base += "/v1"
    # The provider's usual key is only for its own address; another server may need no key.
    key_variable = provider.key_variable if api_base is None or provider.api_base is None else None
    # Most unknown servers are vLLM, or ignore the fields that vLLM needs.
    unknown = prefix == "openai" and api_base is not None and base != provider.api_base
    return Target(
        prefix,
        True,
        model,
        base,
        key_variable,
        provider.local,
        "vllm" if unknown else provider.prefill,
        provider.several,
        provider.logprobs,
        _NONE if unknown else provider.apis,
        base,
    )


def _litellm_target(prefix: str, model: str, api_base: str | None) -> Target:
    """A server whose protocol litellm translates. `model` has its prefix, because litellm expects it."""
    provider = THROUGH_LITELLM[prefix]
    native_base = None
    if prefix == "anthropic":
        api_base = None if api_base is None else api_base.rstrip("/").removesuffix("/v1")
        native_base = f"{api_base or _ANTHROPIC}/v1"
    # Vertex also serves models of other makers, which support less.
    supported = prefix not in _VERTEX or model.removeprefix(f"{prefix}/").startswith("gemini")
    return Target(
        prefix,
        False,
        model,
        api_base,
        provider.key_variable,
        local=False,
        several=provider.several and supported,
        logprobs=provider.logprobs and supported,
        apis=provider.apis,
        native_base=native_base,
        chat=provider.chat,
    )


def _check_path(api_base: str, usual: str | None) -> None:
    """
    Raises:
        AddressError: it is the provider's own host without the path that the provider needs.
    """
    given, known = urlsplit(api_base), urlsplit(usual or "")
    if given.netloc.lower() == known.netloc and not given.path.strip("/") and known.path:
        raise AddressError(f"the path {known.path} is missing; write {usual}, or leave `api_base` out")


# Models that are often named without their provider's prefix. Such a name would be sent to OpenAI.
_OTHERS = {
    r"(us|eu|apac|global)?\.?(anthropic|amazon|meta|cohere|mistral)\..*": "bedrock",
    r"claude-.*": "anthropic",
    r"gemini-.*": "gemini",
    r"(open-)?(mistral|mixtral|codestral|ministral|magistral|devstral|pixtral)-.*": "mistral",
    r"deepseek-.*": "deepseek",
    r"grok-.*": "xai",
    r"command-.*": "cohere",
    r"(kimi|moonshot)-.*": "moonshot",
    r"sonar(-.*)?": "perplexity",
    r"[a-z][\w.-]*:[\w.-]+": "ollama",  # llama3.1:8b; but OpenAI's fine-tuned models are ft:gpt-4o-mini:…
}


def _maker(name: str) -> str | None:
    """The provider of a model that is certainly not a model of OpenAI, or None."""
    if name.startswith("ft:"):
        return None
    return next((maker for pattern, maker in _OTHERS.items() if re.fullmatch(pattern, name)), None)


def is_local(api_base: str) -> bool:
    """Return True if this address is on this machine."""
    return is_loopback(urlsplit(api_base).hostname or "")
