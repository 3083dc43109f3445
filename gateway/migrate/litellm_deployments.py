"""Turns an entry of LiteLLM's `model_list` into a deployment of a portfolio file."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.config.deployment_reader import LITELLM_PARAMS, UNKNOWN_ADDRESS
from gateway.config.document import is_secret_name
from gateway.config.litellm_table import CAPABILITIES, RATE_KEY, table_entry
from gateway.config.providers import OPENAI_COMPATIBLE, Target, resolve
from gateway.config.references import ENVIRONMENT
from gateway.config.yaml_reader import YamlNode
from gateway.core.json_types import JsonObject
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.lost_settings import DROP_PARAMS, LOST

# Parameters of requests, which a LiteLLM deployment may give defaults for.
_REQUEST = re.compile(
    r"temperature|top_[pk]|max_(completion_)?tokens|(presence|frequency)_penalty|stop|seed|n|reasoning_effort|"
    r"response_format|tools|tool_choice|extra_body|user|logit_bias|thinking"
)
_HARMLESS_HEADERS = frozenset({"http-referer", "x-title", "user-agent", "anthropic-beta", "anthropic-version"})


@dataclass(slots=True)
class ImportedDeployment:
    """A deployment as it will be written, with the facts that LiteLLM's entry states about its model.

    Attributes:
        values: the mapping to write.
        comments: key of `values` -> lines to write above it.
        facts: limits and capability flags by name, each with its node.
        costs: prices in USD per token, by LiteLLM's names.
        health_checks: False if the entry turns its health checks off.
    """

    node: YamlNode
    target: Target
    model: str
    base_model: str | None
    values: JsonObject
    comments: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, tuple[float, YamlNode]] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    health_checks: bool = True


@dataclass(slots=True)
class ImportedModel:
    name: str
    node: YamlNode
    deployments: list[ImportedDeployment] = field(default_factory=list)


class DeploymentImport:
    """Reads deployments from the entries of `model_list`."""

    def __init__(self, values: ImportedValues) -> None:
        self._values = values

    def read(self, entry: YamlNode, params: YamlNode, info: YamlNode, model: str) -> ImportedDeployment | None:
        base = params.get("api_base") or params.get("base_url")
        if (both := params.get("base_url")) is not None and both is not base:
            self._values.report(both, "lost", "api_base counts")
        api_base = None if base is None else self._values.raw_text(base)
        referred = api_base is not None and api_base.startswith(ENVIRONMENT)
        if base is not None and (api_base is None or not (referred or self._is_address(base, api_base))):
            return None
        try:
            target = resolve(model, UNKNOWN_ADDRESS if referred else api_base)
        except ValueError as exc:
            self._values.add_problem(params.get("model") or params, str(exc))
            return None
        values: JsonObject = {"model": model}
        if api_base is not None:
            values["api_base"] = self._values.reference(api_base)
        base_node = info.get("base_model")
        base_model = None if base_node is None else self._values.resolved_text(base_node)
        deployment = ImportedDeployment(entry, target, model, base_model or None, values)
        self._key(params, deployment)
        for name in ("rpm", "tpm", "max_parallel_requests"):
            node, own = params.get(name), entry.get(name)
            if node is not None and own is not None:
                self._values.report(own, "lost", "the one in litellm_params counts")
            limit = node or own
            number = None if limit is None else self._values.number(limit, least=1)
            if number is not None:
                values[name] = int(number)
        self._load_and_time(params, deployment)
        self._headers(params, deployment)
        self._facts(params, info, deployment)
        self._others(params, deployment)
        if listed_mode(model) == "responses" and target.direct:
            self._values.report_entry(
                entry, "look", f"the provider serves {model} under /v1/responses only; here it is asked for chat"
            )
        return deployment

    def _is_address(self, node: YamlNode, api_base: str) -> bool:
        try:
            parts = urlsplit(api_base)
        except ValueError:
            parts = urlsplit("")
        good = parts.scheme in ("http", "https") and bool(parts.netloc) and api_base.isprintable()
        if good and parts.query and not self._values.literals:
            self._values.add_problem(node, "not printed, as its query may hold a key: write to a file with --out")
        if not good:
            self._values.add_problem(
                node, "found another text, expected an address that begins with http:// or https://"
            )
        return good

    def _key(self, params: YamlNode, deployment: ImportedDeployment) -> None:
        node, target = params.get("api_key"), deployment.target
        if node is not None:
            value = self._values.raw_text(node)
            if value:
                deployment.values["api_key"] = self._values.secret(node, value)
                return
        if target.key_variable is not None:
            self._values.variables[target.key_variable] = None
            return
        known = OPENAI_COMPATIBLE.get(target.provider)
        if known is not None and known.key_variable is not None and not target.local:
            message = (
                f"LiteLLM sends {known.key_variable} to this address, this gateway no key: add api_key if it needs one"
            )
            self._look(params.get("api_base") or params, deployment, "api_base", message)

    def _load_and_time(self, params: YamlNode, deployment: ImportedDeployment) -> None:
        values = deployment.values
        for names in (("timeout", "request_timeout"), ("stream_timeout",)):
            for name in names:
                node = params.get(name)
                number = None if node is None else self._values.number(node)
                if node is None or number is None:
                    continue
                if number <= 0:
                    self._values.report(node, "lost", "no equivalent: a timeout is more than 0 here")
                elif names[0] in values:
                    self._values.report(node, "lost", f"{names[0]} counts")
                else:
                    values[names[0]] = number
        node = params.get("weight")
        weight = None if node is None else self._values.number(node)
        if node is not None and weight is not None:
            values["weight"] = weight if weight > 0 else 0.001
            if weight <= 0:
                message = "a weight is more than 0 here: it is asked once in a thousand times, and when others fail"
                self._look(node, deployment, "weight", message)

    def _headers(self, params: YamlNode, deployment: ImportedDeployment) -> None:
        headers: dict[str, str] = {}
        for key in ("headers", "extra_headers"):
            node = params.get(key)
            if node is None:
                continue
            if not isinstance(node.value, dict):
                self._values.wrong_type(node, "a mapping of headers")
                continue
            node.used = True
            for name, item in node.value.items():
                value = self._values.raw_text(item)
                if value and value.isprintable():
                    harmless = name.lower() in _HARMLESS_HEADERS
                    sure = is_secret_name(name) or "cookie" in name.lower()
                    headers[name] = (
                        self._values.reference(value) if harmless else self._values.secret(item, value, sure=sure)
                    )
                elif value is not None:
                    self._values.report(item, "lost", "a header without a printable value")
        if headers:
            deployment.values["extra_headers"] = headers

    def _facts(self, params: YamlNode, info: YamlNode, deployment: ImportedDeployment) -> None:
        """Reads prices, limits and capabilities from `model_info`, and prices also from `litellm_params`, as LiteLLM does."""
        for holder in (info, params):
            for key, node in holder.value.items() if isinstance(holder.value, dict) else ():
                if RATE_KEY.fullmatch(key) is None or node.value is None:
                    continue
                if key in deployment.costs:
                    self._values.report(node, "lost", f"{key} of model_info counts")
                elif (number := self._values.number(node, least=0)) is not None:
                    deployment.costs[key] = number
        for key, name in (
            ("max_input_tokens", "context_window"),
            ("max_output_tokens", "max_output_tokens"),
            ("max_tokens", "max_output_tokens"),
            ("output_vector_size", "dimensions"),
        ):
            node = info.get(key)
            number = None if node is None else self._values.number(node, least=1)
            if node is not None and number is not None:
                self._fact(deployment, name, int(number), node)
        for key in (*CAPABILITIES, "supports_assistant_prefill"):
            node = info.get(key)
            flag = None if node is None else self._values.flag(node)
            if node is None or flag is None:
                continue
            if key in CAPABILITIES:
                self._fact(deployment, key, flag, node)
            else:
                deployment.values["prefill"] = flag
        if (node := info.get("mode")) is not None:
            node.used = True
        node = info.get("disable_background_health_check")
        deployment.health_checks = node is None or self._values.flag(node) is not True

    def _fact(self, deployment: ImportedDeployment, name: str, value: float, node: YamlNode) -> None:
        if name in deployment.facts:
            self._values.report(node, "lost", f"line {deployment.facts[name][1].line} counts")
        else:
            deployment.facts[name] = (value, node)

    def _others(self, params: YamlNode, deployment: ImportedDeployment) -> None:
        """Copies the parameters of LiteLLM's own calls. A deployment that is called directly has no such parameters."""
        for name, node in params.value.items():
            if node.used or node.value is None:
                continue
            if name == "drop_params":
                self._values.report(node, "changed", DROP_PARAMS)
            elif name == "organization" and isinstance(node.value, str) and node.value:
                node.used = True
                deployment.values[name] = self._values.reference(node.value)
            elif deployment.target.direct or not LITELLM_PARAMS.fullmatch(name):
                why = (
                    "no equivalent: clients send it themselves"
                    if _REQUEST.fullmatch(name)
                    else LOST.get(name, "no equivalent")
                )
                self._values.report(node, "lost", why)
            elif is_secret_name(name):
                value = node.plain()
                text = value if isinstance(value, str) else json.dumps(value)
                if text:
                    deployment.values[name] = self._values.secret(node, text)
            elif isinstance(node.value, dict | list) and not self._values.literals:
                self._values.report(node, "look", "not printed, as it may hold secrets: write to a file with --out")
            else:
                value = node.plain()
                deployment.values[name] = self._values.reference(value) if isinstance(value, str) else value

    def _look(self, node: YamlNode, deployment: ImportedDeployment, key: str, message: str) -> None:
        self._values.report(node, "look", message)
        deployment.comments.setdefault(key, []).append(f"LOOK {message}")


def listed_mode(model: str) -> str | None:
    """The mode of a model in LiteLLM's table, such as "chat" or "embedding"; None if the table has none."""
    mode = (table_entry(model) or {}).get("mode")
    return mode if isinstance(mode, str) else None
