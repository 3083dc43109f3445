"""The portfolio in force: models, their deployments, policies and settings, as frozen values.

What a file says is checked and turned into these by `gateway.config.portfolio_file`; nothing else in the gateway reads files.
"""

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gateway.config.providers import Prefill
from router.encode.encoder import MAX_TOKENS
from router.model.policy import Policy

# What may answer a request that names a model where a deployment fails: all deployments of that model and its stand-ins, the
# deployments of that model, or no other deployment.
FailoverForNamed = Literal["stand_ins", "same_model", "never"]
ENCODER = "locus-encoder"  # the built-in embedding model: the encoder of queries, which every gateway has


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a deployment cools down.

    Attributes:
        failures: failures in a row that open the breaker.
        cool_down_s: first cool-down, seconds; doubles with every failed probe.
        max_cool_down_s: longest cool-down, seconds.
    """

    failures: int = 5
    cool_down_s: float = 5.0
    max_cool_down_s: float = 20.0


@dataclass(frozen=True, slots=True)
class UtilityCalls:
    """Which requests are utility calls.

    Attributes:
        policy: name of the policy that they go to.
        patterns: searched in the system prompt and in the last user turn.
    """

    policy: str
    patterns: tuple[re.Pattern[str], ...]


class Secret:
    """A value that never shows: `str`, `repr` and formatting give `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends or compares it."""
        return self._value

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens; `cached` is what the part of a prompt costs that the provider still has in its cache."""

    usd_per_mtok_in: float
    usd_per_mtok_out: float
    usd_per_mtok_cached: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where a model can be called.

    Attributes:
        id: public: `<model>/<number>`.
        path: "direct" relays bytes to an OpenAI-compatible server, "litellm" translates, "built_in" is this process itself.
        upstream_model: the name that the upstream expects (direct) or LiteLLM's full name.
        api_base: direct: the base that `/chat/completions` is appended to.
        headers: sent with every call.
        timeout_s: for a whole answer that is not streamed.
        first_token_timeout_s, idle_timeout_s: of a stream: until the first content, and between events.
        rpm, tpm: requests and tokens per minute that may be sent; None: unlimited.
        prefill: how it is told to go on from an assistant message at the end, as believed until it refuses.
        several: gives more than one choice where `n` asks for them.
        logprobs: gives log probabilities in OpenAI's form.
        apis: what it speaks besides chat completions: of "messages", "responses" and "completions".
        native_base: the base that the paths of `apis` are appended to, as `/messages`; `api_base` on the direct path.
        health_check_s: asked for one token this often, seconds; None: never.
        params: further LiteLLM parameters, for the litellm path.
        missing_key: the environment variable that should hold a key and is not set: the deployment cannot be used.
    """

    id: str
    model: str
    path: Literal["direct", "litellm", "built_in"]
    upstream_model: str
    api_base: str | None = None
    api_key: Secret | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    timeout_s: float = 300.0
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 10.0
    idle_timeout_s: float = 15.0
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    weight: float = 1.0
    prefill: Prefill = ""
    several: bool = True
    logprobs: bool = True
    apis: frozenset[str] = frozenset()
    native_base: str | None = None
    health_check_s: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # nested ones may hold secrets under any name
    missing_key: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model that clients can name, and that `auto` can choose where it has an embedding.

    Attributes:
        embedding: its name in the model space; None: only served when named.
        context_window: tokens; of an embedding model, those of each input.
        window_known: False where the context window is only assumed.
        capabilities: subset of {"tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output",
            "reasoning"}; the last one is only shown.
        dimensions: of an embedding model's vectors; None where they are not known.
    """

    name: str
    deployments: tuple[Deployment, ...]
    embedding: str | None
    price: Price
    context_window: int
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    dimensions: int | None = None
    window_known: bool = True


BUILT_IN = Model(
    name=ENCODER,
    deployments=(Deployment(f"{ENCODER}/0", ENCODER, "built_in", ENCODER),),
    embedding=None,
    price=Price(0.0, 0.0, 0.0),
    context_window=MAX_TOKENS,
)


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Retries on one deployment.

    Attributes:
        retries: at most so many after a 429; after a server error at most one.
        max_retry_after_s: a longer Retry-After is not waited for.
        budget: retries of all requests together, as a share of their first calls.
    """

    retries: int = 2
    max_retry_after_s: float = 10.0
    budget: float = 0.2


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """When a stand-in is asked beside a model that takes unusually long to begin.

    Attributes:
        quantile: of the deployment's usual time to the first token.
        budget: requests that may be asked twice, as a share of all.
    """

    quantile: float = 0.95
    budget: float = 0.05


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What the gateway takes on at once.

    Attributes:
        max_requests: requests under way.
        max_queued: requests that wait for a place, of the gateway or of a deployment.
        queue_s: longest wait, seconds.
        max_memory_bytes: for the bodies and answers of all requests under way; None: half of the memory that there is.
    """

    max_requests: int = 1000
    max_queued: int = 200
    queue_s: float = 5.0
    max_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The gateway's own settings.

    Attributes:
        keys: gateway keys; empty: no key needed, and only loopback is served.
        record: SQLite file; None records nothing.
        store_prompts: keep the messages in the record.
        responses: SQLite file for what `previous_response_id` goes on with; None keeps nothing.
        response_retention_s: a conversation that was not continued for so long is forgotten.
        cors_origins: of web pages that may use the gateway in a browser; `*` is all of them.
        admin_key: for what only the operator shall see; None: only loopback sees it.
        shutdown_grace_s: how long a stop waits for requests under way.
        keep_alive_s: a stream on which nothing was sent for so long gets a comment; 0: never.
        switch_price: by so much must another model be more probably correct for a conversation to leave its model.
        utility_calls: which requests go to a policy of their own; None: such calls are not recognised.
        failover_for_named: what may answer in place of a model that a request names.
        stream_recovery: whether another model continues a stream that broke after its first content.
    """

    host: str = "127.0.0.1"
    port: int = 4000
    keys: tuple[Secret, ...] = ()
    max_body_bytes: int = 20 << 20
    record: Path | None = Path("locus.db")
    store_prompts: bool = False
    responses: Path | None = None
    response_retention_s: float = 86_400.0
    cors_origins: tuple[str, ...] = ()
    admin_key: Secret | None = None
    shutdown_grace_s: float = 30.0
    stream_recovery: Literal["continue", "error"] = "continue"
    keep_alive_s: float = 10.0
    failover_for_named: FailoverForNamed = "stand_ins"
    switch_price: float = 0.05
    utility_calls: UtilityCalls | None = None
    load: LoadSettings = field(default_factory=LoadSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)
    hedging: HedgeSettings | None = None
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


DEFAULT_POLICIES: Mapping[str, Policy] = {
    "best": Policy("best"),
    "balanced": Policy("balanced", cost_weight=10.0),
    "cheap": Policy("cheap", rule="cheapest", min_p_correct=0.6),
}


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Everything that a portfolio file says.

    Attributes:
        path: where it came from; None for the built-in simulated one.
        embedding_models: serve `/v1/embeddings`, each under its own name only: vectors of two models cannot be compared.
        checkpoint: folder of a checkpoint of one's own; None: the shipped one.
        trust_checkpoint: whether its encoder may be one whose files may run code.
        spaces: model spaces, over the shipped one.
        stated: the settings of the gateway that the file states, also as empty ones.
        places: model name -> where the file names its embedding, for errors that only the model space can raise.
        warnings: for the operator.
        simulated: True for the built-in demo alone.
    """

    path: Path | None
    models: tuple[Model, ...]
    policies: Mapping[str, Policy] = field(default_factory=lambda: DEFAULT_POLICIES)
    default_policy: str = "balanced"
    checkpoint: Path | None = None
    trust_checkpoint: bool = False
    spaces: tuple[Path, ...] = ()
    settings: Settings = field(default_factory=Settings)
    stated: frozenset[str] = frozenset()
    places: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    simulated: bool = False
    embedding_models: tuple[Model, ...] = ()
