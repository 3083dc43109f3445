"""A portfolio file as plain values with the line of every key, and what is wrong with it.

A problem names file, line and key, what was found and what was expected; values of keys that hold secrets never show.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

Place = tuple[str | int, ...]  # of a value in the file: ("models", 0, "name")
_SECRET_NAME = re.compile(r"key|token|secret|password|credential|header|auth|jwt", re.IGNORECASE)
_ADDRESS = "api_base"  # whose path or query may hold a key
_NOT_SECRET = frozenset({"first_token_timeout", "max_output_tokens", "max_input_tokens", "max_tokens", "keys"})
# Where PyYAML's messages quote what may be a value: `api_key: *x` is an alias, `api_key: !x` a tag.
_QUOTED = re.compile(r"\b(alias|anchor|tag|handle) '.*")


class PortfolioError(Exception):
    """A portfolio file that cannot be used; `problems` has one line each, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    text: str


class Document:
    """A YAML file as plain values, with the line of every key."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): 1}
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

    def line(self, where: Place) -> int:
        """The line of a key, or of the nearest thing around it."""
        while where not in self._lines:
            where = where[:-1]
        return self._lines[where]

    def report(self, where: Place, what: str) -> None:
        self.problems.append(Problem(self.line(where), f"{self.place(where)}: {what}"))

    def place(self, where: Place) -> str:
        """`models[0].name`."""
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in where).lstrip(".") or "the file"

    def locate(self, where: Place) -> str:
        """`config/portfolio.yaml:12: models[0].name`."""
        return f"{self.path}:{self.line(where)}: {self.place(where)}"

    def error(self) -> PortfolioError:
        unique = dict.fromkeys(sorted(self.problems, key=lambda p: p.line))
        return PortfolioError([f"{self.path}:{p.line}: {p.text}" for p in unique])

    def _read(self, node: yaml.Node, where: Place) -> Any:
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


def shown(where: Place, value: Any) -> str:
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
