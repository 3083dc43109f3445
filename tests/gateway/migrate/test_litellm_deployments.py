"""Entries of LiteLLM's `model_list` as deployments of a portfolio file."""

from pathlib import Path

import pytest

from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_deployments import ImportedDeployment, listed_mode
from tests.gateway.migrate.entries import read_models


def read(
    folder: Path, params: str, info: str = "{}", *, literals: bool = True
) -> tuple[ImportedDeployment, ImportedValues]:
    text = f"model_list:\n  - model_name: m\n    litellm_params: {params}\n    model_info: {info}\n"
    models, values = read_models(folder, text, literals=literals)
    assert not values.problems
    (deployment,) = models.models["m"].deployments
    return deployment, values


def test_limits_timeouts_and_headers_are_copied(tmp_path: Path) -> None:
    deployment, values = read(
        tmp_path,
        "{model: groq/llama, rpm: 5, request_timeout: 60, stream_timeout: '3', weight: 0,"
        " headers: {User-Agent: x}, extra_headers: {X-Key: os.environ/HEADER}}",
    )
    assert deployment.values == {
        "model": "groq/llama",
        "rpm": 5,
        "timeout": 60,
        "stream_timeout": 3,
        "weight": 0.001,
        "extra_headers": {"User-Agent": "x", "X-Key": "os.environ/HEADER"},
    }
    assert list(values.variables) == ["GROQ_API_KEY", "HEADER"]
    assert list(deployment.comments) == ["weight"]


def test_facts_are_in_our_units_and_the_first_of_two_counts(tmp_path: Path) -> None:
    deployment, values = read(
        tmp_path,
        "{model: openai/m, input_cost_per_token: 0.000005}",
        "{input_cost_per_token: 0.000001, max_input_tokens: 4096, supports_vision: true, supports_assistant_prefill: true,"
        " disable_background_health_check: true}",
    )
    facts = {name: value for name, (value, _) in deployment.facts.items()}
    assert facts == {"context_window": 4096, "supports_vision": True}
    assert deployment.costs == {"input_cost_per_token": 0.000001}
    assert deployment.values["prefill"] is True
    assert not deployment.health_checks
    assert [f.message for f in values.findings] == ["input_cost_per_token of model_info counts"]


def test_parameters_of_litellms_calls_are_copied_and_those_of_requests_are_lost(tmp_path: Path) -> None:
    bedrock, _ = read(tmp_path, "{model: bedrock/m, aws_region_name: eu, temperature: 0.2, aws_secret_access_key: s}")
    assert bedrock.values == {
        "model": "bedrock/m",
        "aws_region_name": "eu",
        "temperature": 0.2,
        "aws_secret_access_key": "s",
    }
    direct, values = read(tmp_path, "{model: openai/m, temperature: 0.2, aws_region_name: eu}")
    assert direct.values == {"model": "openai/m"}
    assert [(f.where, f.kind, f.message) for f in values.findings] == [
        ("model_list[0].litellm_params.temperature", "lost", "no equivalent: clients send it themselves"),
        ("model_list[0].litellm_params.aws_region_name", "lost", "no equivalent"),
    ]


def test_a_literal_key_is_replaced_by_a_reference_if_keys_are_not_copied(tmp_path: Path) -> None:
    copied, _ = read(tmp_path, "{model: openai/m, api_key: sk-1}")
    hidden, values = read(tmp_path, "{model: openai/m, api_key: sk-1}", literals=False)
    assert (copied.values["api_key"], hidden.values["api_key"]) == ("sk-1", "os.environ/API_KEY_3")
    assert "sk-1" not in str(values.findings)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ("{model: openai/m, api_base: 'ftp://h'}", "found another text, expected an address that begins with http://"),
        ("{model: nosuch/m}", "unknown provider 'nosuch'"),
        ("{model: [m]}", "found a list, expected a text"),
        ("{rpm: 1}", "missing"),
    ],
)
def test_an_entry_that_cannot_be_called_is_a_problem(tmp_path: Path, params: str, problem: str) -> None:
    models, values = read_models(tmp_path, f"model_list:\n  - model_name: m\n    litellm_params: {params}\n")
    assert models.models == {}
    assert [p.message[: len(problem)] for p in values.problems] == [problem]
    assert [p.line for p in values.problems] == [3]


def test_the_mode_of_a_model_comes_from_litellms_table() -> None:
    assert listed_mode("openai/gpt-4o-mini") == "chat"
    assert listed_mode("openai/text-embedding-3-small") == "embedding"
    assert listed_mode("openai/no-such-model") is None
