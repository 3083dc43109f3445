"""Portfolio file -> `Portfolio`: YAML with positions, checked by pydantic, every problem reported at once.

A problem names file, line and key, what was found and what was expected; values of keys that hold secrets never show.
"""

import copy
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError

from gateway.breaker import BreakerSettings
from gateway.portfolio import (
    DEFAULT_POLICIES,
    Deployment,
    HedgeSettings,
    LoadSettings,
    Model,
    Portfolio,
    Price,
    RetrySettings,
    Secret,
    Settings,
    is_loopback,
)
from gateway.portfolio_schema import (
    BESIDE_RECORD,
    DeploymentEntry,
    EmbeddingModelEntry,
    EmbeddingPriceEntry,
    GatewayEntry,
    HedgingEntry,
    ModelEntry,
    PolicyEntry,
    PortfolioEntry,
    PriceEntry,
    UtilityCallsEntry,
)
from gateway.prices import Listed, look_up
from gateway.providers import Prefill, Target, resolve
from gateway.utility import FRONT_ENDS, UtilityCalls
from router.policy import Policy

ENVIRONMENT = "os.environ/"
FALLBACK_WINDOW = 8_192
_SECRET_NAME = re.compile(r"key|token|secret|password|credential|header|auth|jwt", re.IGNORECASE)
_ADDRESS = "api_base"  # whose path or query may hold a key
_NOT_SECRET = frozenset({"first_token_timeout", "max_output_tokens", "max_input_tokens", "max_tokens", "keys"})
_MODELS = ("models", "embedding_models")
# LiteLLM's parameters that configure its call rather than travel in the request body.
LITELLM_PARAMS = re.compile(
    r"(aws|vertex|azure|gcs|watsonx|oci|s3)_\w+|region_name|api_version|organization|project|hf_model_name|"
    r"client_(id|secret)|tenant_id|merge_reasoning_content_in_choices|thinking|temperature|top_p|top_k|max_tokens|"
    r"cache_control_injection_points|reasoning_effort|extra_body"
)
# Where PyYAML's messages quote what may be a value: `api_key: *x` is an alias, `api_key: !x` a tag.
_QUOTED = re.compile(r"\b(alias|anchor|tag|handle) '.*")
Path_ = tuple[str | int, ...]


class PortfolioError(Exception):
    """A portfolio file that cannot be used; `problems` has one line each, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_portfolio(path: Path, environment: Mapping[str, str]) -> Portfolio:
    """Reads and checks a portfolio file. Relative paths in it are relative to the working directory.

    Args:
        environment: where `os.environ/NAME` references are looked up.

    Raises:
        PortfolioError: all problems of the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise PortfolioError([f"{path}: no such file"]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise PortfolioError([f"{path}: not readable as UTF-8 text: {exc}"]) from exc
    document = _Document(path, text)
    try:
        entry = PortfolioEntry.model_validate(document.value)
    except ValidationError as exc:
        errors = exc.errors(include_input=True)
        document.problems += [_problem(document, dict(error)) for error in errors]
        mended = _mended(document.value, [error["loc"] for error in errors])
        if mended is not None:
            _Builder(document, mended, environment).build()
        raise document.error() from exc
    portfolio = _Builder(document, entry, environment).build()
    if document.problems:
        raise document.error()
    return portfolio


@dataclass(frozen=True, slots=True)
class _Problem:
    line: int
    text: str


class _Document:
    """A YAML file as plain values, with the line of every key."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.problems: list[_Problem] = []
        self._lines: dict[Path_, int] = {(): 1}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.value: Any = None if node is None else self._read(node, ())
        except yaml.YAMLError as exc:
            mark = getattr(exc, "problem_mark", None)
            line = 1 if mark is None else mark.line + 1
            what = getattr(exc, "problem", None) or "a character that YAML does not allow"
            what = _QUOTED.sub(r"\1", what)
            raise PortfolioError([f"{path}:{line}: not valid YAML: {what}"]) from exc
        except RecursionError as exc:
            raise PortfolioError([f"{path}:1: not valid YAML: nested too deeply, or an alias inside itself"]) from exc
        if not isinstance(self.value, dict):
            found = "nothing" if self.value is None else type(self.value).__name__
            raise PortfolioError([f"{path}:1: found {found}, expected a mapping with `models`"])

    def line(self, where: Path_) -> int:
        """The line of a key, or of the nearest thing around it."""
        while where not in self._lines:
            where = where[:-1]
        return self._lines[where]

    def report(self, where: Path_, what: str) -> None:
        self.problems.append(_Problem(self.line(where), f"{self.place(where)}: {what}"))

    def place(self, where: Path_) -> str:
        """`models[0].name`."""
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in where).lstrip(".") or "the file"

    def locate(self, where: Path_) -> str:
        """`config/portfolio.yaml:12: models[0].name`."""
        return f"{self.path}:{self.line(where)}: {self.place(where)}"

    def error(self) -> PortfolioError:
        unique = dict.fromkeys(sorted(self.problems, key=lambda p: p.line))
        return PortfolioError([f"{self.path}:{p.line}: {p.text}" for p in unique])

    def _read(self, node: yaml.Node, where: Path_) -> Any:
        if isinstance(node, yaml.MappingNode):
            values: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":
                    raise ConstructorError(
                        problem="`<<` is not read: repeat the keys", problem_mark=key_node.start_mark
                    )
                key = self._scalar(key_node)
                at = (*where, key if isinstance(key, str | int) else str(key))
                first = self._lines.get(at)
                self._lines[at] = key_node.start_mark.line + 1
                if key in values:
                    self.report(at, f"the key occurs twice; line {first} has it first")
                values[key] = self._read(value_node, at)
            return values
        if isinstance(node, yaml.SequenceNode):
            items = []
            for i, item in enumerate(node.value):
                self._lines[(*where, i)] = item.start_mark.line + 1
                items.append(self._read(item, (*where, i)))
            return items
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise ConstructorError(problem="a key must be a plain word", problem_mark=node.start_mark)
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, KeyError, AttributeError) as exc:  # 2024-13-45; !!int x; !!bool x; !!timestamp x
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(problem=f"not a valid {kind}", problem_mark=node.start_mark) from exc


# Values that nothing is reported of: a model with a listed price whose provider takes every parameter of litellm's.
_SOUND: Mapping[str | int, Any] = {
    "model": "anthropic/claude-sonnet-4-5",
    "api_base": "http://127.0.0.1",
    "price": {"input": 0.0, "output": 0.0},
}


def _mended(value: dict[str, Any], wrong: list[Path_]) -> PortfolioEntry | None:
    """The file with what pydantic refused replaced by something sound, so that the rest is checked in the same run.

    None where too little is left. What this puts in must not be reported itself.
    """
    value = copy.deepcopy(value)
    for where in wrong:
        _mend(value, where)
    try:
        return PortfolioEntry.model_validate(value)
    except ValidationError as exc:
        for error in exc.errors():
            match error["loc"]:
                case ("models" | "embedding_models" as key, int(i), *_):
                    value[key][i] = {"name": f"{key}[{i}]", "deployments": [{"model": _SOUND["model"]}]}
    try:
        return PortfolioEntry.model_validate(value)
    except ValidationError:
        return None


def _mend(value: dict[str, Any], where: Path_) -> None:
    if where[0] == "policies":
        if len(where) == 1:
            value.pop("policies")
            value.pop("default_policy", None)
        elif isinstance(value["policies"], dict) and where[1] in value["policies"]:
            value["policies"][where[1]] = {"cost_weight": 0.0}
        return
    if "price" in where:
        where = where[: where.index("price") + 1]
    if isinstance(where[-1], int):  # an item goes with its whole list, so that no other changes its number
        where = where[:-1]
    holder: Any = value
    for part in where[:-1]:  # ends early where pydantic adds a name of its own, as of a key that is not a string
        if isinstance(holder, list) and isinstance(part, int):
            holder = holder[part]
        else:
            holder = holder.get(part) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or where in ((), ("models",)):
        return
    holder.pop(where[-1], None)
    if where[-1] in _SOUND and where[0] in _MODELS:
        sound = _SOUND[where[-1]]
        holder[where[-1]] = {"input": 0.0} if where[0] == "embedding_models" and where[-1] == "price" else sound


def _problem(document: _Document, error: dict[str, Any]) -> _Problem:
    where: Path_ = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx") or {}
    if isinstance(context.get("at"), str):
        where += tuple(int(p) if p.isdigit() else p for p in context["at"].split("."))
    expected = error["msg"][0].lower() + error["msg"][1:]
    if kind == "extra_forbidden":
        return _Problem(document.line(where), f"{document.place(where)}: unknown key{_did_you_mean(where)}")
    if kind == "missing":
        return _Problem(document.line(where[:-1]), f"{document.place(where)}: missing")
    if kind in ("reserved", "capability", "policy"):
        return _Problem(document.line(where), f"{document.place(where)}: {error['msg']}")
    found = _shown(where, error.get("input"))
    return _Problem(document.line(where), f"{document.place(where)}: found {found}; {expected.removeprefix('input ')}")


def _shown(where: Path_, value: Any) -> str:
    """A value as an error may show it."""
    if any(is_secret_name(str(part)) for part in where) or "keys" in where or _ADDRESS in where:
        return f"a {type(value).__name__} that is not shown"
    if isinstance(value, dict | list):
        return f"{'an empty ' if not value else 'a '}{'mapping' if isinstance(value, dict) else 'list'}"
    text = repr(value)
    return "nothing" if value is None else text if len(text) <= 60 else text[:57] + "..."


def is_secret_name(name: str) -> bool:
    """Does a key of this name hold a secret?"""
    return name not in _NOT_SECRET and bool(_SECRET_NAME.search(name))


def _did_you_mean(where: Path_) -> str:
    levels: dict[int, type[BaseModel]] = {1: PortfolioEntry}
    if where[0] == "gateway":
        levels |= {2: GatewayEntry, 3: UtilityCallsEntry if "utility_calls" in where else HedgingEntry}
    if where[0] == "models":
        levels |= {3: ModelEntry, 4: PriceEntry}
    if where[0] == "embedding_models":
        levels |= {3: EmbeddingModelEntry, 4: EmbeddingPriceEntry}
    if where[0] == "policies":
        levels[3] = PolicyEntry
    model = levels.get(len(where), PortfolioEntry)
    close = difflib.get_close_matches(str(where[-1]), list(model.model_fields), n=1)
    return f"; did you mean {close[0]}?" if close else f"; expected one of {', '.join(model.model_fields)}"


class _Builder:
    """A checked entry -> values, resolving references to the environment, providers and LiteLLM's table."""

    def __init__(self, document: _Document, entry: PortfolioEntry, environment: Mapping[str, str]) -> None:
        self._document = document
        self._entry = entry
        self._environment = environment
        self._warnings: list[str] = []
        self._unset: dict[str, list[str]] = {}  # environment variable -> deployments that wait for it

    def build(self) -> Portfolio:
        entry = self._entry
        policies = self._policies()
        if entry.default_policy not in policies:
            self._document.report(
                ("default_policy",), f"found {entry.default_policy!r}, expected one of {', '.join(policies)}"
            )
        self._check_names()
        return Portfolio(
            path=self._document.path,
            models=tuple(self._model(i, model) for i, model in enumerate(entry.models)),
            embedding_models=tuple(self._embedding_model(i, m) for i, m in enumerate(entry.embedding_models)),
            policies=policies,
            default_policy=entry.default_policy,
            checkpoint=None if entry.checkpoint is None else Path(entry.checkpoint),
            spaces=tuple(Path(space) for space in entry.spaces),
            settings=self._settings(),
            places={
                model.name: self._document.locate(("models", i, "embedding")) for i, model in enumerate(entry.models)
            },
            warnings=(*self._warnings, *self._without_key()),
        )

    def _check_names(self) -> None:
        """Clients name models of both kinds in one way, so no two may have one name."""
        named: list[tuple[Path_, str]] = [(("models", i), m.name) for i, m in enumerate(self._entry.models)]
        named += [(("embedding_models", i), m.name) for i, m in enumerate(self._entry.embedding_models)]
        first: dict[str, Path_] = {}
        for where, name in named:
            if name in first:
                self._document.report((*where, "name"), f"{name!r} is also {self._document.place(first[name])}")
            first.setdefault(name, where)

    def _policies(self) -> Mapping[str, Policy]:
        if self._entry.policies is None:
            return DEFAULT_POLICIES
        return {
            name: Policy(
                name,
                rule="utility" if policy.min_p_correct is None else "cheapest",
                cost_weight=policy.cost_weight or 0.0,
                min_p_correct=policy.min_p_correct or 0.0,
                caution=policy.caution,
                max_predicted_loss=policy.max_predicted_loss,
            )
            for name, policy in self._entry.policies.items()
        }

    def _settings(self) -> Settings:
        gateway = self._entry.gateway
        keys = [self._own_key(("gateway", "keys", i), key) for i, key in enumerate(gateway.keys)]
        admin_key = None if gateway.admin_key is None else self._own_key(("gateway", "admin_key"), gateway.admin_key)
        if not gateway.keys and not is_loopback(gateway.host):
            self._document.report(
                ("gateway", "host"), f"found {gateway.host!r}; without `keys` only a loopback address is served"
            )
        if not gateway.keys and "*" in gateway.cors_origins:
            self._document.report(
                ("gateway", "cors_origins", gateway.cors_origins.index("*")),
                "found '*'; without `keys` every web page that a browser on this machine shows could use the gateway",
            )
        return Settings(
            host=gateway.host,
            port=gateway.port,
            keys=tuple(key for key in keys if key is not None),
            cors_origins=tuple(gateway.cors_origins),
            admin_key=admin_key,
            shutdown_grace_s=gateway.shutdown_grace,
            load=LoadSettings(gateway.max_requests, gateway.max_queued, gateway.queue_timeout),
            max_body_bytes=int(gateway.max_body_mb * (1 << 20)),
            record=None if gateway.record is None else Path(gateway.record).expanduser(),
            store_prompts=gateway.store_prompts,
            responses=_responses(gateway),
            response_retention_s=gateway.response_retention,
            retry=RetrySettings(gateway.retries, gateway.max_retry_after, gateway.retry_budget),
            hedging=None
            if gateway.hedging is None
            else HedgeSettings(gateway.hedging.quantile, gateway.hedging.budget),
            stream_recovery=gateway.stream_recovery,
            switch_price=gateway.switch_price,
            utility_calls=self._utility_calls(gateway.utility_calls),
            breaker=BreakerSettings(gateway.breaker_failures, gateway.cool_down, gateway.max_cool_down),
        )

    def _utility_calls(self, entry: UtilityCallsEntry | None) -> UtilityCalls | None:
        if entry is None:
            return None
        where: Path_ = ("gateway", "utility_calls")
        policies = self._policies()
        if entry.policy not in policies:
            self._document.report((*where, "policy"), f"found {entry.policy!r}, expected one of {', '.join(policies)}")
        if not entry.front_ends and not entry.patterns:
            self._document.report(where, "expected `front_ends` or `patterns`, to recognise the calls by")
        patterns = []
        for i, name in enumerate(entry.front_ends):
            if name in FRONT_ENDS:
                patterns.append(re.compile(FRONT_ENDS[name]))
            else:
                self._document.report(
                    (*where, "front_ends", i), f"found {name!r}, expected one of {', '.join(FRONT_ENDS)}"
                )
        for i, pattern in enumerate(entry.patterns):
            try:
                patterns.append(re.compile(pattern))
            except re.error as exc:
                self._document.report((*where, "patterns", i), f"not a regular expression: {exc}")
        return UtilityCalls(entry.policy, tuple(patterns))

    def _own_key(self, where: Path_, value: str) -> Secret | None:
        secret, missing = self._secret(where, value)
        if missing is not None:
            self._document.report(where, f"the environment variable {missing} is not set")
        return secret

    def _model(self, i: int, model: ModelEntry) -> Model:
        where: Path_ = ("models", i)
        deployments, local = self._deployments(where, model)
        listed = _listed(model, (model.price, model.context_window, model.capabilities))
        window = model.context_window or listed.context_window
        if window is None:
            self._warn(where, f"context_window of {model.name} is not known; {FALLBACK_WINDOW} is assumed")
        return Model(
            name=model.name,
            deployments=deployments,
            embedding=model.embedding,
            price=self._price(where, model, listed, required=bool(deployments) and not local),
            context_window=window or FALLBACK_WINDOW,
            max_output_tokens=model.max_output_tokens or listed.max_output_tokens,
            capabilities=listed.capabilities if model.capabilities is None else frozenset(model.capabilities),
        )

    def _embedding_model(self, i: int, model: EmbeddingModelEntry) -> Model:
        where: Path_ = ("embedding_models", i)
        deployments, local = self._deployments(where, model)
        listed = _listed(model, (model.price, model.max_input_tokens, model.dimensions))
        most = model.max_input_tokens or listed.context_window
        if most is None:
            self._warn(where, f"max_input_tokens of {model.name} is not known; {FALLBACK_WINDOW} is assumed")
        return Model(
            name=model.name,
            deployments=deployments,
            embedding=None,
            price=self._price(where, model, listed, required=bool(deployments) and not local),
            context_window=most or FALLBACK_WINDOW,
            dimensions=model.dimensions or listed.dimensions,
        )

    def _deployments(
        self, where: Path_, model: ModelEntry | EmbeddingModelEntry
    ) -> tuple[tuple[Deployment, ...], bool]:
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

    def _price(self, where: Path_, model: ModelEntry | EmbeddingModelEntry, listed: Listed, *, required: bool) -> Price:
        if isinstance(model.price, EmbeddingPriceEntry):
            return Price(model.price.input, 0.0, model.price.input)
        if model.price is not None:
            cached = model.price.cached_input
            return Price(model.price.input, model.price.output, model.price.input if cached is None else cached)
        if listed.usd_per_mtok_in is not None and required:
            cached = listed.usd_per_mtok_cached
            return Price(
                listed.usd_per_mtok_in,
                listed.usd_per_mtok_out or 0.0,
                listed.usd_per_mtok_in if cached is None else cached,
            )
        if required:
            prices = "input: …, output: …" if isinstance(model, ModelEntry) else "input: …"
            self._document.report(
                where,
                f"LiteLLM's table has no price of {model.name}; add `price: {{{prices}}}`, USD per million tokens",
            )
        return Price(0.0, 0.0, 0.0)

    def _deployment(self, at: Path_, id_: str, model: str, entry: DeploymentEntry, target: Target) -> Deployment:
        key, missing = (None, None) if entry.api_key is None else self._secret((*at, "api_key"), entry.api_key)
        if entry.api_key is None and target.key_variable is not None:
            value = self._environment.get(target.key_variable)
            key, missing = (None, target.key_variable) if not value else (Secret(value), None)
        headers = {}
        for name, value in entry.extra_headers.items():
            secret, unset = self._secret((*at, "extra_headers", name), value)
            missing = missing or unset
            if secret is not None:
                headers[name] = secret
        params: dict[str, Any] = {}
        for name, value in (entry.model_extra or {}).items():
            if target.direct and name == "organization" and isinstance(value, str):
                secret, unset = self._secret((*at, name), value)
                missing = missing or unset
                headers |= {} if secret is None else {"openai-organization": secret}
            elif target.direct or not LITELLM_PARAMS.fullmatch(name):
                known = [*DeploymentEntry.model_fields, "organization"]
                close = difflib.get_close_matches(name, known, n=1)
                self._document.report(
                    (*at, name), "unknown key" + (f"; did you mean {close[0]}?" if close else f" of {target.provider}/")
                )
            elif isinstance(value, str) and (is_secret_name(name) or value.startswith(ENVIRONMENT)):
                secret, unset = self._secret((*at, name), value)
                missing = missing or unset
                params |= {} if secret is None else {name: secret}
            elif is_secret_name(name):
                self._document.report(
                    (*at, name), f"found {_shown((name,), value)}; expected os.environ/NAME or another string"
                )
            else:
                params[name] = value
        if entry.apis and target.native_base is None:
            self._document.report(
                (*at, "apis"), f"{target.provider}/ is reached through litellm, by chat completions only"
            )
        if missing is not None:
            self._unset.setdefault(missing, []).append(id_)
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

    def _secret(self, where: Path_, value: str) -> tuple[Secret | None, str | None]:
        """The secret that a value refers to, or the name of the variable that is not set."""
        if value.startswith(ENVIRONMENT):
            variable = value[len(ENVIRONMENT) :]
            found = self._environment.get(variable)
            return (Secret(found), None) if found else (None, variable)
        if is_secret_name(str(where[-1])) or "keys" in where:
            self._warn(where, "a literal secret; write os.environ/NAME instead, so that the file can be shared")
        return Secret(value), None

    def _without_key(self) -> list[str]:
        """One warning for all deployments that wait for an environment variable."""
        if not self._unset:
            return []
        number = sum(map(len, self._unset.values()))
        each = ", ".join(f"{variable} ({_some(ids)})" for variable, ids in self._unset.items())
        plural = "deployment, which is" if number == 1 else "deployments, which are"
        return [f"{self._document.path}: no key set for {number} {plural} not used: {each}"]

    def _warn(self, where: Path_, what: str) -> None:
        self._warnings.append(f"{self._document.locate(where)}: {what}")


def _some(names: list[str], most: int = 3) -> str:
    """`_some(["a", "b", "c", "d"])` is "a, b, c and 1 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _responses(gateway: GatewayEntry) -> Path | None:
    if gateway.responses == BESIDE_RECORD:
        record = None if gateway.record is None else Path(gateway.record).expanduser()
        return None if record is None else record.with_name(f"{record.stem}-responses.db")
    return None if gateway.responses is None else Path(gateway.responses).expanduser()


def _prefill(entry: DeploymentEntry, target: Target) -> Prefill:
    form: Prefill = target.prefill
    if not target.direct:
        listed = look_up(entry.model) if entry.prefill is None else None
        form = "prefix" if entry.prefill or (listed is not None and listed.prefill) else ""
    if entry.prefill is None:
        return form
    return (form or "message") if entry.prefill else ""


def _listed(model: ModelEntry | EmbeddingModelEntry, given: tuple[object, ...]) -> Listed:
    """What LiteLLM's table says of the first deployment that it has, where the entry leaves anything to it.

    Reading it costs some 40 ms.
    """
    found = (look_up(entry.model) for entry in model.deployments) if None in given else ()
    return next((listed for listed in found if listed is not None), Listed(None, None, None, None, frozenset()))
