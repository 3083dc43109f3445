"""The keys of a portfolio file as pydantic models: names, types, defaults and what each is for.

`gateway.config.portfolio_file` reads a file by them; the JSON Schema for editors is made from them.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gateway.config.front_ends import FRONT_ENDS
from gateway.config.portfolio import ENCODER
from gateway.core.client_limits import LONGEST_NAME

_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_USUAL_PORTS = {"http": "80", "https": "443"}


BESIDE_RECORD = "beside the record"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def _printable(value: str) -> str:
    if not value.isprintable():  # a line break would end a response header, half a surrogate pair has no bytes at all
        raise PydanticCustomError("printable", "expected printable characters only")
    return value


def _header_name(value: str) -> str:
    """A header's name (RFC 9110, 5.1), but none that says how the body is sent."""
    if _HEADER.fullmatch(value) is None or value.lower() in ("content-length", "transfer-encoding", "connection"):
        raise PydanticCustomError("header", "expected the name of a header, such as X-Api-Version")
    return value


def _origin(value: str) -> str:
    """An origin as browsers write it (RFC 6454, 6.2), since it is compared letter by letter; or `*`."""
    found = _ORIGIN.fullmatch(value)
    if value != "*" and (found is None or found["port"] == _USUAL_PORTS.get(found["scheme"], "")):
        told = "expected `*`, or scheme, host and any unusual port in lower case, such as https://app.example"
        raise PydanticCustomError("origin", "{told}", {"told": told})
    return value


def _free_name(value: str) -> str:
    if value in ("auto", ENCODER) or value.startswith("auto:"):
        raise PydanticCustomError("reserved", "`{name}` is the gateway's own name", {"name": value})
    return value


def _capability(value: str) -> str:
    if value not in CAPABILITIES:
        context = {"found": repr(value), "known": ", ".join(CAPABILITIES)}
        raise PydanticCustomError("capability", "found {found}, expected one of {known}", context)
    return value


Name = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
# White space around a key, such as the line break that ends a block of YAML, is no part of it.
Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_printable)]
PolicyName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Origin = Annotated[str, AfterValidator(_origin)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]  # a year: clocks and loops cannot wait for ever
Count = Annotated[int, Field(ge=1, le=10**12)]
ModelName = Annotated[
    str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_printable), AfterValidator(_free_name)
]
Probability = Annotated[float, Field(ge=0, le=1)]
CAPABILITIES = ("tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output", "reasoning")


class DeploymentEntry(BaseModel):
    """One place where the model can be called, in LiteLLM's parameter names."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)

    model: Name = Field(description="LiteLLM's name, such as openai/gpt-4o-mini or ollama/llama3.1:8b")
    api_base: Name | None = Field(None, description="Base URL, or os.environ/NAME, for any server of your own")
    api_key: Key | None = Field(None, description="os.environ/NAME; by default the provider's usual variable")
    timeout: Seconds = Field(
        300.0,
        description="Longest wait for a whole answer, or for a sign of life of a stream that has not begun, seconds",
    )
    connect_timeout: Seconds = Field(5.0, description="Seconds until the connection is open")
    stream_timeout: Seconds | None = Field(None, description="LiteLLM's name for first_token_timeout")
    first_token_timeout: Seconds | None = Field(
        None,
        description="Seconds until a stream's first content, after which the next deployment is asked too; default 10, "
        "or 60 for a model with the capability reasoning",
    )
    idle_timeout: Seconds = Field(15.0, description="Seconds between events of a stream, or parts of a whole answer")
    rpm: Count | None = Field(None, description="Requests per minute that may be sent here")
    tpm: Count | None = Field(None, description="Tokens per minute that may be sent here")
    max_parallel_requests: Count | None = Field(None, description="Calls under way at once")
    weight: Annotated[float, Field(gt=0, le=10**6)] = Field(
        1.0, description="Share of the load among the model's deployments"
    )
    prefill: bool | None = Field(
        None, description="Does the model go on from an assistant message at the end? Default: by provider, then learnt"
    )
    several: bool | None = Field(None, description="Does it give as many choices as `n` asks for? Default: by provider")
    logprobs: bool | None = Field(
        None, description="Does it give log probabilities in OpenAI's form? Default: by provider"
    )
    apis: list[Literal["messages", "responses", "completions"]] | None = Field(
        None,
        description="What the server speaks besides chat completions: requests in these formats go there as they are. "
        "Default: by provider",
    )
    health_check_interval: Seconds | None = Field(
        None, description="Ask for one token this often, seconds; default: the requests alone show how it is"
    )
    extra_headers: dict[HeaderName, Key] = Field({}, description="Headers of every call; values may be os.environ/NAME")


class PriceEntry(Strict):
    """USD per million tokens."""

    input: Number
    output: Number
    cached_input: Number | None = Field(
        None, description="Of the part of a prompt that the provider has in its cache; default: as `input`"
    )


class ModelEntry(Strict):
    """A model that clients can name and `auto` can choose."""

    name: ModelName = Field(description="The name that clients use")
    embedding: Name | None = Field(
        None,
        description="Which model of the model space it is, with or without maker and date; without it never chosen",
    )
    deployments: list[DeploymentEntry] = Field(min_length=1)
    price: PriceEntry | None = Field(None, description="Default: LiteLLM's table; 0 for local servers")
    context_window: Count | None = Field(None, description="Tokens; default: LiteLLM's table")
    max_output_tokens: Count | None = Field(None, description="Tokens; default: LiteLLM's table")
    capabilities: list[Annotated[str, AfterValidator(_capability)]] | None = Field(
        None,
        description="Default: LiteLLM's table",
        json_schema_extra={"items": {"enum": list(CAPABILITIES)}},
    )


class EmbeddingPriceEntry(Strict):
    """USD per million tokens."""

    input: Number


class EmbeddingModelEntry(Strict):
    """A model that turns texts into vectors, for /v1/embeddings. Only ever served when named."""

    name: ModelName = Field(description="The name that clients use")
    deployments: list[DeploymentEntry] = Field(
        min_length=1, description="All of the same model: their vectors must be the same"
    )
    price: EmbeddingPriceEntry | None = Field(None, description="Default: LiteLLM's table; 0 for local servers")
    max_input_tokens: Count | None = Field(None, description="Tokens of one text; default: LiteLLM's table")
    dimensions: Count | None = Field(None, description="Length of a vector; default: LiteLLM's table")


class PolicyEntry(Strict):
    """Either a cost weight, or the cheapest model above a minimum predicted correctness."""

    cost_weight: Number | None = Field(
        None, description="Probability of a correct answer that one US dollar is worth; 0 ignores cost"
    )
    min_p_correct: Probability | None = Field(None, description="Take the cheapest model that reaches this")
    caution: Number = Field(
        0.0,
        description="Standard errors taken off each predicted correctness first, so that little-known models must be better",
    )

    max_predicted_loss: Probability | None = Field(
        None, description="No stand-in whose predicted correctness is lower than the chosen model's by more than this"
    )

    @model_validator(mode="after")
    def _check(self) -> "PolicyEntry":
        if (self.cost_weight is None) == (self.min_p_correct is None):
            raise PydanticCustomError("policy", "expected exactly one of cost_weight and min_p_correct")
        return self


class HedgingEntry(Strict):
    """A slow first token is not waited for: the stand-in is asked too, and the one that begins first answers."""

    quantile: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.95, description="Of the deployment's usual time to the first token; beyond it the stand-in is asked too"
    )
    budget: Probability = Field(0.05, description="Most requests that may be asked twice, as a share of all")


class UtilityCallsEntry(Strict):
    """Small calls that chat front ends make on their own, for titles and the like, go to a policy of their own."""

    policy: Name = Field("cheap", description="One of the policies")
    front_ends: list[Name] = Field(
        [],
        description="Whose calls are recognised by the prompts that they bring",
        json_schema_extra={"items": {"enum": list(FRONT_ENDS)}},
    )
    patterns: list[Name] = Field(
        [], description="Regular expressions, searched in the system prompt and in the last user turn"
    )


class GatewayEntry(Strict):
    """The gateway's own settings."""

    host: Name = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 4000
    keys: list[Key] = Field([], description="Gateway keys, os.environ/NAME each; without any only loopback is served")
    admin_key: Key | None = Field(
        None,
        description="os.environ/NAME; for /metrics and the details of /health/ready, which without it only loopback gets",
    )
    cors_origins: list[Origin] = Field(
        [], description='Origins of web pages that may use the gateway, such as https://app.example; ["*"]: all pages'
    )
    max_requests: Count = Field(1000, description="Requests under way at once")
    max_queued: Annotated[int, Field(ge=0, le=10**6)] = Field(
        200, description="Requests that may wait for one of those places"
    )
    queue_timeout: Seconds = Field(
        5.0, description="Longest wait for a place, seconds; then 503, or 429 at a deployment"
    )
    shutdown_grace: Seconds = Field(30.0, description="Seconds that a stop waits for requests under way")
    max_body_mb: Annotated[float, Field(gt=0, le=10_000)] = 20.0
    max_memory_mb: Annotated[float, Field(ge=64, le=10**9)] | None = Field(
        None,
        description="Memory for the bodies and answers of all requests under way; beyond it 503. Default: half of what "
        "the machine or container has",
    )
    record: Name | None = Field(
        "locus.db",
        description="SQLite file for one row per request; null records nothing. Default: in the working directory",
    )
    store_prompts: bool = Field(False, description="Keep the messages in the record")
    responses: Name | None = Field(
        BESIDE_RECORD,
        description="SQLite file for the Responses API's `store` and `previous_response_id`; null keeps nothing. "
        "Default: beside `record`, or nothing where that is null",
    )
    response_retention: Seconds = Field(
        86_400.0,
        description="A conversation of the Responses API that was not continued for so long is forgotten, seconds",
    )
    retries: Annotated[int, Field(ge=0, le=3)] = Field(2, description="On one deployment after a 429")
    max_retry_after: Annotated[float, Field(ge=0, le=86_400)] = Field(
        10.0, description="Longest Retry-After to wait for, seconds"
    )
    retry_budget: Probability = Field(
        0.2, description="Most calls beyond the first of each request that may be retries, as a share of all"
    )
    failover_for_named: Literal["stand_ins", "same_model", "never"] = Field(
        "stand_ins",
        description="Where a request names its model and a deployment fails: the other deployments of that model and then "
        "its stand-ins are asked, only the deployments of that model, or no other deployment",
    )
    stream_recovery: Literal["continue", "error"] = Field(
        "continue", description="When a stream breaks after its first content: another model goes on, or an error event"
    )
    keep_alive: Annotated[float, Field(ge=0)] = Field(
        10.0, description="A stream on which nothing was sent for so long gets a comment, seconds; 0: never"
    )
    switch_price: Probability = Field(
        0.05, description="By so much must another model be more probably correct for a conversation to leave its model"
    )
    utility_calls: UtilityCallsEntry | None = Field(None, description="Default: such calls are not recognised")
    hedging: HedgingEntry | None = Field(None, description="Default: off")
    breaker_failures: Count = Field(5, description="Failures in a row that cool a deployment down")
    cool_down: Seconds = Field(5.0, description="First cool-down, seconds; doubles with every failed probe")
    max_cool_down: Seconds = Field(20.0, description="Longest cool-down, seconds")


class PortfolioEntry(Strict):
    """A Locus Gateway portfolio: the models to choose from."""

    models: list[ModelEntry] = Field(min_length=1)
    embedding_models: list[EmbeddingModelEntry] = Field([], description="What /v1/embeddings serves")
    policies: dict[PolicyName, PolicyEntry] | None = Field(None, description="Default: best, balanced, cheap")
    default_policy: Name = Field("balanced", description="What `auto` means")
    checkpoint: Name | None = Field(None, description="Folder made by `locus train`; default: the shipped one")
    trust_checkpoint: bool = Field(
        False, description="Load the encoder that the checkpoint names, even if its files may run code"
    )
    spaces: list[Name] = Field([], description="Model spaces made by `locus embed`, over the shipped one")
    gateway: GatewayEntry = GatewayEntry()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    schema = PortfolioEntry.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
