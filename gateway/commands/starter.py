"""The portfolio that `locus init` writes: which models of which providers, with what is known of them.

Knows no files and asks no server.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.commands.ollama_models import OllamaModel
from gateway.config.litellm_table import model_facts
from gateway.config.portfolio_file import FALLBACK_WINDOW
from gateway.config.portfolio_text import portfolio_text
from gateway.config.providers import OLLAMA_ADDRESS
from router.model.model_families import Families

SCHEMA_FILE = "portfolio.schema.json"
SCHEMA_LINE = f"yaml-language-server: $schema={SCHEMA_FILE}"
OLLAMA_FIRST_TOKEN_S = 60  # it loads a model on its first request

# Provider -> environment variable of its API key.
KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
}
USUAL = ("openai", "anthropic", "openrouter")  # where no key and no local model is found


@dataclass(frozen=True, slots=True)
class Hosted:
    """A model of hosted APIs. Its deployments' names say which model of the space it is.

    Attributes:
        name: the name that clients use.
        deployments: provider -> LiteLLM's name of the model there.
        listed_as: the name whose price and abilities LiteLLM's table has; None: that of the first deployment.
    """

    name: str
    deployments: Mapping[str, str]
    listed_as: str | None = None


HOSTED = (
    Hosted("gpt-5.6-sol", {"openai": "openai/gpt-5.6-sol", "openrouter": "openrouter/openai/gpt-5.6-sol"}),
    Hosted("gpt-5.4-mini", {"openai": "openai/gpt-5.4-mini", "openrouter": "openrouter/openai/gpt-5.4-mini"}),
    Hosted(
        "claude-opus-5",
        {"anthropic": "anthropic/claude-opus-5", "openrouter": "openrouter/anthropic/claude-opus-5"},
    ),
    Hosted(
        "claude-haiku-4-5",
        {"anthropic": "anthropic/claude-haiku-4-5", "openrouter": "openrouter/anthropic/claude-haiku-4.5"},
    ),
    Hosted(
        "gemini-3.5-flash",
        {"gemini": "gemini/gemini-3.5-flash", "openrouter": "openrouter/google/gemini-3.5-flash"},
    ),
    Hosted(
        "deepseek-v4-flash",
        {"openrouter": "openrouter/deepseek/deepseek-v4-flash"},
        listed_as="deepseek/deepseek-v4-flash",
    ),
    Hosted(
        "gpt-oss-120b",
        {"openrouter": "openrouter/openai/gpt-oss-120b"},
        listed_as="groq/openai/gpt-oss-120b",
    ),
    Hosted(
        "qwen3.6-27b",
        {"openrouter": "openrouter/qwen/qwen3.6-27b"},
        listed_as="deepinfra/Qwen/Qwen3.6-27B",
    ),
)

Comments = dict[tuple[str | int, ...], Sequence[str]]


def starter_text(providers: Collection[str], local: Sequence[OllamaModel], space: Collection[str], ollama: str) -> str:
    """Returns the text of a portfolio file, with comments.

    Args:
        providers: of `KEYS`; each model of theirs is written, with a deployment at each of them that has it.
        local: models of a local Ollama server.
        space: the models of the shipped model space.
        ollama: the address of the Ollama server.
    """
    comments: Comments = {(): _introduction(providers, local)}
    models: list[dict[str, object]] = []
    for model in HOSTED:
        names = {provider: name for provider, name in model.deployments.items() if provider in providers}
        if names:
            models.append(_hosted_entry(model, names))
    families = Families(tuple(space))
    for local_model in local:
        deployment = _ollama_deployment(local_model, ollama)
        models.append(_ollama_entry(comments, len(models), local_model, deployment, families))
    comments["policies",] = [
        "best: the model that is most probably correct, whatever it costs.",
        "balanced: one US dollar is worth ten certain answers, so 0.01 USD weighs as much as 10 points of probability.",
        "cheap: the cheapest model whose probability of a correct answer is within 0.05 of the best model's.",
        "panel: as best; where models are about equally likely to be right, up to three are asked and their answers compared.",
    ]
    comments["default_policy",] = ["The policy that the model name `auto` means; `auto:cheap` names another one."]
    comments["gateway", "port"] = [
        "Another address than loopback needs gateway keys: keys: [os.environ/LOCUS_KEY]",
    ]
    return portfolio_text(
        {
            "models": models,
            "policies": {
                "best": {"cost_weight": 0},
                "balanced": {"cost_weight": 10},
                "cheap": {"max_loss": 0.05},
                "panel": {"cost_weight": 0, "ensemble": True},
            },
            "default_policy": "balanced" if providers else "best",  # local models cost nothing
            "gateway": {"host": "127.0.0.1", "port": 4000},
        },
        comments,
    )


def _introduction(providers: Collection[str], local: Sequence[OllamaModel]) -> list[str]:
    lines = [SCHEMA_LINE, "", "Written by `locus init`; `locus check` shows what the gateway reads in it."]
    if providers:
        keys = ", ".join(KEYS[provider] for provider in providers)
        lines.append(f"API keys come from the environment: {keys}.")
        lines.append("A deployment whose key is not set is left out.")
        lines.append("Prices are in USD per million tokens. Put in what you pay.")
    if local:
        lines.append("Ollama reads only as many tokens of a prompt as its setting OLLAMA_CONTEXT_LENGTH says.")
    return lines


def _hosted_entry(model: Hosted, names: Mapping[str, str]) -> dict[str, object]:
    entry: dict[str, object] = {"name": model.name, "deployments": [{"model": name} for name in names.values()]}
    return entry | _listed(model.listed_as or next(iter(model.deployments.values())))


def _listed(name: str) -> dict[str, object]:
    """Returns what LiteLLM's table says of a model, as keys of the portfolio; empty if it does not list the model."""
    listed = model_facts(name)
    if listed is None:
        return {}
    counts = {"context_window": listed.context_window, "max_output_tokens": listed.max_output_tokens}
    return {
        **({} if listed.price is None else {"price": listed.price.stated}),
        **{key: count for key, count in counts.items() if count is not None},
        "capabilities": sorted(listed.capabilities),
    }


def _ollama_deployment(model: OllamaModel, address: str) -> dict[str, object]:
    where = {} if address == OLLAMA_ADDRESS else {"api_base": address}
    return {"model": f"ollama/{model.name}", **where, "first_token_timeout": OLLAMA_FIRST_TOKEN_S}


def _ollama_entry(
    comments: Comments, i: int, model: OllamaModel, deployment: dict[str, object], families: Families
) -> dict[str, object]:
    upstream = f"ollama/{model.name}"
    entry: dict[str, object] = {"name": model.name.removesuffix(":latest")}
    found = families.find(upstream)
    if len(found) != 1:
        near = families.similar(upstream, 1)
        advice = f" The name most like it is {near[0]}." if near else ""
        comments["models", i, "name"] = [
            "It is not in the model space: `locus check` shows whose embedding it borrows, and you may state another."
            + advice
        ]
    return entry | {
        "deployments": [deployment],
        "context_window": model.context_window or FALLBACK_WINDOW,
        "capabilities": sorted(model.capabilities),
    }
