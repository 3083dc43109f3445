"""Turns LiteLLM's settings of the proxy and the router into the section `gateway` and defaults of all deployments."""

import re
from collections.abc import Iterable

from gateway.config.settings import BreakerSettings
from gateway.config.yaml_reader import Place, YamlNode, place_text
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_deployments import ImportedDeployment, ImportedModel

MASTER_KEY = "master-key"  # the name of the key that the master key becomes, if it has a budget
NEW_KEYS = "Keys made in LiteLLM's database are not valid here: `locus key create` makes new ones"
_WINDOWS = {"": "ever", "24h": "day", "1d": "day", "7d": "week", "30d": "month", "31d": "month", "1mo": "month"}
_STRATEGY = re.compile(r"simple-shuffle|least-busy|(usage|latency|cost)-based-routing(-v2)?")


class SettingsImport:
    """Reads the sections of settings.

    Attributes:
        comments: comments of the portfolio file, by the place that they belong to.
        keys: the section `keys` of the portfolio file; filled by `gateway`.
    """

    def __init__(self, values: ImportedValues, root: YamlNode) -> None:
        self._values = values
        self._root = root
        self.comments: dict[Place, list[str]] = {}
        self.keys: list[dict[str, object]] = []

    def setting(self, section: str, key: str) -> YamlNode | None:
        """The value of a key in one of the sections, or None."""
        node = self._root.get(section)
        return None if node is None else node.get(key)

    def gateway(self) -> dict[str, object]:
        """The section `gateway` of the portfolio file."""
        gateway: dict[str, object] = {}
        self._master_key(gateway)
        self._retries(gateway)
        self._cool_down(gateway)
        for key, name, least in (
            ("global_max_parallel_requests", "max_requests", 1),
            ("max_request_size_mb", "max_body_mb", 0.001),
        ):
            node = self.setting("general_settings", key)
            if node is not None and (number := self._values.number(node, least=least)) is not None:
                gateway[name] = int(number) if key.startswith("global") else number
        node = self.setting("general_settings", "store_prompts_in_spend_logs")
        if node is not None and (flag := self._values.flag(node)) is not None:
            gateway["store_prompts"] = flag
        return gateway

    def _retries(self, gateway: dict[str, object]) -> None:
        retries = self._either("num_retries")
        if retries is not None and (number := self._values.number(retries, least=0)) is not None:
            gateway["retries"] = min(3, int(number))
            message = "is gateway.retries: on one deployment after a 429; after a server error at most one"
            self._values.report(retries, "changed", message + ("; 3 is the most here" if number > 3 else ""))

    def _cool_down(self, gateway: dict[str, object]) -> None:
        fails = self._either("allowed_fails")
        if fails is not None and (number := self._values.number(fails, least=0)) is not None:
            gateway["breaker_failures"] = int(number) + 1
            message = "is gateway.breaker_failures, one more: failures in a row, not in a minute"
            self._values.report(fails, "changed", message)
        cooling = self._either("cooldown_time")
        if cooling is None or (number := self._values.number(cooling)) is None:
            return
        if number > 0:
            gateway |= {"cool_down": number, "max_cool_down": max(BreakerSettings().max_cool_down, number)}
            message = "is gateway.cool_down, the first one: it doubles with every failed probe"
            self._values.report(cooling, "changed", message)
        else:
            self._values.report(cooling, "lost", "no equivalent: a cool-down is longer than 0 here")

    def _master_key(self, gateway: dict[str, object]) -> None:
        node = self.setting("general_settings", "master_key")
        value = None if node is None else self._values.raw_text(node)
        if node is None or not value:
            note = "LiteLLM serves every address; without `keys` this gateway serves this machine alone."
            self.comments[("models",)] = [*self.comments.get(("models",), []), f"LOOK {note}"]
            return
        key = self._values.secret(node, value)
        if (budget := self._budget()) is None:
            gateway["keys"] = [key]
            where: Place = ("gateway", "keys")
        else:
            self.keys = [{"name": MASTER_KEY, "key": key, "budget": [budget]}]
            where = ("keys",)
        message = f"is the only gateway key, in {place_text(where)}; it may use every model. " + NEW_KEYS
        self._values.report(node, "changed", message)
        self.comments[where] = [
            "LOOK LiteLLM serves every address; for that add `host: 0.0.0.0` under `gateway`. Keys from its database are not "
            "valid here: `locus key create` makes new ones."
        ]

    def _budget(self) -> dict[str, object] | None:
        """The budget of the whole proxy, which becomes that of its only key; None if there is none."""
        node = self.setting("litellm_settings", "max_budget")
        if node is None or (usd := self._values.number(node, least=0)) is None:
            return None
        duration = self.setting("litellm_settings", "budget_duration")
        written = "" if duration is None else self._values.raw_text(duration) or ""
        per = _WINDOWS.get(written)
        if per is None:
            self._values.report(node, "lost", "no equivalent: windows are a day, a week, a month or ever")
            return None
        self._values.report(
            node, "changed", f"is the budget of the key {MASTER_KEY}, per {per}: windows are those of the calendar"
        )
        return {"usd": usd, "per": per}

    def _either(self, key: str) -> YamlNode | None:
        """A setting of router_settings, else of litellm_settings."""
        router, general = self.setting("router_settings", key), self.setting("litellm_settings", key)
        if router is not None and general is not None:
            self._values.report(general, "lost", f"{router.where} counts, as with LiteLLM")
        return router or general

    def set_defaults(self, models: Iterable[ImportedModel]) -> None:
        """Writes the defaults of all deployments to each deployment that has no value of its own."""
        models = list(models)
        deployments = [d for model in models for d in model.deployments]
        self._limits(deployments)
        self._health_checks(deployments)
        strategy = self.setting("router_settings", "routing_strategy")
        if strategy is not None:
            name = strategy.value if isinstance(strategy.value, str) and _STRATEGY.fullmatch(strategy.value) else "it"
            message = f"{name} has no equivalent: deployments of a model share the load by `weight`"
            if name == "simple-shuffle":
                message = "simple-shuffle is what is done here: deployments of a model share the load by `weight`"
            self._values.report(strategy, "changed", message)
        if strategy is None or strategy.value == "simple-shuffle":
            for model in models:
                _weigh_by_limits(model, self._values)

    def _limits(self, deployments: list[ImportedDeployment]) -> None:
        router = self.setting("router_settings", "timeout")
        general = self.setting("litellm_settings", "request_timeout")
        if router is not None and general is not None:
            self._values.report(general, "lost", f"{router.where} counts, as with LiteLLM")
        defaults = {
            "timeout": router or general,
            "stream_timeout": self.setting("router_settings", "stream_timeout"),
            "max_parallel_requests": self.setting("router_settings", "default_max_parallel_requests"),
        }
        for name, node in defaults.items():
            number = None if node is None else self._values.number(node)
            if node is None or number is None:
                continue
            if number <= 0:
                self._values.report(node, "lost", "no equivalent: it is more than 0 here")
                continue
            self._values.report(node, "changed", f"written as `{name}` of each deployment")
            for deployment in deployments:
                deployment.values.setdefault(name, int(number) if name.startswith("max") else number)

    def _health_checks(self, deployments: list[ImportedDeployment]) -> None:
        node = self.setting("general_settings", "background_health_checks")
        interval = self.setting("general_settings", "health_check_interval")
        if node is None or self._values.flag(node) is not True:
            return
        seconds = 300.0 if interval is None else self._values.number(interval)
        if seconds is None or seconds <= 0:
            return
        self._values.report(
            node, "changed", "written as health_check_interval of each deployment, which asks for one token"
        )
        for deployment in deployments:
            if deployment.health_checks:
                deployment.values["health_check_interval"] = seconds


def _weigh_by_limits(model: ImportedModel, values: ImportedValues) -> None:
    """Writes weights by rpm, else by tpm, if no weight is given, because LiteLLM shares the load in this way."""
    written = [deployment.values for deployment in model.deployments]
    if any("weight" in v for v in written):
        return
    for limit in ("rpm", "tpm"):
        if all(limit in v for v in written):
            least = min(v[limit] for v in written)
            if any(v[limit] != least for v in written):
                for v in written:
                    v["weight"] = round(v[limit] / least, 3)
                message = f"the load of {model.name} is shared by {limit}: written as weight"
                values.report_entry(model.node, "changed", message)
            return
