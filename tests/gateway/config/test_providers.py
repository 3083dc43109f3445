from dataclasses import replace

import pytest

from gateway.config.providers import OPENAI_COMPATIBLE, THROUGH_LITELLM, Target, is_local, resolve


@pytest.mark.parametrize(
    ("model", "api_base", "target"),
    [
        ("gpt-4o", None, Target("openai", True, "gpt-4o", "https://api.openai.com/v1", "OPENAI_API_KEY", False)),
        ("openai/gpt-4o", None, Target("openai", True, "gpt-4o", "https://api.openai.com/v1", "OPENAI_API_KEY", False)),
        ("openrouter/qwen/qwen-2.5-7b", None, Target("openrouter", True, "qwen/qwen-2.5-7b", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", False, "message")),
        ("openai/m", "http://gpu.internal:8000/v1/", Target("openai", True, "m", "http://gpu.internal:8000/v1", None, False, "vllm")),
        ("openai/m", "http://localhost:8000/v1", Target("openai", True, "m", "http://localhost:8000/v1", None, False, "vllm")),
        ("hosted_vllm/Qwen/Q", "http://gpu:8000/v1", Target("hosted_vllm", True, "Qwen/Q", "http://gpu:8000/v1", None, True, "vllm")),
        ("litellm_proxy/m", "http://proxy:4000", Target("litellm_proxy", True, "m", "http://proxy:4000", "LITELLM_PROXY_API_KEY", False)),
        ("ollama/llama3.1:8b", None, Target("ollama", True, "llama3.1:8b", "http://127.0.0.1:11434/v1", None, True, "message")),
        ("anthropic/claude-x", None, Target("anthropic", False, "anthropic/claude-x", None, "ANTHROPIC_API_KEY", False)),
        ("bedrock/eu.anthropic/x", None, Target("bedrock", False, "bedrock/eu.anthropic/x", None, None, False)),
        ("azure/my", "https://x.azure.com", Target("azure", False, "azure/my", "https://x.azure.com", "AZURE_API_KEY", False)),
        ("mistral/m", None, Target("mistral", True, "m", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", False, "prefix")),
    ],
)  # fmt: skip
def test_where_a_model_name_leads(model: str, api_base: str | None, target: Target) -> None:
    found = resolve(model, api_base)
    assert replace(found, several=False, logprobs=False, apis=frozenset(), native_base=None) == target


@pytest.mark.parametrize(
    ("model", "api_base", "apis", "native_base"),
    [
        ("gpt-4o", None, {"responses"}, "https://api.openai.com/v1"),
        ("openai/gpt-4o", "https://api.openai.com/v1/", {"responses"}, "https://api.openai.com/v1"),
        ("openai/m", "http://gpu:8000/v1", set(), "http://gpu:8000/v1"),
        ("hosted_vllm/m", "http://gpu:8000/v1", {"completions"}, "http://gpu:8000/v1"),
        ("ollama/m", "http://gpu:11434", {"completions"}, "http://gpu:11434/v1"),
        ("anthropic/claude-x", None, {"messages"}, "https://api.anthropic.com/v1"),
        ("anthropic/claude-x", "http://proxy/claude", {"messages"}, "http://proxy/claude/v1"),
        ("anthropic/claude-x", "http://proxy/v1/", {"messages"}, "http://proxy/v1"),
        ("gemini/x", None, set(), None),
    ],
)
def test_what_a_server_speaks_besides_chat_completions(
    model: str, api_base: str | None, apis: set[str], native_base: str | None
) -> None:
    target = resolve(model, api_base)
    assert (set(target.apis), target.native_base) == (apis, native_base)


def test_litellm_appends_the_version_to_anthropics_address_itself() -> None:
    assert resolve("anthropic/claude-x", "http://proxy/v1").api_base == "http://proxy"


@pytest.mark.parametrize(
    ("model", "api_base", "several", "logprobs"),
    [
        ("openai/gpt-4o", None, True, True),
        ("openai/anything", "http://gpu:8000/v1", True, True),
        ("groq/llama", None, False, False),
        ("together_ai/llama", None, True, False),
        ("deepseek/deepseek-chat", None, False, True),
        ("anthropic/claude-x", None, False, False),
        ("vertex_ai/gemini-2.5-flash", None, True, True),
        ("vertex_ai/claude-x", None, False, False),
    ],
)
def test_who_gives_several_choices_and_log_probabilities(
    model: str, api_base: str | None, several: bool, logprobs: bool
) -> None:
    target = resolve(model, api_base)
    assert (target.several, target.logprobs) == (several, logprobs)


@pytest.mark.parametrize(
    "base", ["http://gpu:11434", "http://gpu:11434/", "http://gpu:11434/v1", "http://gpu:11434/v1/"]
)
def test_ollamas_base_may_be_given_with_or_without_v1(base: str) -> None:
    assert resolve("ollama_chat/m", base).api_base == "http://gpu:11434/v1"


@pytest.mark.parametrize(
    ("model", "api_base", "message"),
    [
        ("opnrouter/x", None, "unknown provider 'opnrouter'; did you mean openrouter/?"),
        (
            "openai/x",
            "https://api.openai.com/",
            "the path /v1 is missing; write https://api.openai.com/v1, or leave `api_base` out",
        ),
        ("groq/x", "https://api.groq.com", "write https://api.groq.com/openai/v1"),
        ("vllm/x", None, "unknown provider 'vllm'; did you mean hosted_vllm/?"),
        ("zzzzzz/x", None, "known are .*ai21, .* xai. For any OpenAI-compatible server write openai/x with `api_base`"),
        ("openai/", None, "'openai/' names a provider but no model"),
        ("", None, "'' names a provider but no model"),
        ("hosted_vllm/x", None, "hosted_vllm/ has no address of its own: give `api_base`"),
        ("openai/x", "http://[::1/v1", "the host or the port is not valid"),
        ("claude-sonnet-4-5", None, "write anthropic/claude-sonnet-4-5, or give the `api_base` of its server"),
        ("openai/claude-sonnet-4-5", None, "write anthropic/claude-sonnet-4-5"),
        ("gemini-2.0-flash", None, "write gemini/gemini-2.0-flash"),
        ("mistral-large-latest", None, "write mistral/mistral-large-latest"),
        ("grok-3", None, "write xai/grok-3"),
        ("llama3.1:8b", None, "write ollama/llama3.1:8b"),
        ("anthropic.claude-3-haiku-20240307-v1:0", None, "write bedrock/anthropic.claude-3-haiku-20240307-v1:0"),
        ("litellm_proxy/x", None, "litellm_proxy/ has no address of its own: give `api_base`"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_to_write(model: str, api_base: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(model, api_base)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "o3-mini", "ft:gpt-4o-mini:acme::x", "text-embedding-3-small", "chatgpt-4o"]
)
def test_a_name_without_a_prefix_is_openais(model: str) -> None:
    assert resolve(model, None).provider == "openai"


def test_a_server_of_ones_own_may_serve_any_name() -> None:
    assert resolve("openai/claude-x", "http://10.0.0.1/v1").upstream_model == "claude-x"


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="user or password") as caught:
        resolve("openai/x", "https://user:sk-canary@host/v1")
    assert "sk-canary" not in str(caught.value)


@pytest.mark.parametrize("prefix", sorted(OPENAI_COMPATIBLE))
def test_an_address_of_ones_own_goes_before_the_providers(prefix: str) -> None:
    target = resolve(f"{prefix}/m", "http://10.0.0.1:1/v1")
    assert (target.api_base, target.upstream_model, target.direct) == ("http://10.0.0.1:1/v1", "m", True)


def test_a_provider_has_one_path() -> None:
    assert not OPENAI_COMPATIBLE.keys() & THROUGH_LITELLM.keys()


@pytest.mark.parametrize(
    ("base", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8000", True),
        ("http://10.0.0.1/v1", False),
        ("https://api.openai.com/v1", False),
        ("https://localhost.example.com/v1", False),
        ("https://127.example.com/v1", False),
    ],
)
def test_which_addresses_are_on_this_machine(base: str, local: bool) -> None:
    assert is_local(base) is local
