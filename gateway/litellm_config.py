"""A LiteLLM proxy configuration -> a portfolio, and what has no equivalent. Opens the file and what it includes; writes none.

Every key of the input is used or named in a finding: whatever the code does not know is found at the end by its node
never having been used. Values show only where they name a model, a strategy or an environment variable.
"""

import copy
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from gateway.lined_yaml import Node, YamlError, read_lined
from gateway.portfolio_file import _LITELLM_PARAMS, ENVIRONMENT, is_secret_name
from gateway.portfolio_text import portfolio_text
from gateway.prices import Listed, _table, look_up
from gateway.providers import OPENAI_COMPATIBLE, Target, resolve
from gateway.same_model import resembles, same_model

Kind = Literal["look", "changed", "lost"]
Where = tuple[str | int, ...]

_CHAT_MODES = ("chat", "responses")
_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_audio_input": "audio",
}
_OPENAI_LIKE = frozenset({"custom_openai", "openai_like"})
_RECORD = "no callbacks: requests are recorded (`locus log`) and counted at /metrics"
_BUDGET = "no budgets and no spend limits"
_NO_CACHE = "answers are not cached"
_LOST = {
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
    "set_verbose": "no equivalent: `locus serve --help` has the log's settings",
    "json_logs": "no equivalent: `locus serve --help` has the log's settings",
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


class ImportProblems(Exception):
    """A configuration that cannot be imported; one line each, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Finding:
    """What the person who imports must know of one place.

    Attributes:
        kind: "look": check it; "changed": it means something else here; "lost": it has no equivalent.
    """

    file: Path
    line: int
    where: str
    what: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A portfolio made of a configuration.

    Attributes:
        variables: environment variables that hold its keys.
        literal_secrets: does the text hold keys themselves?
    """

    text: str
    models: int
    deployments: int
    embedded: int
    variables: tuple[str, ...]
    literal_secrets: bool
    findings: tuple[Finding, ...]


def import_litellm(
    path: Path, space: Collection[str], environment: Mapping[str, str], *, literals: bool = True
) -> Imported:
    """Reads a LiteLLM proxy configuration and all that it includes.

    Args:
        space: names of the model space.
        environment: where a reference is looked up that our file can only have as a value: an address, a number.
            Never one to a key.
        literals: are keys that the configuration holds itself carried over? Else a reference stands for each.

    Raises:
        ImportProblems: all problems of the file.
    """
    importer = _Importer(path, space, environment, literals=literals)
    try:
        importer.run()
    except YamlError as exc:
        raise ImportProblems([str(exc)]) from exc
    if importer.problems:
        raise ImportProblems([str(problem) for problem in _in_order(importer.problems)])
    return importer.imported()


def _in_order(findings: list[Finding]) -> list[Finding]:
    files = list(dict.fromkeys(finding.file for finding in findings))
    return sorted(dict.fromkeys(findings), key=lambda f: (files.index(f.file), f.line))


@dataclass(slots=True)
class _Deployment:
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
class _Model:
    name: str
    node: Node
    deployments: list[_Deployment] = field(default_factory=list)


class _Importer:
    def __init__(self, path: Path, space: Collection[str], environment: Mapping[str, str], *, literals: bool) -> None:
        self._path = path
        self._space = space
        self._environment = environment
        self._literals = literals
        self._unread: dict[str, Node] = {}
        self.problems: list[Finding] = []
        self._findings: list[Finding] = []
        self._variables: dict[str, None] = {}
        self._literal_secrets = False
        self._root = Node(path, 1, "", {})
        self._models: dict[str, _Model] = {}
        self._portfolio: dict[str, Any] = {"models": []}
        self._comments: dict[Where, list[str]] = {}

    def run(self) -> None:
        self._root = self._read(self._path, {self._path.resolve()})
        entries = self._root.get("model_list")
        if entries is None:
            self._problem(self._root, "no `model_list`: is this the configuration of a LiteLLM proxy?", "the file")
        elif not isinstance(entries.value, list) or not entries.value:
            self._wrong(entries, "a list of models")
        else:
            credentials = self._credentials()
            for entry in entries.value:
                self._entry(entry, credentials)
            if not self._models and not self.problems:
                self._problem(entries, "no model is left that could be imported:")
                self.problems += [f for f in self._findings if f.kind != "changed"]
        for name in ("litellm_settings", "router_settings", "general_settings", "environment_variables"):
            self._section(name)
        if not self.problems:
            gateway = self._gateway()
            self._global_settings()
            self._write_models()
            self._aliases()
            self._rest()
            if gateway:
                self._portfolio["gateway"] = gateway

    def imported(self) -> Imported:
        models = self._portfolio["models"]
        header = [
            "yaml-language-server: $schema=portfolio.schema.json",
            "",
            f"Made from the LiteLLM configuration {self._path.name}. Comments that begin with LOOK want a decision.",
            "Up to its first token a stream is waited for 10 seconds (`first_token_timeout`); LiteLLM waits for minutes.",
        ]
        return Imported(
            portfolio_text(self._portfolio, {(): header, **self._comments}),
            len(models),
            sum(len(model["deployments"]) for model in models),
            sum("embedding" in model for model in models),
            tuple(self._variables),
            self._literal_secrets,
            tuple(_in_order(self._findings)),
        )

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read(self, path: Path, seen: set[Path]) -> Node:
        """A file with what it includes: lists are extended, everything else is replaced, as LiteLLM has it."""
        root = read_lined(path)
        if not isinstance(root.value, dict):
            found = "nothing" if root.value is None else _kind(root)
            self._problem(root, f"found {found}, expected a mapping with `model_list`", "the file")
            root.value = {}
        include = root.get("include")
        if include is None:
            return root
        if not isinstance(include.value, list):
            self._wrong(include, "a list of files")
            return root
        include.used = True
        for item in include.value:
            item.used = True
            if not isinstance(item.value, str):
                self._wrong(item, "the name of a file")
                continue
            other = path.parent / item.value
            if other.resolve() in seen:
                continue
            seen.add(other.resolve())
            try:
                self._extend(root, self._read(other, seen))
            except YamlError as exc:
                self._problem(item, str(exc))
        return root

    def _extend(self, root: Node, other: Node) -> None:
        for key, node in other.value.items():
            if key == "include":
                continue
            mine = root.value.get(key)
            if mine is not None and isinstance(mine.value, list) and isinstance(node.value, list):
                mine.value += node.value
            else:
                if mine is not None and mine.value is not None:
                    self._found(mine, "lost", f"{node.file.name} replaces it, as with LiteLLM")
                root.value[key] = node

    def _section(self, name: str) -> None:
        node = self._root.get(name)
        if node is not None and not isinstance(node.value, dict):
            self._wrong(node, "a mapping")

    def _setting(self, section: str, key: str) -> Node | None:
        node = self._root.get(section)
        return None if node is None else node.get(key)

    def _credentials(self) -> dict[str, Node]:
        """`credential_list`: name -> values, which deployments refer to."""
        found: dict[str, Node] = {}
        listed = self._root.get("credential_list")
        if listed is not None and not isinstance(listed.value, list):
            self._wrong(listed, "a list of credentials")
            return found
        for item in listed.value if listed is not None else []:
            name, values = item.get("credential_name"), item.get("credential_values")
            if name is None or values is None or not isinstance(name.value, str) or not isinstance(values.value, dict):
                self._problem(item, "expected credential_name and credential_values")
                continue
            name.used = True
            found[name.value] = values
            self._unread[name.value] = copy.deepcopy(values)
        return found

    # -- models ----------------------------------------------------------------------------------------------------

    def _entry(self, entry: Node, credentials: Mapping[str, Node]) -> None:
        if not isinstance(entry.value, dict):
            self._wrong(entry, "a mapping with model_name and litellm_params")
            return
        name, params = entry.get("model_name"), entry.get("litellm_params")
        info = entry.get("model_info") or Node(entry.file, entry.line, f"{entry.where}.model_info", {})
        for key, node, wanted in (("model_name", name, str), ("litellm_params", params, dict)):
            if node is None:
                self._problem(entry, "missing", f"{entry.where}.{key}")
            elif not isinstance(node.value, wanted):
                self._wrong(node, "a name" if wanted is str else "a mapping")
        if not isinstance(info.value, dict):
            self._wrong(info, "a mapping")
            return
        if name is None or params is None or not isinstance(name.value, str) or not isinstance(params.value, dict):
            return
        if not name.value or not name.value.isprintable():
            self._problem(name, "expected a name of printable characters")
            return
        params = self._with_credentials(params, credentials)
        model = self._upstream_name(params)
        if model is None or self._skipped(entry, name, model, info):
            return
        if name.value == "auto" or name.value.startswith("auto:"):
            self._problem(name, f"{name.value!r} is this gateway's own name for its choice: rename the model")
            return
        name.used = True
        deployment = self._deployment(entry, params, info, model)
        if deployment is not None:
            self._models.setdefault(name.value, _Model(name.value, entry)).deployments.append(deployment)

    def _with_credentials(self, params: Node, credentials: Mapping[str, Node]) -> Node:
        reference = params.get("litellm_credential_name")
        if reference is None:
            return params
        reference.used = True
        values = credentials.get(reference.value) if isinstance(reference.value, str) else None
        if values is None:
            self._problem(reference, "no credential of this name in `credential_list`")
            return params
        values.plain()
        shared = copy.deepcopy(self._unread[reference.value])  # each deployment that refers to it uses it anew
        return Node(params.file, params.line, params.where, shared.value | params.value)

    def _upstream_name(self, params: Node) -> str | None:
        """LiteLLM's full name of the model, with a provider that we know it by."""
        node = params.get("model")
        if node is None:
            self._problem(params, "missing", f"{params.where}.model")
            return None
        model = self._text(node)
        if model is None:
            return None
        if not model or not model.isprintable():
            self._problem(node, "expected a name of printable characters")
            return None
        provider = params.get("custom_llm_provider")
        given = None if provider is None else self._text(provider)
        written = model
        if given and not model.startswith(f"{given}/"):
            model = f"{given}/{model}"
        prefix, slash, rest = model.partition("/")
        if slash and prefix in _OPENAI_LIKE:
            model = f"openai/{rest}"
        elif not slash:
            listed = _table().get(model)
            owner = str(listed.get("litellm_provider", "openai")) if isinstance(listed, dict) else "openai"
            owner = "vertex_ai" if owner.startswith("vertex_ai") else owner.removesuffix("_converse")
            if owner != "openai":
                model = f"{owner}/{model}"
        if model != written:
            self._found(node, "changed", f"written as {model}")
        return model

    def _skipped(self, entry: Node, name: Node, model: str, info: Node) -> bool:
        """Is this an entry that no portfolio can have? It is named as a whole."""
        mode, blocked = info.get("mode"), info.get("blocked")
        kind = mode.value if mode is not None else _listed_mode(model)
        if "*" in name.value or "*" in model:
            why = f"not imported: {name.value} is a wildcard; write an entry for each model that clients use"
            self._remark(entry, "look", why)
            self._comments.setdefault(("models",), []).append(f"LOOK {_line(entry)}: {why}")
        elif model.startswith("auto_router/"):
            self._remark(entry, "lost", f"{name.value} is a router of LiteLLM's: clients ask for `auto` instead")
        elif isinstance(kind, str) and kind not in _CHAT_MODES:
            self._remark(entry, "lost", f"not imported: {name.value} is for {kind}, here are chat models only")
        elif blocked is not None and blocked.value is True:
            self._remark(entry, "look", f"not imported: this deployment of {name.value} is blocked")
        else:
            return False
        entry.plain()
        return True

    def _deployment(self, entry: Node, params: Node, info: Node, model: str) -> _Deployment | None:
        base = params.get("api_base") or params.get("base_url")
        if (both := params.get("base_url")) is not None and both is not base:
            self._found(both, "lost", "api_base counts")
        api_base = None if base is None else self._text(base)
        if base is not None and (api_base is None or not self._is_address(base, api_base)):
            return None
        try:
            target = resolve(model, api_base)
        except ValueError as exc:
            self._problem(params.get("model") or params, str(exc))
            return None
        values: dict[str, Any] = {"model": model}
        if api_base is not None:
            values["api_base"] = api_base
        base_node = info.get("base_model")
        base_model = None if base_node is None else self._text(base_node)
        deployment = _Deployment(entry, target, model, base_model or None, values)
        self._key(params, deployment)
        for name in ("rpm", "tpm", "max_parallel_requests"):
            node, own = params.get(name), entry.get(name)
            if node is not None and own is not None:
                self._found(own, "lost", "the one in litellm_params counts")
            limit = node or own
            number = None if limit is None else self._number(limit, least=1)
            if number is not None:
                values[name] = int(number)
        self._load_and_time(params, deployment)
        self._headers(params, deployment)
        self._facts(params, info, deployment)
        self._others(params, deployment)
        if _listed_mode(model) == "responses" and target.direct:
            self._remark(
                entry, "look", f"the provider serves {model} under /v1/responses only; here it is asked for chat"
            )
        return deployment

    def _is_address(self, node: Node, api_base: str) -> bool:
        try:
            parts = urlsplit(api_base)
        except ValueError:
            parts = urlsplit("")
        good = parts.scheme in ("http", "https") and bool(parts.netloc) and api_base.isprintable()
        if good and parts.query and not self._literals:
            self._problem(node, "not printed, as its query may hold a key: write to a file with --out")
        if not good:
            self._problem(node, "found another text, expected an address that begins with http:// or https://")
        return good

    def _key(self, params: Node, deployment: _Deployment) -> None:
        node, target = params.get("api_key"), deployment.target
        if node is not None:
            value = self._scalar(node)
            if value:
                deployment.values["api_key"] = self._secret(node, value)
                return
        if target.key_variable is not None:
            self._variables[target.key_variable] = None
            return
        known = OPENAI_COMPATIBLE.get(target.provider)
        if known is not None and known.key_variable is not None and not target.local:
            what = (
                f"LiteLLM sends {known.key_variable} to this address, this gateway no key: add api_key if it needs one"
            )
            self._look(params.get("api_base") or params, deployment, "api_base", what)

    def _load_and_time(self, params: Node, deployment: _Deployment) -> None:
        values = deployment.values
        for names in (("timeout", "request_timeout"), ("stream_timeout",)):
            for name in names:
                node = params.get(name)
                number = None if node is None else self._number(node)
                if node is None or number is None:
                    continue
                if number <= 0:
                    self._found(node, "lost", "no equivalent: a timeout is more than 0 here")
                elif names[0] in values:
                    self._found(node, "lost", f"{names[0]} counts")
                else:
                    values[names[0]] = number
        node = params.get("weight")
        weight = None if node is None else self._number(node)
        if node is not None and weight is not None:
            values["weight"] = weight if weight > 0 else 0.001
            if weight <= 0:
                what = "a weight is more than 0 here: it is asked once in a thousand times, and when others fail"
                self._look(node, deployment, "weight", what)

    def _headers(self, params: Node, deployment: _Deployment) -> None:
        headers: dict[str, str] = {}
        for key in ("headers", "extra_headers"):
            node = params.get(key)
            if node is None:
                continue
            if not isinstance(node.value, dict):
                self._wrong(node, "a mapping of headers")
                continue
            node.used = True
            for name, item in node.value.items():
                value = self._scalar(item)
                if value and value.isprintable():
                    harmless = name.lower() in _HARMLESS_HEADERS
                    sure = is_secret_name(name) or "cookie" in name.lower()
                    headers[name] = self._reference(value) if harmless else self._secret(item, value, sure=sure)
                elif value is not None:
                    self._found(item, "lost", "a header without a printable value")
        if headers:
            deployment.values["extra_headers"] = headers

    def _facts(self, params: Node, info: Node, deployment: _Deployment) -> None:
        """Prices, windows and capabilities, from model_info or, as LiteLLM also has it, litellm_params."""
        for holder in (info, params):
            for key in ("input_cost_per_token", "output_cost_per_token"):
                node = holder.get(key)
                number = None if node is None else self._number(node, least=0)
                if node is not None and number is not None:
                    self._fact(deployment, key, round(number * 1e6, 6), node)
        for key, name in (
            ("max_input_tokens", "context_window"),
            ("max_output_tokens", "max_output_tokens"),
            ("max_tokens", "max_output_tokens"),
        ):
            node = info.get(key)
            number = None if node is None else self._number(node, least=1)
            if node is not None and number is not None:
                self._fact(deployment, name, int(number), node)
        for key in (*_CAPABILITIES, "supports_assistant_prefill"):
            node = info.get(key)
            flag = None if node is None else self._flag(node)
            if node is None or flag is None:
                continue
            if key in _CAPABILITIES:
                self._fact(deployment, key, flag, node)
            else:
                deployment.values["prefill"] = flag
        if (node := info.get("mode")) is not None:
            node.used = True
        node = info.get("disable_background_health_check")
        deployment.health_checks = node is None or self._flag(node) is not True

    def _fact(self, deployment: _Deployment, name: str, value: Any, node: Node) -> None:
        if name in deployment.facts:
            self._found(node, "lost", f"line {deployment.facts[name][1].line} counts")
        else:
            deployment.facts[name] = (value, node)

    def _others(self, params: Node, deployment: _Deployment) -> None:
        """What LiteLLM's own call understands is carried over; a server that is asked directly has no such settings."""
        for name, node in params.value.items():
            if node.used or node.value is None:
                continue
            if name == "drop_params":
                self._drop_params(node)
            elif name == "organization" and isinstance(node.value, str) and node.value:
                node.used = True
                deployment.values[name] = self._reference(node.value)
            elif deployment.target.direct or not _LITELLM_PARAMS.fullmatch(name):
                why = (
                    "no equivalent: clients send it themselves"
                    if _REQUEST.fullmatch(name)
                    else _LOST.get(name, "no equivalent")
                )
                self._found(node, "lost", why)
            elif is_secret_name(name):
                value = node.plain()
                text = value if isinstance(value, str) else json.dumps(value)
                if text:
                    deployment.values[name] = self._secret(node, text)
            elif isinstance(node.value, dict | list) and not self._literals:
                self._found(node, "look", "not printed, as it may hold secrets: write to a file with --out")
            else:
                value = node.plain()
                deployment.values[name] = self._reference(value) if isinstance(value, str) else value

    def _drop_params(self, node: Node) -> None:
        what = (
            "no setting: what a provider behind litellm lacks is always left out; others get every parameter untouched"
        )
        self._found(node, "changed", what)

    # -- settings --------------------------------------------------------------------------------------------------

    def _gateway(self) -> dict[str, Any]:
        gateway: dict[str, Any] = {}
        self._master_key(gateway)
        retries = self._either("num_retries")
        if retries is not None and (number := self._number(retries, least=0)) is not None:
            gateway["retries"] = min(3, int(number))
            what = "is gateway.retries: on one deployment after a 429; after a server error at most one"
            self._found(retries, "changed", what + ("; 3 is the most here" if number > 3 else ""))
        fails = self._either("allowed_fails")
        if fails is not None and (number := self._number(fails, least=0)) is not None:
            gateway["breaker_failures"] = int(number) + 1
            self._found(fails, "changed", "is gateway.breaker_failures, one more: so many in a row, not in a minute")
        cooling = self._either("cooldown_time")
        if cooling is not None and (number := self._number(cooling)) is not None:
            if number > 0:
                gateway |= {"cool_down": number, "max_cool_down": max(20.0, number)}
                self._found(
                    cooling, "changed", "is gateway.cool_down, the first one: it doubles with every failed probe"
                )
            else:
                self._found(cooling, "lost", "no equivalent: a cool-down is longer than 0 here")
        for key, name, least in (
            ("global_max_parallel_requests", "max_requests", 1),
            ("max_request_size_mb", "max_body_mb", 0.001),
        ):
            node = self._setting("general_settings", key)
            if node is not None and (number := self._number(node, least=least)) is not None:
                gateway[name] = int(number) if key.startswith("global") else number
        node = self._setting("general_settings", "store_prompts_in_spend_logs")
        if node is not None and (flag := self._flag(node)) is not None:
            gateway["store_prompts"] = flag
        return gateway

    def _master_key(self, gateway: dict[str, Any]) -> None:
        node = self._setting("general_settings", "master_key")
        value = None if node is None else self._scalar(node)
        if node is None or not value:
            note = "LiteLLM serves every address; without `keys` this gateway serves this machine alone."
            self._comments[("models",)] = [*self._comments.get(("models",), []), f"LOOK {note}"]
            return
        gateway["keys"] = [self._secret(node, value)]
        what = "is the only one of gateway.keys, which may use every model; keys made in LiteLLM's database are not valid here"
        self._found(node, "changed", what)
        self._comments[("gateway", "keys")] = [
            "LOOK LiteLLM serves every address; for that add `host: 0.0.0.0`. Keys from its database are not valid here."
        ]

    def _either(self, key: str) -> Node | None:
        """A setting of router_settings, else of litellm_settings."""
        router, general = self._setting("router_settings", key), self._setting("litellm_settings", key)
        if router is not None and general is not None:
            self._found(general, "lost", f"{router.where} counts, as with LiteLLM")
        return router or general

    def _global_settings(self) -> None:
        """Defaults of all deployments, which here each has for itself."""
        router, general = (
            self._setting("router_settings", "timeout"),
            self._setting("litellm_settings", "request_timeout"),
        )
        if router is not None and general is not None:
            self._found(general, "lost", f"{router.where} counts, as with LiteLLM")
        defaults = {
            "timeout": router or general,
            "stream_timeout": self._setting("router_settings", "stream_timeout"),
            "max_parallel_requests": self._setting("router_settings", "default_max_parallel_requests"),
        }
        deployments = [d for model in self._models.values() for d in model.deployments]
        for name, node in defaults.items():
            number = None if node is None else self._number(node)
            if node is None or number is None:
                continue
            if number <= 0:
                self._found(node, "lost", "no equivalent: it is more than 0 here")
                continue
            self._found(node, "changed", f"written as `{name}` of each deployment")
            for deployment in deployments:
                deployment.values.setdefault(name, int(number) if name.startswith("max") else number)
        self._health_checks(deployments)
        strategy = self._setting("router_settings", "routing_strategy")
        if strategy is not None:
            shown = strategy.value if isinstance(strategy.value, str) and _STRATEGY.fullmatch(strategy.value) else "it"
            what = f"{shown} has no equivalent: deployments of a model share the load by `weight`"
            if shown == "simple-shuffle":
                what = "simple-shuffle is what is done here: deployments of a model share the load by `weight`"
            self._found(strategy, "changed", what)
        if strategy is None or strategy.value == "simple-shuffle":
            for model in self._models.values():
                self._weigh_by_limits(model)

    def _weigh_by_limits(self, model: _Model) -> None:
        """LiteLLM shares the load by rpm, else tpm, where no weight is given."""
        values = [deployment.values for deployment in model.deployments]
        if any("weight" in v for v in values):
            return
        for limit in ("rpm", "tpm"):
            if all(limit in v for v in values):
                least = min(v[limit] for v in values)
                if any(v[limit] != least for v in values):
                    for v in values:
                        v["weight"] = round(v[limit] / least, 3)
                    self._remark(
                        model.node, "changed", f"the load of {model.name} is shared by {limit}: written as weight"
                    )
                return

    def _health_checks(self, deployments: list[_Deployment]) -> None:
        node = self._setting("general_settings", "background_health_checks")
        interval = self._setting("general_settings", "health_check_interval")
        if node is None or self._flag(node) is not True:
            return
        seconds = 300.0 if interval is None else self._number(interval)
        if seconds is None or seconds <= 0:
            return
        self._found(node, "changed", "written as health_check_interval of each deployment, which asks for one token")
        for deployment in deployments:
            if deployment.health_checks:
                deployment.values["health_check_interval"] = seconds

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write_models(self) -> None:
        for i, model in enumerate(self._models.values()):
            written: dict[str, Any] = {"name": model.name}
            self._embedding(i, model, written)
            written["deployments"] = [deployment.values for deployment in model.deployments]
            for j, deployment in enumerate(model.deployments):
                for key, lines in deployment.comments.items():
                    self._comments[("models", i, "deployments", j, key)] = lines
            self._describe(i, model, written)
            self._portfolio["models"].append(written)

    def _embedding(self, i: int, model: _Model, written: dict[str, Any]) -> None:
        names = [_spelling(deployment) for deployment in model.deployments]
        found = {same_model(name, self._space) for name in names}
        if len(found) == 1 and (name := found.pop()) is not None:
            written["embedding"] = name
            return
        what = f"which model of the space {model.name} is, is not certain: without `embedding` it answers only by name"
        hints = dict.fromkeys(hint for name in names if (hint := resembles(name, self._space)) is not None)
        self._remark(model.node, "look", what)
        lines = [f"LOOK {what}.", *(f"embedding: {hint}  # is it this one?" for hint in hints)]
        self._comments[("models", i, "deployments")] = lines

    def _describe(self, i: int, model: _Model, written: dict[str, Any]) -> None:
        """Price, windows and capabilities: LiteLLM's own, else those of base_model; what is left is for its table."""
        facts: dict[str, Any] = {}
        for deployment in model.deployments:
            for name, (value, node) in deployment.facts.items():
                if facts.setdefault(name, value) != value:
                    self._found(node, "changed", f"differs from an earlier deployment of {model.name}, which counts")
        bases = (d.base_model for d in model.deployments if d.base_model is not None)
        base = next((entry for name in bases if (entry := look_up(name)) is not None), None)
        for deployment in model.deployments:
            if deployment.base_model is not None and look_up(deployment.base_model) is None:
                what = f"LiteLLM's table has no base_model {deployment.base_model}"
                self._remark(deployment.node, "look", what)
        tabled = next((entry for d in model.deployments if (entry := look_up(d.model)) is not None), None)
        listed = base or tabled or Listed(None, None, None, None, frozenset())
        self._price(i, model, written, facts, listed, from_base=base is not None)
        window = facts.get("context_window") or (base and base.context_window)
        if window:
            written["context_window"] = window
        elif listed.context_window is None:
            what = f"the context window of {model.name} is not known: 8192 tokens are assumed"
            self._remark(model.node, "look", what)
            self._comments[("models", i)] = [f"LOOK {what}; else add `context_window: ...`"]
        if output := facts.get("max_output_tokens") or (base and base.max_output_tokens):
            written["max_output_tokens"] = output
        flags = {name: facts[key] for key, name in _CAPABILITIES.items() if key in facts}
        if flags or base is not None:
            able = {name for name in _CAPABILITIES.values() if flags.get(name, name in listed.capabilities)}
            written["capabilities"] = [name for name in _CAPABILITIES.values() if name in able]
        if base is None and tabled is None and len(flags) < len(_CAPABILITIES):
            what = f"what {model.name} can do is not known: only what model_info says is assumed, and text"
            self._remark(model.node, "look", what)
            where = ("models", i, "capabilities") if flags else ("models", i)
            line = f"LOOK {what}; of tools, vision, json_schema, audio"
            self._comments.setdefault(where, []).append(line if flags else f"{line} add `capabilities: [...]`")

    def _price(
        self, i: int, model: _Model, written: dict[str, Any], facts: dict[str, Any], listed: Listed, *, from_base: bool
    ) -> None:
        given = [facts.get("input_cost_per_token"), facts.get("output_cost_per_token")]
        table = [listed.usd_per_mtok_in, listed.usd_per_mtok_out]
        local = any(deployment.target.local for deployment in model.deployments)
        if given == [None, None] and (local or (table[0] is not None and not from_base)):
            return
        price = [mine if mine is not None else theirs for mine, theirs in zip(given, table, strict=True)]
        written["price"] = {"input": price[0] or 0.0, "output": price[1] or 0.0}
        if price[0] is None or price[1] is None:
            what = f"the price of {model.name} is not known: 0 makes `auto` prefer it"
            self._remark(model.node, "look", what)
            self._comments[("models", i, "price")] = [f"LOOK {what}; USD per million tokens"]

    def _aliases(self) -> None:
        """Another name for a model becomes a model of that name which `auto` never chooses."""
        aliases = self._setting("router_settings", "model_group_alias")
        if aliases is None:
            return
        if not isinstance(aliases.value, dict):
            self._wrong(aliases, "a mapping of names")
            return
        aliases.used = True
        models: list[dict[str, Any]] = self._portfolio["models"]
        for alias, node in aliases.value.items():
            inner = node.get("model") if isinstance(node.value, dict) else node
            node.plain()
            name = inner.value if inner is not None else None
            model = next((m for m in models if m["name"] == name), None)
            if model is None or alias in self._models or not alias.isprintable() or alias.partition(":")[0] == "auto":
                self._found(node, "lost", "an alias of nothing that was imported, or a name that is taken")
                continue
            what = f"{alias} is a model of its own, which `auto` never chooses; limits are counted apart from {name}'s"
            self._found(node, "changed", what)
            self._comments[("models", len(models))] = [f"An alias: without an embedding, as {name} has it already."]
            models.append(
                {"name": alias} | {key: value for key, value in model.items() if key not in ("name", "embedding")}
            )

    def _rest(self) -> None:
        for section in ("litellm_settings", "router_settings"):
            for key in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"):
                node = self._setting(section, key)
                if node is not None:
                    self._fallbacks(key, node)
        if (drop := self._setting("litellm_settings", "drop_params")) is not None:
            self._drop_params(drop)
        variables = self._root.get("environment_variables")
        for name, node in variables.value.items() if variables is not None else ():
            self._found(node, "look", f"set {name} in the environment: values of variables are not carried over")
        unused = [child for node in self._root.unused() for child in _settings(node)]
        for node in unused:
            self._found(node, "lost", _LOST.get(node.where.rpartition(".")[2], "no equivalent"))
        for node, key in _repeats(self._root):
            self._found(node, "lost", f"the key {key} occurs again below, which counts, as with LiteLLM")

    def _fallbacks(self, key: str, node: Node) -> None:
        """Lists of stand-ins, each named on its own line."""
        why = {
            "context_window_fallbacks": "no list: a request goes only to models that it fits",
            "content_policy_fallbacks": "no equivalent: a refusal is passed on",
            "default_fallbacks": "no list: stand-ins are the models nearest by embedding",
        }.get(key, "no list: stand-ins are the models nearest by embedding")
        pairs = [
            (name, targets)
            for item in node.children()
            if isinstance(item.value, dict)
            for name, targets in item.value.items()
        ]
        if not pairs:
            self._found(node, "lost", why)
            return
        for name, targets in pairs:
            names = [c.value for c in targets.children() if isinstance(c.value, str)]
            chain = f"{name} to {', '.join(names)}: " if names else f"{name}: "
            written = {m["name"]: m for m in self._portfolio["models"]}
            outside = [n for n in dict.fromkeys([name, *names]) if n in written and "embedding" not in written[n]]
            note = f"; {', '.join(outside)} cannot stand in or be stood in for without an embedding" if outside else ""
            self._found(targets, "lost", chain + why + note)
        node.plain()

    # -- values ----------------------------------------------------------------------------------------------------

    def _text(self, node: Node) -> str | None:
        """A text that our file can only have as it is: a reference is looked up."""
        value = self._scalar(node)
        if value is None or not value.startswith(ENVIRONMENT):
            return value
        variable = value[len(ENVIRONMENT) :]
        found = self._environment.get(variable)
        if not found:
            self._problem(node, f"only keys and headers can be references here: set {variable} for this command")
            return None
        self._found(node, "changed", f"the value of {variable} at the time of import is written")
        return found

    def _scalar(self, node: Node) -> str | None:
        node.used = True
        if isinstance(node.value, bool) or not isinstance(node.value, str | int | float):
            self._wrong(node, "a text")
            return None
        return str(node.value).strip()

    def _number(self, node: Node, least: float | None = None) -> float | None:
        value = node.value
        if isinstance(value, str) and value.startswith(ENVIRONMENT):
            value = self._text(node)
            if value is None:
                return None
        node.used = True
        try:
            number = None if isinstance(value, bool) or not isinstance(value, str | int | float) else float(value)
        except ValueError:
            number = None
        if number is None or number != number or abs(number) == float("inf"):
            self._wrong(node, "a number")
            return None
        if least is not None and number < least:
            self._found(node, "lost", f"no equivalent: it is at least {least:g} here")
            return None
        return int(number) if number.is_integer() else number

    def _flag(self, node: Node) -> bool | None:
        node.used = True
        if isinstance(node.value, str) and node.value.lower() in ("true", "false"):
            return node.value.lower() == "true"
        if not isinstance(node.value, bool):
            self._wrong(node, "true or false")
            return None
        return node.value

    def _secret(self, node: Node, value: str, *, sure: bool = True) -> str:
        """A value that may be a secret, as it is to be written; one that is `sure` to be is pointed out."""
        node.used = True
        if not value.isprintable():
            self._problem(node, "found a text with characters that cannot be sent, expected a key or os.environ/NAME")
        if value.startswith(ENVIRONMENT):
            return self._reference(value)
        if self._literals:
            self._literal_secrets = True
            if sure:
                self._found(node, "look", "a literal secret, carried over: write os.environ/NAME instead")
            return value
        word = re.sub(r"\W+", "_", node.where.rpartition(".")[2]).upper()
        self._found(node, "look", f"not printed: set {word}_{node.line} to it, or write to a file with --out")
        return self._reference(f"{ENVIRONMENT}{word}_{node.line}")

    def _reference(self, value: str) -> str:
        if value.startswith(ENVIRONMENT):
            self._variables[value[len(ENVIRONMENT) :]] = None
        return value

    def _look(self, node: Node, deployment: _Deployment, key: str, what: str) -> None:
        self._found(node, "look", what)
        deployment.comments.setdefault(key, []).append(f"LOOK {what}")

    def _found(self, node: Node, kind: Kind, what: str) -> None:
        node.used = True
        self._remark(node, kind, what)

    def _remark(self, node: Node, kind: Kind, what: str) -> None:
        """A finding about what a whole node comes to, of which every part is used or named by itself."""
        self._findings.append(Finding(node.file, node.line, node.where or "the file", what, kind))

    def _problem(self, node: Node, what: str, where: str | None = None) -> None:
        self.problems.append(Finding(node.file, node.line, where or node.where, what, "look"))

    def _wrong(self, node: Node, expected: str) -> None:
        node.used = True
        self._problem(node, f"found {_kind(node)}, expected {expected}")


# Defaults of requests, which LiteLLM lets a deployment have.
_REQUEST = re.compile(
    r"temperature|top_[pk]|max_(completion_)?tokens|(presence|frequency)_penalty|stop|seed|n|reasoning_effort|"
    r"response_format|tools|tool_choice|extra_body|user|logit_bias|thinking"
)
_STRATEGY = re.compile(r"simple-shuffle|least-busy|(usage|latency|cost)-based-routing(-v2)?")
_HARMLESS_HEADERS = frozenset({"http-referer", "x-title", "user-agent", "anthropic-beta", "anthropic-version"})


def _kind(node: Node) -> str:
    if isinstance(node.value, dict | list):
        return f"{'an empty' if not node.value else 'a'} {'mapping' if isinstance(node.value, dict) else 'list'}"
    return {"str": "a text", "NoneType": "nothing", "bool": "true or false"}.get(type(node.value).__name__, "a number")


def _line(node: Node) -> str:
    return f"{node.file.name}:{node.line}"


def _listed_mode(model: str) -> str | None:
    """What LiteLLM's table says a model is for."""
    entry = _table().get(model) or _table().get(model.partition("/")[2] or model)
    mode = entry.get("mode") if isinstance(entry, dict) else None
    return mode if isinstance(mode, str) else None


def _spelling(deployment: _Deployment) -> str:
    """The name to recognise a model by; "" where it may mean anything."""
    if deployment.base_model is not None:
        name = deployment.base_model
        return f"openai/{name.removeprefix('azure/')}" if name.startswith("azure/") else name
    provider, _, name = deployment.model.partition("/")
    base = deployment.values.get("api_base")
    if (provider == "openai" or not name) and base and urlsplit(base).hostname != "api.openai.com" and "/" not in name:
        return f"custom/{name or provider}"  # many a server calls a model of its own gpt-4o
    return deployment.model


def _settings(node: Node) -> list[Node]:
    """A section of settings is named key by key, anything else as a whole."""
    section = node.where.endswith(("_settings", ".model_info")) and isinstance(node.value, dict)
    return [child for child in node.children() if child.value is not None] if section else [node]


def _repeats(node: Node) -> Iterator[tuple[Node, str]]:
    for repeated in node.repeats:
        yield repeated, repeated.where.rpartition(".")[2]
    for child in node.children():
        yield from _repeats(child)
