"""Provider prefixes of LiteLLM's model names: who speaks the OpenAI protocol itself, where, and by which key variable."""

import difflib
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gateway.config.addresses import AddressError, check_address

# How a server is told to go on from an assistant message at the end: "message": it does so by itself; "prefix": by a
# mark on that message; "vllm": by two fields of the request; "": it does not.
Prefill = Literal["", "message", "prefix", "vllm"]


_NONE: frozenset[str] = frozenset()
_COMPLETIONS = frozenset({"completions"})


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is reached, and what its chat API can do.

    Attributes:
        api_base: base URL that `/chat/completions` is appended to; None where the portfolio must give it.
        key_variable: environment variable that holds the key by custom; None for local servers, which need none.
        local: runs on hardware of one's own: no price per token.
        prefill: how it is told to go on from an assistant message at the end.
        several: gives more than one choice where `n` asks for them.
        logprobs: gives log probabilities in OpenAI's form.
        chat: has chat models; else embedding models only.
        apis: what it speaks besides chat completions, in full: of "messages", "responses" and "completions".
    """

    api_base: str | None = None
    key_variable: str | None = None
    local: bool = False
    prefill: Prefill = ""
    several: bool = False
    logprobs: bool = False
    apis: frozenset[str] = _NONE
    chat: bool = True


def _ollama() -> Provider:
    return Provider("http://127.0.0.1:11434/v1", None, True, "message", logprobs=True, apis=_COMPLETIONS)


# What each can do is what its public documentation says; what that is silent about it cannot.
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

# Providers with protocols of their own, reached through litellm, which must carry `n` and `logprobs` both ways too.
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
# Where litellm looks for the address of those that have none of their own.
ADDRESS_VARIABLES = {"azure": "AZURE_API_BASE", "azure_ai": "AZURE_AI_API_BASE"}
_ANTHROPIC = "https://api.anthropic.com"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a LiteLLM model name leads.

    Attributes:
        direct: whether its bytes may be relayed; else litellm translates.
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
    """The target of a model name such as `groq/llama-3.1-8b-instant`; one without a prefix is OpenAI's.

    Ollama's and Anthropic's base may be given with or without `/v1`.

    Raises:
        AddressError: no call can reach the address.
        ValueError: unknown provider, another provider's model, or one whose address must be given. The messages of both
            say what to write.
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
        provider = OPENAI_COMPATIBLE[prefix]
        base = (api_base or provider.api_base or "").rstrip("/")
        if not base:
            raise ValueError(f"{prefix}/ has no address of its own: give `api_base`")
        if prefix in _OLLAMA and not base.endswith("/v1"):
            base += "/v1"
        # A key by custom belongs to the provider's own address; a server of one's own may need none.
        key_variable = provider.key_variable if api_base is None or provider.api_base is None else None
        # Most servers of one's own are vLLM, or ignore what it needs.
        unknown = prefix == "openai" and api_base is not None and base != provider.api_base
        return Target(
            prefix,
            True,
            rest,
            base,
            key_variable,
            provider.local or is_local(base),
            "vllm" if unknown else provider.prefill,
            provider.several,
            provider.logprobs,
            _NONE if unknown else provider.apis,
            base,
        )
    if prefix in THROUGH_LITELLM:
        provider = THROUGH_LITELLM[prefix]
        native_base = None
        if prefix == "anthropic":
            api_base = None if api_base is None else api_base.rstrip("/").removesuffix("/v1")
            native_base = f"{api_base or _ANTHROPIC}/v1"
        able = prefix not in _VERTEX or rest.startswith("gemini")  # there are models of others there too
        return Target(
            prefix,
            False,
            model,
            api_base,
            provider.key_variable,
            local=False,
            several=provider.several and able,
            logprobs=provider.logprobs and able,
            apis=provider.apis,
            native_base=native_base,
            chat=provider.chat,
        )
    known = sorted({*OPENAI_COMPATIBLE, *THROUGH_LITELLM})
    close = [one for one in known if prefix in one.split("_")] or difflib.get_close_matches(prefix, known, n=3)
    hint = f"did you mean {', '.join(c + '/' for c in close)}?" if close else f"known are {', '.join(known)}."
    raise ValueError(
        f"unknown provider {prefix!r}; {hint} For any OpenAI-compatible server write openai/{rest} with `api_base`"
    )


def _check_path(api_base: str, usual: str | None) -> None:
    """
    Raises:
        AddressError: it is the provider's own host without the path that the provider needs.
    """
    given, known = urlsplit(api_base), urlsplit(usual or "")
    if given.netloc.lower() == known.netloc and not given.path.strip("/") and known.path:
        raise AddressError(f"the path {known.path} is missing; write {usual}, or leave `api_base` out")


# The makers of models that are often named without their provider's prefix, which would lead to OpenAI.
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
    """The provider of a model that is certainly none of OpenAI's."""
    if name.startswith("ft:"):
        return None
    return next((maker for pattern, maker in _OTHERS.items() if re.fullmatch(pattern, name)), None)


def is_local(api_base: str) -> bool:
    """Whether this address is on this machine."""
    host = urlsplit(api_base).hostname or ""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())
