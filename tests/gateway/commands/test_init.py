"""`locus init`: what it finds, what it writes, and that it replaces no file unasked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.commands.import_config import space_names
from gateway.commands.main import main
from gateway.commands.ollama_models import OllamaModel, ollama_address, ollama_models
from gateway.commands.portfolio_writer import schema_text
from gateway.commands.starter import HOSTED, KEYS, starter_text
from gateway.config.portfolio_file import load_portfolio
from gateway.config.providers import OLLAMA_ADDRESS, OPENAI_COMPATIBLE, THROUGH_LITELLM

LOCAL = [
    OllamaModel("llama3.1:8b", 131_072, frozenset({"tools"})),
    OllamaModel("mine:latest"),
    OllamaModel("llama3.1:8b-custom-tune", 4096),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without any API key and without an Ollama server."""
    monkeypatch.chdir(tmp_path)
    for variable in KEYS.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    return tmp_path


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def names(path: Path) -> list[str]:
    return [model["name"] for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]]


def test_the_keys_of_the_environment_decide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123")
    done = init()
    assert done.exit_code == 0, done.output
    assert names(folder / "portfolio.yaml") == ["claude-opus-5", "claude-haiku-4-5"]
    assert (folder / "portfolio.schema.json").read_text(encoding="utf-8") == schema_text()
    text = (folder / "portfolio.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=portfolio.schema.json\n")
    assert "sk-ant-0123" not in text + done.output
    checked = CliRunner().invoke(main, ["check"])
    assert checked.exit_code == 0
    assert "warning" not in checked.output


def test_without_keys_and_models_it_names_the_keys_to_set(folder: Path) -> None:
    done = init()
    assert done.exit_code == 0, done.output
    assert "set one of OPENAI_API_KEY, ANTHROPIC_API_KEY, OPENROUTER_API_KEY" in done.output
    assert "locus check" in done.output
    assert len(names(folder / "portfolio.yaml")) == len(HOSTED)


def test_files_are_replaced_only_with_force(folder: Path) -> None:
    assert init("--from", "openai").exit_code == 0
    before = (folder / "portfolio.yaml").read_text(encoding="utf-8")
    refused = init("--from", "anthropic")
    assert (refused.exit_code, "portfolio.yaml exists; --force replaces it" in refused.output) == (1, True)
    assert (folder / "portfolio.yaml").read_text(encoding="utf-8") == before
    assert init("--from", "anthropic", "--force").exit_code == 0
    assert names(folder / "portfolio.yaml") == ["claude-opus-5", "claude-haiku-4-5"]
    (folder / "portfolio.yaml").unlink()
    (folder / "portfolio.schema.json").write_text("{}")
    refused = init("--from", "anthropic")
    assert (refused.exit_code, "portfolio.schema.json exists" in refused.output) == (1, True)
    assert not (folder / "portfolio.yaml").exists()
    (folder / "portfolio.schema.json").write_bytes(b"\xff")
    refused = init("--from", "anthropic")
    assert (refused.exit_code, "portfolio.schema.json exists" in refused.output) == (1, True)
    (folder / "portfolio.schema.json").unlink()
    (folder / "portfolio.schema.json").mkdir()
    refused = init("--from", "anthropic", "--force")
    assert (refused.exit_code, "portfolio.schema.json is a folder" in refused.output) == (1, True)
    assert not (folder / "portfolio.yaml").exists()


def test_several_sources_become_deployments_of_one_model(folder: Path) -> None:
    assert init("--from", "openai", "--from", "openrouter").exit_code == 0
    model = yaml.safe_load((folder / "portfolio.yaml").read_text(encoding="utf-8"))["models"][0]
    assert [deployment["model"] for deployment in model["deployments"]] == [
        "openai/gpt-5.6-sol",
        "openrouter/openai/gpt-5.6-sol",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "litellm"], "--from litellm needs FILE"),
        (["--from", "litellm", "--from", "openai", "config.yaml"], "cannot be combined"),
        (["config.yaml"], "config.yaml: a file is imported with --from litellm only"),
        (["--from", "cohere"], "'cohere'"),
    ],
)
def test_sources_that_do_not_fit_are_refused(folder: Path, arguments: list[str], says: str) -> None:
    refused = init(*arguments)
    assert refused.exit_code == 2
    assert says in refused.output
    assert not list(folder.iterdir())


def test_a_litellm_configuration_is_imported(folder: Path) -> None:
    model = {"model_name": "mini", "litellm_params": {"model": "openai/gpt-4o-mini"}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_list": [model]}), encoding="utf-8")
    done = init("--from", "litellm", "config.yaml")
    assert done.exit_code == 0, done.output
    assert names(folder / "portfolio.yaml") == ["mini"]
    text = (folder / "portfolio.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: ")
    assert text.count("yaml-language-server") == 1
    assert (folder / "portfolio.schema.json").exists()


def test_the_models_of_a_local_ollama_server_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = init("--from", "ollama")
    assert refused.exit_code == 1
    assert "no Ollama server with a chat model answers at http://127.0.0.1:9" in refused.output
    with ollama(SHOWN) as address:
        monkeypatch.setenv("OLLAMA_HOST", address)
        done = init()
    assert done.exit_code == 0, done.output
    assert "make embeddings only: nomic-embed-text:latest" in done.output
    assert names(folder / "portfolio.yaml") == ["llama3.1:8b", "old"]
    model = yaml.safe_load((folder / "portfolio.yaml").read_text(encoding="utf-8"))["models"][0]
    assert model["deployments"][0]["api_base"] == address
    checked = CliRunner().invoke(main, ["check"])
    assert (checked.exit_code, "warning" in checked.output) == (0, False)


def test_a_local_model_that_the_space_does_not_know_has_a_comment() -> None:
    text = starter_text([], LOCAL, space_names(), OLLAMA_ADDRESS)
    portfolio = yaml.safe_load(text)
    known, own, tuned = portfolio["models"]
    assert text.count("It is not in the model space") == 2
    assert not any("embedding" in model for model in (known, own, tuned))
    assert (known["context_window"], known["capabilities"]) == (131_072, ["tools"])
    assert "api_base" not in known["deployments"][0]
    assert portfolio["default_policy"] == "best"


def test_each_model_of_the_table_has_a_price(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.yaml"
    path.write_text(starter_text(list(KEYS), [], space_names(), OLLAMA_ADDRESS), encoding="utf-8")
    portfolio = load_portfolio(path, dict.fromkeys(KEYS.values(), "sk-0123"))
    assert not portfolio.warnings
    assert all(model.price is not None and model.price.rates.input > 0 for model in portfolio.models)
    assert all(deployment.missing_key is None for model in portfolio.models for deployment in model.deployments)


def test_the_key_variables_are_those_of_the_providers() -> None:
    assert {name: (OPENAI_COMPATIBLE | THROUGH_LITELLM)[name].key_variable for name in KEYS} == KEYS


@contextmanager
def ollama(models: dict[str, dict[str, object]]) -> Iterator[str]:
    """A server that speaks what `locus init` asks of Ollama; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer({"models": [{"name": name} for name in models]} if self.path == "/api/tags" else {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.answer(models[body["model"]])

        def answer(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SHOWN: dict[str, dict[str, object]] = {
    "llama3.1:8b": {
        "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
        "capabilities": ["completion", "tools", "insert"],
    },
    "nomic-embed-text:latest": {"model_info": {"nomic-bert.context_length": 2048}, "capabilities": ["embedding"]},
    "old:latest": {},
}


def test_what_an_ollama_server_states_of_its_models() -> None:
    with ollama(SHOWN) as address:
        assert ollama_models(address) == [
            OllamaModel("llama3.1:8b", 131_072, frozenset({"tools"})),
            OllamaModel("nomic-embed-text:latest", 2048, chat=False),
            OllamaModel("old:latest"),
        ]
    assert ollama_models(address) is None


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("https://models.example/", "https://models.example:11434"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_address_of_the_ollama_server(setting: str, address: str) -> None:
    assert ollama_address({"OLLAMA_HOST": setting}) == address
