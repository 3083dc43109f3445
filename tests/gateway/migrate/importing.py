"""Runs `locus import-config litellm` on a configuration, for tests."""

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio


class Everything(dict[str, str]):
    """An environment in which each variable holds a text with its own name; VLLM holds an address."""

    def get(self, name: str, default: Any = None) -> Any:
        return "http://10.0.0.7:8000/v1" if name == "VLLM" else f"value-of-{name}"


def run(folder: Path, config: str, *options: str, out: bool = True, env: dict[str, str] | None = None) -> Result:
    path = folder / "config.yaml"
    path.write_text(config)
    arguments = ["import-config", "litellm", str(path), *options]
    return CliRunner().invoke(main, arguments + (["--out", str(folder / "portfolio.yaml")] if out else []), env=env)


def imported(folder: Path, config: str, env: dict[str, str] | None = None) -> tuple[Portfolio, str]:
    """The portfolio and the report."""
    result = run(folder, config, env=env)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    return load_portfolio(folder / "portfolio.yaml", Everything()), result.stderr


def problems(folder: Path, config: str) -> list[str]:
    result = run(folder, config)
    assert result.exit_code == 1
    assert not (folder / "portfolio.yaml").exists()
    return result.stderr.replace(f"{folder}/", "").splitlines()[:-1]


def one(params: str, more: str = "") -> str:
    """A configuration with one model."""
    return f"model_list:\n  - model_name: m\n    litellm_params: {{{params}}}\n{more}"
