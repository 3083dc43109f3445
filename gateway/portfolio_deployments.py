"""The deployments of a model of a portfolio file -> `Deployment`, by what is known of their providers."""

import difflib
import re
from typing import Any

from gateway.portfolio import Deployment, Secret
from gateway.portfolio_document import Document, Place, is_secret_name, shown
from gateway.portfolio_schema import DeploymentEntry, EmbeddingModelEntry, ModelEntry
from gateway.portfolio_values import ENVIRONMENT, Values
from gateway.prices import look_up
from gateway.providers import Prefill, Target, resolve

# LiteLLM's parameters that configure its call rather than travel in the request body.
LITELLM_PARAMS = re.compile(
    r"(aws|vertex|azure|gcs|watsonx|oci|s3)_\w+|region_name|api_version|organization|project|hf_model_name|"
    r"client_(id|secret)|tenant_id|merge_reasoning_content_in_choices|thinking|temperature|top_p|top_k|max_tokens|"
    r"cache_control_injection_points|reasoning_effort|extra_body"
)


class Deployments:
    """Reads the deployments of each model."""

    def __init__(self, document: Document, values: Values) -> None:
        self._document = document
        self._values = values

    def read(self, where: Place, model: ModelEntry | EmbeddingModelEntry) -> tuple[tuple[Deployment, ...], bool]:
        """Those that can be made out; and does one of them run on hardware of one's own?"""
        deployments, local = [], False
        for j, entry in enumerate(model.deployments):
            at = (*where, "deployments", j)
            try:
                target = resolve(entry.model, entry.api_base)
            except ValueError as exc:
                self._document.report((*at, "model"), str(exc))
                continue
            if not target.chat and isinstance(model, ModelEntry):
                self._document.report((*at, "model"), f"{target.provider}/ has embedding models only")
            deployments.append(self._deployment(at, f"{model.name}/{j}", model.name, entry, target))
            local = local or target.local
        return tuple(deployments), local

    def _deployment(self, at: Place, id_: str, model: str, entry: DeploymentEntry, target: Target) -> Deployment:
        key, missing = (None, None) if entry.api_key is None else self._values.secret((*at, "api_key"), entry.api_key)
        if entry.api_key is None and target.key_variable is not None:
            value = self._values.environment.get(target.key_variable)
            key, missing = (None, target.key_variable) if not value else (Secret(value), None)
        headers = {}
        for name, value in entry.extra_headers.items():
            secret, unset = self._values.secret((*at, "extra_headers", name), value)
            missing = missing or unset
            if secret is not None:
                headers[name] = secret
        params: dict[str, Any] = {}
        for name, value in (entry.model_extra or {}).items():
            if target.direct and name == "organization" and isinstance(value, str):
                secret, unset = self._values.secret((*at, name), value)
                missing = missing or unset
                headers |= {} if secret is None else {"openai-organization": secret}
            elif target.direct or not LITELLM_PARAMS.fullmatch(name):
                known = [*DeploymentEntry.model_fields, "organization"]
                close = difflib.get_close_matches(name, known, n=1)
                self._document.report(
                    (*at, name), "unknown key" + (f"; did you mean {close[0]}?" if close else f" of {target.provider}/")
                )
            elif isinstance(value, str) and (is_secret_name(name) or value.startswith(ENVIRONMENT)):
                secret, unset = self._values.secret((*at, name), value)
                missing = missing or unset
                params |= {} if secret is None else {name: secret}
            elif is_secret_name(name):
                self._document.report(
                    (*at, name), f"found {shown((name,), value)}; expected os.environ/NAME or another string"
                )
            else:
                params[name] = value
        if entry.apis and target.native_base is None:
            self._document.report(
                (*at, "apis"), f"{target.provider}/ is reached through litellm, by chat completions only"
            )
        if missing is not None:
            self._values.unset(missing, id_)
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
            first_token_timeout_s=entry.first_token_timeout or entry.stream_timeout or 10.0,
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
        )


def _prefill(entry: DeploymentEntry, target: Target) -> Prefill:
    form: Prefill = target.prefill
    if not target.direct:
        listed = look_up(entry.model) if entry.prefill is None else None
        form = "prefix" if entry.prefill or (listed is not None and listed.prefill) else ""
    if entry.prefill is None:
        return form
    return (form or "message") if entry.prefill else ""
