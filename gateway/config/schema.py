"""The mappings of a portfolio file as pydantic models: the keys, their types, defaults and descriptions.

`gateway.config.portfolio_file` checks a file with them. The JSON Schema for editors and docs/configuration.md are made
from them. The section `gateway` is in `gateway.config.settings`.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.config.access import KeyEntry, TeamEntry
from gateway.config.drift import DriftEntry
from gateway.config.ensemble import EnsembleSwitch
from gateway.config.feedback import FeedbackEntry
from gateway.config.field_types import (
    Count,
    Duration,
    FileModel,
    HeaderName,
    Key,
    ModelName,
    Name,
    Number,
    PolicyName,
    Probability,
    Seconds,
)
from gateway.config.onboarding import OnboardEntry
from gateway.config.settings import Settings
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Capability, StandIns
from router.model.policy import BEST_QUALITY, RULES, Policy, Rule

FIRST_TOKEN_S = 10.0  # the default of `first_token_timeout`
REASONING_FIRST_TOKEN_S = 60.0  # its default for models that think before they answer
DEFAULT_POLICY = "balanced"


class EmbeddingPriceEntry(FileModel):
    """USD per million tokens."""

    input: Number = Field(description="Price of input tokens")


_DEPLOYMENT_PRICE = "Price of this deployment. Default: the model's, else LiteLLM's table; 0 for local providers"


class EmbeddingDeploymentEntry(FileModel):
    """A server where the embedding model can be called, in LiteLLM's parameter names."""

    model_config = ConfigDict(extra="allow")

    model: Name = Field(description="LiteLLM's model name, such as openai/gpt-5.4-mini or ollama/gpt-oss:20b")
    api_base: Name | None = Field(
        None, description="Base URL of the server, or os.environ/NAME. Default: the provider's"
    )
    api_key: Key | None = Field(
        None, description="API key, as os.environ/NAME or file:PATH. Default: the provider's usual environment variable"
    )
    timeout: Seconds = Field(
        300.0,
        description="Longest wait for a complete answer, or for the first event of a stream, seconds",
    )
    connect_timeout: Seconds = Field(5.0, description="Longest wait for the connection, seconds")
    stream_timeout: Seconds | None = Field(None, description="LiteLLM's name of first_token_timeout, seconds")
    first_token_timeout: Seconds | None = Field(
        None,
        description="Longest wait for a stream's first content, seconds. Then the next deployment is called too. "
        f"Default: {FIRST_TOKEN_S:g}, or {REASONING_FIRST_TOKEN_S:g} for a model with the capability reasoning",
    )
    idle_timeout: Seconds = Field(
        15.0,
        description="Longest wait for the next event of a stream or the next part of an answer, seconds",
    )
    rpm: Count | None = Field(None, description="Most requests per minute to this deployment. Default: no limit")
    tpm: Count | None = Field(None, description="Most tokens per minute to this deployment. Default: no limit")
    max_parallel_requests: Count | None = Field(
        None, description="Most calls of this deployment at once. Default: no limit"
    )
    weight: Annotated[float, Field(gt=0, le=10**6)] = Field(
        1.0, description="Share of the load, relative to the model's other deployments"
    )
    prefill: bool | None = Field(
        None,
        description="True if the model continues an assistant message at the end of the conversation. Default: by provider, "
        "then by what the deployment answers",
    )
    several: bool | None = Field(
        None, description="True if the deployment supports `n` (several choices). Default: by provider"
    )
    logprobs: bool | None = Field(
        None, description="True if the deployment gives log probabilities in OpenAI's form. Default: by provider"
    )
    apis: list[Literal["messages", "responses", "completions"]] | None = Field(
        None,
        description="API formats of the server besides chat completions. Requests in these formats are sent unchanged. "
        "Default: by provider",
    )
    health_check_interval: Seconds | None = Field(
        None, description="Interval of health checks, seconds; each asks for one token. Default: no health checks"
    )
    extra_headers: dict[HeaderName, Key] = Field(
        {}, description="Headers that every call sends. Values may be os.environ/NAME or file:PATH"
    )
    price: EmbeddingPriceEntry | None = Field(None, description=_DEPLOYMENT_PRICE)


_CACHED_INPUT = "Price of prompt tokens that the provider has in its cache"
_CACHE_WRITE = "Price of prompt tokens that the provider writes into its cache"
_CACHE_WRITE_1H = "Price of those that it writes for the longer time, such as Anthropic's hour"
_REASONING = "Price of answer tokens that are reasoning"
_AUDIO_INPUT = "Price of prompt tokens that are audio"
_AUDIO_OUTPUT = "Price of answer tokens that are audio"


class PriceTierEntry(FileModel):
    """The price of all tokens of a request with a long prompt, USD per million tokens. What is missing is as in the price."""

    above: Count = Field(description="Number of tokens that the prompt exceeds")
    input: Number | None = Field(None, description="Price of prompt tokens")
    output: Number | None = Field(None, description="Price of answer tokens")
    cached_input: Number | None = Field(None, description=_CACHED_INPUT)
    cache_write: Number | None = Field(None, description=_CACHE_WRITE)
    cache_write_1h: Number | None = Field(None, description=_CACHE_WRITE_1H)
    reasoning: Number | None = Field(None, description=_REASONING)
    audio_input: Number | None = Field(None, description=_AUDIO_INPUT)
    audio_output: Number | None = Field(None, description=_AUDIO_OUTPUT)


class PriceEntry(EmbeddingPriceEntry):
    """USD per million tokens."""

    input: Number = Field(description="Price of prompt tokens")
    output: Number = Field(description="Price of answer tokens")
    cached_input: Number | None = Field(None, description=f"{_CACHED_INPUT}. Default: as `input`")
    cache_write: Number | None = Field(None, description=f"{_CACHE_WRITE}. Default: as `input`")
    cache_write_1h: Number | None = Field(None, description=f"{_CACHE_WRITE_1H}. Default: as `cache_write`")
    reasoning: Number | None = Field(None, description=f"{_REASONING}. Default: as `output`")
    audio_input: Number | None = Field(None, description=f"{_AUDIO_INPUT}. Default: as `input`")
    audio_output: Number | None = Field(None, description=f"{_AUDIO_OUTPUT}. Default: as `output`")
    tiers: list[PriceTierEntry] = Field([], description="Prices of requests with long prompts")


class DeploymentEntry(EmbeddingDeploymentEntry):
    """A server where the model can be called, in LiteLLM's parameter names."""

    price: PriceEntry | None = Field(None, description=_DEPLOYMENT_PRICE)


Unpriced = Literal["refuse", "free"]
_UNPRICED = (
    "What happens to requests under a budget while the price of a deployment is not known: refuse: it is not called; free: it "
    "counts as free"
)


class ModelEntry(FileModel):
    """A chat model. Clients can name it, and `auto` can choose it."""

    name: ModelName = Field(description="The name that clients use")
    embedding: Name | None = Field(
        None,
        description="The model's name in the model space, with or without maker and date, or a provider's name of it. `none`: "
        "`auto` never chooses the model. Default: the model of the space that the deployments' names mean, if it is certain; "
        "else the embedding of its nearest relative by name, with larger errors",
    )
    deployments: list[DeploymentEntry] = Field(min_length=1, description="Servers where the model can be called")
    price: PriceEntry | None = Field(
        None,
        description="Price of the model, for deployments without one of their own. Default: LiteLLM's table; 0 for local providers "
        "(ollama/, lm_studio/, llamafile/, hosted_vllm/), not for others behind a local address. `auto` counts a price that is not "
        "known as the highest known one of the portfolio",
    )
    context_window: Count | None = Field(
        None, description="Most tokens of prompt and answer together. Default: LiteLLM's table"
    )
    max_output_tokens: Count | None = Field(None, description="Most tokens of an answer. Default: LiteLLM's table")
    capabilities: list[Capability] | None = Field(None, description="What the model can do. Default: LiteLLM's table")
    unpriced: Unpriced = Field("refuse", description=_UNPRICED)
    onboard: OnboardEntry | None = Field(
        None,
        description="Onboard the model once, if it has no embedding of its own yet; a later change does not ask again. Default: "
        "only by `locus onboard`",
    )
    fallbacks: list[Name] = Field(
        [],
        description="Models that stand in for this one, in this order, and no others. With `stand_ins: nearest` or `best` here, "
        "the others follow in that order",
    )
    stand_ins: StandIns | None = Field(
        None, description="What may answer for this model if a call of it fails. Default: the gateway's `stand_ins`"
    )


class EmbeddingModelEntry(FileModel):
    """An embedding model, for /v1/embeddings. It is used only when a request names it."""

    name: ModelName = Field(description="The name that clients use")
    deployments: list[EmbeddingDeploymentEntry] = Field(
        min_length=1, description="Servers where the model can be called. All must give the same vectors"
    )
    price: EmbeddingPriceEntry | None = Field(
        None,
        description="Price of the model, for deployments without one of their own. Default: LiteLLM's table; 0 for local providers",
    )
    max_input_tokens: Count | None = Field(None, description="Most tokens of one text. Default: LiteLLM's table")
    dimensions: Count | None = Field(None, description="Length of a vector. Default: LiteLLM's table")
    unpriced: Unpriced = Field("refuse", description=_UNPRICED)


class PolicyCacheEntry(FileModel):
    """The cache for answers of a policy."""

    ttl: Duration = Field(description="How long a stored answer may be used: seconds, or a text such as 15m, 1h or 7d")


class PolicyEntry(FileModel):
    """A rule that chooses a model: exactly one of `quality`, `cost_weight`, `max_loss` and `min_p_correct`."""

    quality: Annotated[float, Field(ge=0, le=BEST_QUALITY)] | None = Field(
        None,
        description="From 0 (cheapest) to 10 (best, whatever it costs). P(correct) is weighed against the price, relative to what "
        "the portfolio's models cost",
    )
    cost_weight: Number | None = Field(
        None, description="Probability of a correct answer that is worth one US dollar; 0 ignores cost"
    )
    max_loss: Probability | None = Field(
        None,
        description="The cheapest model is chosen whose P(correct) is at most this much below that of the best model",
    )
    min_p_correct: Probability | None = Field(
        None,
        description="The cheapest model with at least this P(correct) is chosen. If no model reaches it: the cheapest model within "
        "one standard error of the best",
    )
    caution: Number = Field(
        Policy("").caution,
        description="Standard errors that are subtracted from each P(correct) first, so that a model with few evaluations must "
        "be better by more",
    )

    max_predicted_loss: Probability | None = Field(
        None,
        description="A stand-in's P(correct) may be lower than the chosen model's by at most this. Default: no limit",
    )
    cache: PolicyCacheEntry | None = Field(
        None,
        description="Store the answers to requests at temperature 0 or with a seed, and answer equal requests of the same key "
        "with them. Requests that name a model use the default policy's. Default: off",
    )
    ensemble: EnsembleSwitch = Field(
        None,
        description="Ask several models where P(correct) says that this helps, and compare their answers: true, or a mapping. "
        "Default: one model answers",
    )

    @model_validator(mode="after")
    def _check(self) -> "PolicyEntry":
        if len(self._rules()) != 1:
            found = " and ".join(rule for rule, _ in self._rules()) or "none of them"
            expected = "expected exactly one of cost_weight, max_loss, min_p_correct and quality"
            raise PydanticCustomError("policy", "{message}", {"message": f"{expected}, found {found}"})
        return self

    @property
    def rule(self) -> tuple[Rule, float]:
        """The rule and its number."""
        return self._rules()[0]

    def _rules(self) -> list[tuple[Rule, float]]:
        return [(rule, value) for rule in RULES if (value := getattr(self, rule)) is not None]


class PortfolioEntry(FileModel):
    """A Locus Gateway portfolio: the models to choose from."""

    models: list[ModelEntry] = Field(min_length=1, description="The chat models")
    embedding_models: list[EmbeddingModelEntry] = Field([], description="The embedding models, for /v1/embeddings")
    policies: dict[PolicyName, PolicyEntry] | None = Field(
        None, description="Policies by name; clients use auto:<name>. Default: best, balanced, cheap, panel"
    )
    default_policy: Name = Field(DEFAULT_POLICY, description="Name of the policy that `auto` uses")
    checkpoint: Name | None = Field(None, description="Folder made by `locus train`. Default: the shipped checkpoint")
    trust_checkpoint: bool = Field(
        False, description="Load the encoder that the checkpoint names, even if its files may run code"
    )
    spaces: list[Name] = Field([], description="Model spaces made by `locus embed`, in addition to the shipped one")
    keys: list[KeyEntry] = Field([], description="Gateway keys with a name, limits and a team")
    teams: list[TeamEntry] = Field([], description="Teams of gateway keys")
    feedback: FeedbackEntry | None = Field(
        None, description="Refine embeddings by outcomes of answers. Default: outcomes are kept, and change nothing"
    )
    drift: DriftEntry | None = Field(
        None,
        description="Ask probes again and again, to notice that a provider has changed a model. Default: nothing is asked",
    )
    gateway: Settings = Field(Settings(), description="The gateway's own settings")


def json_schema() -> JsonObject:
    """The JSON Schema of a portfolio file, for editors."""
    schema = PortfolioEntry.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
