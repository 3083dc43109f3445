"""Reads `model_list` of a LiteLLM proxy configuration into chat and embedding models with their deployments."""

import copy
from collections.abc import Mapping

from gateway.config.litellm_table import table_entry
from gateway.config.providers import THROUGH_LITELLM
from gateway.config.yaml_reader import YamlNode
from gateway.core.vocabulary import is_reserved
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_deployments import DeploymentImport, ImportedModel, listed_mode

_MODES = ("chat", "responses", "embedding")
_OPENAI_LIKE = frozenset({"custom_openai", "openai_like"})


class ModelList:
    """Reads the entries one by one.

    Attributes:
        models: chat models by name, in file order.
        embedding_models: embedding models by name, in file order.
        notes: comments for the new file about entries that were not imported.
    """

    def __init__(self, values: ImportedValues, root: YamlNode) -> None:
        self._values = values
        self._root = root
        self._deployments = DeploymentImport(values)
        self._unread: dict[str, YamlNode] = {}
        self.models: dict[str, ImportedModel] = {}
        self.embedding_models: dict[str, ImportedModel] = {}
        self.notes: list[str] = []

    def read(self, entries: YamlNode) -> None:
        credentials = self._credentials()
        for entry in entries.value:
            self._entry(entry, credentials)

    def _credentials(self) -> dict[str, YamlNode]:
        """The credentials of `credential_list` by name. Deployments refer to them."""
        found: dict[str, YamlNode] = {}
        listed = self._root.get("credential_list")
        if listed is not None and not isinstance(listed.value, list):
            self._values.wrong_type(listed, "a list of credentials")
            return found
        for item in listed.value if listed is not None else []:
            name, values = item.get("credential_name"), item.get("credential_values")
            if name is None or values is None or not isinstance(name.value, str) or not isinstance(values.value, dict):
                self._values.add_problem(item, "expected credential_name and credential_values")
                continue
            name.used = True
            found[name.value] = values
            self._unread[name.value] = copy.deepcopy(values)
        return found

    def _entry(self, entry: YamlNode, credentials: Mapping[str, YamlNode]) -> None:
        if not isinstance(entry.value, dict):
            self._values.wrong_type(entry, "a mapping with model_name and litellm_params")
            return
        name, params = entry.get("model_name"), entry.get("litellm_params")
        info = entry.get("model_info") or YamlNode(entry.file, entry.line, (*entry.place, "model_info"), {})
        for key, node, wanted in (("model_name", name, str), ("litellm_params", params, dict)):
            if node is None:
                self._values.add_problem(entry, "missing", f"{entry.where}.{key}")
            elif not isinstance(node.value, wanted):
                self._values.wrong_type(node, "a name" if wanted is str else "a mapping")
        if not isinstance(info.value, dict):
            self._values.wrong_type(info, "a mapping")
            return
        if name is None or params is None or not isinstance(name.value, str) or not isinstance(params.value, dict):
            return
        if not name.value or not name.value.isprintable():
            self._values.add_problem(name, "expected a name of printable characters")
            return
        params = self._with_credentials(params, credentials)
        model = self._upstream_name(params)
        if model is None or self._skipped(entry, name, model, info):
            return
        if is_reserved(name.value):
            self._values.add_problem(name, f"{name.value!r} is this gateway's own name: rename the model")
            return
        mine, others = self.models, self.embedding_models
        if _kind(info, model) == "embedding":
            mine, others = others, mine
        if name.value in others:
            self._values.add_problem(name, f"{name.value!r} is a chat model and an embedding model: rename one of them")
            return
        name.used = True
        deployment = self._deployments.read(entry, params, info, model)
        if deployment is not None:
            mine.setdefault(name.value, ImportedModel(name.value, entry)).deployments.append(deployment)

    def _with_credentials(self, params: YamlNode, credentials: Mapping[str, YamlNode]) -> YamlNode:
        reference = params.get("litellm_credential_name")
        if reference is None:
            return params
        reference.used = True
        values = credentials.get(reference.value) if isinstance(reference.value, str) else None
        if values is None:
            self._values.add_problem(reference, "no credential of this name in `credential_list`")
            return params
        values.plain()
        shared = copy.deepcopy(
            self._unread[reference.value]
        )  # a new copy, because each deployment marks its values as used
        return YamlNode(params.file, params.line, params.place, shared.value | params.value)

    def _upstream_name(self, params: YamlNode) -> str | None:
        """LiteLLM's full name of the model, with the provider."""
        node = params.get("model")
        if node is None:
            self._values.add_problem(params, "missing", f"{params.where}.model")
            return None
        model = self._values.resolved_text(node)
        if model is None:
            return None
        if not model or not model.isprintable():
            self._values.add_problem(node, "expected a name of printable characters")
            return None
        provider = params.get("custom_llm_provider")
        given = None if provider is None else self._values.resolved_text(provider)
        written = model
        if given and not model.startswith(f"{given}/"):
            model = f"{given}/{model}"
        prefix, slash, rest = model.partition("/")
        if slash and prefix in _OPENAI_LIKE:
            model = f"openai/{rest}"
        elif not slash:
            listed_provider = str((table_entry(model) or {}).get("litellm_provider", "openai"))
            listed_provider = (
                "vertex_ai" if listed_provider.startswith("vertex_ai") else listed_provider.removesuffix("_converse")
            )
            if listed_provider != "openai":
                model = f"{listed_provider}/{model}"
        if model != written:
            self._values.report(node, "changed", f"written as {model}")
        return model

    def _skipped(self, entry: YamlNode, name: YamlNode, model: str, info: YamlNode) -> bool:
        """Return True if a portfolio cannot have this entry, which is then reported as a whole."""
        blocked = info.get("blocked")
        kind = _kind(info, model)
        if "*" in name.value or "*" in model:
            why = f"not imported: {name.value} is a wildcard; write an entry for each model that clients use"
            self._values.report_entry(entry, "look", why)
            self.notes.append(f"LOOK {entry.file.name}:{entry.line}: {why}")
        elif model.startswith("auto_router/"):
            self._values.report_entry(
                entry, "lost", f"{name.value} is a router of LiteLLM's: clients ask for `auto` instead"
            )
        elif isinstance(kind, str) and kind not in _MODES:
            why = f"not imported: {name.value} is for {kind}, here are chat and embedding models only"
            self._values.report_entry(entry, "lost", why)
        elif blocked is not None and blocked.value is True:
            self._values.report_entry(entry, "look", f"not imported: this deployment of {name.value} is blocked")
        else:
            return False
        entry.plain()
        return True


def _kind(info: YamlNode, model: str) -> object:
    """The mode of a model, such as "embedding": from the entry, else from LiteLLM's table, else by its provider."""
    mode = info.get("mode")
    if mode is not None:
        return mode.value
    known = THROUGH_LITELLM.get(model.partition("/")[0])
    return listed_mode(model) or ("embedding" if known is not None and not known.chat else None)
