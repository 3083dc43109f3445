"""LiteLLM configurations: the portfolio that each becomes, and the problems of wrong ones."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.price import FREE, Price
from gateway.config.secret import Secret
from tests.gateway.migrate.importing import imported, one, problems


def test_all_problems_at_once_with_line_and_key(tmp_path: Path) -> None:
    config = """\
model_list:
  - model_name: a
    litellm_params: {model: nonsense/x}
  - litellm_params: {model: openai/x}
  - model_name: b
    litellm_params: openai/x
  - model_name: c
    litellm_params:
      model: openai/gpt-4o
      rpm: many
      extra_headers: [x]
  - model_name: auto
    litellm_params: {model: openai/gpt-4o}
  - just text
  - model_name: d
    litellm_params: {model: os.environ/NOT_SET_HERE}
  - model_name: e
    litellm_params: {model: openai/x, api_base: "localhost:8000"}
  - model_name: f
    litellm_params: {api_key: x, litellm_credential_name: missing}
router_settings: [x]
litellm_settings: {num_retries: often, request_timeout: true}
"""
    found = problems(tmp_path, config)
    for expected in (
        "config.yaml:3: model_list[0].litellm_params.model: unknown provider 'nonsense'",
        "config.yaml:4: model_list[1].model_name: missing",
        "config.yaml:6: model_list[2].litellm_params: found a text, expected a mapping",
        "config.yaml:10: model_list[3].litellm_params.rpm: found a text, expected a number",
        "config.yaml:11: model_list[3].litellm_params.extra_headers: found a list, expected a mapping of headers",
        "config.yaml:12: model_list[4].model_name: 'auto' is this gateway's own name",
        "config.yaml:14: model_list[5]: found a text, expected a mapping with model_name and litellm_params",
        "config.yaml:16: model_list[6].litellm_params.model: this cannot be a reference in a portfolio file: set NOT_SET",
        "config.yaml:18: model_list[7].litellm_params.api_base: found another text, expected an address",
        "config.yaml:20: model_list[8].litellm_params.model: missing",
        "config.yaml:20: model_list[8].litellm_params.litellm_credential_name: no credential of this name",
        "config.yaml:21: router_settings: found a list, expected a mapping",
        "config.yaml:22: litellm_settings.num_retries: found a text, expected a number",
        "config.yaml:22: litellm_settings.request_timeout: found true or false, expected a number",
    ):
        assert sum(line.startswith(expected) for line in found) == 1, expected
    assert len(found) == 14


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("", "config.yaml:1: the file: found nothing, expected a mapping with `model_list`"),
        ("- x", "config.yaml:1: the file: found a list, expected a mapping with `model_list`"),
        ("a: [", "config.yaml:1: not valid YAML"),
        ("general_settings: {}", "config.yaml:1: the file: no `model_list`"),
        ("x: 1\nmodel_list: {a: 1}", "config.yaml:2: model_list: found a mapping, expected a list of models"),
        ("model_list: []", "config.yaml:1: model_list: found an empty list"),
        ("model_list: &a [*a]", "config.yaml:1: not valid YAML: an alias inside itself"),
        ("model_list: &a {<<: *a}", "config.yaml:1: not valid YAML: an alias inside itself"),
        ("{x: 1}: 2", "config.yaml:1: not valid YAML: a key must be a plain word"),
        (one('model: "openai/*"'), "config.yaml:1: model_list: no model is left"),
        ("include: [gone.yaml]", "config.yaml:1: include[0]: gone.yaml: no such file"),
        ("model_list: !!int x", "config.yaml:1: not valid YAML: not a valid int"),
        ("x: \x00", "config.yaml:1: not valid YAML: a character that YAML does not allow"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, config: str, problem: str) -> None:
    assert any(line.startswith(problem) for line in problems(tmp_path, config))


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "with aliases expanded" in problems(tmp_path, "\n".join(lines))[0]


def test_a_missing_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["import-config", "litellm", str(tmp_path / "gone.yaml")])
    assert result.exit_code == 1
    assert "gone.yaml: no such file" in result.stderr


def test_includes_and_anchors(tmp_path: Path) -> None:
    """Lists are extended, everything else is replaced; findings name the file that they are in."""
    (tmp_path / "models.yaml").write_text(one("model: ollama/qwen2.5:7b, top_k: 5", "include: [config.yaml]"))
    config = """\
x-defaults: &defaults {api_base: "http://127.0.0.1:8000/v1", timeout: 20, rpm: 5}
include: [models.yaml]
model_list:
  - model_name: n
    litellm_params: {<<: *defaults, model: hosted_vllm/Qwen/Qwen2-7B-Instruct, rpm: 9, rpm: 8}
"""
    portfolio, report = imported(tmp_path, config)
    n, m = portfolio.models
    assert (n.name, n.embedding, n.deployments[0].timeout_s, n.deployments[0].rpm) == (
        "n",
        "Qwen/Qwen2-7B-Instruct",
        20,
        8,
    )
    assert (m.name, m.embedding) == ("m", "Qwen/Qwen2.5-7B-Instruct")
    assert f"{tmp_path}/models.yaml:3: model_list[0].litellm_params.top_k: no equivalent" in report
    assert "config.yaml:5: model_list[0].litellm_params.rpm: the key rpm occurs again" in report


def test_credentials_are_shared(tmp_path: Path) -> None:
    config = """\
model_list:
  - {model_name: a, litellm_params: {model: bedrock/meta.llama3-8b-instruct-v1:0, litellm_credential_name: aws}}
  - {model_name: b, litellm_params: {model: bedrock/meta.llama3-70b-instruct-v1:0, litellm_credential_name: aws}}
credential_list:
  - credential_name: aws
    credential_values: {aws_region_name: eu-west-1, aws_secret_access_key: os.environ/AWS}
"""
    portfolio, _ = imported(tmp_path, config)
    for model in portfolio.models:
        wanted = {"aws_region_name": "eu-west-1", "aws_secret_access_key": Secret("value-of-AWS")}
        assert model.deployments[0].params == wanted


@pytest.mark.parametrize(
    ("params", "model", "path"),
    [
        ("model: claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", "litellm"),
        ("model: gpt-4o", "gpt-4o", "direct"),
        ("model: x/y, custom_llm_provider: openai, api_base: 'http://127.0.0.1:1/v1'", "x/y", "direct"),
        ("model: custom_openai/z, api_base: 'http://127.0.0.1:1/v1'", "z", "direct"),
        ("model: os.environ/MODEL_NAME", "llama-3.1-8b-instant", "direct"),
    ],
)
def test_names_of_models(tmp_path: Path, params: str, model: str, path: str) -> None:
    portfolio, _ = imported(tmp_path, one(params), env={"MODEL_NAME": "groq/llama-3.1-8b-instant"})
    deployment = portfolio.models[0].deployments[0]
    assert (deployment.upstream_model, deployment.path) == (model, path)


def test_an_address_by_reference_stays_one(tmp_path: Path) -> None:
    config = one("model: hosted_vllm/x, api_base: os.environ/VLLM, timeout: os.environ/WAIT")
    portfolio, report = imported(tmp_path, config, env={"VLLM": "http://10.0.0.7:8000/v1", "WAIT": "33"})
    deployment = portfolio.models[0].deployments[0]
    assert (deployment.api_base, deployment.timeout_s) == ("http://10.0.0.7:8000/v1", 33)
    text = (tmp_path / "portfolio.yaml").read_text()
    assert "api_base: os.environ/VLLM" in text
    assert "10.0.0.7" not in report + text


def test_an_address_need_not_be_set_at_the_import(tmp_path: Path) -> None:
    _, report = imported(tmp_path, one("model: openai/x, api_base: os.environ/VLLM"))
    assert "not set in this environment: VLLM" in report


def test_what_is_not_known_wants_a_look(tmp_path: Path) -> None:
    config = one("model: openai/our-finetune, api_base: 'https://llm.example.com/v1', weight: 0, rpm: 0")
    portfolio, report = imported(tmp_path, config)
    model = portfolio.models[0]
    assert (model.embedding, model.context_window, model.price) == (None, 8192, None)
    assert model.deployments[0].weight == 0.001
    text = (tmp_path / "portfolio.yaml").read_text()
    for what in ("which model of the space", "context window", "price of m", "can do", "more than 0", "OPENAI_API_KEY"):
        assert what in report
        assert any(line.strip().startswith("# LOOK") and what in line for line in text.splitlines()), what
    assert "litellm_params.rpm: no equivalent: it is at least 1 here" in report


def test_capabilities_are_the_tables_but_for_what_model_info_says(tmp_path: Path) -> None:
    more = "    model_info: {supports_vision: false, supports_audio_input: true, supports_assistant_prefill: true}\n"
    portfolio, report = imported(tmp_path, one("model: gpt-4o", more))
    assert portfolio.models[0].capabilities == {"tools", "json_schema", "audio", "files"}
    assert portfolio.models[0].deployments[0].prefill == "message"
    assert "can do" not in report


def test_a_guess_at_the_embedding_is_only_a_comment(tmp_path: Path) -> None:
    config = one("model: azure/gpt-4o-mini-prod, api_base: 'https://a.openai.azure.com', api_version: '2024-02-01'")
    portfolio, _ = imported(tmp_path, config)
    assert portfolio.models[0].embedding is None
    text = (tmp_path / "portfolio.yaml").read_text()
    assert "# embedding: openai/gpt-4o-mini-2024-07-18  # is it this one?" in text


def test_health_checks_and_defaults_reach_the_deployments(tmp_path: Path) -> None:
    more = """\
router_settings: {stream_timeout: 7, default_max_parallel_requests: 4, cooldown_time: 0, timeout: 9}
litellm_settings: {request_timeout: 600}
general_settings: {background_health_checks: true, health_check_interval: 60, max_request_size_mb: 2}
"""
    portfolio, report = imported(tmp_path, one("model: ollama/llama3", more))
    deployment = portfolio.models[0].deployments[0]
    assert (deployment.first_token_timeout_s, deployment.max_parallel_requests) == (7, 4)
    assert (deployment.health_check_s, deployment.timeout_s) == (60, 9)
    assert portfolio.settings.max_body_bytes == 2 << 20
    assert "cooldown_time: no equivalent" in report


def test_embedding_models_keep_what_model_info_and_base_model_say(tmp_path: Path) -> None:
    text = """\
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: http://127.0.0.1:1/v1, api_key: os.environ/K}
    model_info:
      {input_cost_per_token: 1e-6, output_cost_per_token: 2e-6, cache_read_input_token_cost: 1e-7, max_input_tokens: 9}
  - model_name: eu-vectors
    litellm_params: {model: azure/eu, api_base: "https://x.openai.azure.com", api_key: os.environ/A}
    model_info: {mode: embedding, base_model: text-embedding-3-large}
  - model_name: own-vectors
    litellm_params: {model: hosted_vllm/e, api_base: "http://gpu:8000/v1", weight: 2}
    model_info: {mode: embedding, max_input_tokens: 512, output_vector_size: 384, input_cost_per_token: 2e-8}
  - model_name: own-vectors
    litellm_params: {model: hosted_vllm/e, api_base: "http://gpu2:8000/v1"}
    model_info: {mode: embedding}
  - model_name: voyage
    litellm_params: {model: voyage/brand-new, api_key: os.environ/V}
router_settings:
  model_group_alias: {vectors: own-vectors, locus-encoder: own-vectors, "auto:x": own-vectors}
"""
    portfolio, report = imported(tmp_path, text)
    assert [model.name for model in portfolio.models] == ["chat"]
    assert portfolio.models[0].price == Price.of({"input": 1, "output": 2, "cached_input": 0.1})
    models = {model.name: model for model in portfolio.embedding_models}
    assert list(models) == ["eu-vectors", "own-vectors", "voyage", "vectors"]
    eu, own = models["eu-vectors"], models["own-vectors"]
    assert eu.price is not None
    assert (eu.price.rates.input, eu.dimensions, eu.deployments[0].path) == (0.13, 3072, "litellm")
    assert (own.price, own.context_window, own.dimensions) == (Price.of({"input": 0.02}), 512, 384)
    assert [d.weight for d in own.deployments] == [2, 1]
    assert models["vectors"].deployments[0].api_base == "http://gpu:8000/v1"
    assert "the price of voyage is not known" in report
    assert "the input limit of voyage is not known: 8192 tokens are assumed" in report
    assert report.count("an alias of nothing that was imported, or a name that is taken") == 2
    assert "5 of its models in 7 deployments" in report


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("both", "'both' is a chat model and an embedding model: rename one of them"),
        ("locus-encoder", "'locus-encoder' is this gateway's own name: rename the model"),
    ],
)
def test_a_name_that_an_embedding_model_cannot_have(tmp_path: Path, name: str, says: str) -> None:
    text = f"""\
model_list:
  - model_name: both
    litellm_params: {{model: ollama/m}}
  - model_name: {name}
    litellm_params: {{model: openai/text-embedding-3-small}}
"""
    assert [problem.partition(": ")[2].partition(": ")[2] for problem in problems(tmp_path, text)] == [says]


def test_costs_of_the_configuration_become_prices_of_deployments(tmp_path: Path) -> None:
    text = """\
model_list:
  - model_name: split
    litellm_params: {model: openai/a, api_base: http://one.example/v1, api_key: os.environ/K, input_cost_per_token: 1e-6, output_cost_per_token: 2e-6}
  - model_name: split
    litellm_params: {model: openai/b, api_base: http://two.example/v1, api_key: os.environ/K, input_cost_per_token: 3e-6, output_cost_per_token: 4e-6}
  - model_name: claude
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      input_cost_per_token: 0.000002
      output_cost_per_token: 0.000010
      cache_read_input_token_cost: 2e-7
      cache_creation_input_token_cost: 0.0000025
      cache_creation_input_token_cost_above_1hr: 0.000004
      input_cost_per_token_above_200k_tokens: 0.000004
      output_cost_per_token_above_200k_tokens: 0.000015
  - model_name: azure
    litellm_params: {model: azure/ours, api_base: "https://x.openai.azure.com", api_key: os.environ/A}
    model_info: {base_model: azure/gpt-4o}
  - model_name: free
    litellm_params: {model: openai/c, api_base: http://three.example/v1, api_key: os.environ/K, input_cost_per_token: 0, output_cost_per_token: 0}
"""
    portfolio, report = imported(tmp_path, text)
    models = {model.name: model for model in portfolio.models}
    assert [d.price for d in models["split"].deployments] == [
        Price.of({"input": 1, "output": 2}),
        Price.of({"input": 3, "output": 4}),
    ]
    assert (
        models["claude"].price
        == models["claude"].deployments[0].price
        == Price.of(
            {"input": 2, "output": 10, "cached_input": 0.2, "cache_write": 2.5, "cache_write_1h": 4},
            {200_000: {"input": 4, "output": 15}},
        )
    )
    assert models["azure"].price == Price.of({"input": 2.5, "output": 10, "cached_input": 1.25})
    assert models["free"].price == FREE
    assert "price of" not in report
