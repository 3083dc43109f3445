"""A portfolio file as plain values with the line of every key, and the problems that were found in it.

A problem names the file, the line, the key, the value that was found and the value that was expected. Secrets are not shown.
"""

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from gateway.config.yaml_reader import Place, YamlError, YamlNode, place_text, read_yaml

MOST_PROBLEMS = 100  # reported of one file
_SECRET_NAME = re.compile(r"key|token|secret|password|credential|header|auth|jwt", re.IGNORECASE)
_ADDRESS = "api_base"  # its path or query may contain a key
_NOT_SECRET = frozenset({"first_token_timeout", "max_output_tokens", "max_input_tokens", "max_tokens", "keys"})


class PortfolioError(Exception):
    """A portfolio file that cannot be used; `problems` has one line each, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the file, and its line."""

    line: int
    text: str


class Document:
    """A YAML file as plain values, with the line of every key.

    Args:
        text: read in place of the file.

    Raises:
        PortfolioError: the file cannot be read, or is no mapping.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): 1}
        try:
            self.value: Any = self._plain(read_yaml(path, text=text))
        except YamlError as exc:
            raise PortfolioError([str(exc)]) from exc
        if not isinstance(self.value, dict):
            found = kind_of(self.value)
            raise PortfolioError([f"{path}:1: found {found}, expected a mapping with `models`"])

    def line(self, where: Place) -> int:
        """The line of a key or an item; if the file does not have it, that of the nearest mapping or list around it."""
        while where not in self._lines:
            where = where[:-1]
        return self._lines[where]

    def report(self, where: Place, message: str) -> None:
        """Adds a problem."""
        self.problems.append(Problem(self.line(where), f"{self.place(where)}: {message}"))

    def place(self, where: Place) -> str:
        """The place as a text, such as `models[0].name`."""
        return place_text(where) or "the file"

    def locate(self, where: Place) -> str:
        """File, line and place, such as `config/portfolio.yaml:12: models[0].name`."""
        return f"{self.path}:{self.line(where)}: {self.place(where)}"

    def file(self, name: str | Path) -> Path:
        """A path that the file names. `~` is the home folder; a relative path begins at the folder of the file."""
        return self.path.parent / os.path.expanduser(name)

    def error(self) -> PortfolioError:
        """The error with all problems, at most `MOST_PROBLEMS` of them."""
        unique = list(dict.fromkeys(sorted(self.problems, key=lambda p: p.line)))
        problems = [f"{self.path}:{p.line}: {p.text}" for p in unique[:MOST_PROBLEMS]]
        rest = len(unique) - MOST_PROBLEMS
        return PortfolioError(problems + ([f"{self.path}: and {rest} more"] if rest > 0 else []))

    def _plain(self, node: YamlNode) -> Any:
        """The value of a node. Notes its lines, and reports the keys that occur twice."""
        self._lines[node.place] = node.line
        if isinstance(node.value, dict):
            for repeat in node.repeats:
                self._plain(repeat)
            values = {key: self._plain(child) for key, child in node.value.items()}
            self._report_repeats(node)
            return values
        if isinstance(node.value, list):
            return [self._plain(child) for child in node.value]
        return node.value

    def _report_repeats(self, mapping: YamlNode) -> None:
        if not mapping.repeats:
            return
        lines: dict[Place, int] = {}
        for child in (*mapping.repeats, *mapping.children()):
            if child.place in lines:
                first = f"the key occurs twice; line {lines[child.place]} has it first"
                self.problems.append(Problem(child.line, f"{self.place(child.place)}: {first}"))
            lines[child.place] = child.line


def shown(where: Place, value: object) -> str:
    """A value in the form in which an error may show it: without secrets, and not too long."""
    if value is None or isinstance(value, dict | list):
        return kind_of(value)
    plain_key = where[:2] == ("gateway", "keys") or where[-1:] == ("key",)
    if plain_key or any(is_secret_name(str(part)) for part in where) or _ADDRESS in where:
        return f"{kind_of(value)} that is not shown"
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: object) -> str:
    """The type of a value in plain English: `kind_of(["a"])` is "a list"."""
    if isinstance(value, dict | list):
        return f"{'an empty' if not value else 'a'} {'mapping' if isinstance(value, dict) else 'list'}"
    if value is None:
        return "nothing"
    kinds = {str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "a date" if isinstance(value, date) else "a value")


def is_secret_name(name: str) -> bool:
    """Return True if the value of a key with this name is a secret."""
    return name not in _NOT_SECRET and bool(_SECRET_NAME.search(name))
