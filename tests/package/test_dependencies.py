"""What the package imports is what pyproject.toml declares, and what serving imports is installed without any extra."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()
DRIVERS = {"aiosqlite", "psycopg"}  # SQLAlchemy imports them, by the URL of a database
OURS = {"gateway", "router"}
STANDARD = {*sys.stdlib_module_names, "compression"}  # the latter since Python 3.14


def normal(name: str) -> str:
    """The name of a distribution as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: Iterable[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}  # type: ignore[index]


BASE = declared(PROJECT["dependencies"])
EXTRAS = {name: declared(listed) for name, listed in PROJECT["optional-dependencies"].items()}
EVERYTHING = BASE.union(*(listed for name, listed in EXTRAS.items() if name != "dev"))


def imported(path: Path) -> Iterator[str]:
    """The distributions that a module imports, lazy imports and imports for types included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if names == ["backports"]:  # a name space that several distributions share
                yield from (normal(f"backports.{alias.name}") for alias in node.names)
                continue
        for name in names:
            package = name.partition(".")[0]
            if package not in STANDARD | OURS:
                # Of a package that is not installed here, the name of the distribution is usually its own.
                yield normal(DISTRIBUTIONS.get(package, [package])[0])


def imports_of(*packages: str) -> dict[str, list[str]]:
    """Each imported distribution, with the modules that import it."""
    found: dict[str, list[str]] = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in imported(path):
                found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def test_each_import_is_declared() -> None:
    assert {name: paths for name, paths in imports_of("gateway", "router").items() if name not in EVERYTHING} == {}


def test_the_gateway_and_the_serving_model_import_only_base_dependencies() -> None:
    found = imports_of("gateway", "router/data")
    assert {
        name: paths for name, paths in found.items() if name not in BASE | EXTRAS["import"] | EXTRAS["replay"]
    } == {}
    assert {name: paths for name, paths in imports_of("gateway").items() if name not in BASE} == {}
    model = {name: paths for name, paths in imports_of("router/model").items() if name not in BASE}
    assert model == {}


def test_each_base_dependency_is_imported() -> None:
    assert set(imports_of("gateway", "router")) | DRIVERS >= BASE


@pytest.mark.parametrize(
    "package", ["torch", "scipy", "scikit-learn", "pyarrow", "matplotlib", "sentence-transformers"]
)
def test_no_heavy_package_is_in_the_base(package: str) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert package not in BASE
    assert not re.search(rf"^{package}==", lock, re.MULTILINE)


def test_the_base_lock_names_each_base_dependency() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert declared(re.findall(r"^[\w.-]+(?===)", lock, re.MULTILINE)) >= BASE
