"""The claim tables: one module per claim of the paper, in the order of the report.

A module has `VERSION`, which a change of what it measures must raise, `measure(context)`, which returns a
result for JSON, `section(result)`, its Markdown, and `plot(result, folder)`, which writes PNGs or nothing.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from router.errors import ArtifactError

if TYPE_CHECKING:
    from research.bench.tables.context import Context

TABLES = (
    "accuracy_by_evaluations",
    "few_evaluations",
    "onboarding",
    "robustness",
    "geometry",
    "standins",
    "portfolio",
    "clustering",
    "cost",
    "calibration",
    "timing",
    "ensembles",
)
Result = dict[str, Any]


class Table(Protocol):
    """A module of this package that is a table."""

    VERSION: int

    def measure(self, context: "Context") -> Result: ...
    def section(self, result: Result) -> str: ...
    def plot(self, result: Result, folder: Path) -> None: ...


def load(name: str) -> Table:
    """The module of a table."""
    return cast(Table, import_module(f"research.bench.tables.{name}"))


def measure(context: "Context", folder: Path, names: Sequence[str] = TABLES) -> dict[str, Result]:
    """Measures tables, or reads from `folder` earlier results on the same evidence. Writes JSON and plots there.

    Raises:
        ArtifactError: the file of a table cannot be read.
    """
    found = {}
    for name in names:
        module, file = load(name), folder / f"{name}.json"
        identity = _identity(context, name, module.VERSION)
        result = _kept(file, identity)
        if result is None:
            start = time.perf_counter()
            result = json.loads(json.dumps(module.measure(context)))
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"identity": identity, "result": result}, indent=1, ensure_ascii=False)
            file.write_text(text + "\n", encoding="utf-8")
            context.say(f"{name}: {time.perf_counter() - start:.0f} s")
        module.plot(result, folder)
        found[name] = result
    return found


def sections() -> list[Callable[[Mapping[str, Any]], str]]:
    """The report's sections: each reads its table under `tables` of the whole JSON, and is empty if it was not measured."""

    def section(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda found: load(name).section(found["tables"][name]) if name in found.get("tables", {}) else ""

    return [section(name) for name in TABLES]


def _kept(file: Path, identity: str) -> Result | None:
    if not file.exists():
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        result: Result | None = kept["result"] if kept["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ArtifactError(f"{file}: not a readable table: {exc}; remove it to make it anew") from exc
    return result


def _identity(context: "Context", name: str, version: int) -> str:
    """SHA-256 of everything that a table depends on."""
    digest = hashlib.sha256(json.dumps([name, version, context.ours.version, sorted(context.rows)]).encode())
    digest.update(context.evidence.key.encode())
    for array in (context.q, context.data.scores):
        digest.update(array.tobytes())
    return digest.hexdigest()
