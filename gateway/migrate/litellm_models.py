"""`model_list` of a LiteLLM proxy configuration -> models with deployments in our own file's terms."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gateway.config.deployment_reader import LITELLM_PARAMS, UNKNOWN_ADDRESS
from gateway.config.document import is_secret_name
from gateway.config.lined_yaml import Node
from gateway.config.litellm_table import CAPABILITIES
from gateway.config.litellm_table import entry as listed_entry
from gateway.config.portfolio import ENCODER
from gateway.config.providers import OPENAI_COMPATIBLE, THROUGH_LITELLM, Target, resolve
from gateway.config.references import ENVIRONMENT
from gateway.migrate.import_values import Values

_RECORD = "no callbacks: requests are recorded (`locus log`) and counted at /metrics"
_BUDGET = "no budgets and no spend limits"
_NO_CACHE = "answers are not cached"

# What to say of a key, by its name.
LOST = {
    "allowed_fails_policy": "no equivalent: which faults count is fixed, see docs/failover.md",
    "retry_policy": "no equivalent: which faults are retried is fixed, see docs/failover.md",
    "model_group_retry_policy": "no equivalent: which faults are retried is fixed, see docs/failover.md",
    "retry_after": "no equivalent: a provider's Retry-After is waited for, up to gateway.max_retry_after",
    "disable_cooldowns": "no equivalent: a deployment that keeps failing always cools down",
    "enable_pre_call_checks": "no setting: a request goes only where its tokens and needs fit",
    "database_url": "no database: keys, teams, budgets and models that LiteLLM keeps there are not in this file",
    "store_model_in_db": "models that were added in LiteLLM's UI are in its database, not in this file: add them by hand",
    "callbacks": _RECORD,
    "success_callback": _RECORD,
    "failure_callback": _RECORD,
    "service_callbacks": _RECORD,
    "service_callback": _RECORD,
    "alerting": "no alerts: watch /metrics",
    "cache": _NO_CACHE,
    "cache_params": _NO_CACHE,
    "cache_responses": _NO_CACHE,
    "max_budget": _BUDGET,
    "budget_duration": _BUDGET,
    "redis_host": "no Redis: each gateway counts for itself",
    "redis_port": "no Redis: each gateway counts for itself",
    "redis_password": "no Redis: each gateway counts for itself",
    "redis_url": "no Redis: each gateway counts for itself",
    "set_verbose": "no equivalent: the log has one level and no prompts",
    "json_logs": "no equivalent: the log is plain text",
    "turn_off_message_logging": "no setting: messages are kept only with gateway.store_prompts",
    "id": "no equivalent: deployments are called <model>/<number>",
    "order": "no equivalent: deployments share the load by `weight`, none waits for another to fail",
    "max_retries": "no retries per deployment: `gateway.retries` counts for all",
    "num_retries": "no retries per deployment: `gateway.retries` counts for all",
    "guardrails": "no guardrails",
    "mcp_servers": "no MCP servers",
    "pass_through_endpoints": "no pass-through endpoints",
    "access_groups": "no access groups: every gateway key may use every model",
    "team_id": "no teams: every gateway key may use every model",
}
DROP_PARAMS = (
    "no setting: what a provider behind litellm lacks is always left out; others get every parameter untouched"
)
_MODES = ("chat", "responses", "embedding")
_OPENAI_LIKE = frozenset({"custom_openai", "openai_like"})

# Defaults of requests, which LiteLLM lets a deployment have.
_REQUEST = re.compile(
    r"temperature|top_[pk]|max_(completion_)?tokens|(presence|frequency)_penalty|stop|seed|n|reasoning_effort|"
    r"response_format|tools|tool_choice|extra_body|user|logit_bias|thinking"
)
_HARMLESS_HEADERS = frozenset({"http-referer", "x-title", "user-agent", "anthropic-beta", "anthropic-version"})


@dataclass(slots=True)
class Deployment:
    """A deployment as it will be written, and what LiteLLM says of the model behind it."""

    node: Node
    target: Target
    model: str
    base_model: str | None
    values: dict[str, Any]
    comments: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, tuple[Any, Node]] = field(default_factory=dict)
    health_checks: bool = True


@dataclass(slots=True)
class Model:
    name: str
    node: Node
    deployments: list[Deployment] = field(default_factory=list)


class ModelList:
    """Reads the entries one by one.

    Attributes:
        models: that chat, by name, in order.
        embedding_models: likewise.
        notes: what the reader of the new file should know of what is not in it.
    """

    def __init__(self, values: Values, root: Node) -> None:
        self._values = values
        self._root = root
        self._unread: dict[str, Node] = {}
        self.models: dict[str, Model] = {}
        self.embedding_models: dict[str, Model] = {}
        self.notes: list[str] = []

    def read(self, entries: Node) -> None:
        credentials = self._credentials()
        for entry in entries.value:
            self._entry(entry, credentials)

    def _credentials(self) -> dict[str, Node]:
        """`credential_list`: name -> values, which deployments refer to."""
        found: dict[str, Node] = {}
        listed = self._root.get("credential_list")
        if listed is not None and not isinstance(listed.value, list):
            self._values.wrong(listed, "a list of credentials")
            return found
        for item in listed.value if listed is not None else []:
            name, values = item.get("credential_name"), item.get("credential_values")
            if name is None or values is None or not isinstance(name.value, str) or not isinstance(values.value, dict):
                self._values.problem(item, "expected credential_name and credential_values")
                continue
            name.used = True
            found[name.value] = values
            self._unread[name.value] = copy.deepcopy(values)
        return found

    def _entry(self, entry: Node, credentials: Mapping[str, Node]) -> None:
        if not isinstance(entry.value, dict):
            self._values.wrong(entry, "a mapping with model_name and litellm_params")
            return
        name, params = entry.get("model_name"), entry.get("litellm_params")
        info = entry.get("model_info") or Node(entry.file, entry.line, f"{entry.where}.model_info", {})
        for key, node, wanted in (("model_name", name, str), ("litellm_params", params, dict)):
            if node is None:
                self._values.problem(entry, "missing", f"{entry.where}.{key}")
            elif not isinstance(node.value, wanted):
                self._values.wrong(node, "a name" if wanted is str else "a mapping")
        if not isinstance(info.value, dict):
            self._values.wrong(info, "a mapping")
            return
        if name is None or params is None or not isinstance(name.value, str) or not isinstance(params.value, dict):
            return
        if not name.value or not name.value.isprintable():
            self._values.problem(name, "expected a name of printable characters")
            return
        params = self._with_credentials(params, credentials)
        model = self._upstream_name(params)
        if model is None or self._skipped(entry, name, model, info):
            return
        if name.value in ("auto", ENCODER) or name.value.startswith("auto:"):
            self._values.problem(name, f"{name.value!r} is this gateway's own name: rename the model")
            return
        mine, others = self.models, self.embedding_models
        if _kind(info, model) == "embedding":
            mine, others = others, mine
        if name.value in others:
            self._values.problem(name, f"{name.value!r} is a chat model and an embedding model: rename one of them")
            return
        name.used = True
        deployment = self._deployment(entry, params, info, model)
        if deployment is not None:
            mine.setdefault(name.value, Model(name.value, entry)).deployments.append(deployment)

    def _with_credentials(self, params: Node, credentials: Mapping[str, Node]) -> Node:
        reference = params.get("litellm_credential_name")
        if reference is None:
            return params
        reference.used = True
        values = credentials.get(reference.value) if isinstance(reference.value, str) else None
        if values is None:
            self._values.problem(reference, "no credential of this name in `credential_list`")
            return params
        values.plain()
        shared = copy.deepcopy(self._unread[reference.value])  # each deployment that refers to it uses it anew
        return Node(params.file, params.line, params.where, shared.value | params.value)

    def _upstream_name(self, params: Node) -> str | None:
        """LiteLLM's full name of the model, with a provider that we know it by."""
        node = params.get("model")
        if node is None:
            self._values.problem(params, "missing", f"{params.where}.model")
            return None
        model = self._values.text(node)
        if model is None:
            return None
        if not model or not model.isprintable():
            self._values.problem(node, "expected a name of printable characters")
            return None
        provider = params.get("custom_llm_provider")
        given = None if provider is None else self._values.text(provider)
        written = model
        if given and not model.startswith(f"{given}/"):
            model = f"{given}/{model}"
        prefix, slash, rest = model.partition("/")
        if slash and prefix in _OPENAI_LIKE:
            model = f"openai/{rest}"
        elif not slash:
            key_digest = str((listed_entry(model) or {}).get("litellm_provider", "openai"))
            key_digest = "vertex_ai" if key_digest.startswith("vertex_ai") else key_digest.removesuffix("_converse")
            if key_digest != "openai":
                model = f"{key_digest}/{model}"
        if model != written:
            self._values.found(node, "changed", f"written as {model}")
        return model

    def _skipped(self, entry: Node, name: Node, model: str, info: Node) -> bool:
        """Whether this is an entry that no portfolio can have. It is named as a whole."""
        blocked = info.get("blocked")
        kind = _kind(info, model)
        if "*" in name.value or "*" in model:
            why = f"not imported: {name.value} is a wildcard; write an entry for each model that clients use"
            self._values.remark(entry, "look", why)
            self.notes.append(f"LOOK {entry.file.name}:{entry.line}: {why}")
        elif model.startswith("auto_router/"):
            self._values.remark(entry, "lost", f"{name.value} is a router of LiteLLM's: clients ask for `auto` instead")
        elif isinstance(kind, str) and kind not in _MODES:
            why = f"not imported: {name.value} is for {kind}, here are chat and embedding models only"
            self._values.remark(entry, "lost", why)
        elif blocked is not None and blocked.value is True:
            self._values.remark(entry, "look", f"not imported: this deployment of {name.value} is blocked")
        else:
            return False
        entry.plain()
        return True

    def _deployment(self, entry: Node, params: Node, info: Node, model: str) -> Deployment | None:
        base = params.get("api_base") or params.get("base_url")
        if (both := params.get("base_url")) is not None and both is not base:
            self._values.found(both, "lost", "api_base counts")
        api_base = None if base is None else self._values.scalar(base)
        referred = api_base is not None and api_base.startswith(ENVIRONMENT)
        if base is not None and (api_base is None or not (referred or self._is_address(base, api_base))):
            return None
        try:
            target = resolve(model, UNKNOWN_ADDRESS if referred else api_base)
        except ValueError as exc:
            self._values.problem(params.get("model") or params, str(exc))
            return None
        values: dict[str, Any] = {"model": model}
        if api_base is not None:
            values["api_base"] = self._values.reference(api_base)
        base_node = info.get("base_model")
        base_model = None if base_node is None else self._values.text(base_node)
        deployment = Deployment(entry, target, model, base_model or None, values)
        self._key(params, deployment)
        for name in ("rpm", "tpm", "max_parallel_requests"):
            node, own = params.get(name), entry.get(name)
            if node is not None and own is not None:
                self._values.found(own, "lost", "the one in litellm_params counts")
            limit = node or own
            number = None if limit is None else self._values.number(limit, least=1)
            if number is not None:
                values[name] = int(number)
        self._load_and_time(params, deployment)
        self._headers(params, deployment)
        self._facts(params, info, deployment)
        self._others(params, deployment)
        if _listed_mode(model) == "responses" and target.direct:
            self._values.remark(
                entry, "look", f"the provider serves {model} under /v1/responses only; here it is asked for chat"
            )
        return deployment

    def _is_address(self, node: Node, api_base: str) -> bool:
        try:
            parts = urlsplit(api_base)
        except ValueError:
            parts = urlsplit("")
        good = parts.scheme in ("http", "https") and bool(parts.netloc) and api_base.isprintable()
        if good and parts.query and not self._values.literals:
            self._values.problem(node, "not printed, as its query may hold a key: write to a file with --out")
        if not good:
            self._values.problem(node, "found another text, expected an address that begins with http:// or https://")
        return good

    def _key(self, params: Node, deployment: Deployment) -> None:
        node, target = params.get("api_key"), deployment.target
        if node is not None:
            value = self._values.scalar(node)
            if value:
                deployment.values["api_key"] = self._values.secret(node, value)
                return
        if target.key_variable is not None:
            self._values.variables[target.key_variable] = None
            return
        known = OPENAI_COMPATIBLE.get(target.provider)
        if known is not None and known.key_variable is not None and not target.local:
            what = (
                f"LiteLLM sends {known.key_variable} to this address, this gateway no key: add api_key if it needs one"
            )
            self._look(params.get("api_base") or params, deployment, "api_base", what)

    def _load_and_time(self, params: Node, deployment: Deployment) -> None:
        values = deployment.values
        for names in (("timeout", "request_timeout"), ("stream_timeout",)):
            for name in names:
                node = params.get(name)
                number = None if node is None else self._values.number(node)
                if node is None or number is None:
                    continue
                if number <= 0:
                    self._values.found(node, "lost", "no equivalent: a timeout is more than 0 here")
                elif names[0] in values:
                    self._values.found(node, "lost", f"{names[0]} counts")
                else:
                    values[names[0]] = number
        node = params.get("weight")
        weight = None if node is None else self._values.number(node)
        if node is not None and weight is not None:
            values["weight"] = weight if weight > 0 else 0.001
            if weight <= 0:
                what = "a weight is more than 0 here: it is asked once in a thousand times, and when others fail"
                self._look(node, deployment, "weight", what)

    def _headers(self, params: Node, deployment: Deployment) -> None:
        headers: dict[str, str] = {}
        for key in ("headers", "extra_headers"):
            node = params.get(key)
            if node is None:
                continue
            if not isinstance(node.value, dict):
                self._values.wrong(node, "a mapping of headers")
                continue
            node.used = True
            for name, item in node.value.items():
                value = self._values.scalar(item)
                if value and value.isprintable():
                    harmless = name.lower() in _HARMLESS_HEADERS
                    sure = is_secret_name(name) or "cookie" in name.lower()
                    headers[name] = (
                        self._values.reference(value) if harmless else self._values.secret(item, value, sure=sure)
                    )
                elif value is not None:
                    self._values.found(item, "lost", "a header without a printable value")
        if headers:
            deployment.values["extra_headers"] = headers

    def _facts(self, params: Node, info: Node, deployment: Deployment) -> None:
        """Prices, windows and capabilities, from model_info or, as LiteLLM also has it, litellm_params."""
        for holder in (info, params):
            for key in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"):
                node = holder.get(key)
                number = None if node is None else self._values.number(node, least=0)
                if node is not None and number is not None:
                    self._fact(deployment, key, round(number * 1e6, 6), node)
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

    def _fact(self, deployment: Deployment, name: str, value: Any, node: Node) -> None:
        if name in deployment.facts:
            self._values.found(node, "lost", f"line {deployment.facts[name][1].line} counts")
        else:
            deployment.facts[name] = (value, node)

    def _others(self, params: Node, deployment: Deployment) -> None:
        """What LiteLLM's own call understands is carried over; a server that is asked directly has no such settings."""
        for name, node in params.value.items():
            if node.used or node.value is None:
                continue
            if name == "drop_params":
                self._values.found(node, "changed", DROP_PARAMS)
            elif name == "organization" and isinstance(node.value, str) and node.value:
                node.used = True
                deployment.values[name] = self._values.reference(node.value)
            elif deployment.target.direct or not LITELLM_PARAMS.fullmatch(name):
                why = (
                    "no equivalent: clients send it themselves"
                    if _REQUEST.fullmatch(name)
                    else LOST.get(name, "no equivalent")
                )
                self._values.found(node, "lost", why)
            elif is_secret_name(name):
                value = node.plain()
                text = value if isinstance(value, str) else json.dumps(value)
                if text:
                    deployment.values[name] = self._values.secret(node, text)
            elif isinstance(node.value, dict | list) and not self._values.literals:
                self._values.found(node, "look", "not printed, as it may hold secrets: write to a file with --out")
            else:
                value = node.plain()
                deployment.values[name] = self._values.reference(value) if isinstance(value, str) else value

    def _look(self, node: Node, deployment: Deployment, key: str, what: str) -> None:
        self._values.found(node, "look", what)
        deployment.comments.setdefault(key, []).append(f"LOOK {what}")


def _kind(info: Node, model: str) -> Any:
    """What a model is for, as the entry says it, else LiteLLM's table, else its provider."""
    mode = info.get("mode")
    if mode is not None:
        return mode.value
    known = THROUGH_LITELLM.get(model.partition("/")[0])
    return _listed_mode(model) or ("embedding" if known is not None and not known.chat else None)


def _listed_mode(model: str) -> str | None:
    """What LiteLLM's table says a model is for."""
    mode = (listed_entry(model) or {}).get("mode")
    return mode if isinstance(mode, str) else None
