"""A portfolio file as plain values with the line of every key, and what is wrong with it.

A problem names file, line and key, what was found and what was expected; values of keys that hold secrets never show.
"""

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from gateway.config.yaml_file import Scalars, YamlError, line_of, read_yaml

MOST_PROBLEMS = 100  # that are told of one file
Place = tuple[str | int, ...]  # of a value in the file: ("models", 0, "name")
_SECRET_NAME = re.compile(r"key|token|secret|password|credential|header|auth|jwt", re.IGNORECASE)
_ADDRESS = "api_base"  # whose path or query may hold a key
_NOT_SECRET = frozenset({"first_token_timeout", "max_output_tokens", "max_input_tokens", "max_tokens", "keys"})


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
    """A YAML file as plain values, with the line of every key.

    Raises:
        PortfolioError: the file cannot be read, or is no mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): 1}
        self._scalars = Scalars(path)
        try:
            node = read_yaml(path)
            self.value: Any = None if node is None else self._read(node, ())
        except YamlError as exc:
            raise PortfolioError([str(exc)]) from exc
        if not isinstance(self.value, dict):
            found = kind_of(self.value)
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
        return "".join(f"[{p}]" if isinstance(p, int) else f".{_key(p)}" for p in where).lstrip(".") or "the file"

    def locate(self, where: Place) -> str:
        """`config/portfolio.yaml:12: models[0].name`."""
        return f"{self.path}:{self.line(where)}: {self.place(where)}"

    def file(self, name: str | Path) -> Path:
        """A path of the file: `~` is the home folder, and a relative one begins at the file's own folder."""
        return self.path.parent / os.path.expanduser(name)

    def error(self) -> PortfolioError:
        """All problems, or the first hundred of more."""
        unique = list(dict.fromkeys(sorted(self.problems, key=lambda p: p.line)))
        problems = [f"{self.path}:{p.line}: {p.text}" for p in unique[:MOST_PROBLEMS]]
        rest = len(unique) - MOST_PROBLEMS
        return PortfolioError(problems + ([f"{self.path}: and {rest} more"] if rest > 0 else []))

    def _read(self, node: yaml.Node, where: Place) -> Any:
        """Recurses no deeper than `read_yaml` lets a file be."""
        if isinstance(node, yaml.MappingNode):
            values: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                line = line_of(key_node)
                if key_node.tag == "tag:yaml.org,2002:merge":
                    raise YamlError(f"{self.path}:{line}: not valid YAML: `<<` is not read: repeat the keys")
                key = self._scalars.value(key_node)
                at = (*where, key if isinstance(key, str | int) else str(key))
                first = self._lines.get(at)
                self._lines[at] = line
                if key in values:
                    self.report(at, f"the key occurs twice; line {first} has it first")
                values[key] = self._read(value_node, at)
            return values
        if isinstance(node, yaml.SequenceNode):
            items = []
            for i, item in enumerate(node.value):
                self._lines[(*where, i)] = line_of(item)
                items.append(self._read(item, (*where, i)))
            return items
        return self._scalars.value(node)


def _key(name: str) -> str:
    """A key as a terminal may show it."""
    text = name if name.isprintable() else name.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def shown(where: Place, value: Any) -> str:
    """A value as an error may show it."""
    if value is None or isinstance(value, dict | list):
        return kind_of(value)
    if any(is_secret_name(str(part)) for part in where) or "keys" in where or _ADDRESS in where:
        return f"{kind_of(value)} that is not shown"
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: Any) -> str:
    """`kind_of(["a"])` is "a list"."""
    if isinstance(value, dict | list):
        return f"{'an empty' if not value else 'a'} {'mapping' if isinstance(value, dict) else 'list'}"
    if value is None:
        return "nothing"
    kinds = {str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "a date" if isinstance(value, date) else "a value")


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a secret."""
    return name not in _NOT_SECRET and bool(_SECRET_NAME.search(name))
