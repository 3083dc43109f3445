"""How an answer is checked: the name of a checker and its options, as a bank file has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from router.probes.json_types import JsonObject, JsonValue
from router.probes.pattern import compiled

CheckerType = Literal["choice", "number", "exact", "regex", "json_schema", "tool", "python", "judge"]
TYPES: tuple[CheckerType, ...] = get_args(CheckerType)
Compare = Literal["text", "verbatim", "list", "set", "literal"]
COMPARISONS: tuple[Compare, ...] = get_args(Compare)

_OPTIONS: Mapping[CheckerType, Mapping[str, tuple[type, ...]]] = {
    "choice": {"options": (list, int)},
    "number": {"tolerance": (int, float), "relative": (int, float), "decimal": (str,)},
    "exact": {"compare": (str,), "accept": (list,), "case": (bool,)},
    "regex": {"pattern": (str,), "without": (str,)},
    "json_schema": {"schema": (dict,), "case": (bool,)},
    "tool": {"accept": (dict,), "optional": (list,), "case": (bool,)},
    "python": {"tests": (str,), "timeout_s": (int, float)},
    "judge": {"rubric": (str,)},
}
_REQUIRED: Mapping[CheckerType, tuple[str, ...]] = {
    "regex": ("pattern",),
    "json_schema": ("schema",),
    "python": ("tests",),
}


@dataclass(frozen=True, slots=True)
class CheckerSpec:
    """A checker and its options; docs/probes.md lists them."""

    type: CheckerType
    options: Mapping[str, JsonValue] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """The option as text."""
        value = self.options.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: float = 0.0) -> float:
        """The option as a number."""
        value = self.options.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def flag(self, name: str) -> bool:
        """The option as a switch; off where it is not given."""
        return self.options.get(name) is True

    def strings(self, name: str) -> list[str]:
        """The strings of a list option; empty where it is not given."""
        value = self.options.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def as_json(self) -> JsonObject:
        """`{"type": "number", "tolerance": 0.01}`"""
        return {"type": self.type, **self.options}


def checker_spec(value: JsonValue) -> CheckerSpec:
    """Reads the field `checker`: the name of a checker, or an object with `type` and options.

    Raises:
        ValueError: an unknown type or option, an option of a wrong type, a required option that is missing.
    """
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict):
        raise ValueError(f"expected the name of a checker or an object with `type`, found {value!r}")
    name = value.get("type")
    known = next((item for item in TYPES if item == name), None)
    if known is None:
        raise ValueError(f"unknown type {name!r}; the types are {', '.join(TYPES)}")
    options = {key: item for key, item in value.items() if key != "type"}
    _check_types(known, options)
    _check_values(options)
    return CheckerSpec(known, options)


def _check_types(name: CheckerType, options: JsonObject) -> None:
    allowed = _OPTIONS[name]
    for key, item in options.items():
        if key not in allowed:
            raise ValueError(f"unknown option {key!r} of {name}; it has {', '.join(allowed)}")
        if not isinstance(item, allowed[key]) or (isinstance(item, bool) and bool not in allowed[key]):
            names = " or ".join(kind.__name__ for kind in allowed[key])
            raise ValueError(f"option {key!r} of {name}: expected {names}, found {item!r}")
    for key in _REQUIRED.get(name, ()):
        if key not in options:
            raise ValueError(f"option {key!r} of {name} is missing")


def _check_values(options: JsonObject) -> None:
    for key in ("pattern", "without"):
        item = options.get(key)
        if isinstance(item, str):
            compiled(item)
    compare = options.get("compare", "text")
    if compare not in COMPARISONS:
        raise ValueError(f"option 'compare': {compare!r} is none of {', '.join(COMPARISONS)}")
    if options.get("decimal", ".") not in (".", ","):
        raise ValueError(f"option 'decimal': expected '.' or ',', found {options['decimal']!r}")
    for key in ("tolerance", "relative", "timeout_s"):
        item = options.get(key, 0)
        if isinstance(item, int | float) and item < 0:
            raise ValueError(f"option {key!r}: {item} is negative")
    choices = options.get("options", 4)
    count = len(choices) if isinstance(choices, list) else choices
    if isinstance(count, int) and not 2 <= count <= 26:
        raise ValueError(f"option 'options': 2 to 26 options have letters, found {count}")
