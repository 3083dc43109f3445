"""The portfolio in force: models, their deployments, policies and settings, as frozen values.

What a file says is checked and turned into these by `gateway.config.portfolio_file`; nothing else in the gateway reads files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gateway.config.providers import Prefill
from gateway.config.schema import DEFAULT_POLICY, FIRST_TOKEN_S, DeploymentEntry
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.core.vocabulary import ENCODER, Capability
from router.encode.encoder import MAX_TOKENS
from router.model.policy import Policy

_DEFAULTS = DeploymentEntry(model=ENCODER)


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
    timeout_s: float = _DEFAULTS.timeout
    connect_timeout_s: float = _DEFAULTS.connect_timeout
    first_token_timeout_s: float = FIRST_TOKEN_S
    idle_timeout_s: float = _DEFAULTS.idle_timeout
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    weight: float = _DEFAULTS.weight
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
        capabilities: what the model can do. No request asks for "reasoning"; it makes the default of
            `first_token_timeout` longer.
        dimensions: of an embedding model's vectors; None where they are not known.
    """

    name: str
    deployments: tuple[Deployment, ...]
    embedding: str | None
    price: Price
    context_window: int
    max_output_tokens: int | None = None
    capabilities: frozenset[Capability] = frozenset()
    dimensions: int | None = None
    window_known: bool = True


BUILT_IN = Model(
    name=ENCODER,
    deployments=(Deployment(f"{ENCODER}/0", ENCODER, "built_in", ENCODER),),
    embedding=None,
    price=Price(0.0, 0.0, 0.0),
    context_window=MAX_TOKENS,
)


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
        places: model name -> where the file names its embedding, for errors that only the model space can raise.
        warnings: for the operator.
        simulated: True for the built-in demo alone.
    """

    path: Path | None
    models: tuple[Model, ...]
    policies: Mapping[str, Policy] = field(default_factory=lambda: DEFAULT_POLICIES)
    default_policy: str = DEFAULT_POLICY
    checkpoint: Path | None = None
    trust_checkpoint: bool = False
    spaces: tuple[Path, ...] = ()
    settings: Settings = field(default_factory=Settings)
    places: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    simulated: bool = False
    embedding_models: tuple[Model, ...] = ()
