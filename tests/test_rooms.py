"""The order of the rooms: a package of `gateway/` or `router/` imports only packages below it, lazy imports included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {  # from the lowest
    "gateway": (
        ("core",),
        ("bodies", "config", "provider_errors"),
        ("migrate", "request", "store"),
        ("api", "demo", "deployments", "keys", "model_versions"),
        ("cache", "limits", "record", "replicas", "routing", "telemetry", "upstream"),
        ("answering",),
        ("ensemble", "feedback", "onboarding"),
        ("drift", "replay"),
        ("http",),
        ("console",),
        ("server",),
        ("commands",),
    ),
    "router": (
        ("errors", "regular_file"),
        ("extras",),
        ("encode", "parallel"),
        ("data",),
        ("model",),
        ("probes",),
        ("drift", "explore", "replay", "train"),
        ("commands",),
    ),
}
FLOOR_OF = {
    (package, room): floor for package, floors in FLOORS.items() for floor, rooms in enumerate(floors) for room in rooms
}
MODULES = [path for package in FLOORS for path in sorted((ROOT / package).rglob("*.py"))]
OUTSIDE = {"research", "tests", "scripts", "benchmarks"}
MOST_LINES = {"module": 350, "class": 250, "function": 50}
LONG_TABLES = {"gateway/provider_errors/error_table.py"}  # data only: one table that is read from top to bottom


def room_of(module: str) -> tuple[str, str] | None:
    """`gateway.http.edge` -> `("gateway", "http")`; None for a package itself and for everything that is not ours."""
    package, _, rest = module.partition(".")
    return (package, rest.partition(".")[0]) if package in FLOORS and rest else None


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of each module that is imported anywhere in a file, or of a name in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_each_folder_has_a_floor() -> None:
    folders = {
        (package, path.stem) for package in FLOORS for path in (ROOT / package).iterdir() if path.name.isidentifier()
    }
    assert {(package, room) for package, room in folders if room != "__pycache__"} <= {
        *FLOOR_OF,
        ("router", "pretrained"),
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    own = room_of(".".join(parts))
    if own is None or parts[1] == "__init__":
        return
    upward = []
    for line, name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (own[0] == "router" and name.partition(".")[0] == "gateway"), f"line {line}: {name}"
        other = room_of(name)
        if other is None or other == own or other not in FLOOR_OF:
            continue
        below = FLOOR_OF[other] < FLOOR_OF[own] if other[0] == own[0] else own[0] == "gateway"
        if not below:
            upward.append(f"line {line}: {name}")
    assert not upward


def test_the_wheel_imports_nothing_of_the_repository_around_it() -> None:
    for path in MODULES:
        outside = [
            name for _, name in imported(ast.parse(path.read_text(encoding="utf-8"))) if name.split(".")[0] in OUTSIDE
        ]
        assert not outside, f"{path}: {outside}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
    graph = {
        name: {
            known
            for _, target in imported(ast.parse(path.read_text(encoding="utf-8")))
            if (known := target if target in names else target.rpartition(".")[0]) in names and known != name
        }
        for name, path in names.items()
    }
    while removable := {name for name, targets in graph.items() if not targets & graph.keys()}:
        graph = {name: targets for name, targets in graph.items() if name not in removable}
    assert not graph, f"circles among, or modules above circles: {sorted(graph)}"


def test_modules_classes_and_functions_are_short() -> None:
    long = []
    for path in [*MODULES, *sorted((ROOT / "research").rglob("*.py"))]:
        name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        if name in LONG_TABLES:
            continue
        if len(text.splitlines()) > MOST_LINES["module"]:
            long.append(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                kind = "class" if isinstance(node, ast.ClassDef) else "function"
                if (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES[kind]:
                    long.append(f"{name}: {node.name}")
    assert not long
