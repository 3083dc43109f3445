"""The entries in `deployments` of a portfolio file -> `Deployment`, with the defaults of each provider."""

import re
from dataclasses import replace

from gateway.config.addresses import AddressError
from gateway.config.document import Document, is_secret_name, shown
from gateway.config.known_as import known_as
from gateway.config.litellm_table import model_facts
from gateway.config.portfolio import Deployment
from gateway.config.price import FREE, Price
from gateway.config.problems import similar
from gateway.config.providers import ADDRESS_VARIABLES, Prefill, Target, resolve
from gateway.config.references import ENVIRONMENT, References, ResolvedValue
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingDeploymentEntry,
    EmbeddingModelEntry,
    EmbeddingPriceEntry,
    ModelEntry,
    PriceEntry,
)
from gateway.config.secret import Secret
from gateway.config.yaml_reader import Place

# LiteLLM's parameters that configure its call rather than travel in the request body.
LITELLM_PARAMS = re.compile(
    r"(aws|vertex|azure|gcs|watsonx|oci|s3)_\w+|region_name|api_version|organization|project|hf_model_name|"
    r"client_(id|secret)|tenant_id|merge_reasoning_content_in_choices|thinking|temperature|top_p|top_k|max_tokens|"
    r"cache_control_injection_points|reasoning_effort|extra_body"
)
UNKNOWN_ADDRESS = "http://not-set.invalid/v1"  # in place of an address whose environment variable is not set


class Deployments:
    """Reads the deployments of each model."""

    def __init__(self, document: Document, references: References) -> None:
        self._document = document
        self._references = references

    def read(
        self, where: Place, model: ModelEntry | EmbeddingModelEntry, first_token_s: float
    ) -> tuple[Deployment, ...]:
        """The deployments without mistakes in their names.

        Args:
            first_token_s: the default of `first_token_timeout`.
        """
        deployments = []
        for j, entry in enumerate(model.deployments):
            at = (*where, "deployments", j)
            base = None if entry.api_base is None else self._address(at, entry.api_base)
            try:
                target = resolve(entry.model, None if base is None else base.text or UNKNOWN_ADDRESS)
            except AddressError as exc:
                message = str(exc) if base is None or base.variable is None else f"{exc} (in {base.variable})"
                self._document.report((*at, "api_base"), message)
                continue
            except ValueError as exc:
                self._document.report((*at, "model"), str(exc))
                continue
            if not target.chat and isinstance(model, ModelEntry):
                self._document.report((*at, "model"), f"{target.provider}/ has embedding models only")
            missing = self._address_missing(target) if base is None else base.missing
            made = self._deployment(at, f"{model.name}/{j}", model.name, entry, target, missing)
            made = replace(made, known_as=known_as(entry.model, None if base is None else base.text or UNKNOWN_ADDRESS))
            first_token_timeout_s = entry.first_token_timeout or entry.stream_timeout or first_token_s
            price = _price(entry, model, target)
            deployments.append(replace(made, first_token_timeout_s=first_token_timeout_s, price=price))
        return tuple(deployments)

    def _address(self, at: Place, value: str) -> ResolvedValue:
        """The base URL: the text of the file unchanged, or the value of the environment variable."""
        return (
            self._references.resolve((*at, "api_base"), value)
            if value.startswith(ENVIRONMENT)
            else ResolvedValue(value)
        )

    def _address_missing(self, target: Target) -> str | None:
        """The environment variable of the provider's address, if the provider has one and it is not set."""
        variable = ADDRESS_VARIABLES.get(target.provider)
        return None if variable is None else self._references.environment_variable(variable).missing

    def _key(self, at: Place, entry: EmbeddingDeploymentEntry, target: Target) -> tuple[Secret | None, str | None]:
        """The key of a deployment, or the name of the variable that should hold it."""
        if entry.api_key is not None:
            return self._references.key((*at, "api_key"), entry.api_key)
        if target.key_variable is None:
            return None, None
        return self._references.key((*at, "model"), self._references.environment_variable(target.key_variable))

    def _deployment(
        self, at: Place, id_: str, model: str, entry: EmbeddingDeploymentEntry, target: Target, missing: str | None
    ) -> Deployment:
        """
        Args:
            missing: the environment variable of its address, if that variable is not set.
        """
        key, missing_key = self._key(at, entry, target)
        headers, missing_header = self._headers(at, entry, target)
        params, missing_param = self._params(at, entry, target)
        missing = missing or missing_key or missing_header or missing_param
        if entry.apis and target.native_base is None:
            self._document.report(
                (*at, "apis"), f"{target.provider}/ is reached through litellm, by chat completions only"
            )
        if missing is not None:
            self._references.unset(missing, id_)
        return Deployment(
            id=id_,
            model=model,
            path="direct" if target.direct else "litellm",
            upstream_model=target.upstream_model,
            api_base=target.api_base,
            api_key=key,
            headers=headers,
            timeout_s=entry.timeout,
            connect_timeout_s=entry.connect_timeout,
            idle_timeout_s=entry.idle_timeout,
            rpm=entry.rpm,
            tpm=entry.tpm,
            max_parallel_requests=entry.max_parallel_requests,
            weight=entry.weight,
            prefill=_prefill(entry, target),
            several=target.several if entry.several is None else entry.several,
            logprobs=target.logprobs if entry.logprobs is None else entry.logprobs,
            apis=target.apis if entry.apis is None else frozenset(entry.apis),
            native_base=target.native_base,
            health_check_s=entry.health_check_interval,
            params=params,
            missing_key=missing,
            provider=target.provider,
        )

    def _headers(
        self, at: Place, entry: EmbeddingDeploymentEntry, target: Target
    ) -> tuple[dict[str, Secret], str | None]:
        """The headers of every call, and the first environment variable of one that is not set."""
        headers, missing = {}, None
        for name, value in entry.extra_headers.items():
            secret, unset = self._references.header((*at, "extra_headers", name), value)
            missing = missing or unset
            if secret is not None:
                headers[name] = secret
        organization = (entry.model_extra or {}).get("organization")
        if target.direct and isinstance(organization, str):
            secret, unset = self._references.header((*at, "organization"), organization)
            missing = missing or unset
            if secret is not None:
                headers["openai-organization"] = secret
        return headers, missing

    def _params(
        self, at: Place, entry: EmbeddingDeploymentEntry, target: Target
    ) -> tuple[dict[str, object], str | None]:
        """Further parameters for litellm, and the first environment variable of one that is not set."""
        params: dict[str, object] = {}
        missing = None
        for name, value in (entry.model_extra or {}).items():
            where = (*at, name)
            if target.direct and name == "organization" and isinstance(value, str):
                continue  # a header
            if target.direct or not LITELLM_PARAMS.fullmatch(name):
                close = similar(name, [*DeploymentEntry.model_fields, "organization"])
                hint = f"; did you mean {close}?" if close else f" of {target.provider}/"
                self._document.report(where, f"unknown key{hint}")
            elif isinstance(value, str) and (is_secret_name(name) or value.startswith(ENVIRONMENT)):
                secret, unset = self._references.secret(where, value)
                missing = missing or unset
                params |= {} if secret is None else {name: secret}
            elif is_secret_name(name):
                found = shown((name,), value)
                self._document.report(where, f"found {found}; expected os.environ/NAME or another string")
            else:
                self._check_nested(where, value)
                params[name] = value
        return params, missing

    def _check_nested(self, where: Place, value: object) -> None:
        """Reports references inside lists and mappings, because they would be sent unresolved."""
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for part, item in inside:
            if isinstance(item, str) and item.startswith(ENVIRONMENT):
                self._document.report((*where, part), "os.environ/NAME is read as the whole value of a parameter alone")
            self._check_nested((*where, part), item)


def price_of(entry: EmbeddingPriceEntry) -> Price:
    """The price that the file states."""
    tiers = entry.tiers if isinstance(entry, PriceEntry) else ()
    return Price.of(
        entry.model_dump(exclude={"tiers"}), {tier.above: tier.model_dump(exclude={"above"}) for tier in tiers}
    )


def _price(entry: EmbeddingDeploymentEntry, model: ModelEntry | EmbeddingModelEntry, target: Target) -> Price | None:
    """The price that the file states, 0 for a local provider, or that of LiteLLM's table; None if it has none."""
    if (stated := entry.price or model.price) is not None:
        return price_of(stated)
    if target.local:
        return FREE
    facts = model_facts(entry.model)
    return None if facts is None else facts.price


def _prefill(entry: EmbeddingDeploymentEntry, target: Target) -> Prefill:
    form: Prefill = target.prefill
    if not target.direct:
        facts = model_facts(entry.model) if entry.prefill is None else None
        form = "prefix" if entry.prefill or (facts is not None and facts.prefill) else ""
    if entry.prefill is None:
        return form
    return (form or "message") if entry.prefill else ""
