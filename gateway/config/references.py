"""Resolves the values of a portfolio file that refer to environment variables or files, and collects warnings about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.addresses import SHELL_SYNTAX
from gateway.config.document import Document, is_secret_name
from gateway.config.secret import Secret
from gateway.config.yaml_reader import Place

ENVIRONMENT = "os.environ/"
FILE = "file:"
_LONGEST_FILE = 65_536  # bytes; a key in a file is shorter
_VARIABLE = re.compile(r"[^\s=/$\x00]+")
_SHELL_VARIABLE = re.compile(r"\$([A-Z][A-Z0-9_]*)|\$\{([A-Z][A-Z0-9_]*)\}")
# References in the syntax of Python, Node and other gateways, and our own syntax within a longer text.
_REFERENCE = re.compile(r"os\.environ|os\.getenv|process\.env\b|^env[:.]\w")
_ASSIGNMENT = re.compile(r"export\s|set\s|[A-Z_][A-Z0-9_]*=[^=]")


@dataclass(frozen=True, slots=True)
class ResolvedValue:
    """A value of the file after references are resolved.

    Attributes:
        text: the text, without white space around it; None if the environment variable is not set, the file cannot be read or
            the value is invalid.
        variable: the environment variable that the value refers to, or the reference to a file; None if it is neither.
    """

    text: str | None
    variable: str | None = None

    @property
    def missing(self) -> str | None:
        """The environment variable that must be set, or the file that must be written; None if there is a text."""
        return self.variable if self.text is None else None

    @property
    def source(self) -> str:
        """Where the text is from, for messages."""
        return "the value" if self.variable is None else _source(self.variable)


class References:
    """Resolves references and collects warnings.

    Attributes:
        warnings: one line each.
    """

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self._document = document
        self._environment = environment
        self._warnings: list[str] = []
        self._unset: dict[str, list[str]] = {}  # environment variable -> deployments that need it
        self._literal: list[Place] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._warnings, *self._without_value(), *self._literal_secrets())

    def unset(self, variable: str, deployment: str) -> None:
        """Notes that a deployment cannot be used until an environment variable is set."""
        self._unset.setdefault(variable, []).append(deployment)

    def resolve(self, where: Place, value: str) -> ResolvedValue:
        """The text of a value, or of the environment variable or file that it refers to."""
        if value.startswith(FILE):
            return self._file(value)
        if value.startswith(ENVIRONMENT):
            variable = value[len(ENVIRONMENT) :].strip()
            if not _VARIABLE.fullmatch(variable):
                self._document.report(where, "expected the name of an environment variable behind os.environ/")
                return ResolvedValue(None)
            return self.environment_variable(variable)
        return ResolvedValue(value.strip())

    def environment_variable(self, name: str) -> ResolvedValue:
        """The text of an environment variable. An empty variable counts as not set."""
        return ResolvedValue(self._environment.get(name, "").strip() or None, name)

    def _file(self, reference: str) -> ResolvedValue:
        """The text of a file, such as a secret that an orchestrator mounts; an empty file counts as not there."""
        try:
            with self._document.file(reference[len(FILE) :].strip()).open("rb") as file:
                content = file.read(_LONGEST_FILE)
        except (OSError, ValueError):
            return ResolvedValue(None, reference)
        return ResolvedValue(content.decode(errors="surrogateescape").strip() or None, reference)

    def gateway_key(self, where: Place, value: str) -> Secret | None:
        """A key of the gateway itself. It is a problem if its environment variable is not set, or its file not there."""
        return self._present(where, self.key(where, value))

    def required(self, where: Place, value: str) -> Secret | None:
        """Another secret that must be there, such as the URL of a database."""
        return self._present(where, self.secret(where, value))

    def required_header(self, where: Place, value: str) -> Secret | None:
        """The value of a header that must be there."""
        return self._present(where, self.header(where, value))

    def _present(self, where: Place, found: tuple[Secret | None, str | None]) -> Secret | None:
        """The secret; it is a problem if it is missing."""
        secret, missing = found
        if missing is not None:
            fault = "cannot be read, or is empty" if missing.startswith(FILE) else "is not set"
            self._document.report(where, f"{_source(missing)} {fault}")
        return secret

    def key(self, where: Place, value: str | ResolvedValue) -> tuple[Secret | None, str | None]:
        """A key as it is sent in a header, or the name of the variable that is not set."""
        found = value if isinstance(value, ResolvedValue) else self._secret(where, value)
        if found.text is not None and (fault := _key_fault(found.text)) is not None:
            self._report(where, found, fault)
        return (None if found.text is None else Secret(found.text)), found.missing

    def header(self, where: Place, value: str) -> tuple[Secret | None, str | None]:
        """The value of a header, or the name of the variable that is not set."""
        found = self._secret(where, value)
        if found.text is not None and not found.text.isprintable():
            self._report(where, found, "has a line break or another control character inside; leave it out")
        return (None if found.text is None else Secret(found.text)), found.missing

    def secret(self, where: Place, value: str) -> tuple[Secret | None, str | None]:
        """Any other secret, such as a JSON text for litellm, or the name of the variable that is not set."""
        found = self._secret(where, value)
        return (None if found.text is None else Secret(found.text)), found.missing

    def _secret(self, where: Place, value: str) -> ResolvedValue:
        found = self.resolve(where, value)
        if found.variable is not None or found.text is None:
            return found
        if SHELL_SYNTAX.search(found.text) or _REFERENCE.search(found.text):
            self._report(where, found, f"is no reference; {_to_write(found.text)}")
            return ResolvedValue(None)
        if is_secret_name(str(where[-1])) or "keys" in where:
            self._literal.append(where)
        return found

    def _report(self, where: Place, found: ResolvedValue, fault: str) -> None:
        self._document.report(where, f"{found.source} {fault}")

    def _literal_secrets(self) -> list[str]:
        """One warning for all secrets that the file itself contains."""
        if not self._literal:
            return []
        first = self._document.locate(self._literal[0])
        rest = len(self._literal) - 1
        more = f" (and {rest} more)" if rest else ""
        return [f"{first}{more}: a literal secret; write os.environ/NAME instead, so that the file can be shared"]

    def _without_value(self) -> list[str]:
        """One warning for all deployments that need an environment variable which is not set."""
        if not self._unset:
            return []
        number = sum(map(len, self._unset.values()))
        each = ", ".join(f"{variable} ({_some(ids)})" for variable, ids in self._unset.items())
        plural = "deployment, which is" if number == 1 else "deployments, which are"
        return [f"{self._document.path}: no key or address set for {number} {plural} not used: {each}"]

    def warn(self, where: Place, message: str) -> None:
        """Adds a warning about a place of the file."""
        self._warnings.append(f"{self._document.locate(where)}: {message}")


def _source(variable: str) -> str:
    """`_source("file:/run/key")` is "the file /run/key"."""
    return f"the file {variable[len(FILE) :]}" if variable.startswith(FILE) else f"the environment variable {variable}"


def _some(names: list[str], most: int = 3) -> str:
    """`_some(["a", "b", "c", "d"])` is "a, b, c and 1 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


_FOREIGN_BYTES = dict.fromkeys(
    range(0xDC80, 0xDD00)
)  # Python's characters for bytes of an environment that is not UTF-8


def _key_fault(key: str) -> str | None:
    """The reason why a text cannot be a key, or None."""
    if (key[0] == key[-1] and key[0] in "\"'`") or key[0] in "“”‘’":
        return "has quotation marks around it; leave them out"
    if SHELL_SYNTAX.search(key) or ENVIRONMENT in key:
        return "has the syntax of a shell or a template in it; it must be the key itself"
    if key.lower().startswith("bearer "):
        return "begins with `Bearer`, which is added by itself; leave it out"
    if _ASSIGNMENT.match(key):
        return "is an assignment; it must be the key alone"
    if not key.translate(_FOREIGN_BYTES).isprintable():
        return "has a line break or another control character inside; it must be the key alone"
    if any(c.isspace() for c in key):
        return "has a space inside; it must be the key alone"
    return None


def _to_write(text: str) -> str:
    """Return the correction for a reference in shell syntax. A text that may be a secret is not shown."""
    if (match := _SHELL_VARIABLE.fullmatch(text)) is not None:
        return f"write {ENVIRONMENT}{match[1] or match[2]}"
    return f"write {ENVIRONMENT}NAME alone, where NAME holds the whole value"
