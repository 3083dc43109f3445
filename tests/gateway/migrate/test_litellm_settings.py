"""LiteLLM's settings in the terms of the section `gateway`, and as defaults of deployments."""

from pathlib import Path

import pytest

from gateway.config.providers import resolve
from gateway.config.yaml_reader import read_yaml
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_deployments import ImportedDeployment, ImportedModel
from gateway.migrate.litellm_settings import SettingsImport


def settings(folder: Path, text: str) -> tuple[SettingsImport, ImportedValues]:
    path = folder / "c.yaml"
    path.write_text(text)
    values = ImportedValues({}, literals=True)
    return SettingsImport(values, read_yaml(path, lenient=True)), values


def model(folder: Path, *limits: dict[str, float]) -> ImportedModel:
    node = read_yaml(folder / "c.yaml", lenient=True)
    name, target = "openai/gpt-4o", resolve("openai/gpt-4o", None)
    return ImportedModel("m", node, [ImportedDeployment(node, target, name, None, dict(written)) for written in limits])


def test_retries_failures_and_cool_down_are_translated(tmp_path: Path) -> None:
    read, values = settings(tmp_path, "router_settings: {num_retries: 5, allowed_fails: 3, cooldown_time: 30}\n")
    assert read.gateway() == {"retries": 3, "breaker_failures": 4, "cool_down": 30, "max_cool_down": 30}
    assert [f.kind for f in values.findings] == ["changed"] * 3


def test_without_a_master_key_a_comment_says_so_and_with_one_it_is_a_gateway_key(tmp_path: Path) -> None:
    read, _ = settings(tmp_path, "general_settings: {}\n")
    assert read.gateway() == {}
    assert list(read.comments) == [("models",)]
    read, _ = settings(tmp_path, "general_settings: {master_key: os.environ/K}\n")
    assert read.gateway() == {"keys": ["os.environ/K"]}
    assert list(read.comments) == [("gateway", "keys")]


@pytest.mark.parametrize(
    ("duration", "per"), [("", "ever"), ("24h", "day"), ("1d", "day"), ("7d", "week"), ("30d", "month"), ("45d", None)]
)
def test_the_budget_of_the_proxy_becomes_that_of_its_key(tmp_path: Path, duration: str, per: str | None) -> None:
    window = f", budget_duration: {duration}" if duration else ""
    text = f"general_settings: {{master_key: os.environ/K}}\nlitellm_settings: {{max_budget: 100{window}}}\n"
    read, values = settings(tmp_path, text)
    if per is None:
        assert read.gateway() == {"keys": ["os.environ/K"]}
        assert [f.kind for f in values.findings] == ["lost", "changed"]
    else:
        assert read.gateway() == {}
        assert read.keys == [{"name": "master-key", "key": "os.environ/K", "budget": [{"usd": 100, "per": per}]}]
        assert list(read.comments) == [("keys",)]


def test_defaults_go_to_deployments_without_a_value_of_their_own(tmp_path: Path) -> None:
    read, _ = settings(tmp_path, "router_settings: {timeout: 60, routing_strategy: least-busy}\n")
    one = model(tmp_path, {}, {"timeout": 5})
    read.set_defaults([one])
    assert [d.values for d in one.deployments] == [{"timeout": 60}, {"timeout": 5}]


def test_weights_follow_the_limits_if_none_is_given(tmp_path: Path) -> None:
    read, _ = settings(tmp_path, "router_settings: {}\n")
    by_limit, given = (
        model(tmp_path, {"rpm": 600}, {"rpm": 200}),
        model(tmp_path, {"rpm": 600, "weight": 1}, {"rpm": 200}),
    )
    read.set_defaults([by_limit, given])
    assert [d.values["weight"] for d in by_limit.deployments] == [3, 1]
    assert [d.values.get("weight") for d in given.deployments] == [1, None]
