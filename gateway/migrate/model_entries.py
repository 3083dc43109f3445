"""Writes the models of a LiteLLM configuration as entries of `models` and `embedding_models` in a portfolio file."""

from collections.abc import Collection

from gateway.config.known_as import known_as
from gateway.config.litellm_table import CAPABILITIES, UNKNOWN, ModelFacts, given_rates, model_facts
from gateway.config.portfolio_file import FALLBACK_WINDOW
from gateway.config.price import Price
from gateway.config.yaml_reader import Place
from gateway.core.json_types import JsonObject
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_deployments import ImportedDeployment, ImportedModel
from router.model.model_families import Families


class ModelEntries:
    """Describes each model: its deployments, price, limits and capabilities.

    Attributes:
        comments: comments of the portfolio file, by the place that they belong to.
    """

    def __init__(self, values: ImportedValues, space: Collection[str]) -> None:
        self._values = values
        self._families = Families(tuple(space))
        self.comments: dict[Place, list[str]] = {}

    def model(self, i: int, model: ImportedModel) -> JsonObject:
        """The entry of a chat model, which is number `i`."""
        written: JsonObject = {"name": model.name}
        self._embedding(i, model, written)
        self._write_deployments(("models", i), model, written)
        self._describe(i, model, written)
        return written

    def embedding_model(self, i: int, model: ImportedModel) -> JsonObject:
        """The entry of an embedding model, which is number `i`."""
        where: Place = ("embedding_models", i)
        written: JsonObject = {"name": model.name}
        self._write_deployments(where, model, written)
        facts, base, tabled = self._known(model)
        listed = base or tabled or UNKNOWN
        self._price(where, model, written)
        most = facts.get("context_window") or (base and base.context_window)
        if most:
            written["max_input_tokens"] = most
        elif listed.context_window is None:
            message = f"the input limit of {model.name} is not known: {FALLBACK_WINDOW} tokens are assumed"
            self._values.report_entry(model.node, "look", message)
            self.comments.setdefault(where, []).append(f"LOOK {message}; else add `max_input_tokens: ...`")
        if dimensions := facts.get("dimensions") or (base and base.dimensions):
            written["dimensions"] = dimensions
        return written

    def _write_deployments(self, where: Place, model: ImportedModel, written: JsonObject) -> None:
        written["deployments"] = [deployment.values for deployment in model.deployments]
        for j, deployment in enumerate(model.deployments):
            for key, lines in deployment.comments.items():
                self.comments[(*where, "deployments", j, key)] = lines

    def _embedding(self, i: int, model: ImportedModel, written: JsonObject) -> None:
        names = [_known_as(deployment) for deployment in model.deployments]
        found = [self._families.find(name) for name in names]
        meant = {family.stated for families in found for family in families}
        if len(meant) == 1 and all(found):
            written["embedding"] = meant.pop()
            return
        message = (
            f"which model of the space {model.name} is, is not certain: without `embedding` it answers only by name"
        )
        hints = dict.fromkeys(hint for name in names for hint in self._families.similar(name, 1))
        self._values.report_entry(model.node, "look", message)
        lines = [f"LOOK {message}.", *(f"embedding: {hint}  # is it this one?" for hint in hints)]
        self.comments[("models", i, "deployments")] = lines

    def _known(self, model: ImportedModel) -> tuple[JsonObject, ModelFacts | None, ModelFacts | None]:
        """The facts about a model: those of LiteLLM's entries, those of its table for `base_model`, and those for the model."""
        facts: JsonObject = {}
        for deployment in model.deployments:
            for name, (value, node) in deployment.facts.items():
                if facts.setdefault(name, value) != value:
                    self._values.report(
                        node, "changed", f"differs from an earlier deployment of {model.name}, which counts"
                    )
        bases = (d.base_model for d in model.deployments if d.base_model is not None)
        base = next((entry for name in bases if (entry := model_facts(name)) is not None), None)
        for deployment in model.deployments:
            if deployment.base_model is not None and model_facts(deployment.base_model) is None:
                message = f"LiteLLM's table has no base_model {deployment.base_model}"
                self._values.report_entry(deployment.node, "look", message)
        tabled = next((entry for d in model.deployments if (entry := model_facts(d.model)) is not None), None)
        return facts, base, tabled

    def _describe(self, i: int, model: ImportedModel, written: JsonObject) -> None:
        """Writes price, limits and capabilities of LiteLLM's entries, else those of `base_model`. The gateway takes the rest from
        LiteLLM's table."""
        facts, base, tabled = self._known(model)
        listed = base or tabled or UNKNOWN
        self._price(("models", i), model, written)
        window = facts.get("context_window") or (base and base.context_window)
        if window:
            written["context_window"] = window
        elif listed.context_window is None:
            message = f"the context window of {model.name} is not known: {FALLBACK_WINDOW} tokens are assumed"
            self._values.report_entry(model.node, "look", message)
            self.comments.setdefault(("models", i), []).append(f"LOOK {message}; else add `context_window: ...`")
        if output := facts.get("max_output_tokens") or (base and base.max_output_tokens):
            written["max_output_tokens"] = output
        flags = {name: facts[key] for key, name in CAPABILITIES.items() if key in facts}
        if flags or base is not None:
            able = {name for name in CAPABILITIES.values() if flags.get(name, name in listed.capabilities)}
            written["capabilities"] = [name for name in CAPABILITIES.values() if name in able]
        if base is None and tabled is None and len(flags) < len(CAPABILITIES):
            message = f"what {model.name} can do is not known: only what model_info says is assumed, and text"
            self._values.report_entry(model.node, "look", message)
            where = ("models", i, "capabilities") if flags else ("models", i)
            line = f"LOOK {message}; of {', '.join(CAPABILITIES.values())}"
            self.comments.setdefault(where, []).append(line if flags else f"{line} add `capabilities: [...]`")

    def _price(self, where: Place, model: ImportedModel, written: JsonObject) -> None:
        """Writes the prices that the gateway would not find by itself: at the model if all deployments have the same one."""
        embedding = where[0] == "embedding_models"
        prices = [_stated_price(deployment, embedding=embedding) for deployment in model.deployments]
        stated = [price and ({"input": price.rates.input} if embedding else price.stated) for price in prices]
        if all(price is not None and price == prices[0] for price in prices):
            written["price"] = stated[0]
        else:
            for deployment, price in zip(model.deployments, stated, strict=True):
                deployment.values |= {} if price is None else {"price": price}
        if any(
            price is None and _listed_price(deployment) is None and not deployment.target.local
            for deployment, price in zip(model.deployments, prices, strict=True)
        ):
            message = f"the price of {model.name} is not known: `auto` counts it as the highest"
            self._values.report_entry(model.node, "look", message)
            self.comments.setdefault(where, []).append(f"LOOK {message}; add `price`, USD per million tokens")


def _listed_price(deployment: ImportedDeployment) -> Price | None:
    """The price in LiteLLM's table, for its `base_model` if it has one."""
    facts = model_facts(deployment.base_model or deployment.model) or model_facts(deployment.model)
    return None if facts is None else facts.price


def _stated_price(deployment: ImportedDeployment, *, embedding: bool) -> Price | None:
    """The price that LiteLLM's entry states or takes from `base_model`, completed by the table; None if it is not whole."""
    given, tiers = given_rates(deployment.costs)
    listed = _listed_price(deployment)
    if not given and not tiers:
        return None if deployment.base_model is None or model_facts(deployment.base_model) is None else listed
    known = {} if listed is None else {"input": listed.rates.input, "output": listed.rates.output}
    known |= {"output": 0.0} if embedding else {}
    rates = {**known, **given}
    return Price.of(rates, tiers) if {"input", "output"} <= rates.keys() else None


def _known_as(deployment: ImportedDeployment) -> str:
    """The name by which a model is recognised."""
    base = deployment.values.get("api_base")
    return deployment.base_model or known_as(deployment.model, base if isinstance(base, str) else None)
