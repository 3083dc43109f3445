"""The commands over the model space see the portfolio's models: those that were onboarded, and what others borrow."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.model_versions.model_versions import ModelVersions
from gateway.store.database import Database
from router.model.space import ModelSpace
from tests.gateway.http.test_model_states import embedding_of
from tests.gateway.running import shipped_router

LIKE = "openai/gpt-4o-2024-11-20"


async def _onboard(file: Path, names: Sequence[str]) -> None:
    database = Database(DatabaseLocation(file))
    versions = ModelVersions(database)
    for name in names:
        used = shipped_router().checkpoint
        await versions.add(name, embedding_of(LIKE), checkpoint=used, source="onboarding", note="", live=True)
    await database.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A portfolio with an onboarded model that the space does not know, one that it knows, and one that borrows."""
    asyncio.run(_onboard(tmp_path / "record.db", ["ours", "llama"]))
    path = tmp_path / "portfolio.yaml"
    path.write_text(f"""\
gateway: {{ record: {tmp_path / "record.db"} }}
models:
  - {{name: ours, deployments: [{{model: ollama/ours}}], context_window: 8192}}
  - {{name: llama, deployments: [{{model: ollama/llama3.1:8b}}], context_window: 8192}}
  - {{name: later, deployments: [{{model: openai/gpt-5.9}}], context_window: 8192}}
""")
    return path


def locus(*arguments: object, columns: int = 120) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], env={"COLUMNS": str(columns)})


def shown(*arguments: object, columns: int = 120) -> str:
    result = locus(*arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_onboarded_model_has_neighbours(config: Path) -> None:
    result = locus("neighbors", "ours", "--config", config, "-k", 3)
    assert result.exit_code == 0, result.output
    assert f"with the onboarded models of {config}: ours, meta-llama/Llama-3.1-8B-Instruct" in result.stderr
    nearest = result.stdout.splitlines()[1:]
    assert {line.split()[0] for line in nearest[:2]} == {
        LIKE,
        "meta-llama/Llama-3.1-8B-Instruct",
    }  # its evaluations too
    assert nearest[0].split()[1] == nearest[1].split()[1] == "0.000"


def test_the_portfolio_is_found_as_by_serve(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    assert f"{LIKE} " in shown("neighbors", "ours", "-k", 2)
    assert locus("neighbors", "ours", "--space", _shipped(config.parent)).exit_code == 1  # exactly this file
    config.write_text("models: 5")
    result = locus("neighbors", LIKE, "-k", 1)
    assert result.exit_code == 0
    assert "the models of portfolio.yaml are left out: it is invalid" in result.stderr
    assert locus("neighbors", LIKE, "--config", config).exit_code == 1


def _shipped(folder: Path) -> Path:
    path = folder / "shipped.safetensors"
    shipped_router().space.save(path)
    return path


def test_a_portfolio_and_a_space_are_not_both_given(config: Path) -> None:
    result = locus("neighbors", "ours", "--space", "x.safetensors", "--config", config)
    assert result.exit_code == 2
    assert "Give --config, or --checkpoint and --space." in result.stderr


def test_all_commands_see_the_onboarded_models(config: Path, tmp_path: Path) -> None:
    clusters = json.loads(shown("cluster", "--config", config, "-k", 4, "--json"))
    assert "ours" in {model for cluster in clusters for model in cluster["members"]}
    pairs = json.loads(shown("duplicates", "--config", config, "--json"))
    assert any({"ours", LIKE} == set(pair["models"]) for pair in pairs)
    found = json.loads(shown("find", "--profile", "gsm8k=0.9", "-k", 1000, "--config", config, "--json"))
    assert "ours" in {match["model"] for match in found}
    names = tmp_path / "names.txt"
    names.write_text("ours\nopenai/gpt-5.4\n")
    suggested = json.loads(shown("portfolio", "suggest", "-k", 2, "--models", names, "--config", config, "--json"))
    assert {row["model"] for row in suggested["models"]} == {"ours", "openai/gpt-5.4"}


def test_models_are_listed_with_what_is_measured_and_what_is_guessed(config: Path) -> None:
    (ours,) = json.loads(shown("models", "ours", "--config", config, "--json"))
    like = embedding_of(LIKE)
    assert (ours["evaluations"], ours["borrowed_from"]) == (like.evaluations, None)
    assert 0 < ours["standard_error"] < 0.3
    kinds = {each["measured"] for each in ours["benchmarks"].values()}
    assert kinds == {True, False}
    for each in ours["benchmarks"].values():
        assert each["measured"] == (each["standard_error"] <= 0.1)
    (later,) = json.loads(shown("models", "later", "--config", config, "--json"))
    assert later["borrowed_from"].startswith("openai/gpt-5")
    assert (later["evaluations"], later["few_evaluations"]) == (0, True)
    assert not any(each["measured"] for each in later["benchmarks"].values())


@pytest.mark.parametrize("columns", [60, 120])
def test_the_list_fits_the_terminal(config: Path, columns: int) -> None:
    for pattern in ("gpt-5*", "later"):
        lines = shown("models", pattern, "--config", config, columns=columns).splitlines()
        assert max(map(len, lines)) <= max(columns, 113), (
            lines
        )  # the sentence below the list is wrapped by the terminal
        assert all(len(line) <= columns for line in lines if "%" in line)


def test_few_evaluations_have_a_warning() -> None:
    space: ModelSpace = shipped_router().space
    few = [name for name, number in zip(space.models, space.evaluations, strict=True) if number < 64]
    many = next(name for name, number in zip(space.models, space.evaluations, strict=True) if number >= 64)
    result = locus("models", few[0])
    assert "fewer than 64 evaluations: their accuracies are mostly guesses" in result.stderr
    listed = json.loads(shown("models", "--json"))
    assert sum(one["few_evaluations"] for one in listed) == len(few)
    assert next(one for one in listed if one["model"] == many)["few_evaluations"] is False
    unknown = locus("models", "gpt-55-nonsense")
    assert unknown.exit_code == 1
    assert "no model of the space matches 'gpt-55-nonsense'" in unknown.stderr
