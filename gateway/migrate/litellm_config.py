"""Turns a LiteLLM proxy configuration into a portfolio file, and reports the settings that are lost or changed.

Reads the file and the files that it includes; writes no file. Every key of the input is used or appears in the report:
a key that this code does not know is found because its node was never used. The report shows no values except the names of
models, strategies and environment variables.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config.portfolio import NO_EMBEDDING
from gateway.config.portfolio_text import portfolio_text
from gateway.config.schema import FIRST_TOKEN_S
from gateway.config.yaml_reader import Place, YamlError, YamlNode
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import is_reserved
from gateway.migrate.import_values import Finding, ImportedValues
from gateway.migrate.litellm_fallbacks import KEYS, Fallbacks
from gateway.migrate.litellm_files import read_with_includes
from gateway.migrate.litellm_models import ModelList
from gateway.migrate.litellm_settings import SettingsImport
from gateway.migrate.lost_settings import DROP_PARAMS, LOST
from gateway.migrate.model_entries import ModelEntries

_SECTIONS = ("litellm_settings", "router_settings", "general_settings", "environment_variables")


class ImportProblems(Exception):
    """Raised for a configuration that cannot be imported. `problems` has one line for each mistake, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Imported:
    """The portfolio made from a configuration.

    Attributes:
        variables: environment variables that the portfolio refers to.
        literal_secrets: True if the text contains keys, not only references to them.
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
    """Imports a LiteLLM proxy configuration and the files that it includes.

    Args:
        space: names of the model space.
        environment: the environment variables. References to addresses and numbers are replaced by their values, because a
            portfolio file cannot refer to those; references to keys are kept.
        literals: True if keys that the configuration itself contains are copied; else a reference replaces each.

    Raises:
        ImportProblems: all problems of the file.
    """
    values = ImportedValues(environment, literals=literals)
    try:
        root = read_with_includes(path, values)
    except YamlError as exc:
        raise ImportProblems([str(exc)]) from exc
    importer = _Importer(root, space, values)
    importer.run()
    if values.problems:
        raise ImportProblems([str(problem) for problem in _in_order(values.problems)])
    return importer.imported()


def _in_order(findings: list[Finding]) -> list[Finding]:
    files = list(dict.fromkeys(finding.file for finding in findings))
    return sorted(dict.fromkeys(findings), key=lambda f: (files.index(f.file), f.line))


class _Importer:
    """Turns the root of a configuration into the mappings of a portfolio file."""

    def __init__(self, root: YamlNode, space: Collection[str], values: ImportedValues) -> None:
        self._root = root
        self._values = values
        self._list = ModelList(values, root)
        self._settings = SettingsImport(values, root)
        self._entries = ModelEntries(values, space)
        self._models: list[JsonObject] = []
        self._embedding_models: list[JsonObject] = []
        self._gateway: dict[str, object] = {}
        self._alias_of: dict[str, str] = {}

    def run(self) -> None:
        """Reads the configuration. Afterwards `values` has the findings and the problems."""
        self._read_models()
        for name in _SECTIONS:
            section = self._root.get(name)
            if section is not None and not isinstance(section.value, dict):
                self._values.wrong_type(section, "a mapping")
        self._gateway = self._settings.gateway()
        self._settings.set_defaults((*self._list.models.values(), *self._list.embedding_models.values()))
        if not self._values.problems:
            self._models = [self._entries.model(i, model) for i, model in enumerate(self._list.models.values())]
            self._embedding_models = [
                self._entries.embedding_model(i, model) for i, model in enumerate(self._list.embedding_models.values())
            ]
            self._aliases()
            self._rest()

    def _read_models(self) -> None:
        entries = self._root.get("model_list")
        if entries is None:
            message = "no `model_list`: is this the configuration of a LiteLLM proxy?"
            self._values.add_problem(self._root, message, "the file")
        elif not isinstance(entries.value, list) or not entries.value:
            self._values.wrong_type(entries, "a list of models")
        else:
            self._list.read(entries)
            if not self._list.models and not self._values.problems:
                self._values.add_problem(entries, "no model is left that could be imported:")
                self._values.problems += [f for f in self._values.findings if f.kind != "changed"]

    def imported(self) -> Imported:
        every = [*self._models, *self._embedding_models]
        portfolio: dict[str, object] = {"models": self._models}
        if self._embedding_models:
            portfolio["embedding_models"] = self._embedding_models
        if self._settings.keys:
            portfolio["keys"] = self._settings.keys
        if self._gateway:
            portfolio["gateway"] = self._gateway
        return Imported(
            portfolio_text(portfolio, self._comments()),
            len(every),
            sum(len(model["deployments"]) for model in every),
            sum(model.get("embedding", NO_EMBEDDING) != NO_EMBEDDING for model in self._models),
            tuple(self._values.variables),
            self._values.literal_secrets,
            tuple(_in_order(self._values.findings)),
        )

    def _comments(self) -> dict[Place, list[str]]:
        header = [
            "yaml-language-server: $schema=portfolio.schema.json",
            "",
            f"Made from the LiteLLM configuration {self._root.file.name}. Comments that begin with LOOK want a decision.",
            f"After {FIRST_TOKEN_S:g} seconds without a first token (`first_token_timeout`) the next deployment is called "
            "too; LiteLLM waits.",
        ]
        comments: dict[Place, list[str]] = {(): header, **self._settings.comments, **self._entries.comments}
        if notes := [*self._list.notes, *self._settings.comments.get(("models",), [])]:
            comments[("models",)] = notes
        return comments

    def _aliases(self) -> None:
        """Adds a model for each alias of a model. `auto` never chooses it."""
        aliases = self._settings.setting("router_settings", "model_group_alias")
        if aliases is None:
            return
        if not isinstance(aliases.value, dict):
            self._values.wrong_type(aliases, "a mapping of names")
            return
        aliases.used = True
        for alias, node in aliases.value.items():
            inner = node.get("model") if isinstance(node.value, dict) else node
            node.plain()
            name = inner.value if inner is not None and isinstance(inner.value, str) else None
            embeds = name in self._list.embedding_models
            models = self._embedding_models if embeds else self._models
            model = next((m for m in models if m["name"] == name), None)
            if model is None or not self._is_free(alias):
                self._values.report(node, "lost", "an alias of nothing that was imported, or a name that is taken")
                continue
            message = (
                f"{alias} is a model of its own, which `auto` never chooses; limits are counted apart from {name}'s"
            )
            self._values.report(node, "changed", message)
            if not embeds:
                self._entries.comments[("models", len(models))] = [
                    f"An alias: without an embedding, so that `auto` chooses {name} itself."
                ]
            own = {"name": alias} if embeds else {"name": alias, "embedding": NO_EMBEDDING}
            self._alias_of[alias] = model["name"]
            models.append(own | {k: v for k, v in model.items() if k not in own})

    def _is_free(self, alias: str) -> bool:
        """Return True if a model may have this name."""
        taken = alias in self._list.models or alias in self._list.embedding_models
        return not taken and alias.isprintable() and not is_reserved(alias)

    def _rest(self) -> None:
        fallbacks = Fallbacks(self._values, self._models, self._alias_of)
        for section in ("router_settings", "litellm_settings"):  # the router's own lists count
            for key in KEYS:
                node = self._settings.setting(section, key)
                if node is not None:
                    fallbacks.read(key, node)
        fallbacks.write()
        if (drop := self._settings.setting("litellm_settings", "drop_params")) is not None:
            self._values.report(drop, "changed", DROP_PARAMS)
        variables = self._root.get("environment_variables")
        for name, node in variables.value.items() if variables is not None else ():
            self._values.report(
                node, "look", f"set {name} in the environment: values of variables are not carried over"
            )
        unused = [child for node in self._root.unused() for child in _settings_of(node)]
        for node in unused:
            self._values.report(node, "lost", LOST.get(node.key, "no equivalent"))
        for node, key in _repeats(self._root):
            self._values.report(node, "lost", f"the key {key} occurs again below, which counts, as with LiteLLM")


def _settings_of(node: YamlNode) -> list[YamlNode]:
    """The nodes to report: the keys of a section of settings, or the node itself."""
    section = (node.key.endswith("_settings") or node.key == "model_info") and isinstance(node.value, dict)
    return [child for child in node.children() if child.value is not None] if section else [node]


def _repeats(node: YamlNode) -> Iterator[tuple[YamlNode, str]]:
    for repeated in node.repeats:
        yield repeated, repeated.key
    for child in node.children():
        yield from _repeats(child)
