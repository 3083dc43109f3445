"""Reading values out of another program's configuration: each is used, or a finding or problem says what became of it.

No value shows but the names of environment variables.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config.document import kind_of
from gateway.config.lined_yaml import Node
from gateway.config.references import ENVIRONMENT

Kind = Literal["look", "changed", "lost"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the person who imports must know of one place.

    Attributes:
        kind: "look": check it; "changed": it means something else here; "lost": it has no equivalent.
    """

    file: Path
    line: int
    where: str
    what: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.where}: {self.what}"


class Values:
    """What has been read so far, and what there is to say of it.

    Attributes:
        problems: for which nothing can be imported.
        variables: environment variables that the portfolio refers to, in order.
        literals: whether keys that the configuration holds itself are carried over; else a reference stands for each.
        literal_secrets: whether one has been carried over.
    """

    def __init__(self, environment: Mapping[str, str], *, literals: bool) -> None:
        self._environment = environment
        self.literals = literals
        self.problems: list[Finding] = []
        self.findings: list[Finding] = []
        self.variables: dict[str, None] = {}
        self.literal_secrets = False

    def text(self, node: Node) -> str | None:
        """A text that our file can only have as it is: a reference is looked up."""
        value = self.scalar(node)
        if value is None or not value.startswith(ENVIRONMENT):
            return value
        variable = value[len(ENVIRONMENT) :]
        found = self._environment.get(variable)
        if not found:
            self.problem(node, f"this cannot be a reference in a portfolio file: set {variable} for this command")
            return None
        self.found(node, "changed", f"the value of {variable} at the time of import is written")
        return found

    def scalar(self, node: Node) -> str | None:
        node.used = True
        if isinstance(node.value, bool) or not isinstance(node.value, str | int | float):
            self.wrong(node, "a text")
            return None
        return str(node.value).strip()

    def number(self, node: Node, least: float | None = None) -> float | None:
        value = node.value
        if isinstance(value, str) and value.startswith(ENVIRONMENT):
            value = self.text(node)
            if value is None:
                return None
        node.used = True
        try:
            number = None if isinstance(value, bool) or not isinstance(value, str | int | float) else float(value)
        except ValueError:
            number = None
        if number is None or number != number or abs(number) == float("inf"):
            self.wrong(node, "a number")
            return None
        if least is not None and number < least:
            self.found(node, "lost", f"no equivalent: it is at least {least:g} here")
            return None
        return int(number) if number.is_integer() else number

    def flag(self, node: Node) -> bool | None:
        node.used = True
        if isinstance(node.value, str) and node.value.lower() in ("true", "false"):
            return node.value.lower() == "true"
        if not isinstance(node.value, bool):
            self.wrong(node, "true or false")
            return None
        return node.value

    def secret(self, node: Node, value: str, *, sure: bool = True) -> str:
        """A value that may be a secret, as it is to be written; one that is `sure` to be is pointed out."""
        node.used = True
        if not value.isprintable():
            self.problem(node, "found a text with characters that cannot be sent, expected a key or os.environ/NAME")
        if value.startswith(ENVIRONMENT):
            return self.reference(value)
        if self.literals:
            self.literal_secrets = True
            if sure:
                self.found(node, "look", "a literal secret, carried over: write os.environ/NAME instead")
            return value
        word = re.sub(r"\W+", "_", node.where.rpartition(".")[2]).upper()
        self.found(node, "look", f"not printed: set {word}_{node.line} to it, or write to a file with --out")
        return self.reference(f"{ENVIRONMENT}{word}_{node.line}")

    def reference(self, value: str) -> str:
        if value.startswith(ENVIRONMENT):
            self.variables[value[len(ENVIRONMENT) :]] = None
        return value

    def found(self, node: Node, kind: Kind, what: str) -> None:
        node.used = True
        self.remark(node, kind, what)

    def remark(self, node: Node, kind: Kind, what: str) -> None:
        """A finding about what a whole node comes to, of which every part is used or named by itself."""
        self.findings.append(Finding(node.file, node.line, node.where or "the file", what, kind))

    def problem(self, node: Node, what: str, where: str | None = None) -> None:
        self.problems.append(Finding(node.file, node.line, where or node.where, what, "look"))

    def wrong(self, node: Node, expected: str) -> None:
        node.used = True
        self.problem(node, f"found {kind_of(node.value)}, expected {expected}")
