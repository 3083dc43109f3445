"""The claim tables: one module per claim of the paper, in the order of the report.

A module has `VERSION`, which a change of what it measures must raise, `measure(context)`, which returns a
result for JSON, `section(result)`, its Markdown, and `figure(result)`, its plot, or None where there is nothing to draw.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from router.errors import ArtifactError
from router.explore.style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    def figure(self, result: Result) -> "Figure | None": ...


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
            keep(name, result, folder, identity)
            context.say(f"{name}: {time.perf_counter() - start:.0f} s")
        draw(name, result, folder)
        found[name] = result
    return found


def keep(name: str, result: Result, folder: Path, identity: str) -> None:
    """Writes the result of a table, from which its plot and its Markdown are made.

    Args:
        identity: says what it was measured on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"identity": identity, "result": result}, ensure_ascii=False, separators=(",", ":"))
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def result_of(name: str, folder: Path) -> Result:
    """The result of a table that `keep` wrote.

    Raises:
        ArtifactError: the file cannot be read.
    """
    _, result = _read(folder / f"{name}.json")
    return result


def draw(name: str, result: Result, folder: Path) -> None:
    """Writes the plot of a table, if it has one."""
    figure = load(name).figure(result)
    if figure is not None:
        save(figure, folder / f"{name}.png")


def sections() -> list[Callable[[Mapping[str, Any]], str]]:
    """The report's sections: each reads its table under `tables` of the whole JSON, and is empty if it was not measured."""

    def section(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda found: load(name).section(found["tables"][name]) if name in found.get("tables", {}) else ""

    return [section(name) for name in TABLES]


def _kept(file: Path, identity: str) -> Result | None:
    if not file.exists():
        return None
    of, result = _read(file)
    return result if of == identity else None


def _read(file: Path) -> tuple[str, Result]:
    """Identity and result."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return found["identity"], found["result"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ArtifactError(f"{file}: not a readable table: {exc}; remove it to make it anew") from exc


def _identity(context: "Context", name: str, version: int) -> str:
    """SHA-256 of everything that a table depends on."""
    digest = hashlib.sha256(json.dumps([name, version, context.ours.version, sorted(context.rows)]).encode())
    digest.update(context.evidence.key.encode())
    for array in (context.q, context.data.scores):
        digest.update(array.tobytes())
    return digest.hexdigest()
