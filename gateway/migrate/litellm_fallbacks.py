"""Turns LiteLLM's lists of fallbacks into `fallbacks` of the models.

LiteLLM asks the fallbacks of a fallback too, so they are added behind it. A list for prompts that are too long is not needed: a
request goes on to a model with a larger window. It is added only where a list of fallbacks forbids other models.
"""

from collections.abc import Iterator, Mapping, Sequence

from gateway.config.yaml_reader import YamlNode
from gateway.core.json_types import JsonObject
from gateway.migrate.import_values import ImportedValues

GENERAL, TOO_LONG = "fallbacks", "context_window_fallbacks"
REFUSED, DEFAULT = "content_policy_fallbacks", "default_fallbacks"
KEYS = (GENERAL, TOO_LONG, REFUSED, DEFAULT)
EVERY = "*"  # the name of the list for all models without one
MOST_STEPS = 5  # from fallback to fallback, as in LiteLLM


class Fallbacks:
    """The lists of a configuration.

    Args:
        models: the chat models of the portfolio.
        aliases: name of a model -> the one that it is an alias of.
    """

    def __init__(self, values: ImportedValues, models: Sequence[JsonObject], aliases: Mapping[str, str]) -> None:
        self._values = values
        self._models = {str(model["name"]): model for model in models}
        self._aliases = aliases
        self._lists: dict[str, tuple[str, ...]] = {}  # of `fallbacks`, by model
        self._too_long: list[tuple[str, YamlNode, tuple[str, ...]]] = []

    def read(self, key: str, node: YamlNode) -> None:
        """Reads one of `KEYS`. The list that is read first for a model counts."""
        if key == DEFAULT:
            self._note(EVERY, node, self._targets(EVERY, node))
            node.used = True
            return
        pairs = [
            (name, targets)
            for item in node.children()
            if isinstance(item.value, dict)
            for name, targets in item.value.items()
        ]
        for name, targets in pairs:
            if key == REFUSED:
                self._report(targets, f"{name}: no equivalent: a refusal is passed on")
            elif key == GENERAL:
                self._note(name, targets, self._targets(name, targets))
            else:
                self._too_long.append((name, targets, self._targets(name, targets)))
        if not pairs:
            self._report(node, "no list of models")
        node.plain()

    def write(self) -> None:
        """Writes `fallbacks` into the models."""
        for name, model in self._models.items():
            if chain := [target for target in dict.fromkeys(self._chain(name, 0, {})) if target != name]:
                model["fallbacks"] = chain
        for name, node, targets in self._too_long:
            self._add_for_long_prompts(name, node, targets)

    def _note(self, name: str, node: YamlNode, targets: tuple[str, ...]) -> None:
        if name != EVERY and name not in self._models:
            self._report(node, f"{name} is no chat model that was imported")
        elif self._lists.setdefault(name, targets) is not targets:
            self._report(node, f"another list for {name} counts")

    def _targets(self, name: str, node: YamlNode) -> tuple[str, ...]:
        """The chat models in a list; what else it has is reported."""
        found = []
        for child in node.children():
            what = child.value if isinstance(child.value, str) else "an entry"
            if what in self._models:
                found.append(what)
            else:
                self._report(child, f"{what} is no chat model that was imported, so it does not stand in for {name}")
        return tuple(found)

    def _chain(self, name: str, steps: int, followed: dict[str, int]) -> Iterator[str]:
        """The fallbacks of a model, each followed by its own.

        Args:
            followed: the fewest steps after which all of a model's own were named; after as many or more they add none.
        """
        if followed.get(name, MOST_STEPS) <= steps:
            return
        own = self._lists.get(name)
        if own is None:
            own = self._lists.get(self._aliases.get(name, name))
        if own is None and steps == 0:
            own = self._lists.get(EVERY)
        for target in own or ():
            yield target
            yield from self._chain(target, steps + 1, followed)
        followed[name] = steps

    def _add_for_long_prompts(self, name: str, node: YamlNode, targets: tuple[str, ...]) -> None:
        model = self._models.get(name)
        if model is None:
            self._report(node, f"{name} is no chat model that was imported")
        elif "fallbacks" not in model:
            why = "no list: after an error for its length a prompt goes on to models with a larger window"
            self._values.report(node, "changed", f"{name}: {why}")
        else:
            chain = [*model["fallbacks"], *targets]
            model["fallbacks"] = [target for target in dict.fromkeys(chain) if target != name]
            self._values.report(node, "changed", f"{name}: its last fallbacks, after any failure")

    def _report(self, node: YamlNode, message: str) -> None:
        self._values.report(node, "lost", message)
