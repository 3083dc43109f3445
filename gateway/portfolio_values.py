"""Values of a portfolio file that refer to the environment, and the warnings that come of them."""

from collections.abc import Mapping

from gateway.portfolio import Secret
from gateway.portfolio_document import Document, Place, is_secret_name

ENVIRONMENT = "os.environ/"


class Values:
    """Resolves references, and collects what to warn of.

    Attributes:
        warnings: one line each.
    """

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self._document = document
        self.environment = environment
        self._warnings: list[str] = []
        self._unset: dict[str, list[str]] = {}  # environment variable -> deployments that wait for it

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._warnings, *self._without_key())

    def unset(self, variable: str, deployment: str) -> None:
        """Notes that a deployment waits for an environment variable."""
        self._unset.setdefault(variable, []).append(deployment)

    def own_key(self, where: Place, value: str) -> Secret | None:
        secret, missing = self.secret(where, value)
        if missing is not None:
            self._document.report(where, f"the environment variable {missing} is not set")
        return secret

    def secret(self, where: Place, value: str) -> tuple[Secret | None, str | None]:
        """The secret that a value refers to, or the name of the variable that is not set."""
        if value.startswith(ENVIRONMENT):
            variable = value[len(ENVIRONMENT) :]
            found = self.environment.get(variable)
            return (Secret(found), None) if found else (None, variable)
        if is_secret_name(str(where[-1])) or "keys" in where:
            self.warn(where, "a literal secret; write os.environ/NAME instead, so that the file can be shared")
        return Secret(value), None

    def _without_key(self) -> list[str]:
        """One warning for all deployments that wait for an environment variable."""
        if not self._unset:
            return []
        number = sum(map(len, self._unset.values()))
        each = ", ".join(f"{variable} ({_some(ids)})" for variable, ids in self._unset.items())
        plural = "deployment, which is" if number == 1 else "deployments, which are"
        return [f"{self._document.path}: no key set for {number} {plural} not used: {each}"]

    def warn(self, where: Place, what: str) -> None:
        self._warnings.append(f"{self._document.locate(where)}: {what}")


def _some(names: list[str], most: int = 3) -> str:
    """`_some(["a", "b", "c", "d"])` is "a, b, c and 1 more"."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
