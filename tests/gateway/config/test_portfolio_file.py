"""What a portfolio file may say, and what is said of a wrong one."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from gateway.config.database_location import DatabaseLocation
from gateway.config.document import MOST_PROBLEMS, is_secret_name
from gateway.config.ensemble import DEFAULT_ENSEMBLES, Ensemble
from gateway.config.portfolio import DEFAULT_POLICIES, Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.price import FREE, Price
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingModelEntry,
    ModelEntry,
    PolicyEntry,
    PortfolioEntry,
    PriceEntry,
    json_schema,
)
from gateway.config.secret import Secret
from gateway.config.settings import Hedging, Settings
from router.model.policy import Policy

CONFIG = Path(__file__).parents[3] / "config"
SHIPPED = sorted([*CONFIG.glob("*.yaml"), *(CONFIG / "examples").glob("*.yaml")])
CANARY = "sk-canary-7f3a"

# A model that leaves nothing to LiteLLM's table; more of its deployment can follow from line 8 on.
COMPLETE = """\
models:
  - name: small
    price: {input: 1, output: 2}
    context_window: 8192
    capabilities: []
    deployments:
      - model: openai/m
"""
DIRECT = COMPLETE + "        api_base: http://127.0.0.1:1/v1\n"
EMBEDDING = """\
embedding_models:
  - name: vectors
    deployments:
      # where it runs
      - model: ollama/m
"""
BEDROCK = COMPLETE.replace("openai/m", "bedrock/anthropic.claude-3")


def load(folder: Path, text: str, **environment: str) -> Portfolio:
    path = folder / "p.yaml"
    path.write_text(text, encoding="utf-8")
    return load_portfolio(path, environment)


def problems_of(folder: Path, text: str, **environment: str) -> list[str]:
    """Problems without the folder in front."""
    with pytest.raises(PortfolioError) as caught:
        load(folder, text, **environment)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


# The shipped files


def test_the_committed_schema_is_the_one_that_files_are_checked_by() -> None:
    assert json.loads((CONFIG / "portfolio.schema.json").read_text(encoding="utf-8")) == json_schema()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_is_valid(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_names_its_schema_for_editors(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    reference = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / reference).resolve() == (CONFIG / "portfolio.schema.json").resolve()


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": []},
        {"modles": [{"name": "a", "deployments": [{"model": "ollama/a"}]}]},
        {"models": [{"name": "a", "deployments": [{"model": "ollama/a", "timeout": "ten"}]}]},
        {"models": [{"name": "a", "deployments": [{"model": "ollama/a"}], "capabilities": ["flight"]}]},
    ],
)
def test_editors_mark_what_the_gateway_refuses(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json_schema())
    assert problems_of(tmp_path, yaml.safe_dump(wrong))


# Defaults and values


def test_what_a_file_leaves_out_has_defaults(tmp_path: Path) -> None:
    portfolio = load(tmp_path, "models:\n  - name: a\n    deployments: [{model: ollama/a}]\n    context_window: 4096\n")
    model, deployment = portfolio.models[0], portfolio.models[0].deployments[0]
    assert portfolio.policies == DEFAULT_POLICIES
    assert portfolio.default_policy == "balanced"
    assert (portfolio.checkpoint, portfolio.spaces, portfolio.simulated) == (None, (), False)
    assert (portfolio.settings.host, portfolio.settings.port, portfolio.settings.keys) == ("127.0.0.1", 4000, ())
    assert (portfolio.settings.record, portfolio.settings.store_prompts) == (Path("locus.db"), False)
    assert (model.embedding, model.price, model.capabilities) == (None, FREE, frozenset())
    assert (deployment.id, deployment.path, deployment.upstream_model) == ("a/0", "direct", "a")
    assert (deployment.timeout_s, deployment.connect_timeout_s) == (300, 5)
    assert (deployment.first_token_timeout_s, deployment.idle_timeout_s) == (10, 15)
    assert (deployment.rpm, deployment.tpm, deployment.max_parallel_requests, deployment.weight) == (
        None,
        None,
        None,
        1,
    )
    assert (deployment.api_key, deployment.missing_key) == (None, None)


def test_the_default_policies_are_best_balanced_cheap_and_panel() -> None:
    assert dict(DEFAULT_POLICIES) == {
        "best": Policy("best", "cost_weight", 0.0),
        "balanced": Policy("balanced", "cost_weight", 10.0),
        "cheap": Policy("cheap", "max_loss", 0.05),
        "panel": Policy("panel"),
    }
    assert dict(DEFAULT_ENSEMBLES) == {"panel": Ensemble()}


def test_ensembles_of_policies(tmp_path: Path) -> None:
    text = DIRECT + (
        "default_policy: a\npolicies:\n  a: {cost_weight: 0, ensemble: true}\n  b: {cost_weight: 0, ensemble: false}\n"
        "  c:\n    max_loss: 0.1\n    ensemble: {size: 4, first: 1, when: {gap_below: 0.2, p_below: 0.7}, aggregate: fuse, judge: small,"
        " max_calls: 5, max_usd: 0.5, tools: true, cascade: {cheap_first: true}}\n"
        "  d: {cost_weight: 0, ensemble: {size: 5}}\n"
    )
    jsonschema.validate(yaml.safe_load(text), json_schema())
    assert load(tmp_path, text).ensembles == {
        "a": Ensemble(),
        "c": Ensemble(4, 1, 0.2, 0.7, "fuse", "small", 5, 0.5, tools=True, cheap_first=True),
        "d": Ensemble(size=5, max_calls=10),
    }


def test_price_window_and_capabilities_come_from_litellms_table(tmp_path: Path) -> None:
    text = "models:\n  - name: mini\n    deployments: [{model: openai/gpt-4o-mini}]\n"
    model = load(tmp_path, text, OPENAI_API_KEY="sk-1").models[0]
    assert model.price is not None
    assert model.price.stated == {"input": 0.15, "output": 0.6, "cached_input": 0.075}
    assert (model.context_window, model.max_output_tokens) == (128_000, 16_384)
    assert {"tools", "vision", "json_schema"} <= model.capabilities


def test_what_a_file_says_goes_before_the_table(tmp_path: Path) -> None:
    text = "models:\n  - name: mini\n    deployments: [{model: openai/gpt-4o-mini}]\n"
    text += "    price: {input: 3, output: 4}\n    context_window: 10\n    max_output_tokens: 5\n    capabilities: []\n"
    model = load(tmp_path, text, OPENAI_API_KEY="sk-1").models[0]
    assert (model.price, model.context_window, model.max_output_tokens) == (Price.of({"input": 3, "output": 4}), 10, 5)
    assert model.capabilities == frozenset()


def test_each_deployment_is_billed_by_its_own_price(tmp_path: Path) -> None:
    text = (
        "models:\n  - name: a\n    context_window: 1\n    price: {input: 3, output: 4}\n    deployments:\n"
        "      - {model: ollama/a}\n      - {model: ollama/b, price: {input: 0, output: 0, tiers: [{above: 100, input: 1}]}}\n"
    )
    model = load(tmp_path, text).models[0]
    assert [deployment.price for deployment in model.deployments] == [
        Price.of({"input": 3, "output": 4}),
        Price.of({}, {100: {"input": 1}}),
    ]
    assert model.price == model.deployments[0].price
    text = text.replace("    price: {input: 3, output: 4}\n", "")
    assert load(tmp_path, text).models[0].price == FREE  # that of the first deployment


def test_a_price_that_is_not_known_is_a_warning(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    context_window: 1\n    deployments:\n      - {model: openai/no-such-model-xyz}\n"
    portfolio = load(tmp_path, text, OPENAI_API_KEY="k")
    assert portfolio.models[0].price is None
    (warning,) = portfolio.warnings
    assert warning.startswith(f"{tmp_path}/p.yaml:2: models[0]: the price of a/0 is not known")
    assert "add `price: {input: …, output: …}`, USD per million tokens" in warning
    known = load(tmp_path, text + "      - {model: openai/gpt-4o-mini}\n", OPENAI_API_KEY="k")
    assert known.models[0].price == known.models[0].deployments[1].price is not None
    assert len(known.warnings) == 1  # of the first deployment


def test_cached_input_may_have_a_price_of_its_own(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    deployments: [{model: ollama/a}]\n    context_window: 1\n"
    assert load(tmp_path, text + "    price: {input: 3, output: 4, cached_input: 0}\n").models[0].price == Price.of(
        {"input": 3, "output": 4, "cached_input": 0}
    )


def test_what_a_server_speaks_and_can_do_is_by_provider_unless_the_file_says_it(tmp_path: Path) -> None:
    by_provider, said = (
        load(tmp_path, COMPLETE.replace("openai/m", "groq/m") + more, GROQ_API_KEY="k").models[0]
        for more in ("", "        several: true\n        logprobs: true\n        apis: [responses, completions]\n")
    )
    first, second = by_provider.deployments[0], said.deployments[0]
    assert (first.several, first.logprobs, set(first.apis)) == (False, False, set())
    assert (second.several, second.logprobs, set(second.apis)) == (True, True, {"responses", "completions"})
    assert first.native_base == first.api_base == "https://api.groq.com/openai/v1"


def test_an_embedding_models_facts_come_from_litellms_table(tmp_path: Path) -> None:
    text = COMPLETE + EMBEDDING.replace("ollama/m", "openai/text-embedding-3-small") + "        rpm: 7\n"
    portfolio = load(tmp_path, text, OPENAI_API_KEY="sk-1")
    (model,) = portfolio.embedding_models
    assert [m.name for m in portfolio.models] == ["small"]
    assert model.price is not None
    assert (model.price.rates, model.context_window, model.dimensions) == (Price.of({"input": 0.02}).rates, 8191, 1536)
    (deployment,) = model.deployments
    assert (deployment.id, deployment.upstream_model, deployment.rpm) == ("vectors/0", "text-embedding-3-small", 7)
    assert portfolio.warnings == ()


def test_what_a_file_says_of_an_embedding_model_goes_before_the_table(tmp_path: Path) -> None:
    text = COMPLETE + EMBEDDING.replace("ollama/m", "openai/text-embedding-3-small")
    text += "    price: {input: 3}\n    max_input_tokens: 10\n    dimensions: 5\n"
    (model,) = load(tmp_path, text, OPENAI_API_KEY="sk-1").embedding_models
    assert (model.price, model.context_window, model.dimensions) == (Price.of({"input": 3}), 10, 5)


def test_of_an_unknown_embedding_model_of_ones_own_a_limit_is_assumed(tmp_path: Path) -> None:
    portfolio = load(tmp_path, DIRECT + EMBEDDING)
    (model,) = portfolio.embedding_models
    assert (model.price, model.context_window, model.dimensions) == (FREE, 8192, None)
    assert portfolio.warnings == (
        f"{tmp_path}/p.yaml:10: embedding_models[0]: max_input_tokens of vectors is not known; 8192 is assumed",
    )


def test_embedding_models_may_be_those_of_providers_that_have_no_others(tmp_path: Path) -> None:
    text = COMPLETE + EMBEDDING.replace("ollama/m", "voyage/voyage-3")
    (model,) = load(tmp_path, text, VOYAGE_API_KEY="vk").embedding_models
    assert (model.deployments[0].path, model.deployments[0].upstream_model) == ("litellm", "voyage/voyage-3")
    assert model.price is not None
    assert model.price.rates.input == 0.06


def test_a_deployment_takes_litellms_parameter_names(tmp_path: Path) -> None:
    text = DIRECT + "        api_key: os.environ/KEY\n        timeout: 30\n        connect_timeout: 1.5\n"
    text += (
        "        stream_timeout: 7\n        idle_timeout: 8\n        rpm: 10\n        tpm: 1000\n        weight: 2\n"
    )
    text += "        max_parallel_requests: 4\n        extra_headers: {X-Team: blue, X-Key: os.environ/KEY}\n"
    text += "        organization: org-1\n"
    portfolio = load(tmp_path, text, KEY="sk-9")
    deployment = portfolio.models[0].deployments[0]
    assert (deployment.api_base, deployment.api_key) == ("http://127.0.0.1:1/v1", Secret("sk-9"))
    assert (deployment.timeout_s, deployment.connect_timeout_s) == (30, 1.5)
    assert (deployment.first_token_timeout_s, deployment.idle_timeout_s) == (7, 8)
    assert (deployment.rpm, deployment.tpm, deployment.max_parallel_requests, deployment.weight) == (10, 1000, 4, 2)
    revealed = {name: value.reveal() for name, value in deployment.headers.items()}
    assert revealed == {"X-Team": "blue", "X-Key": "sk-9", "openai-organization": "org-1"}
    assert portfolio.warnings == ()


@pytest.mark.parametrize(
    ("model", "given", "form"),
    [
        ("ollama/m", None, "message"),
        ("ollama/m", False, ""),
        ("openai/gpt-4o-mini", None, ""),
        ("openai/gpt-4o-mini", True, "message"),
        ("hosted_vllm/m\n        api_base: http://127.0.0.1:1/v1", None, "vllm"),
        ("anthropic/claude-haiku-4-5", None, "prefix"),
        ("azure/gpt-4o-mini\n        api_base: https://x.azure.com", None, ""),
    ],
)
def test_how_a_deployment_is_told_to_go_on_from_its_beginning(
    tmp_path: Path, model: str, given: bool | None, form: str
) -> None:
    text = f"models:\n  - name: a\n    price: {{input: 1, output: 1}}\n    deployments:\n      - model: {model}\n"
    text += "" if given is None else f"        prefill: {str(given).lower()}\n"
    text += "        health_check_interval: 30\n"
    deployment = load(tmp_path, text).models[0].deployments[0]
    assert (deployment.prefill, deployment.health_check_s) == (form, 30)


@pytest.mark.parametrize(("provider", "variable"), [("azure", "AZURE_API_BASE"), ("azure_ai", "AZURE_AI_API_BASE")])
def test_a_provider_without_an_address_of_its_own_takes_it_from_its_usual_variable(
    tmp_path: Path, provider: str, variable: str
) -> None:
    text = f"models:\n  - name: a\n    deployments: [{{model: {provider}/gpt-4o, api_key: os.environ/K}}]\n"
    portfolio = load(tmp_path, text, K="k")
    assert portfolio.models[0].deployments[0].missing_key == variable
    assert variable in portfolio.warnings[0]
    assert load(tmp_path, text, K="k", **{variable: "https://x.example"}).models[0].deployments[0].missing_key is None


def test_further_parameters_of_a_translated_provider_are_kept_for_litellm(tmp_path: Path) -> None:
    text = (
        BEDROCK
        + "        aws_region_name: eu-west-1\n        aws_secret_access_key: os.environ/AWS\n        top_k: 3\n"
    )
    deployment = load(tmp_path, text, AWS="sk-9").models[0].deployments[0]
    assert deployment.path == "litellm"
    assert deployment.upstream_model == "bedrock/anthropic.claude-3"
    assert deployment.params == {"aws_region_name": "eu-west-1", "aws_secret_access_key": Secret("sk-9"), "top_k": 3}


def test_the_gateways_own_settings(tmp_path: Path) -> None:
    text = DIRECT + (
        "default_policy: thrifty\npolicies:\n  thrifty: {min_p_correct: 0.7}\n  rich: {cost_weight: 0, max_predicted_loss: 0.1}\n"
        "  near: {max_loss: 0.1, caution: 1}\n  knob: {quality: 7.5}\n"
        "checkpoint: runs/mine\nspaces: [more.safetensors]\n"
        "gateway: {host: 0.0.0.0, port: 80, keys: [os.environ/K], max_body_mb: 0.5, record: null, store_prompts: true,\n"
        "  retries: 1, max_retry_after: 3, breaker_failures: 4, cool_down: 1, max_cool_down: 9, admin_key: os.environ/A,\n"
        "  max_requests: 5, max_queued: 6, queue_timeout: 7, shutdown_grace: 8, retry_budget: 0.1, stream_recovery: error,\n"
        "  hedging: {quantile: 0.9, budget: 0.02}}\n"
    )
    portfolio = load(tmp_path, text, K="sk-9", A="sk-8")
    settings = portfolio.settings
    assert portfolio.policies == {
        "thrifty": Policy("thrifty", "min_p_correct", 0.7),
        "rich": Policy("rich", "cost_weight", 0.0, max_predicted_loss=0.1),
        "near": Policy("near", "max_loss", 0.1, caution=1.0),
        "knob": Policy("knob", "quality", 7.5),
    }
    assert portfolio.default_policy == "thrifty"
    assert (portfolio.checkpoint, portfolio.spaces) == (tmp_path / "runs/mine", (tmp_path / "more.safetensors",))
    assert (settings.host, settings.port, settings.keys) == ("0.0.0.0", 80, (Secret("sk-9"),))
    assert (settings.max_body_bytes, settings.record, settings.store_prompts) == (1 << 19, None, True)
    assert (settings.admin_key, settings.shutdown_grace) == (Secret("sk-8"), 8)
    assert (settings.max_requests, settings.max_queued, settings.queue_timeout) == (5, 6, 7)
    assert (settings.retries, settings.max_retry_after, settings.retry_budget) == (1, 3, 0.1)
    assert (settings.stream_recovery, settings.hedging) == ("error", Hedging(quantile=0.9, budget=0.02))
    assert (settings.breaker_failures, settings.cool_down, settings.max_cool_down) == (4, 1, 9)


def test_an_unknown_context_window_is_assumed_with_a_warning(tmp_path: Path) -> None:
    portfolio = load(tmp_path, "models:\n  - name: a\n    deployments: [{model: ollama/no-such-model-xyz}]\n")
    assert portfolio.models[0].context_window == 8192
    assert portfolio.warnings == (f"{tmp_path}/p.yaml:2: models[0]: context_window of a is not known; 8192 is assumed",)


def test_a_model_may_have_its_own_stand_ins(tmp_path: Path) -> None:
    more = "    fallbacks: [b]\n    stand_ins: nearest\n  - {name: b, deployments: [{model: ollama/m}], context_window: 1}\n"
    file = load(tmp_path, COMPLETE + more + "gateway: {stand_ins: same_model}\n")
    small, other = file.models
    assert (small.fallbacks, small.stand_ins) == (("b",), "nearest")
    assert (other.fallbacks, other.stand_ins) == ((), None)
    assert file.settings.stand_ins == "same_model"
    assert Settings().stand_ins == "best"


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    text = DIRECT + "checkpoint: ../mine\nspaces: [/abs.safetensors, ~/own.safetensors]\n"
    portfolio = load(tmp_path, text + "gateway: {record: data/r.db}\n")
    assert portfolio.checkpoint == tmp_path / "../mine"
    assert portfolio.spaces == (Path("/abs.safetensors"), Path("/home/someone/own.safetensors"))
    assert portfolio.settings.record == tmp_path / "data/r.db"
    assert portfolio.settings.responses_database == DatabaseLocation(tmp_path / "data/r-responses.db")
    assert load(tmp_path, DIRECT + "gateway: {responses: x.db}\n").settings.responses_database == DatabaseLocation(
        tmp_path / "x.db"
    )


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ("folder", "it is a folder or a device, not a file"),
        ("/dev/null", "it is a folder or a device, not a file"),
        ("p.yaml/r.db", "Not a directory"),
        ("p.yaml/sub/r.db", "Not a directory"),
    ],
)
def test_a_record_that_cannot_be_written_is_a_problem(tmp_path: Path, record: str, fault: str) -> None:
    (tmp_path / "folder").mkdir()
    text = DIRECT + f"gateway:\n  responses: null\n  record: {record}\n"
    (problem,) = problems_of(tmp_path, text)
    path = tmp_path / record
    assert (
        problem
        == f"p.yaml:11: gateway.record: {path} cannot be written: {fault}; write another path, or null".replace(
            f"{tmp_path}/p.yaml:", "p.yaml:", 1
        )
    )
    assert load_portfolio(tmp_path / "p.yaml", {}, writes=False).settings.record == path


# Problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: [\n", "p.yaml:2: not valid YAML: a list or a mapping is not closed, or a value is missing"),
        ("models:\n  - name: a: b\n", "p.yaml:2: not valid YAML: a `:` too many; quote a text that contains `: `"),
        ("models: []\nx: *nowhere\n", "p.yaml:2: not valid YAML: found undefined alias"),
        ("models: !odd x\n", "p.yaml:1: not valid YAML: a tag that is not known"),
        ("models: &a [*a]\n", "p.yaml:1: not valid YAML: an alias inside itself"),
        ("models:\n- name: 2024-13-45\n", "p.yaml:2: not valid YAML: not a valid timestamp"),
        ("models: !!int many\n", "p.yaml:1: not valid YAML: not a valid int"),
        ("? [a, b]\n: c\n", "p.yaml:1: not valid YAML: a key must be a plain word"),
        ("a: &a {b: c}\nd:\n  <<: *a\n", "p.yaml:3: not valid YAML: `<<` is not read: repeat the keys"),
        ("a: 1\n---\nb: 2\n", "p.yaml:2: not valid YAML: a second document begins; expected one"),
        ("a: \x07\n", "p.yaml:1: not valid YAML: a character that YAML does not allow"),
        ("", "p.yaml:1: found nothing, expected a mapping with `models`"),
        ("# nothing yet\n", "p.yaml:1: found nothing, expected a mapping with `models`"),
        ("- name: a\n", "p.yaml:1: found a list, expected a mapping with `models`"),
        ("hello\n", "p.yaml:1: found a text, expected a mapping with `models`"),
    ],
)
def test_a_file_that_cannot_be_read_at_all(tmp_path: Path, text: str, problem: str) -> None:
    assert problems_of(tmp_path, text) == [problem]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PortfolioError) as caught:
        load_portfolio(tmp_path / "none.yaml", {})
    assert caught.value.problems == [f"{tmp_path}/none.yaml: no such file"]


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes("name: Müller".encode("latin-1"))
    with pytest.raises(PortfolioError, match=r"p\.yaml: not readable as UTF-8 text"):
        load_portfolio(tmp_path / "p.yaml", {})


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(PortfolioError, match="not readable"):
        load_portfolio(tmp_path, {})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        # duplicates and names
        ("models: [{name: b, deployments: [{model: ollama/m}], context_window: 1}]\n", "p.yaml:9: models: the key occurs twice; line 1 has it first"),
        ("gateway: {port: 1,\n  port: 2}\n", "p.yaml:10: gateway.port: the key occurs twice; line 9 has it first"),
        ("  - name: small\n    deployments: [{model: ollama/m}]\n", "p.yaml:9: models[1].name: 'small' is also models[0]"),
        ("  - name: auto\n    deployments: [{model: ollama/m}]\n", "p.yaml:9: models[1].name: `auto` is the gateway's own name"),
        ("  - name: auto:x\n    deployments: [{model: ollama/m}]\n", "p.yaml:9: models[1].name: `auto:x` is the gateway's own name"),
        ("  - name: locus-encoder\n    deployments: [{model: ollama/m}]\n", "p.yaml:9: models[1].name: `locus-encoder` is the gateway's own name"),
        (EMBEDDING.replace("vectors", "locus-encoder"), "p.yaml:10: embedding_models[0].name: `locus-encoder` is the gateway's own name"),
        (EMBEDDING.replace("vectors", "small"), "p.yaml:10: embedding_models[0].name: 'small' is also models[0]"),
        (EMBEDDING + "    pirce: {}\n", "p.yaml:14: embedding_models[0].pirce: unknown key; did you mean price?"),
        (EMBEDDING + "    capabilities: []\n", "p.yaml:14: embedding_models[0].capabilities: unknown key; expected one of name, deployments, price, max_input_tokens, dimensions, unpriced"),
        (EMBEDDING + "    price: {input: 1, output: 1}\n", "p.yaml:14: embedding_models[0].price.output: unknown key; expected one of input"),
        (EMBEDDING + "    max_input_tokens: many\n", "p.yaml:14: embedding_models[0].max_input_tokens: found 'many'; write a whole number, such as max_input_tokens: 8192"),
        (EMBEDDING.replace("ollama/m", "opena/m"), "p.yaml:13: embedding_models[0].deployments[0].model: unknown provider 'opena'; did you mean openai/? For any OpenAI-compatible server write openai/m with `api_base`"),
        ("      - model: voyage/voyage-3\n", "p.yaml:9: models[0].deployments[1].model: voyage/ has embedding models only"),
        # unknown keys
        ("defualt_policy: best\n", "p.yaml:9: defualt_policy: unknown key; did you mean default_policy?"),
        ("gateway:\n  prot: 1\n", "p.yaml:10: gateway.prot: unknown key; did you mean port?"),
        ("policies: {balanced: {cost_wieght: 1, cost_weight: 1}}\n", "p.yaml:9: policies.balanced.cost_wieght: unknown key; did you mean cost_weight?"),
        ("        timout: 3\n", "p.yaml:9: models[0].deployments[0].timout: unknown key; did you mean timeout?"),
        ("        zzz: 3\n", "p.yaml:9: models[0].deployments[0].zzz: unknown key of openai/"),
        ("        aws_region_name: x\n", "p.yaml:9: models[0].deployments[0].aws_region_name: unknown key of openai/"),
        ("    embeding: x\n", "p.yaml:9: models[0].embeding: unknown key; did you mean embedding?"),
        ("  - name: b\n    deployments: [{model: ollama/m}]\n    price: {inptu: 1, input: 1, output: 1}\n", "p.yaml:11: models[1].price.inptu: unknown key; did you mean input?"),
        # types and ranges
        ("gateway: {port: http}\n", "p.yaml:9: gateway.port: found 'http'; write a whole number, such as port: 4000"),
        ("gateway: {port: 70000}\n", "p.yaml:9: gateway.port: found 70000; write a number of at most 65535"),
        ("gateway: {store_prompts: 1}\n", "p.yaml:9: gateway.store_prompts: found 1; write true, false or full"),
        ("gateway: []\n", "p.yaml:9: gateway: found an empty list; write a mapping, such as gateway: {port: 4000, keys: [os.environ/LOCUS_KEY]}"),
        ("        timeout: ten\n", "p.yaml:9: models[0].deployments[0].timeout: found 'ten'; write a number, such as timeout: 300"),
        ("        rpm: 0\n", "p.yaml:9: models[0].deployments[0].rpm: found 0; write a number of at least 1"),
        ("        weight: .nan\n", "p.yaml:9: models[0].deployments[0].weight: found nan; write a number that is finite, such as weight: 1.0"),
        ("        apis: [chat]\n", "p.yaml:9: models[0].deployments[0].apis[0]: found 'chat'; write messages, responses or completions"),
        ("    embedding: [x]\n", "p.yaml:9: models[0].embedding: found a list; write a text, such as embedding: openai/gpt-5.4-2026-03-05"),
        ("    max_output_tokens:\n      - 1\n", "p.yaml:9: models[0].max_output_tokens: found a list; write a whole number, such as max_output_tokens: 16384"),
        ("spaces: [1]\n", "p.yaml:9: spaces[0]: found 1; write a text, such as more.safetensors"),
        ("  - name: b\n", "p.yaml:9: models[1].deployments: missing; write deployments: [{model: openai/gpt-5.4-mini}]"),
        ("  - name: b\n    deployments: []\n", "p.yaml:10: models[1].deployments: found an empty list; write at least one, such as deployments: [{model: openai/gpt-5.4-mini}]"),
        ("  - name: b\n    deployments: [{model: ollama/m}]\n    capabilities: [tools,\n      flight]\n", "p.yaml:12: models[1].capabilities[1]: found 'flight'; write tools, vision, json_schema, audio, files, audio_output, image_output or reasoning"),
        ("  - name: b\n    deployments: [openai/gpt-4o]\n", "p.yaml:10: models[1].deployments[0]: found 'openai/gpt-4o'; write a mapping, such as {model: openai/gpt-5.4-mini}"),
        ("  - name: b\n    deployments: [{model: ollama/m}]\n    price: 5\n", "p.yaml:11: models[1].price: found 5; write a mapping, such as price: {input: 2.5, output: 10}"),
        (EMBEDDING + "    price: 5\n", "p.yaml:14: embedding_models[0].price: found 5; write a mapping, such as price: {input: 0.02}"),
        ("        timeout: .inf\n", "p.yaml:9: models[0].deployments[0].timeout: found inf; write a number that is finite, such as timeout: 300"),
        ("gateway: {shutdown_grace: .inf}\n", "p.yaml:9: gateway.shutdown_grace: found inf; write a number that is finite, such as shutdown_grace: 30.0"),
        ("gateway: {max_body_mb: .nan}\n", "p.yaml:9: gateway.max_body_mb: found nan; write a number that is finite, such as max_body_mb: 20.0"),
        ("policies:\n  balanced: {cost_weight: .inf}\n", "p.yaml:10: policies.balanced.cost_weight: found inf; write a number that is finite, such as cost_weight: 10"),
        ("gateway: {port: 1.5}\n", "p.yaml:9: gateway.port: found 1.5; write a whole number, such as port: 4000"),
        ("port: 4000\n", "p.yaml:9: port: unknown key; it belongs to `gateway`"),
        ("        base_url: http://x\n", "p.yaml:9: models[0].deployments[0].base_url: unknown key; did you mean api_base?"),
        ("    model_name: x\n", "p.yaml:9: models[0].model_name: unknown key; did you mean name?"),
        ('"a\\e[31m": 1\n', "p.yaml:9: a\\x1b[31m: unknown key; expected one of models, embedding_models, policies, default_policy, checkpoint, trust_checkpoint, spaces, keys, teams, feedback, drift, gateway"),
        ("  - name: " + "b" * 257 + "\n    deployments: [{model: ollama/m}]\n", "p.yaml:9: models[1].name: found '" + "b" * 56 + "...; write at most 256 characters"),
        # policies
        # fallbacks and stand-ins
        ("    fallbacks: [small]\n", "p.yaml:9: models[0].fallbacks[0]: found 'small', the model itself"),
        ("    fallbacks: [smal]\n", "p.yaml:9: models[0].fallbacks[0]: found 'smal', which is no chat model of this file; did you mean small?"),
        ("    fallbacks: [other]\n  - {name: b, deployments: [{model: ollama/m}], context_window: 1}\n", "p.yaml:9: models[0].fallbacks[0]: found 'other', which is no chat model of this file"),
        ("    fallbacks:\n      - b\n      - b\n  - {name: b, deployments: [{model: ollama/m}], context_window: 1}\n", "p.yaml:11: models[0].fallbacks[1]: found 'b', which is listed already"),
        ("    fallbacks: [b]\n    stand_ins: never\n  - {name: b, deployments: [{model: ollama/m}], context_window: 1}\n", "p.yaml:10: models[0].stand_ins: found 'never', which allows none of the model's fallbacks: remove one of the two"),
        ("    stand_ins: first\n", "p.yaml:9: models[0].stand_ins: found 'first'; write never, same_model, nearest or best"),
        ("gateway: {stand_ins: none}\n", "p.yaml:9: gateway.stand_ins: found 'none'; write never, same_model, nearest or best"),
        ("default_policy: fast\n", "p.yaml:9: default_policy: found 'fast', expected one of best, balanced, cheap, panel"),
        ("policies: {fast: {cost_weight: 1}}\n", "p.yaml:1: default_policy: found 'balanced', expected one of fast"),
        ("policies:\n  balanced: {}\n", "p.yaml:10: policies.balanced: expected exactly one of cost_weight, max_loss, min_p_correct and quality, found none of them"),
        ("policies:\n  balanced: {cost_weight: 1, min_p_correct: 0.5}\n", "p.yaml:10: policies.balanced: expected exactly one of cost_weight, max_loss, min_p_correct and quality, found cost_weight and min_p_correct"),
        ("policies:\n  balanced: {quality: 11}\n", "p.yaml:10: policies.balanced.quality: found 11; write a number of at most 10"),
        ("policies:\n  balanced: {min_p_correct: 1.5}\n", "p.yaml:10: policies.balanced.min_p_correct: found 1.5; write a number of at most 1"),
        ("policies:\n  balanced: {quality: 5, ensemble: 3}\n", "p.yaml:10: policies.balanced.ensemble: found 3; write a mapping, such as ensemble: true"),
        ("policies:\n  balanced: {quality: 5, ensemble: {sise: 3}}\n", "p.yaml:10: policies.balanced.ensemble.sise: unknown key; did you mean size?"),
        ("policies:\n  balanced: {quality: 5, ensemble: {size: 10}}\n", "p.yaml:10: policies.balanced.ensemble.size: found 10; write a number of at most 9"),
        ("policies:\n  balanced: {quality: 5, ensemble: {size: 2, first: 3}}\n", "p.yaml:10: policies.balanced.ensemble: `first: 3` is more than `size: 2`"),
        ("policies:\n  balanced: {quality: 5, ensemble: {aggregate: fuse}}\n", "p.yaml:10: policies.balanced.ensemble: `aggregate: fuse` needs a `judge`, the model that writes the answer"),
        ("policies:\n  balanced: {quality: 5, ensemble: {max_calls: 2}}\n", "p.yaml:10: policies.balanced.ensemble: `max_calls: 2` is less than the 3 calls of `size: 3`"),
        ("policies:\n  balanced: {quality: 5, ensemble: {max_calls: 3, aggregate: fuse, judge: small}}\n", "p.yaml:10: policies.balanced.ensemble: `max_calls: 3` is less than the 4 calls of `size: 3` and the judge"),
        ("policies:\n  balanced: {quality: 5, ensemble: {judge: smal}}\n", "p.yaml:10: policies.balanced.ensemble.judge: found 'smal', which is no chat model of this file; did you mean small?"),
        ("policies:\n  balanced: {quality: 5, ensemble: {when: {gap_below: 0}}}\n", "p.yaml:10: policies.balanced.ensemble.when.gap_below: found 0; write a number above 0"),
        ("policies: [balanced]\n", "p.yaml:9: policies: found a list; write a mapping, such as policies: {cheap: {max_loss: 0.05}}"),
        # what only the environment or the provider table can tell
        ("gateway:\n  keys:\n    - os.environ/NOT_SET\n", "p.yaml:11: gateway.keys[0]: the environment variable NOT_SET is not set"),
        ("      - model: opena/m\n", "p.yaml:9: models[0].deployments[1].model: unknown provider 'opena'; did you mean openai/? For any OpenAI-compatible server write openai/m with `api_base`"),
        ("      - model: hosted_vllm/m\n", "p.yaml:9: models[0].deployments[1].model: hosted_vllm/ has no address of its own: give `api_base`"),
        ("      - model: bedrock/m\n        apis: [messages]\n", "p.yaml:10: models[0].deployments[1].apis: bedrock/ is reached through litellm, by chat completions only"),
    ],
)  # fmt: skip
def test_a_problem_names_file_line_key_found_and_expected(tmp_path: Path, more: str, problem: str) -> None:
    assert problems_of(tmp_path, DIRECT + more) == [problem]


WRONG: list[Any] = [
    None,
    7,
    -1,
    1.5,
    float("inf"),
    float("nan"),
    10**30,
    True,
    "",
    "x\x07",
    [],
    [7],
    ["x"],
    {},
    {"x": {}},
    {7: 7},
]


@pytest.mark.parametrize("section", ["", "gateway", "model", "embedding model", "deployment", "policy", "price"])
def test_every_problem_is_in_plain_english(tmp_path: Path, section: str) -> None:
    levels: dict[str, type[BaseModel]] = {
        "": PortfolioEntry, "gateway": Settings, "model": ModelEntry, "embedding model": EmbeddingModelEntry,
        "deployment": DeploymentEntry, "policy": PolicyEntry, "price": PriceEntry,
    }  # fmt: skip
    told = 0
    for key in levels[section].model_fields:
        for wrong in WRONG:
            document: dict[str, Any] = yaml.safe_load(DIRECT) | {
                "policies": {"balanced": {"cost_weight": 1}},
                "gateway": {},
            }
            document |= yaml.safe_load(EMBEDDING)
            model = document["models"][0]
            holder = {
                "": document, "gateway": document["gateway"], "model": model, "price": model["price"],
                "embedding model": document["embedding_models"][0], "deployment": model["deployments"][0],
                "policy": document["policies"]["balanced"],
            }[section]  # fmt: skip
            holder[key] = wrong
            try:
                load(tmp_path, yaml.safe_dump(document))
            except PortfolioError as exc:
                told += len(exc.problems)
                for problem in exc.problems:
                    assert not re.search(
                        r"instance of|[Ii]nput should|valid (string|integer|number|dict|list)|Entry|\[key\]|another value",
                        problem,
                    ), problem
    assert told


def test_a_number_as_a_key_of_the_file_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, DIRECT + "5: x\n")
    assert problem.startswith("p.yaml:9: [5]: the key must be a text")


def test_of_very_many_problems_the_first_are_told(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, DIRECT + "".join(f"k{i}: 1\n" for i in range(2_000)))
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[0].startswith("p.yaml:9: k0: unknown key")
    assert re.fullmatch(r"p.yaml: and \d+ more", problems[-1])


def test_a_litellm_configuration_is_recognised(tmp_path: Path) -> None:
    text = "litellm_settings: {}\nmodel_list:\n  - model_name: a\n    litellm_params: {model: openai/a}\n"
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith(
        "p.yaml:2: model_list: this is the configuration of a LiteLLM proxy; make a portfolio of it: "
    )
    assert f"locus import-config litellm {tmp_path}/p.yaml" in problem


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
default_policy: fast
models:
  - name: small
    embeding: x
    price: {input: free, output: 1}
    deployments:
      - model: opena/m
        timeout: ten
      - modle: openai/m
  - name: big
    context_window: 4096
    deployments:
      - model: bogus_provider/m
        rpm: 1.5
        rpm: 2.5
  - name: big
    context_window: 4096
    deployments: [{model: openai/no-such-model-xyz}]
spaces: one
gateway:
  prot: 1
  port: 5x
  keys: [os.environ/NOT_SET]
"""
    problems = problems_of(tmp_path, text)
    assert [problem.partition(": ")[0] for problem in problems] == [
        f"p.yaml:{line}" for line in (1, 4, 5, 7, 8, 9, 9, 13, 15, 15, 16, 19, 21, 22, 23)
    ]
    assert problems[5:7] == [
        "p.yaml:9: models[0].deployments[1].model: missing; write model: openai/gpt-5.4-mini",
        "p.yaml:9: models[0].deployments[1].modle: unknown key; did you mean model?",
    ]


def test_one_wrong_value_hides_no_other_problem_and_makes_none_up(tmp_path: Path) -> None:
    text = DIRECT + (
        "  - name: b\n    price: 5\n    embedding: {}\n    deployments: [{model: hosted_vllm/m, api_base: 7}]\n"
        "policies: {own: {cost_weight: x}}\ndefault_policy: own\n"
    )
    assert [problem.partition(": found")[0] for problem in problems_of(tmp_path, text)] == [
        "p.yaml:10: models[1].price",
        "p.yaml:11: models[1].embedding",
        "p.yaml:12: models[1].deployments[0].api_base",
        "p.yaml:13: policies.own.cost_weight",
    ]


# Keys


@pytest.mark.parametrize(
    "deployment",
    [
        "        api_key: os.environ/NOT_SET\n",
        "        extra_headers: {X-Key: os.environ/NOT_SET}\n",
        "        organization: os.environ/NOT_SET\n",
    ],
)
def test_a_key_that_is_not_set_takes_the_deployment_out_with_a_warning(tmp_path: Path, deployment: str) -> None:
    for environment in ({}, {"NOT_SET": ""}):
        portfolio = load(tmp_path, DIRECT + deployment, **environment)
        assert portfolio.models[0].deployments[0].missing_key == "NOT_SET"
        assert portfolio.warnings == (
            f"{tmp_path}/p.yaml: no key or address set for 1 deployment, which is not used: NOT_SET (small/0)",
        )


def test_one_warning_names_all_keys_that_are_not_set(tmp_path: Path) -> None:
    text = "models:\n" + "".join(
        f"  - {{name: m{i}, deployments: [{{model: {provider}/gpt-4o-mini}}], price: {{input: 1, output: 1}}, "
        "context_window: 9000}\n"
        for i, provider in enumerate(["openai"] * 4 + ["groq"])
    )
    assert load(tmp_path, text).warnings == (
        f"{tmp_path}/p.yaml: no key or address set for 5 deployments, which are not used: "
        "OPENAI_API_KEY (m0/0, m1/0, m2/0 and 1 more), GROQ_API_KEY (m4/0)",
    )


def test_an_address_may_be_a_reference(tmp_path: Path) -> None:
    text = DIRECT.replace("http://127.0.0.1:1/v1", "os.environ/BASE")
    deployment = load(tmp_path, text, BASE=" http://10.0.0.1/v1\r\n").models[0].deployments[0]
    assert (deployment.api_base, deployment.missing_key) == ("http://10.0.0.1/v1", None)
    assert problems_of(tmp_path, text, BASE="10.0.0.1/v1") == [
        "p.yaml:8: models[0].deployments[0].api_base: expected an address that begins with http:// or https://, "
        "such as http://127.0.0.1:8000/v1 (in BASE)"
    ]


def test_a_deployment_whose_address_is_not_set_is_not_used(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    context_window: 9000\n    deployments: [{model: hosted_vllm/m, api_base: os.environ/BASE}]\n"
    portfolio = load(tmp_path, text)
    assert portfolio.models[0].deployments[0].missing_key == "BASE"
    assert portfolio.warnings == (
        f"{tmp_path}/p.yaml: no key or address set for 1 deployment, which is not used: BASE (a/0)",
    )


KEYED = DIRECT + "        api_key: os.environ/K\n"
KEY = "p.yaml:9: models[0].deployments[0].api_key: the environment variable K"


@pytest.mark.parametrize("value", ["sk-1", "sk-1\n", " sk-1\r\n", "\tsk-1 "])
def test_white_space_around_a_key_is_no_part_of_it(tmp_path: Path, value: str) -> None:
    assert load(tmp_path, KEYED, K=value).models[0].deployments[0].api_key == Secret("sk-1")
    assert load(tmp_path, COMPLETE, OPENAI_API_KEY=value).models[0].deployments[0].api_key == Secret("sk-1")
    settings = load(
        tmp_path, DIRECT + "gateway: {keys: [os.environ/K], admin_key: os.environ/A}\n", K=value, A="a\n"
    ).settings
    assert (settings.keys, settings.admin_key) == ((Secret("sk-1"),), Secret("a"))
    header = load(tmp_path, DIRECT + "        extra_headers: {X-Key: os.environ/K}\n", K=value)
    assert header.models[0].deployments[0].headers == {"X-Key": Secret("sk-1")}


def test_the_line_break_that_ends_a_block_is_no_part_of_a_key(tmp_path: Path) -> None:
    portfolio = load(tmp_path, DIRECT + "        api_key: |\n          sk-1\n")
    assert portfolio.models[0].deployments[0].api_key == Secret("sk-1")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("sk-1\nsk-2", "has a line break or another control character inside"),
        ("sk-\x1b[0m1", "has a line break or another control character inside"),
        ("sk 1", "has a space inside"),
        ("'sk-1'", "has quotation marks around it"),
        ('"sk-1"', "has quotation marks around it"),
        ("${KEY}", "has the syntax of a shell or a template in it"),
        ("$KEY", "has the syntax of a shell or a template in it"),
        ("$(cat key)", "has the syntax of a shell or a template in it"),
        ("{{ .Values.key }}", "has the syntax of a shell or a template in it"),
        ("<your key>", "has the syntax of a shell or a template in it"),
        ("os.environ/OTHER", "has the syntax of a shell or a template in it"),
        ("export K=sk-1", "is an assignment"),
        ("OPENAI_API_KEY=sk-1", "is an assignment"),
        ("Bearer sk-1", "begins with `Bearer`"),
    ],
)
def test_a_key_that_no_provider_takes_is_a_problem(tmp_path: Path, value: str, told: str) -> None:
    (problem,) = problems_of(tmp_path, KEYED, K=value)
    assert problem.startswith(f"{KEY} {told}")
    (problem,) = problems_of(tmp_path, COMPLETE, OPENAI_API_KEY=value)
    assert problem.startswith(
        f"p.yaml:7: models[0].deployments[0].model: the environment variable OPENAI_API_KEY {told}"
    )
    (problem,) = problems_of(tmp_path, DIRECT + "gateway:\n  keys: [os.environ/K]\n", K=value)
    assert problem.startswith(f"p.yaml:10: gateway.keys[0]: the environment variable K {told}")


@pytest.mark.parametrize("key", ["sk-proj-a_b", "a$b", "abc==", "A1B2=", "eyJ.x.y", "key;id=1", "100%"])
def test_odd_keys_are_taken(tmp_path: Path, key: str) -> None:
    assert load(tmp_path, KEYED, K=key).models[0].deployments[0].api_key == Secret(key)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("        api_key: ${KEY}\n", "p.yaml:9: models[0].deployments[0].api_key: the value is no reference; write os.environ/KEY"),
        ("        api_key: 'os.environ[\"KEY\"]'\n", "p.yaml:9: models[0].deployments[0].api_key: the value is no reference; write os.environ/NAME alone, where NAME holds the whole value"),
        ("        api_key: env:KEY\n", "p.yaml:9: models[0].deployments[0].api_key: the value is no reference; write os.environ/NAME alone, where NAME holds the whole value"),
        ("        prefill: sometimes\n", "p.yaml:9: models[0].deployments[0].prefill: found 'sometimes'; write true or false, such as prefill: true"),
        ("        api_key: ${KEY}-x\n", "p.yaml:9: models[0].deployments[0].api_key: the value is no reference; write os.environ/NAME alone, where NAME holds the whole value"),
        ("gateway: {timeout: 9}\n", "p.yaml:9: gateway.timeout: unknown key; it belongs to an item of `deployments`"),
        ("        extra_headers: {Authorization: Bearer os.environ/K}\n", "p.yaml:9: models[0].deployments[0].extra_headers.Authorization: the value is no reference; write os.environ/NAME alone, where NAME holds the whole value"),
        ("        api_key: os.environ/\n", "p.yaml:9: models[0].deployments[0].api_key: expected the name of an environment variable behind os.environ/"),
        ('        extra_headers: {"a b": c}\n', "p.yaml:9: models[0].deployments[0].extra_headers.a b: expected the name of a header, such as X-Api-Version"),
        ("        extra_headers: {Content-Length: '1'}\n", "p.yaml:9: models[0].deployments[0].extra_headers.Content-Length: expected the name of a header, such as X-Api-Version"),
        ("        api_base2: x\n", "p.yaml:9: models[0].deployments[0].api_base2: unknown key; did you mean api_base?"),
        ("gateway: {keys: [os.environ/A, os.environ/B], admin_key: os.environ/C}\n", "p.yaml:9: gateway.admin_key: the same as gateway.keys[1], whose holders would read metrics and details; choose another one"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_a_problem(tmp_path: Path, more: str, problem: str) -> None:
    assert problems_of(tmp_path, DIRECT + more, K="sk-1", A="x", B="y", C="y\n") == [problem]


def test_a_wrong_capability_hides_no_problem_of_the_deployments(tmp_path: Path) -> None:
    text = "models:\n  - name: a\n    capabilities: [tool, image]\n    deployments: [{model: openai/x, api_base: h}]\n"
    places = [problem.split(": ")[0] + ": " + problem.split(": ")[1] for problem in problems_of(tmp_path, text)]
    assert places == [
        "p.yaml:3: models[0].capabilities[0]",
        "p.yaml:3: models[0].capabilities[1]",
        "p.yaml:4: models[0].deployments[0].api_base",
    ]


def test_references_inside_parameters_are_a_problem(tmp_path: Path) -> None:
    text = BEDROCK + "        extra_body:\n          x: [os.environ/K]\n"
    assert problems_of(tmp_path, text, K="k") == [
        "p.yaml:9: models[0].deployments[0].extra_body.x[0]: os.environ/NAME is read as the whole value of a parameter alone"
    ]


def test_one_warning_names_all_literal_secrets(tmp_path: Path) -> None:
    text = (
        DIRECT + "        api_key: sk-1\n      - {model: openai/m, api_base: 'http://127.0.0.1:1/v1', api_key: sk-2}\n"
    )
    assert load(tmp_path, text).warnings == (
        f"{tmp_path}/p.yaml:9: models[0].deployments[0].api_key (and 1 more): a literal secret; write os.environ/NAME "
        "instead, so that the file can be shared",
    )


def test_the_providers_usual_variable_holds_the_key_by_default(tmp_path: Path) -> None:
    assert load(tmp_path, COMPLETE).models[0].deployments[0].missing_key == "OPENAI_API_KEY"
    deployment = load(tmp_path, COMPLETE, OPENAI_API_KEY="sk-9").models[0].deployments[0]
    assert (deployment.api_key, deployment.missing_key) == (Secret("sk-9"), None)


def test_a_server_of_ones_own_gets_no_key_meant_for_the_provider(tmp_path: Path) -> None:
    deployment = load(tmp_path, DIRECT, OPENAI_API_KEY="sk-9").models[0].deployments[0]
    assert (deployment.api_key, deployment.missing_key) == (None, None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (DIRECT + f"        api_key: {CANARY}\n", "9: models[0].deployments[0].api_key"),
        (DIRECT + f"        extra_headers: {{Authorization: Bearer {CANARY}}}\n", "9: models[0].deployments[0].extra_headers.Authorization"),
        (DIRECT + f"        extra_headers:\n          X-Api-Key: {CANARY}\n", "10: models[0].deployments[0].extra_headers.X-Api-Key"),
        (BEDROCK + f"        aws_secret_access_key: {CANARY}\n", "8: models[0].deployments[0].aws_secret_access_key"),
        (DIRECT + f"gateway: {{keys: [{CANARY}]}}\n", "9: gateway.keys[0]"),
    ],
)  # fmt: skip
def test_a_literal_key_is_taken_with_a_warning_and_never_shown(tmp_path: Path, text: str, place: str) -> None:
    portfolio = load(tmp_path, text)
    assert portfolio.warnings == (
        f"{tmp_path}/p.yaml:{place}: a literal secret; write os.environ/NAME instead, so that the file can be shared",
    )
    deployment = portfolio.models[0].deployments[0]
    held = [deployment.api_key, *deployment.headers.values(), *deployment.params.values(), *portfolio.settings.keys]
    assert any(isinstance(secret, Secret) and CANARY in secret.reveal() for secret in held)
    assert CANARY not in f"{portfolio} {portfolio!r} {portfolio.models} {deployment!r} {deployment.headers}"


def test_a_key_from_the_environment_never_shows(tmp_path: Path) -> None:
    text = (
        BEDROCK
        + "        api_key: os.environ/K\n        extra_headers: {X: os.environ/K}\n        aws_session_token: os.environ/K\n"
    )
    portfolio = load(tmp_path, text + "gateway: {keys: [os.environ/K]}\n", K=CANARY)
    assert CANARY not in f"{portfolio} {portfolio!r} {portfolio.warnings} {portfolio.models[0].deployments[0]!r}"


def test_a_secret_in_an_unsuspected_place_is_not_part_of_what_a_deployment_shows(tmp_path: Path) -> None:
    portfolio = load(tmp_path, BEDROCK + f"        extra_body: {{account: {CANARY}}}\n")
    assert portfolio.models[0].deployments[0].params == {"extra_body": {"account": CANARY}}
    assert CANARY not in repr(portfolio)


@pytest.mark.parametrize(
    "text",
    [
        DIRECT + f"        api_key: [{CANARY}]\n",
        DIRECT + f"        api_key: {{value: {CANARY}}}\n",
        DIRECT + f"        api_key: !{CANARY}\n",
        DIRECT + f"        api_key: *{CANARY}\n",
        DIRECT + f"        api_key: !!int {CANARY}\n",
        DIRECT + f"        api_key: '{CANARY}\n",
        DIRECT + f'        api_key: "\\{CANARY}"\n',
        DIRECT + f"        apikey: {CANARY}\n",
        DIRECT + f"    api_key: {CANARY}\n",
        DIRECT + f"api_key: {CANARY}\n",
        DIRECT + f"        extra_headers: {CANARY}\n",
        DIRECT + f"        extra_headers: [{CANARY}]\n",
        DIRECT + f"        extra_headers: {{X: [{CANARY}]}}\n",
        DIRECT + f"        organization: [{CANARY}]\n",
        DIRECT.replace("http://", f"http://user:{CANARY}@"),
        DIRECT + f"gateway: {{keys: {CANARY}}}\n",
        DIRECT + f"gateway: {{keys: [[{CANARY}]]}}\n",
        DIRECT + f"gateway: {{keys: [{CANARY}, os.environ/NOT_SET]}}\n",
        DIRECT + f"gateway: {{key: {CANARY}}}\n",
        BEDROCK + f"        aws_secret_access_key: [{CANARY}]\n",
        BEDROCK + f"        vertex_credentials: {{private_key: {CANARY}}}\n",
        BEDROCK + f"        aws_secret_acess: {CANARY}\n        wrong_password: {CANARY}\n",
        DIRECT + f"        api_key: {CANARY}\n        api_key: {CANARY}\n",
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(PortfolioError) as caught:
        load(tmp_path, text)
    assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.problems}"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("api_key", True),
        ("aws_session_token", True),
        ("vertex_credentials", True),
        ("Authorization", True),
        ("max_tokens", False),
        ("first_token_timeout", False),
        ("aws_region_name", False),
    ],
)
def test_which_keys_hold_secrets(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_a_secret_shows_nothing_and_compares_by_value() -> None:
    secret = Secret(CANARY)
    assert f"{secret} {secret!r} {secret!s} {[secret]}" == "*** *** *** [***]"
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY) != Secret("other")
    assert secret != CANARY
    assert len({secret, Secret(CANARY)}) == 1
