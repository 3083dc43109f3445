"""Reads values of another program's configuration. Each value is used, or a finding or a problem says what became of it.

Findings and problems show no values but names of environment variables.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config.document import kind_of
from gateway.config.references import ENVIRONMENT
from gateway.config.yaml_reader import YamlNode

Kind = Literal["look", "changed", "lost"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark about one place of the configuration, for the user.

    Attributes:
        kind: "look": the user should check it; "changed": it means something else here; "lost": it has no equivalent.
    """

    file: Path
    line: int
    where: str
    message: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.where}: {self.message}"


class ImportedValues:
    """Reads values, and collects findings and problems.

    Args:
        environment: the environment variables that references are looked up in.
        literals: True if keys that the configuration itself contains are copied; else a reference stands for each.

    Attributes:
        problems: mistakes; a configuration with any is not imported.
        findings: remarks about settings that were imported or left out.
        variables: the environment variables that the portfolio refers to, in order. A dict serves as an ordered set.
        literal_secrets: True if a key was copied.
    """

    def __init__(self, environment: Mapping[str, str], *, literals: bool) -> None:
        self._environment = environment
        self.literals = literals
        self.problems: list[Finding] = []
        self.findings: list[Finding] = []
        self.variables: dict[str, None] = {}
        self.literal_secrets = False

    def resolved_text(self, node: YamlNode) -> str | None:
        """The text of a key that cannot hold a reference in a portfolio: a reference is replaced by its value."""
        value = self.raw_text(node)
        if value is None or not value.startswith(ENVIRONMENT):
            return value
        variable = value[len(ENVIRONMENT) :]
        content = self._environment.get(variable)
        if not content:
            self.add_problem(node, f"this cannot be a reference in a portfolio file: set {variable} for this command")
            return None
        self.report(node, "changed", f"the value of {variable} at the time of import is written")
        return content

    def raw_text(self, node: YamlNode) -> str | None:
        """The text of a scalar, with references as they are. Anything else is a problem."""
        node.used = True
        if isinstance(node.value, bool) or not isinstance(node.value, str | int | float):
            self.wrong_type(node, "a text")
            return None
        return str(node.value).strip()

    def number(self, node: YamlNode, least: float | None = None) -> float | None:
        """A finite number, as int if it is a whole one. A number below `least` is reported as lost."""
        value = node.value
        if isinstance(value, str) and value.startswith(ENVIRONMENT):
            value = self.resolved_text(node)
            if value is None:
                return None
        node.used = True
        try:
            number = None if isinstance(value, bool) or not isinstance(value, str | int | float) else float(value)
        except ValueError:
            number = None
        if number is None or not math.isfinite(number):
            self.wrong_type(node, "a number")
            return None
        if least is not None and number < least:
            self.report(node, "lost", f"no equivalent: it is at least {least:g} here")
            return None
        return int(number) if number.is_integer() else number

    def flag(self, node: YamlNode) -> bool | None:
        """True or false, also if it is written as a text."""
        node.used = True
        if isinstance(node.value, str) and node.value.lower() in ("true", "false"):
            return node.value.lower() == "true"
        if not isinstance(node.value, bool):
            self.wrong_type(node, "true or false")
            return None
        return node.value

    def secret(self, node: YamlNode, value: str, *, sure: bool = True) -> str:
        """The text to write for a value that may be a secret.

        Args:
            sure: True if it certainly is one, so that the report mentions it.
        """
        node.used = True
        if not value.isprintable():
            self.add_problem(
                node, "found a text with characters that cannot be sent, expected a key or os.environ/NAME"
            )
        if value.startswith(ENVIRONMENT):
            return self.reference(value)
        if self.literals:
            self.literal_secrets = True
            if sure:
                self.report(node, "look", "a literal secret, carried over: write os.environ/NAME instead")
            return value
        word = re.sub(r"\W+", "_", node.key).upper()
        self.report(node, "look", f"not printed: set {word}_{node.line} to it, or write to a file with --out")
        return self.reference(f"{ENVIRONMENT}{word}_{node.line}")

    def reference(self, value: str) -> str:
        """The same text. If it is a reference, its variable is added to `variables`."""
        if value.startswith(ENVIRONMENT):
            self.variables[value[len(ENVIRONMENT) :]] = None
        return value

    def report(self, node: YamlNode, kind: Kind, message: str) -> None:
        """Adds a finding about a node and marks the node as used."""
        node.used = True
        self.report_entry(node, kind, message)

    def report_entry(self, node: YamlNode, kind: Kind, message: str) -> None:
        """Adds a finding about an entry as a whole. Its parts are marked as used, or reported, by themselves."""
        self.findings.append(Finding(node.file, node.line, node.where or "the file", message, kind))

    def add_problem(self, node: YamlNode, message: str, where: str | None = None) -> None:
        """Adds a problem: nothing is imported."""
        self.problems.append(Finding(node.file, node.line, where or node.where, message, "look"))

    def wrong_type(self, node: YamlNode, expected: str) -> None:
        """Adds the problem that a value is not of the expected type."""
        node.used = True
        self.add_problem(node, f"found {kind_of(node.value)}, expected {expected}")
