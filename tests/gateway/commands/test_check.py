import asyncio
import json
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.commands.check import _deprecation
from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.config.litellm_table import all_models, deprecation_date
from gateway.config.schema import json_schema
from gateway.model_versions.model_versions import ModelVersions
from gateway.store.database import Database
from router.model.serving import Router
from tests.gateway.upstreams import ScriptedProvider, error, reply

GOOD = """\
models:
  - name: small
    embedding: meta-llama/Llama-3.1-8B-Instruct
    deployments:
      - model: ollama/llama3.1:8b
    context_window: 8192
    capabilities: [tools]
"""


def check(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments], env={"COLUMNS": "200"} | environment)


def write(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


def test_a_usable_file_is_shown(tmp_path: Path) -> None:
    result = check(str(write(tmp_path, GOOD)))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[:3] == [
        "small  meta-llama/Llama-3.1-8B-Instruct",
        "    0 in, 0 out USD/Mtok; 8192 tokens; tools",
        "    - llama3.1:8b  http://127.0.0.1:11434/v1  no key needed",
    ]
    assert "policies: best, balanced (default), cheap, panel (up to 3 models answer together)" in result.stdout


def test_a_key_is_shown_only_as_set_or_not_set(tmp_path: Path) -> None:
    text = GOOD + "  - name: hosted\n    deployments: [{model: openai/gpt-4o-mini}]\n"
    path = str(write(tmp_path, text))
    with_key = check(path, OPENAI_API_KEY="sk-canary")
    assert with_key.exit_code == 0
    assert re.search(r"hosted .*\n +0\.15 in, 0\.6 out, 0\.075 cached USD/Mtok; 128000 .*\n.* key set", with_key.stdout)
    assert "sk-canary" not in with_key.output
    without = check(path, OPENAI_API_KEY="")
    assert without.exit_code == 0
    assert "OPENAI_API_KEY not set" in without.stdout
    assert (
        f"warning: {path}: no key or address set for 1 deployment, which is not used: OPENAI_API_KEY" in without.stderr
    )


def test_embedding_models_are_shown_after_the_others(tmp_path: Path) -> None:
    text = (
        GOOD + "embedding_models:\n  - name: small-vectors\n    deployments: [{model: openai/text-embedding-3-small}]\n"
    )
    result = check(str(write(tmp_path, text)), OPENAI_API_KEY="sk-1")
    assert result.stdout.splitlines()[3:6] == [
        "small-vectors  embedding model",
        "    0.02 in USD/Mtok; 8191 tokens; 1536 dimensions",
        "    - text-embedding-3-small  https://api.openai.com/v1  key set",
    ]


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    result = check(str(write(tmp_path, GOOD.replace("small", "small[q4]"))))
    assert "small[q4]" in result.stdout


def test_a_wrong_file_fails_with_all_its_problems(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "    embeding: x\ngateway: {port: http}\ndefault_policy: fast\n")
    result = check(str(path))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{path}:8: models[0].embeding: unknown key; did you mean embedding?",
        f"{path}:9: gateway.port: found 'http'; write a whole number, such as port: 4000",
        f"{path}:10: default_policy: found 'fast', expected one of best, balanced, cheap, panel",
        f"Error: 3 problems in {path}",
    ]


@pytest.mark.parametrize("name", ["none.yaml", "nowhere/none.yaml"])
def test_a_missing_file_is_one_problem(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    result = check(str(path))
    assert (result.exit_code, result.stderr) == (1, f"{path}: no such file\nError: 1 problem in {path}\n")


def test_without_a_name_the_file_of_the_working_directory_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    refused = check()
    assert refused.exit_code == 2
    assert "There is no portfolio file: neither portfolio.yaml, config/portfolio.yaml nor " in refused.stderr
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "portfolio.yaml").write_text("models: []", encoding="utf-8")
    assert "config/portfolio.yaml:1: models" in check().stderr


def test_an_embedding_that_the_model_space_lacks_comes_with_its_place_and_close_names(tmp_path: Path) -> None:
    text = GOOD.replace("Llama-3.1-8B-Instruct", "Llama-3.1-8B-Instruc")
    text += "  - name: odd\n    embedding: no-provider/no-such-thing-xyz\n    context_window: 1\n    capabilities: []\n    deployments: [{model: ollama/m}]\n"
    path = write(tmp_path, text)
    result = check(str(path))
    assert result.exit_code == 1
    first, second, last = result.stderr.splitlines()
    place = f"{path}:3: models[0].embedding: the model space has no 'meta-llama/Llama-3.1-8B-Instruc'; close to it: "
    assert first.startswith(place)
    assert "meta-llama/Llama-3.1-8B-Instruct" in first.removeprefix(place).split(", ")
    assert second.startswith(f"{path}:9: models[1].embedding: the model space has no 'no-provider/no-such-thing-xyz'")
    assert last == f"Error: 2 problems in {path}"


@pytest.mark.parametrize("setting", ["checkpoint: {}/none", "spaces: ['{}/none.safetensors']"])
def test_artefacts_that_cannot_be_loaded_are_a_problem(tmp_path: Path, setting: str) -> None:
    result = check(str(write(tmp_path, GOOD + setting.format(tmp_path) + "\n")))
    assert result.exit_code == 1
    assert f"{tmp_path}/none" in result.stderr


def test_schema_prints_the_json_schema() -> None:
    result = check("--schema")
    assert (result.exit_code, json.loads(result.stdout)) == (0, json_schema())


def test_an_embedding_may_be_named_without_maker_and_date(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    embedding: gpt-4o-mini\n    deployments: [{model: ollama/a}]\n    context_window: 9000\n"
    result = check(str(write(tmp_path, text)))
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "a  openai/gpt-4o-mini-2024-07-18")


def test_a_model_is_recognised_by_its_deployments(tmp_path: Path) -> None:
    text = """\
models:
  - name: recognised
    deployments: [{model: azure/gpt-3.5-turbo, api_version: "1", api_base: "https://a.example", api_key: k}]
  - name: unlike
    deployments: [{model: ollama/llama3.1:8b}, {model: openrouter/meta-llama/llama-3.1-70b-instruct}]
    price: { input: 1, output: 1 }
    context_window: 8192
  - name: unknown
    deployments: [{model: ollama/ours}]
    context_window: 8192
  - name: elsewhere
    deployments: [{model: openai/ours, api_base: "http://127.0.0.1:9/v1"}]
    context_window: 8192
  - name: later
    deployments: [{model: openai/gpt-5.9-mini}]
    context_window: 8192
    price: { input: 1, output: 1 }
  - name: by-name-only
    embedding: none
    deployments: [{model: ollama/llama3.1:8b}]
    context_window: 8192
"""
    result = check(str(write(tmp_path, text)))
    assert result.exit_code == 0, result.stderr
    shown = dict(
        line.split("  ", 1) for line in result.stdout.splitlines() if not line.startswith((" ", "policies", "6 models"))
    )
    assert re.fullmatch(
        r"openai/gpt-3\.5-turbo-0125  \(known by azure/gpt-3\.5-turbo(; the newest; the space also has .*)?\)",
        shown["recognised"],
    )
    assert shown["unlike"] == (
        "only served when named: its deployments may be meta-llama/Llama-3.1-8B-Instruct or "
        "meta-llama/Llama-3.1-70B-Instruct: state `embedding`"
    )
    assert shown["elsewhere"] == "only served when named: the model space has no ours"
    assert shown["unknown"] == "only served when named: the model space has no ollama/ours"
    assert re.fullmatch(
        r"≈openai/gpt-5\.\d-mini\S*  \(its nearest relative: the model space has no openai/gpt-5\.9-mini\)",
        shown["later"],
    )
    assert shown["by-name-only"] == "only served when named: `embedding: none`"
    assert "4 models have no evaluations yet: `locus onboard --all` asks questions" in result.stderr


def test_an_address_that_is_not_set_is_not_made_up(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    deployments: [{model: openai/a, api_base: os.environ/BASE}]\n    context_window: 9000\n"
    result = check(str(write(tmp_path, text)), BASE="")
    assert "- a  no address  BASE not set" in result.stdout


def test_the_last_line_counts_the_models_that_can_be_used_and_those_that_auto_chooses_among(tmp_path: Path) -> None:
    text = GOOD + (
        "  - name: no-key\n    deployments: [{model: openai/gpt-4o-mini}]\n"
        "  - name: named-only\n    embedding: none\n    deployments: [{model: ollama/m}]\n    context_window: 9000\n"
    )
    result = check(str(write(tmp_path, text)), OPENAI_API_KEY="")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "3 models, 2 usable, auto chooses among 1")


def test_a_deprecated_model_has_its_day() -> None:
    name = next(name for name in all_models() if "/" not in name and deprecation_date(name) is not None)
    assert "deprecated from 20" in _deprecation(name, date(2020, 1, 1))
    assert "deprecated since 20" in _deprecation(name, date(2099, 1, 1))
    assert _deprecation(f"custom/{name}", date(2099, 1, 1)) == ""
    assert _deprecation("ollama/llama3.1:8b", date(2099, 1, 1)) == ""


@pytest.mark.anyio
@pytest.mark.parametrize("columns", ["60", "120"])
async def test_live_shows_what_each_server_says_and_its_exit_status_counts_failures(
    tmp_path: Path, columns: str
) -> None:
    good, bad = reply(200, {"data": [{"id": "a"}]}), error(401, "Invalid key sk-canary-123456", "invalid_api_key")
    async with ScriptedProvider(good) as up, ScriptedProvider(bad) as refusing:
        text = "models:\n"
        for name, provider in (("a", up), ("b", refusing)):
            text += f"  - name: {name}\n    embedding: gpt-4o-mini\n    context_window: 9000\n    deployments:\n"
            text += f"      - {{model: openai/{name}, api_base: {provider.base_url}, api_key: os.environ/K}}\n"
        text += "      - {model: openai/b, api_base: os.environ/BASE}\n"
        path = str(write(tmp_path, text))
        environment = {"K": "sk-canary-123456", "BASE": "", "COLUMNS": columns}
        result = await asyncio.to_thread(check, path, "--live", **environment)
        assert (result.exit_code, "canary" in result.output) == (1, False)
        assert re.search(
            r"- a  http\S+  key set  ok, the key was not checked, since the list is public, \d+ ms\n", result.stdout
        )
        assert re.search(r"- b  http\S+  key set  key refused: Invalid key \*\*\*, \d+ ms\n", result.stdout)
        assert "- b  no address  BASE not set\n" in result.stdout
        assert result.stdout.splitlines()[-1] == "2 models, 1 usable, auto chooses among 1"
        refusing.default = reply(200, {"data": [{"id": "b"}]})
        result = await asyncio.to_thread(check, path, "--live", **environment)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "2 models, 2 usable, auto chooses among 2")


def test_live_without_any_usable_model_fails(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    deployments: [{model: openai/gpt-4o-mini}]\n"
    result = check(str(write(tmp_path, text)), "--live", OPENAI_API_KEY="")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "1 model, 0 usable, auto chooses among 0")


def test_states_and_versions_of_the_database_are_shown(tmp_path: Path) -> None:
    database = DatabaseLocation(tmp_path / "store.db")

    async def add() -> None:
        router = Router.load()
        texts = ["What is 3 + 4?", "Name the capital of France."]
        opened = Database(database)
        versions = ModelVersions(opened)
        embedding = router.embed(texts, [1.0, 0.0], "new")
        used = router.checkpoint
        await versions.add("new", embedding, checkpoint=used, source="onboarding", note="", live=True)
        await versions.set_state("new", "limited", "it was onboarded")
        await versions.set_state("old", "quarantined", "its answers changed")
        await opened.close()

    asyncio.run(add())
    text = f"""\
gateway: {{ record: {database.file} }}
models:
  - {{name: new, deployments: [{{model: ollama/ours}}], context_window: 8192}}
  - {{name: old, deployments: [{{model: openai/gpt-4o}}]}}
"""
    result = check(str(write(tmp_path, text)), OPENAI_API_KEY="k")
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "new  version 1 of its own evaluations  on trial (it was onboarded): at most 10% of the requests, and one more standard "
        "error is taken off its P(correct)"
    )
    (old,) = [line for line in lines if line.startswith("old")]
    assert old.endswith("quarantined (its answers changed): only served when named")
    assert lines[-1] == "2 models, 2 usable, auto chooses among 1"
