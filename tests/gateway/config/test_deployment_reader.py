"""Entries of `deployments` with the defaults of their providers."""

from pathlib import Path

import pytest

from gateway.config.deployment_reader import UNKNOWN_ADDRESS, Deployments
from gateway.config.document import Document
from gateway.config.portfolio import Deployment
from gateway.config.references import References
from gateway.config.schema import ModelEntry
from gateway.config.secret import Secret


def read(folder: Path, *entries: dict[str, object], **environment: str) -> tuple[list[Deployment], list[str]]:
    """The deployments, and the problems."""
    path = folder / "p.yaml"
    path.write_text("models: []\n")
    document = Document(path)
    model = ModelEntry.model_validate({"name": "m", "deployments": list(entries)})
    reader = Deployments(document, References(document, environment))
    deployments = reader.read(("models", 0), model, 7.0)
    return list(deployments), [problem.text for problem in document.problems]


def test_a_deployment_has_the_defaults_of_its_provider(tmp_path: Path) -> None:
    (groq, claude), problems = read(
        tmp_path,
        {"model": "groq/llama"},
        {"model": "anthropic/claude-sonnet-4-5"},
        GROQ_API_KEY="k1",
        ANTHROPIC_API_KEY="k2",
    )
    assert not problems
    assert (groq.id, groq.path, groq.upstream_model) == ("m/0", "direct", "llama")
    assert (groq.api_base, groq.api_key, groq.several) == ("https://api.groq.com/openai/v1", Secret("k1"), False)
    assert (groq.timeout_s, groq.first_token_timeout_s) == (300.0, 7.0)
    assert (claude.id, claude.path, claude.upstream_model) == ("m/1", "litellm", "anthropic/claude-sonnet-4-5")
    assert (claude.apis, claude.native_base) == ({"messages"}, "https://api.anthropic.com/v1")


def test_a_missing_key_or_address_makes_a_deployment_unusable_and_no_problem(tmp_path: Path) -> None:
    (key, address), problems = read(
        tmp_path, {"model": "groq/llama"}, {"model": "openai/m", "api_base": "os.environ/BASE"}
    )
    assert not problems
    assert (key.missing_key, address.missing_key) == ("GROQ_API_KEY", "BASE")
    assert address.api_base == UNKNOWN_ADDRESS


def test_own_settings_replace_the_defaults(tmp_path: Path) -> None:
    (one,), _ = read(
        tmp_path,
        {
            "model": "openai/m",
            "api_base": "http://127.0.0.1:8000/v1",
            "stream_timeout": 3,
            "several": False,
            "prefill": False,
            "extra_headers": {"x-key": "os.environ/HEADER"},
            "organization": "acme",
        },
        HEADER="h",
    )
    assert (one.first_token_timeout_s, one.several, one.prefill, one.api_key) == (3, False, "", None)
    assert one.headers == {"x-key": Secret("h"), "openai-organization": Secret("acme")}


def test_parameters_of_litellm_are_kept_and_their_secrets_resolved(tmp_path: Path) -> None:
    (one,), problems = read(
        tmp_path,
        {
            "model": "bedrock/claude",
            "aws_region_name": "eu",
            "aws_secret_access_key": "os.environ/AWS",
            "thinking": {"a": 1},
        },
        AWS="s",
    )
    assert not problems
    assert one.params == {"aws_region_name": "eu", "aws_secret_access_key": Secret("s"), "thinking": {"a": 1}}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"model": "groc/llama"}, "models[0].deployments[0].model: unknown provider 'groc'; did you mean groq/?"),
        ({"model": "voyage/v"}, "models[0].deployments[0].model: voyage/ has embedding models only"),
        ({"model": "openai/m", "api_base": "h"}, "models[0].deployments[0].api_base: expected an address"),
        ({"model": "openai/m", "api_kye": "k"}, "models[0].deployments[0].api_kye: unknown key; did you mean api_key?"),
        ({"model": "bedrock/m", "apis": ["messages"]}, "models[0].deployments[0].apis: bedrock/ is reached through litellm"),
        (
            {"model": "bedrock/m", "extra_body": {"a": ["os.environ/X"]}},
            "models[0].deployments[0].extra_body.a[0]: os.environ/NAME is read as the whole value of a parameter alone",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_at_its_place(tmp_path: Path, entry: dict[str, object], problem: str) -> None:
    _, problems = read(tmp_path, entry, OPENAI_API_KEY="k")
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("entry", "stated"),
    [
        ({"model": "anthropic/claude-haiku-4-5"}, {"input": 1.0, "output": 5.0, "cached_input": 0.1} | {"cache_write": 1.25, "cache_write_1h": 2.0}),
        ({"model": "anthropic/claude-haiku-4-5", "price": {"input": 0.5, "output": 1.0}}, {"input": 0.5, "output": 1.0}),
        # A proxy of OpenAI on this machine bills as OpenAI does; whatever runs at another address has no price in the table.
        ({"model": "openai/gpt-4o-mini", "api_base": "http://127.0.0.1:8000/v1"}, {"input": 0.15, "output": 0.6, "cached_input": 0.075}),
        ({"model": "openai/our-model", "api_base": "http://127.0.0.1:8000/v1"}, None),
        ({"model": "openai/our-model", "api_base": "http://127.0.0.1:8000/v1", "price": {"input": 0.0, "output": 0.0}}, {"input": 0.0, "output": 0.0}),
        ({"model": "groq/no-such-model"}, None),
        ({"model": "vertex_ai/meta/llama-3.1-70b-instruct-maas"}, None),  # zeros in the table
        # A local provider costs nothing, at any address.
        ({"model": "ollama/llama3"}, {"input": 0.0, "output": 0.0}),
        ({"model": "hosted_vllm/gpt-4o", "api_base": "http://gpu.example:8000/v1"}, {"input": 0.0, "output": 0.0}),
        ({"model": "ollama/llama3", "price": {"input": 1.0, "output": 2.0}}, {"input": 1.0, "output": 2.0}),
    ],
)  # fmt: skip
def test_the_price_of_a_deployment(tmp_path: Path, entry: dict[str, object], stated: dict[str, float] | None) -> None:
    (one,), problems = read(tmp_path, entry, ANTHROPIC_API_KEY="k", OPENAI_API_KEY="k", GROQ_API_KEY="k")
    assert not problems
    assert (None if one.price is None else one.price.stated) == stated


def test_a_key_of_the_file_goes_to_a_local_address_and_the_usual_key_does_not(tmp_path: Path) -> None:
    local = {"model": "openai/gpt-4o-mini", "api_base": "http://127.0.0.1:8000/v1"}
    (given, usual), _ = read(
        tmp_path, local | {"api_key": "os.environ/MINE"}, local, MINE="sk-mine", OPENAI_API_KEY="k"
    )
    assert (given.api_key, usual.api_key) == (Secret("sk-mine"), None)
