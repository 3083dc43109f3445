"""A LiteLLM proxy configuration -> a portfolio, and what has no equivalent. Opens the file and what it includes; writes none.

Every key of the input is used or named in a finding: whatever the code does not know is found at the end by its node
never having been used. Values show only where they name a model, a strategy or an environment variable.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.config.document import kind_of
from gateway.config.lined_yaml import Node, read_lined
from gateway.config.litellm_table import CAPABILITIES, Listed, look_up
from gateway.config.portfolio_text import portfolio_text
from gateway.config.yaml_file import YamlError
from gateway.migrate.import_values import Finding, Values
from gateway.migrate.litellm_models import DROP_PARAMS, LOST, Deployment, Model, ModelList
from gateway.migrate.model_aliases import resembles, same_model

Where = tuple[str | int, ...]
_UNKNOWN = Listed(None, None, None, None, frozenset())
_STRATEGY = re.compile(r"simple-shuffle|least-busy|(usage|latency|cost)-based-routing(-v2)?")


class ImportProblems(Exception):
    """A configuration that cannot be imported; one line each, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Imported:
    """A portfolio made of a configuration.

    Attributes:
        variables: environment variables that the portfolio refers to.
        literal_secrets: whether the text holds keys themselves.
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
        literals: whether keys that the configuration holds itself are carried over. Else a reference stands for each.

    Raises:
        ImportProblems: all problems of the file.
    """
    values = Values(environment, literals=literals)
    importer = _Importer(path, space, values)
    try:
        importer.run()
    except YamlError as exc:
        raise ImportProblems([str(exc)]) from exc
    if values.problems:
        raise ImportProblems([str(problem) for problem in _in_order(values.problems)])
    return importer.imported()


def _in_order(findings: list[Finding]) -> list[Finding]:
    files = list(dict.fromkeys(finding.file for finding in findings))
    return sorted(dict.fromkeys(findings), key=lambda f: (files.index(f.file), f.line))


class _Importer:
    def __init__(self, path: Path, space: Collection[str], values: Values) -> None:
        self._path = path
        self._space = space
        self._values = values
        self._root = Node(path, 1, "", {})
        self._list = ModelList(values, self._root)
        self._portfolio: dict[str, Any] = {"models": []}
        self._comments: dict[Where, list[str]] = {}

    def run(self) -> None:
        self._root = self._read(self._path, {self._path.resolve()})
        self._list = ModelList(self._values, self._root)
        entries = self._root.get("model_list")
        if entries is None:
            self._values.problem(
                self._root, "no `model_list`: is this the configuration of a LiteLLM proxy?", "the file"
            )
        elif not isinstance(entries.value, list) or not entries.value:
            self._values.wrong(entries, "a list of models")
        else:
            self._list.read(entries)
            if not self._list.models and not self._values.problems:
                self._values.problem(entries, "no model is left that could be imported:")
                self._values.problems += [f for f in self._values.findings if f.kind != "changed"]
        for name in ("litellm_settings", "router_settings", "general_settings", "environment_variables"):
            self._section(name)
        if self._list.notes:
            self._comments[("models",)] = self._list.notes
        gateway = self._gateway()
        self._global_settings()
        if not self._values.problems:
            self._write_models()
            self._write_embedding_models()
            self._aliases()
            self._rest()
            if gateway:
                self._portfolio["gateway"] = gateway

    def imported(self) -> Imported:
        models = self._portfolio["models"]
        every = [*models, *self._portfolio.get("embedding_models", ())]
        header = [
            "yaml-language-server: $schema=portfolio.schema.json",
            "",
            f"Made from the LiteLLM configuration {self._path.name}. Comments that begin with LOOK want a decision.",
            "After 10 seconds without a first token (`first_token_timeout`) the next deployment is asked too; LiteLLM waits.",
        ]
        return Imported(
            portfolio_text(self._portfolio, {(): header, **self._comments}),
            len(every),
            sum(len(model["deployments"]) for model in every),
            sum("embedding" in model for model in models),
            tuple(self._values.variables),
            self._values.literal_secrets,
            tuple(_in_order(self._values.findings)),
        )

    def _read(self, path: Path, seen: set[Path]) -> Node:
        """A file with what it includes: lists are extended, everything else is replaced, as LiteLLM has it."""
        root = read_lined(path)
        if not isinstance(root.value, dict):
            found = kind_of(root.value)
            self._values.problem(root, f"found {found}, expected a mapping with `model_list`", "the file")
            root.value = {}
        include = root.get("include")
        if include is None:
            return root
        if not isinstance(include.value, list):
            self._values.wrong(include, "a list of files")
            return root
        include.used = True
        for item in include.value:
            item.used = True
            if not isinstance(item.value, str):
                self._values.wrong(item, "the name of a file")
                continue
            other = path.parent / item.value
            if other.resolve() in seen:
                continue
            seen.add(other.resolve())
            try:
                self._extend(root, self._read(other, seen))
            except YamlError as exc:
                self._values.problem(item, str(exc))
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
                    self._values.found(mine, "lost", f"{node.file.name} replaces it, as with LiteLLM")
                root.value[key] = node

    def _section(self, name: str) -> None:
        node = self._root.get(name)
        if node is not None and not isinstance(node.value, dict):
            self._values.wrong(node, "a mapping")

    def _setting(self, section: str, key: str) -> Node | None:
        node = self._root.get(section)
        return None if node is None else node.get(key)

    def _gateway(self) -> dict[str, Any]:
        gateway: dict[str, Any] = {}
        self._master_key(gateway)
        retries = self._either("num_retries")
        if retries is not None and (number := self._values.number(retries, least=0)) is not None:
            gateway["retries"] = min(3, int(number))
            what = "is gateway.retries: on one deployment after a 429; after a server error at most one"
            self._values.found(retries, "changed", what + ("; 3 is the most here" if number > 3 else ""))
        fails = self._either("allowed_fails")
        if fails is not None and (number := self._values.number(fails, least=0)) is not None:
            gateway["breaker_failures"] = int(number) + 1
            self._values.found(
                fails, "changed", "is gateway.breaker_failures, one more: so many in a row, not in a minute"
            )
        cooling = self._either("cooldown_time")
        if cooling is not None and (number := self._values.number(cooling)) is not None:
            if number > 0:
                gateway |= {"cool_down": number, "max_cool_down": max(20.0, number)}
                self._values.found(
                    cooling, "changed", "is gateway.cool_down, the first one: it doubles with every failed probe"
                )
            else:
                self._values.found(cooling, "lost", "no equivalent: a cool-down is longer than 0 here")
        for key, name, least in (
            ("global_max_parallel_requests", "max_requests", 1),
            ("max_request_size_mb", "max_body_mb", 0.001),
        ):
            node = self._setting("general_settings", key)
            if node is not None and (number := self._values.number(node, least=least)) is not None:
                gateway[name] = int(number) if key.startswith("global") else number
        node = self._setting("general_settings", "store_prompts_in_spend_logs")
        if node is not None and (flag := self._values.flag(node)) is not None:
            gateway["store_prompts"] = flag
        return gateway

    def _master_key(self, gateway: dict[str, Any]) -> None:
        node = self._setting("general_settings", "master_key")
        value = None if node is None else self._values.scalar(node)
        if node is None or not value:
            note = "LiteLLM serves every address; without `keys` this gateway serves this machine alone."
            self._comments[("models",)] = [*self._comments.get(("models",), []), f"LOOK {note}"]
            return
        gateway["keys"] = [self._values.secret(node, value)]
        what = "is the only one of gateway.keys, which may use every model; keys made in LiteLLM's database are not valid here"
        self._values.found(node, "changed", what)
        self._comments[("gateway", "keys")] = [
            "LOOK LiteLLM serves every address; for that add `host: 0.0.0.0`. Keys from its database are not valid here."
        ]

    def _either(self, key: str) -> Node | None:
        """A setting of router_settings, else of litellm_settings."""
        router, general = self._setting("router_settings", key), self._setting("litellm_settings", key)
        if router is not None and general is not None:
            self._values.found(general, "lost", f"{router.where} counts, as with LiteLLM")
        return router or general

    def _global_settings(self) -> None:
        """Defaults of all deployments, which here each has for itself."""
        router, general = (
            self._setting("router_settings", "timeout"),
            self._setting("litellm_settings", "request_timeout"),
        )
        if router is not None and general is not None:
            self._values.found(general, "lost", f"{router.where} counts, as with LiteLLM")
        defaults = {
            "timeout": router or general,
            "stream_timeout": self._setting("router_settings", "stream_timeout"),
            "max_parallel_requests": self._setting("router_settings", "default_max_parallel_requests"),
        }
        models = [*self._list.models.values(), *self._list.embedding_models.values()]
        deployments = [d for model in models for d in model.deployments]
        for name, node in defaults.items():
            number = None if node is None else self._values.number(node)
            if node is None or number is None:
                continue
            if number <= 0:
                self._values.found(node, "lost", "no equivalent: it is more than 0 here")
                continue
            self._values.found(node, "changed", f"written as `{name}` of each deployment")
            for deployment in deployments:
                deployment.values.setdefault(name, int(number) if name.startswith("max") else number)
        self._health_checks(deployments)
        strategy = self._setting("router_settings", "routing_strategy")
        if strategy is not None:
            shown = strategy.value if isinstance(strategy.value, str) and _STRATEGY.fullmatch(strategy.value) else "it"
            what = f"{shown} has no equivalent: deployments of a model share the load by `weight`"
            if shown == "simple-shuffle":
                what = "simple-shuffle is what is done here: deployments of a model share the load by `weight`"
            self._values.found(strategy, "changed", what)
        if strategy is None or strategy.value == "simple-shuffle":
            for model in models:
                self._weigh_by_limits(model)

    def _weigh_by_limits(self, model: Model) -> None:
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
                    self._values.remark(
                        model.node, "changed", f"the load of {model.name} is shared by {limit}: written as weight"
                    )
                return

    def _health_checks(self, deployments: list[Deployment]) -> None:
        node = self._setting("general_settings", "background_health_checks")
        interval = self._setting("general_settings", "health_check_interval")
        if node is None or self._values.flag(node) is not True:
            return
        seconds = 300.0 if interval is None else self._values.number(interval)
        if seconds is None or seconds <= 0:
            return
        self._values.found(
            node, "changed", "written as health_check_interval of each deployment, which asks for one token"
        )
        for deployment in deployments:
            if deployment.health_checks:
                deployment.values["health_check_interval"] = seconds

    def _write_models(self) -> None:
        for i, model in enumerate(self._list.models.values()):
            written: dict[str, Any] = {"name": model.name}
            self._embedding(i, model, written)
            self._write_deployments(("models", i), model, written)
            self._describe(i, model, written)
            self._portfolio["models"].append(written)

    def _write_embedding_models(self) -> None:
        for i, model in enumerate(self._list.embedding_models.values()):
            where: Where = ("embedding_models", i)
            written: dict[str, Any] = {"name": model.name}
            self._write_deployments(where, model, written)
            facts, base, tabled = self._known(model)
            listed = base or tabled or _UNKNOWN
            self._price(where, model, written, facts, listed, from_base=base is not None)
            if "price" in written:
                written["price"] = {"input": written["price"]["input"]}
            most = facts.get("context_window") or (base and base.context_window)
            if most:
                written["max_input_tokens"] = most
            elif listed.context_window is None:
                what = f"the input limit of {model.name} is not known: 8192 tokens are assumed"
                self._values.remark(model.node, "look", what)
                self._comments[where] = [f"LOOK {what}; else add `max_input_tokens: ...`"]
            if dimensions := facts.get("dimensions") or (base and base.dimensions):
                written["dimensions"] = dimensions
            self._portfolio.setdefault("embedding_models", []).append(written)

    def _write_deployments(self, where: Where, model: Model, written: dict[str, Any]) -> None:
        written["deployments"] = [deployment.values for deployment in model.deployments]
        for j, deployment in enumerate(model.deployments):
            for key, lines in deployment.comments.items():
                self._comments[(*where, "deployments", j, key)] = lines

    def _embedding(self, i: int, model: Model, written: dict[str, Any]) -> None:
        names = [_spelling(deployment) for deployment in model.deployments]
        found = {same_model(name, self._space) for name in names}
        if len(found) == 1 and (name := found.pop()) is not None:
            written["embedding"] = name
            return
        what = f"which model of the space {model.name} is, is not certain: without `embedding` it answers only by name"
        hints = dict.fromkeys(hint for name in names if (hint := resembles(name, self._space)) is not None)
        self._values.remark(model.node, "look", what)
        lines = [f"LOOK {what}.", *(f"embedding: {hint}  # is it this one?" for hint in hints)]
        self._comments[("models", i, "deployments")] = lines

    def _known(self, model: Model) -> tuple[dict[str, Any], Listed | None, Listed | None]:
        """What LiteLLM's entries say of a model, its table of the base_model, and its table of the model itself."""
        facts: dict[str, Any] = {}
        for deployment in model.deployments:
            for name, (value, node) in deployment.facts.items():
                if facts.setdefault(name, value) != value:
                    self._values.found(
                        node, "changed", f"differs from an earlier deployment of {model.name}, which counts"
                    )
        bases = (d.base_model for d in model.deployments if d.base_model is not None)
        base = next((entry for name in bases if (entry := look_up(name)) is not None), None)
        for deployment in model.deployments:
            if deployment.base_model is not None and look_up(deployment.base_model) is None:
                what = f"LiteLLM's table has no base_model {deployment.base_model}"
                self._values.remark(deployment.node, "look", what)
        tabled = next((entry for d in model.deployments if (entry := look_up(d.model)) is not None), None)
        return facts, base, tabled

    def _describe(self, i: int, model: Model, written: dict[str, Any]) -> None:
        """Price, windows and capabilities: LiteLLM's own, else those of base_model; what is left is for its table."""
        facts, base, tabled = self._known(model)
        listed = base or tabled or _UNKNOWN
        self._price(("models", i), model, written, facts, listed, from_base=base is not None)
        window = facts.get("context_window") or (base and base.context_window)
        if window:
            written["context_window"] = window
        elif listed.context_window is None:
            what = f"the context window of {model.name} is not known: 8192 tokens are assumed"
            self._values.remark(model.node, "look", what)
            self._comments[("models", i)] = [f"LOOK {what}; else add `context_window: ...`"]
        if output := facts.get("max_output_tokens") or (base and base.max_output_tokens):
            written["max_output_tokens"] = output
        flags = {name: facts[key] for key, name in CAPABILITIES.items() if key in facts}
        if flags or base is not None:
            able = {name for name in CAPABILITIES.values() if flags.get(name, name in listed.capabilities)}
            written["capabilities"] = [name for name in CAPABILITIES.values() if name in able]
        if base is None and tabled is None and len(flags) < len(CAPABILITIES):
            what = f"what {model.name} can do is not known: only what model_info says is assumed, and text"
            self._values.remark(model.node, "look", what)
            where = ("models", i, "capabilities") if flags else ("models", i)
            line = f"LOOK {what}; of {', '.join(CAPABILITIES.values())}"
            self._comments.setdefault(where, []).append(line if flags else f"{line} add `capabilities: [...]`")

    def _price(
        self,
        where: Where,
        model: Model,
        written: dict[str, Any],
        facts: dict[str, Any],
        listed: Listed,
        *,
        from_base: bool,
    ) -> None:
        given = [facts.get("input_cost_per_token"), facts.get("output_cost_per_token")]
        table = [listed.usd_per_mtok_in, listed.usd_per_mtok_out]
        local = any(deployment.target.local for deployment in model.deployments)
        if given == [None, None] and (local or (table[0] is not None and not from_base)):
            return
        price = [mine if mine is not None else theirs for mine, theirs in zip(given, table, strict=True)]
        written["price"] = {"input": price[0] or 0.0, "output": price[1] or 0.0}
        cached = facts.get("cache_read_input_token_cost", listed.usd_per_mtok_cached if given == [None, None] else None)
        if cached is not None:
            written["price"]["cached_input"] = cached
        if price[0] is None or price[1] is None:
            what = f"the price of {model.name} is not known: 0 makes `auto` prefer it"
            self._values.remark(model.node, "look", what)
            self._comments[(*where, "price")] = [f"LOOK {what}; USD per million tokens"]

    def _aliases(self) -> None:
        """Another name for a model becomes a model of that name which `auto` never chooses."""
        aliases = self._setting("router_settings", "model_group_alias")
        if aliases is None:
            return
        if not isinstance(aliases.value, dict):
            self._values.wrong(aliases, "a mapping of names")
            return
        aliases.used = True
        for alias, node in aliases.value.items():
            inner = node.get("model") if isinstance(node.value, dict) else node
            node.plain()
            name = inner.value if inner is not None else None
            key = "embedding_models" if name in self._list.embedding_models else "models"
            models: list[dict[str, Any]] = self._portfolio.get(key, [])
            model = next((m for m in models if m["name"] == name), None)
            if (
                model is None
                or alias in self._list.models
                or alias in self._list.embedding_models
                or not alias.isprintable()
                or alias.partition(":")[0] == "auto"
            ):
                self._values.found(node, "lost", "an alias of nothing that was imported, or a name that is taken")
                continue
            what = f"{alias} is a model of its own, which `auto` never chooses; limits are counted apart from {name}'s"
            self._values.found(node, "changed", what)
            if key == "models":
                self._comments[(key, len(models))] = [f"An alias: without an embedding, as {name} has it already."]
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
            self._values.found(drop, "changed", DROP_PARAMS)
        variables = self._root.get("environment_variables")
        for name, node in variables.value.items() if variables is not None else ():
            self._values.found(node, "look", f"set {name} in the environment: values of variables are not carried over")
        unused = [child for node in self._root.unused() for child in _settings(node)]
        for node in unused:
            self._values.found(node, "lost", LOST.get(node.where.rpartition(".")[2], "no equivalent"))
        for node, key in _repeats(self._root):
            self._values.found(node, "lost", f"the key {key} occurs again below, which counts, as with LiteLLM")

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
            self._values.found(node, "lost", why)
            return
        for name, targets in pairs:
            names = [c.value for c in targets.children() if isinstance(c.value, str)]
            chain = f"{name} to {', '.join(names)}: " if names else f"{name}: "
            written = {m["name"]: m for m in self._portfolio["models"]}
            outside = [n for n in dict.fromkeys([name, *names]) if n in written and "embedding" not in written[n]]
            note = f"; {', '.join(outside)} cannot stand in or be stood in for without an embedding" if outside else ""
            self._values.found(targets, "lost", chain + why + note)
        node.plain()


def _spelling(deployment: Deployment) -> str:
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
