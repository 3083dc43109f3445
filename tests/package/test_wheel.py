"""The built wheel in an environment of its own and an empty folder, as after `pip install locus-gateway`."""

import os
import shutil
import signal
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

from gateway import __version__
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
EXTRAS = ("torch", "scipy", "sklearn", "pyarrow", "matplotlib", "sentence_transformers", "onnxruntime")
# Makes the packages of the extras look as if they were not installed.
WITHOUT_EXTRAS = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, since setuptools writes into the folder that it builds."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    for package in ("gateway", "router"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command = [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def locus(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `locus` command of an environment with the wheel. Its dependencies are those of the tests, without the extras."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin" / "python")]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run(install, check=True, timeout=300)
    site = next(folder.glob("lib/python*/site-packages"))
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join([*dependencies, WITHOUT_EXTRAS]))
    return folder / "bin" / "locus"


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    """An environment without API keys, PYTHONPATH and settings of the user."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY") and name != "PYTHONPATH"}
    return kept | {"XDG_CONFIG_HOME": str(tmp_path / "settings"), "OLLAMA_HOST": "127.0.0.1:9"}


def run(locus: Path, folder: Path, environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(locus), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_wheel_has_the_package_and_nothing_around_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"gateway", "router"}
    assert {"gateway/py.typed", "router/py.typed", "gateway/http/openapi/paths.yaml"} <= set(names)
    assert {"router/probes/shipped/locus-bank.jsonl", "router/probes/shipped/known_difficulty.safetensors"} <= set(
        names
    )
    assert "router/probes/generators/written/languages.tsv" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_commands_work_in_an_empty_folder(locus: Path, tmp_path: Path, clean: dict[str, str]) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    version = run(locus, folder, clean, "--version")
    assert version.stdout == f"locus, version {__version__}\n", version.stderr
    for command in ("serve", "check"):
        refused = run(locus, folder, clean, command)
        assert refused.returncode == 2
        assert "There is no portfolio file" in refused.stderr
        assert "locus init" in refused.stderr
    clean["OPENAI_API_KEY"] = "sk-0123"
    written = run(locus, folder, clean, "init")
    assert written.returncode == 0, written.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["portfolio.schema.json", "portfolio.yaml"]
    checked = run(locus, folder, clean, "check")
    assert checked.returncode == 0, checked.stderr
    assert "gpt-5.4-mini" in checked.stdout
    assert checked.stderr == ""
    assert run(locus, folder, clean, "init").returncode == 1
    refused = run(locus, folder, clean, "cluster")
    assert refused.returncode == 1
    assert "pip install 'locus-gateway[" in refused.stderr
    neighbors = run(locus, folder, clean, "neighbors", "openai/gpt-4o")
    assert neighbors.returncode == 0, neighbors.stderr
    bank = run(locus, folder, clean, "probes", "check", "locus-bank")
    assert bank.stdout.endswith(" probes, each valid, and each reference graded as right\n"), bank.stderr


@pytest.mark.parametrize("portfolio", ["", "locus"])  # none, and one in the user's configuration folder
def test_serve(locus: Path, tmp_path: Path, clean: dict[str, str], portfolio: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    arguments = ["serve", "--demo"]
    if portfolio:
        settings = tmp_path / "settings" / portfolio
        settings.mkdir(parents=True)
        clean["OPENAI_API_KEY"] = "sk-0123"
        assert run(locus, settings, clean, "init").returncode == 0
        arguments = ["serve"]
    port = free_port()
    command = [str(locus), *arguments, "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env=clean, stderr=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health/live", process)
        if portfolio:
            assert "gpt-5.6-sol" in [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]]
        else:
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 3?"}]}
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30)
            assert answer.status_code == 200
            assert answer.headers["x-locus-simulated"] == "true"
    finally:
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    assert process.returncode == 0, log


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    for _ in range(600):
        try:
            assert httpx.get(url, timeout=5).status_code == 200
            return
        except httpx.TransportError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
