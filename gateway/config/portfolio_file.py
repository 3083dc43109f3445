"""Reads a portfolio file: YAML with line numbers, checked by pydantic. All problems are reported at once."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from gateway.config.access_reader import read_access
from gateway.config.deployment_reader import Deployments, price_of
from gateway.config.document import MOST_PROBLEMS, Document, PortfolioError
from gateway.config.drift import DriftEntry
from gateway.config.ensemble import DEFAULT_ENSEMBLES, Ensemble
from gateway.config.litellm_table import UNKNOWN, ModelFacts, model_facts
from gateway.config.onboarding import SHIPPED_BANK, OnboardEntry
from gateway.config.portfolio import DEFAULT_POLICIES, Deployment, Model, Portfolio
from gateway.config.price import Price
from gateway.config.problems import problem, repaired, similar
from gateway.config.references import References
from gateway.config.schema import (
    FIRST_TOKEN_S,
    REASONING_FIRST_TOKEN_S,
    EmbeddingModelEntry,
    ModelEntry,
    PortfolioEntry,
)
from gateway.config.settings_reader import check_writable, resolve_settings
from gateway.config.yaml_reader import Place
from router.model.policy import Policy

__all__ = ["PortfolioError", "load_portfolio"]

FALLBACK_WINDOW = 8_192


def load_portfolio(
    path: Path, environment: Mapping[str, str], *, writes: bool = True, text: str | None = None
) -> Portfolio:
    """Reads and checks a portfolio file. Relative paths in it begin at its folder.

    Args:
        environment: the environment variables that `os.environ/NAME` refers to.
        writes: True if it is a problem that the record cannot be written.
        text: read in place of the file.

    Raises:
        PortfolioError: all problems of the file.
    """
    document = Document(path, text)
    if "model_list" in document.value and "models" not in document.value:
        document.report(
            ("model_list",),
            "this is the configuration of a LiteLLM proxy; make a portfolio of it: "
            f"locus import-config litellm {path} --out portfolio.yaml",
        )
        raise document.error()
    try:
        entry = PortfolioEntry.model_validate(document.value)
    except ValidationError as exc:
        errors = exc.errors(include_input=True)
        document.problems += [problem(document, dict(error)) for error in errors[: 2 * MOST_PROBLEMS]]
        rest = repaired(document.value, [error["loc"] for error in errors])
        if rest is not None:
            _Builder(document, rest, environment, writes).build()
        raise document.error() from exc
    portfolio = _Builder(document, entry, environment, writes).build()
    if document.problems:
        raise document.error()
    return portfolio


class _Builder:
    """Turns a checked file into a `Portfolio`, with the environment, the providers and LiteLLM's table."""

    def __init__(self, document: Document, entry: PortfolioEntry, environment: Mapping[str, str], writes: bool) -> None:
        self._document = document
        self._entry = entry
        self._writes = writes
        self._references = References(document, environment)
        self._deployments = Deployments(document, self._references)

    def build(self) -> Portfolio:
        entry = self._entry
        policies = self._policies()
        settings = resolve_settings(
            self._document, self._references, entry.gateway, policies, named_keys=bool(entry.keys)
        )
        if self._writes:
            check_writable(self._document, settings)
        if entry.default_policy not in policies:
            self._document.report(
                ("default_policy",), f"found {entry.default_policy!r}, expected one of {', '.join(policies)}"
            )
        self._check_names()
        self._check_fallbacks()
        self._check_judges()
        return Portfolio(
            path=self._document.path,
            models=tuple(self._model(i, model) for i, model in enumerate(entry.models)),
            embedding_models=tuple(self._embedding_model(i, m) for i, m in enumerate(entry.embedding_models)),
            policies=policies,
            ensembles=self._ensembles(),
            default_policy=entry.default_policy,
            checkpoint=None if entry.checkpoint is None else self._document.file(entry.checkpoint),
            trust_checkpoint=entry.trust_checkpoint,
            spaces=tuple(self._document.file(space) for space in entry.spaces),
            settings=settings,
            places={
                model.name: self._document.locate(("models", i, "embedding")) for i, model in enumerate(entry.models)
            },
            access=read_access(self._document, self._references, entry, settings, policies),
            warnings=self._references.warnings,
            feedback=entry.feedback,
            drift=entry.drift and self._drift(entry.drift),
            cache_ttl_s={
                name: policy.cache.ttl for name, policy in (entry.policies or {}).items() if policy.cache is not None
            },
        )

    def _drift(self, written: DriftEntry) -> DriftEntry:
        """With the address of the webhook, and the path of the bank, which begins at the file's folder."""
        resolved: dict[str, object] = {}
        if written.bank != SHIPPED_BANK:
            resolved["bank"] = str(self._document.file(written.bank))
        if written.webhook is not None:
            where: Place = ("drift", "webhook")
            resolved["webhook"] = webhook = self._references.required(where, written.webhook.reveal())
            if webhook is not None and urlsplit(webhook.reveal()).scheme not in ("http", "https"):
                self._document.report(where, "expected a URL that begins with https:// or http://")
        return written.model_copy(update=resolved)

    def _check_names(self) -> None:
        """Reports names that occur twice. Chat models and embedding models share one set of names."""
        named: list[tuple[Place, str]] = [(("models", i), m.name) for i, m in enumerate(self._entry.models)]
        named += [(("embedding_models", i), m.name) for i, m in enumerate(self._entry.embedding_models)]
        first: dict[str, Place] = {}
        for where, name in named:
            if name in first:
                self._document.report((*where, "name"), f"{name!r} is also {self._document.place(first[name])}")
            first.setdefault(name, where)

    def _check_fallbacks(self) -> None:
        """Reports fallbacks that are no chat model of the file, the model itself, or listed twice."""
        names = [model.name for model in self._entry.models]
        for i, model in enumerate(self._entry.models):
            for j, name in enumerate(model.fallbacks):
                if (wrong := _wrong_fallback(model, j, names)) is not None:
                    self._document.report(("models", i, "fallbacks", j), f"found {name!r}, {wrong}")
            if model.fallbacks and model.stand_ins in ("never", "same_model"):
                self._document.report(
                    ("models", i, "stand_ins"),
                    f"found {model.stand_ins!r}, which allows none of the model's fallbacks: remove one of the two",
                )

    def _check_judges(self) -> None:
        """Reports models that judge answers and are no chat models of the file: of graders, onboarding and ensembles."""
        names = [model.name for model in self._entry.models]
        graders = () if self._entry.feedback is None else self._entry.feedback.graders
        named: list[tuple[Place, str | None]] = [
            (("feedback", "graders", i, "model"), grader.model) for i, grader in enumerate(graders)
        ]
        onboards = [model.onboard for model in self._entry.models]
        named += [(("models", i, "onboard", "judge"), one.judge) for i, one in enumerate(onboards) if one is not None]
        policies = self._entry.policies or {}
        named += [
            (("policies", p, "ensemble", "judge"), one.ensemble.judge) for p, one in policies.items() if one.ensemble
        ]
        for where, name in named:
            if name is not None and name not in names:
                self._document.report(where, f"found {name!r}, {_no_chat_model(name, names)}")

    def _policies(self) -> Mapping[str, Policy]:
        if self._entry.policies is None:
            return DEFAULT_POLICIES
        return {
            name: Policy(name, *policy.rule, caution=policy.caution, max_predicted_loss=policy.max_predicted_loss)
            for name, policy in self._entry.policies.items()
        }

    def _ensembles(self) -> Mapping[str, Ensemble]:
        if self._entry.policies is None:
            return DEFAULT_ENSEMBLES
        return {
            name: policy.ensemble.settings
            for name, policy in self._entry.policies.items()
            if policy.ensemble is not None
        }

    def _model(self, i: int, model: ModelEntry) -> Model:
        where: Place = ("models", i)
        listed = _listed(model, (model.context_window, model.capabilities))
        capabilities = listed.capabilities if model.capabilities is None else frozenset(model.capabilities)
        first_token_s = REASONING_FIRST_TOKEN_S if "reasoning" in capabilities else FIRST_TOKEN_S
        deployments = self._deployments.read(where, model, first_token_s)
        window = model.context_window or listed.context_window
        if window is None:
            self._references.warn(where, f"context_window of {model.name} is not known; {FALLBACK_WINDOW} is assumed")
        return Model(
            name=model.name,
            deployments=deployments,
            embedding=model.embedding,
            price=self._price(where, model, deployments),
            context_window=window or FALLBACK_WINDOW,
            window_known=window is not None,
            max_output_tokens=model.max_output_tokens or listed.max_output_tokens,
            capabilities=capabilities,
            unpriced=model.unpriced,
            fallbacks=tuple(model.fallbacks),
            stand_ins=model.stand_ins,
            onboard=self._onboard(model),
        )

    def _onboard(self, model: ModelEntry) -> OnboardEntry | None:
        """With the path of its bank, which begins at the file's folder."""
        entry = model.onboard
        if entry is None or entry.bank == SHIPPED_BANK:
            return entry
        return entry.model_copy(update={"bank": str(self._document.file(entry.bank))})

    def _embedding_model(self, i: int, model: EmbeddingModelEntry) -> Model:
        where: Place = ("embedding_models", i)
        deployments = self._deployments.read(where, model, FIRST_TOKEN_S)
        listed = _listed(model, (model.max_input_tokens, model.dimensions))
        most = model.max_input_tokens or listed.context_window
        if most is None:
            self._references.warn(where, f"max_input_tokens of {model.name} is not known; {FALLBACK_WINDOW} is assumed")
        return Model(
            name=model.name,
            deployments=deployments,
            embedding=None,
            price=self._price(where, model, deployments),
            context_window=most or FALLBACK_WINDOW,
            dimensions=model.dimensions or listed.dimensions,
            unpriced=model.unpriced,
        )

    def _price(
        self, where: Place, model: ModelEntry | EmbeddingModelEntry, deployments: tuple[Deployment, ...]
    ) -> Price | None:
        """The price of the file, or that of the first deployment that has one. Warns of deployments without a price."""
        if unknown := [deployment.id for deployment in deployments if deployment.price is None]:
            prices = "input: …, output: …" if isinstance(model, ModelEntry) else "input: …"
            self._references.warn(
                where,
                f"the price of {', '.join(unknown)} is not known: its cost is recorded as unknown, and `auto` counts it as the "
                f"highest of the portfolio; add `price: {{{prices}}}`, USD per million tokens",
            )
        if model.price is not None:
            return price_of(model.price)
        return next((deployment.price for deployment in deployments if deployment.price is not None), None)


def _wrong_fallback(model: ModelEntry, j: int, names: list[str]) -> str | None:
    """What is wrong with the model's fallback number `j`; None if nothing is."""
    name = model.fallbacks[j]
    if name == model.name:
        return "the model itself"
    if name in model.fallbacks[:j]:
        return "which is listed already"
    return None if name in names else _no_chat_model(name, names)


def _no_chat_model(name: str, names: list[str]) -> str:
    close = similar(name, names)
    return "which is no chat model of this file" + (f"; did you mean {close}?" if close else "")


def _listed(model: ModelEntry | EmbeddingModelEntry, given: tuple[object, ...]) -> ModelFacts:
    """The facts of the first deployment that LiteLLM's table has; unknown ones if all that is `given` is set.

    The table is then not read, which takes about 40 ms.
    """
    facts = (model_facts(entry.model) for entry in model.deployments) if None in given else ()
    return next((listed for listed in facts if listed is not None), UNKNOWN)
