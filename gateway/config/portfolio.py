"""The portfolio in force: models, their deployments, policies and settings, as frozen values.

`gateway.config.portfolio_file` checks a file and makes these values of it. No other part of the gateway reads the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gateway.config.access import Access
from gateway.config.drift import DriftEntry
from gateway.config.ensemble import DEFAULT_ENSEMBLES, Ensemble
from gateway.config.feedback import FeedbackEntry
from gateway.config.onboarding import OnboardEntry
from gateway.config.price import FREE, Price
from gateway.config.providers import Prefill
from gateway.config.schema import DEFAULT_POLICY, FIRST_TOKEN_S, DeploymentEntry, Unpriced
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.core.vocabulary import ENCODER, Capability, StandIns
from router.encode.encoder import MAX_TOKENS
from router.model.policy import Policy

_DEFAULTS = DeploymentEntry(model=ENCODER)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server where a model can be called.

    Attributes:
        id: its public name, `<model>/<number>`.
        path: "direct" relays bytes to an OpenAI-compatible server, "litellm" translates, "built_in" is this process.
        upstream_model: the name that the upstream expects (direct) or LiteLLM's full name.
        api_base: direct: the base that `/chat/completions` is appended to.
        headers: headers that every call sends.
        timeout_s: longest wait for a complete answer that is not streamed.
        first_token_timeout_s: longest wait for the first content of a stream.
        idle_timeout_s: longest wait between two events of a stream.
        rpm, tpm: requests and tokens per minute that may be sent; None: unlimited.
        prefill: how a request asks it to continue an assistant message at its end. A guess, until the deployment refuses.
        several: supports `n` (several choices).
        logprobs: gives log probabilities in OpenAI's form.
        apis: API formats that it supports besides chat completions: of "messages", "responses" and "completions".
        native_base: the base that the paths of `apis` are appended to, as `/messages`; `api_base` on the direct path.
        health_check_s: interval of health checks, seconds; None: no health checks.
        params: further LiteLLM parameters, for the litellm path.
        missing_key: an environment variable that the deployment needs and that is not set, so that it cannot be used; or None.
        provider: LiteLLM's prefix; "" if it is not known.
        known_as: LiteLLM's name of the model, by which it is recognised in the model space; "" if it cannot be recognised.
        price: by which its calls are billed; None if it is not known.
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
    params: Mapping[str, object] = field(
        default_factory=dict, repr=False
    )  # nested ones may hold secrets under any name
    missing_key: str | None = None
    known_as: str = ""
    price: Price | None = None
    provider: str = ""


NO_EMBEDDING = "none"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that clients can name. `auto` can choose it if it has an embedding.

    Attributes:
        embedding: a name in the model space, or `NO_EMBEDDING`. None: the deployments' names show it, if the space has the
            model. In a portfolio in force the full name, and None for a model that is used only when a request names it.
        onboard: how the gateway onboards it by itself; None: it does not.
        embedding_by_setting: reasoning setting that a request may ask for -> name in the model space, where it is not
            `embedding`; filled in a portfolio in force.
        embedding_of_deployments: names in the model space of deployments that have an embedding of their own, with the share of
            the model's calls that each gets; `embedding` is that of the others. Filled in a portfolio in force.
        fallbacks: names of the models that stand in for it before others.
        stand_ins: what may answer for it; None: what the gateway's settings say, or `fallbacks` alone.
        price: by which a request is expected to cost; that of a deployment may differ. None if it is not known.
        context_window: most tokens of prompt and answer; of an embedding model, most tokens of one input.
        window_known: False if the context window is a guess.
        capabilities: what the model can do. No request asks for "reasoning"; it makes the default of
            `first_token_timeout` longer.
        dimensions: length of an embedding model's vectors; None if it is not known.
    """

    name: str
    deployments: tuple[Deployment, ...]
    embedding: str | None
    price: Price | None
    context_window: int
    max_output_tokens: int | None = None
    unpriced: Unpriced = "refuse"
    capabilities: frozenset[Capability] = frozenset()
    dimensions: int | None = None
    window_known: bool = True
    embedding_by_setting: Mapping[str, str] = field(default_factory=dict)
    embedding_of_deployments: tuple[tuple[str, float], ...] = ()
    onboard: OnboardEntry | None = None
    fallbacks: tuple[str, ...] = ()
    stand_ins: StandIns | None = None


BUILT_IN = Model(
    name=ENCODER,
    deployments=(Deployment(f"{ENCODER}/0", ENCODER, "built_in", ENCODER, price=FREE, provider="locus"),),
    embedding=None,
    price=FREE,
    context_window=MAX_TOKENS,
)


DEFAULT_POLICIES: Mapping[str, Policy] = {
    "best": Policy("best"),
    "balanced": Policy("balanced", "cost_weight", 10.0),
    "cheap": Policy("cheap", "max_loss", 0.05),
    "panel": Policy("panel"),
}


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The content of a portfolio file.

    Attributes:
        path: the file; None for the simulated portfolio of the demo.
        embedding_models: the models for `/v1/embeddings`. They have no stand-ins: vectors of two models cannot be compared.
        checkpoint: folder of the user's own checkpoint; None: the shipped checkpoint.
        trust_checkpoint: True if files of its encoder may run code.
        spaces: model spaces in addition to the shipped one.
        places: model name -> place of its embedding in the file, for errors that are found when the model space is loaded.
        warnings: texts for the operator.
        simulated: True only for the demo.
        access: the gateway keys and teams.
        feedback: how outcomes of answers refine embeddings; None: they do not.
        drift: how changed models are noticed; None: they are not.
        ensembles: of the policies by which several models may answer one request.
        cache_ttl_s: of the policies that use the cache for answers: how long an answer may be used, seconds.
    """

    path: Path | None
    models: tuple[Model, ...]
    policies: Mapping[str, Policy] = field(default_factory=lambda: DEFAULT_POLICIES)
    ensembles: Mapping[str, Ensemble] = field(default_factory=lambda: DEFAULT_ENSEMBLES)
    default_policy: str = DEFAULT_POLICY
    checkpoint: Path | None = None
    trust_checkpoint: bool = False
    spaces: tuple[Path, ...] = ()
    settings: Settings = field(default_factory=Settings)
    places: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    simulated: bool = False
    embedding_models: tuple[Model, ...] = ()
    access: Access = field(default_factory=Access)
    cache_ttl_s: Mapping[str, float] = field(default_factory=dict)
    feedback: FeedbackEntry | None = None
    drift: DriftEntry | None = None

    @property
    def has_keys(self) -> bool:
        """True if requests from elsewhere can have a key, so that other addresses than loopback may be served."""
        return bool(self.access.keys) or self.settings.run_time_keys

    @property
    def model_names(self) -> frozenset[str]:
        """The names of all models, the built-in one included."""
        return frozenset(model.name for model in (*self.models, *self.embedding_models, BUILT_IN))

    @property
    def without_health_checks(self) -> "Portfolio":
        """The same portfolio for a command, which calls its models and makes no health checks."""
        models, embedding = map(_unchecked, self.models), map(_unchecked, self.embedding_models)
        return replace(self, models=tuple(models), embedding_models=tuple(embedding))


def _unchecked(model: Model) -> Model:
    return replace(model, deployments=tuple(replace(one, health_check_s=None) for one in model.deployments))
