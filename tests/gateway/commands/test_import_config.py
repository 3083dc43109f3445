"""`locus import-config litellm`: what real configurations say arrives in the portfolio or is named in the report."""

import os
import re
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.portfolio import Model
from gateway.config.portfolio_file import load_portfolio
from gateway.config.secret import Secret
from tests.gateway.migrate.importing import Everything, imported, one, problems, run
from tests.gateway.running import running
from tests.gateway.upstreams import ScriptedProvider, answer

pytestmark = pytest.mark.anyio

COMPANY = """\
model_list:
  - model_name: gpt-4o   # load is shared between two regions and OpenAI
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://acme-eu.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: 2024-08-01
      rpm: 600
    model_info:
      base_model: azure/gpt-4o-2024-08-06
      id: eu-1
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o-2024-08-06
      api_key: os.environ/OPENAI_API_KEY
      organization: os.environ/OPENAI_ORG
      rpm: 200
      max_retries: 4
      temperature: 0.2
  - model_name: claude
    litellm_params:
      model: anthropic/claude-3-5-sonnet-20241022
      api_key: os.environ/ANTHROPIC_API_KEY
      max_tokens: 4096
      timeout: 120
      stream_timeout: "30"
      extra_headers: {anthropic-beta: prompt-caching-2024-07-31, x-team-key: os.environ/TEAM_KEY}
    model_info: {supports_vision: false, supports_function_calling: true, max_input_tokens: 100000, access_groups: [beta]}
  - model_name: llama
    litellm_params:
      model: ollama_chat/llama3.1:8b
      api_base: http://127.0.0.1:11434
      weight: 3
      order: 1
  - model_name: nova
    litellm_params:
      model: bedrock/us.anthropic.claude-3-haiku-20240307-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
  - model_name: text-embedding-3-small
    litellm_params: {model: openai/text-embedding-3-small}
  - model_name: whisper
    litellm_params: {model: whisper-1}
    model_info: {mode: audio_transcription}
  - model_name: "groq/*"
    litellm_params: {model: "groq/*", api_key: os.environ/GROQ_API_KEY}
litellm_settings:
  drop_params: true
  num_retries: 1
  request_timeout: 600
  fallbacks: [{gpt-4o: [claude, llama]}]
  context_window_fallbacks:
    - llama: [claude]
  callbacks: [prometheus, langfuse]
  cache: true
  cache_params: {type: redis, host: os.environ/REDIS_HOST}
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {gpt-4: gpt-4o, hidden: {model: llama, hidden: true}}
  num_retries: 2
  allowed_fails: 3
  cooldown_time: 30
  retry_after: 5
  redis_host: os.environ/REDIS_HOST
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DATABASE_URL
  global_max_parallel_requests: 500
  some_new_setting: 7
environment_variables:
  REDIS_HOST: redis.internal
made_up_section:
  x: 1
"""


def price_in(model: Model) -> float:
    assert model.price is not None
    return model.price.rates.input


def test_a_companys_configuration(tmp_path: Path) -> None:
    portfolio, _ = imported(tmp_path, COMPANY)
    models = {model.name: model for model in portfolio.models}
    assert list(models) == ["gpt-4o", "claude", "llama", "nova", "gpt-4", "hidden"]

    azure, openai = models["gpt-4o"].deployments
    assert (azure.path, azure.upstream_model, azure.rpm) == ("litellm", "azure/gpt-4o-eu", 600)
    assert azure.api_key == Secret("value-of-AZURE_API_KEY_EU")
    assert azure.params == {"api_version": "2024-08-01"}
    assert openai.path == "direct"
    assert openai.headers == {"openai-organization": Secret("value-of-OPENAI_ORG")}
    assert (azure.weight, openai.weight) == (3.0, 1.0)  # by rpm, as simple-shuffle does
    assert (azure.timeout_s, models["claude"].deployments[0].timeout_s) == (600, 120)
    assert models["gpt-4o"].embedding == "openai/gpt-4o-2024-08-06"
    assert price_in(models["gpt-4o"]) == 2.5  # of base_model, as LiteLLM counts it
    assert "tools" in models["gpt-4o"].capabilities

    claude = models["claude"].deployments[0]
    assert claude.first_token_timeout_s == 30
    assert claude.params == {"max_tokens": 4096}
    assert claude.headers["x-team-key"] == Secret("value-of-TEAM_KEY")
    assert models["claude"].context_window == 100_000
    assert "vision" not in models["claude"].capabilities
    assert "tools" in models["claude"].capabilities
    assert models["llama"].deployments[0].api_base == "http://127.0.0.1:11434/v1"
    assert models["llama"].deployments[0].weight == 3
    assert models["llama"].embedding == "meta-llama/Llama-3.1-8B-Instruct"
    assert models["nova"].deployments[0].params["aws_secret_access_key"] == Secret("value-of-AWS_SECRET_ACCESS_KEY")
    assert models["gpt-4"].embedding == "none"
    assert models["gpt-4o"].fallbacks == models["gpt-4"].fallbacks == ("claude", "llama")
    assert not models["claude"].fallbacks
    assert [d.upstream_model for d in models["gpt-4"].deployments] == ["azure/gpt-4o-eu", "gpt-4o-2024-08-06"]

    (vectors,) = portfolio.embedding_models
    assert (vectors.name, vectors.dimensions, price_in(vectors)) == ("text-embedding-3-small", 1536, 0.02)
    assert vectors.deployments[0].timeout_s == 600

    settings = portfolio.settings
    assert settings.keys == (Secret("value-of-LITELLM_MASTER_KEY"),)
    assert (settings.retries, settings.breaker_failures) == (2, 4)
    assert settings.max_requests == 500
    assert portfolio.default_policy == "balanced"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("id: eu-1", "deployments are called"),
        ("max_retries: 4", "no retries per deployment"),
        ("temperature: 0.2", "clients send it themselves"),
        ("access_groups", "list the models of each key or team"),
        ("order: 1", "share the load by `weight`"),
        ("model_name: whisper", "is for audio_transcription"),
        ('model_name: "groq/*"', "is a wildcard"),
        ("drop_params: true", "what a provider behind litellm lacks is always left out"),
        ("num_retries: 1", "router_settings.num_retries counts"),
        ("request_timeout: 600", "written as `timeout`"),
        (
            "    - llama: [claude]",
            "llama: no list: after an error for its length a prompt goes on to models with a larger window",
        ),
        ("callbacks: [prometheus", "no callbacks"),
        ("cache: true", "set `gateway.cache`"),
        ("cache_params:", "set `gateway.cache`"),
        ("routing_strategy:", "simple-shuffle is what is done here"),
        ("model_group_alias:", "gpt-4 is a model of its own"),
        ("num_retries: 2", "is gateway.retries"),
        ("allowed_fails: 3", "is gateway.breaker_failures"),
        ("cooldown_time: 30", "is gateway.cool_down"),
        ("retry_after: 5", "Retry-After is waited for"),
        ("  redis_host:", "set `gateway.shared`"),
        ("master_key:", "is the only gateway key, in gateway.keys"),
        ("database_url:", "in its database are not in this file"),
        ("some_new_setting: 7", "no equivalent"),
        ("REDIS_HOST: redis.internal", "set REDIS_HOST in the environment"),
        ("made_up_section:", "no equivalent"),
    ],
)
def test_the_report_names_the_line(report_of_company: str, line: str, what: str) -> None:
    number = next(i for i, text in enumerate(COMPANY.splitlines(), 1) if line in text)
    assert any(f"config.yaml:{number}: " in found and what in found for found in report_of_company.splitlines())


@pytest.fixture(scope="module")
def report_of_company(tmp_path_factory: pytest.TempPathFactory) -> str:
    return imported(tmp_path_factory.mktemp("company"), COMPANY)[1]


def test_every_key_of_the_input_is_used_or_named(tmp_path: Path) -> None:
    """Unknown keys, at every level."""
    strange = COMPANY.replace("litellm_params:\n", "litellm_params:\n      strange_a: 1\n")
    strange = strange.replace("model_info:\n", "model_info:\n      strange_b: {deep: [1, {er: 2}]}\n")
    strange = re.sub(r"^(\w+_settings:)$", r"\1\n  strange_c: [1]", strange, flags=re.M)
    strange = strange.replace("  - model_name: claude\n", "  - model_name: claude\n    strange_d: x\n")
    _, report = imported(tmp_path, strange + "strange_e: true\n")
    for number, line in enumerate((strange + "strange_e: true\n").splitlines(), 1):
        if "strange_" in line:
            assert f"config.yaml:{number}: " in report, line
    assert "redis.internal" not in report  # a value


def test_variables_that_are_not_set_are_a_warning(tmp_path: Path) -> None:
    _, report = imported(tmp_path, COMPANY, env={"OPENAI_API_KEY": "sk-set", "LITELLM_MASTER_KEY": ""})
    missing = next(line for line in report.splitlines() if line.startswith("warning: not set"))
    assert "LITELLM_MASTER_KEY" in missing
    assert "OPENAI_API_KEY" not in missing
    assert "sk-set" not in report + (tmp_path / "portfolio.yaml").read_text()  # never resolved


CANARIES = """\
model_list:
  - model_name: a
    litellm_params: &shared
      model: openai/some-model
      api_base: https://llm.example.com/v1
      api_key: sk-canary-1
      extra_headers: {Authorization: Bearer canary-2, Cookie: canary-3, X-Plain: canary-4}
      input_cost_per_token: 1e-6
      output_cost_per_token: 0.000002
  - model_name: b
    litellm_params:
      model: vertex_ai/gemini-1.5-pro-002
      vertex_project: acme
      vertex_credentials: {type: service_account, private_key: canary-5}
  - model_name: c
    litellm_params:
      model: bedrock/anthropic.claude-3-haiku-20240307-v1:0
      aws_secret_access_key: canary-6
      extra_body: {token: canary-7}
      unknown_secret: canary-8
  - model_name: d
    litellm_params: {<<: *shared, api_key: 12345678901, litellm_credential_name: team}
credential_list:
  - credential_name: team
    credential_values: {api_key: canary-9, unknown_token: canary-10}
    credential_info: {description: canary-11}
general_settings: {master_key: sk-canary-12, database_url: "postgresql://u:canary-13@db/x"}
router_settings: {redis_password: canary-14, routing_strategy: canary-15}
litellm_settings: {langfuse_secret: canary-16}
environment_variables: {LANGFUSE_SECRET_KEY: canary-17}
mcp_servers: {x: {auth_value: canary-18}}
"""


def test_literal_keys_are_carried_over_and_never_shown(tmp_path: Path) -> None:
    portfolio, report = imported(tmp_path, CANARIES)
    assert "canary" not in report
    assert "12345678901" not in report
    path = tmp_path / "portfolio.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    models = {model.name: model.deployments[0] for model in portfolio.models}
    assert models["a"].api_key == Secret("sk-canary-1")
    assert models["a"].headers["Cookie"] == Secret("canary-3")
    assert models["b"].params["vertex_credentials"] == Secret('{"type": "service_account", "private_key": "canary-5"}')
    assert models["c"].params["aws_secret_access_key"] == Secret("canary-6")
    assert models["d"].api_key == Secret("12345678901")
    assert portfolio.settings.keys == (Secret("sk-canary-12"),)
    assert report.count("a literal secret, carried over") == 9
    assert price_in(portfolio.models[0]) == 1.0
    text = path.read_text()
    assert not [n for n in (*range(8, 12), *range(13, 19)) if re.search(rf"canary-{n}\b", text)]


def test_without_out_literal_keys_become_references(tmp_path: Path) -> None:
    result = run(tmp_path, CANARIES, out=False)
    assert result.exit_code == 0, result.stderr
    assert "canary" not in result.output
    assert "12345678901" not in result.output
    assert "set API_KEY_6 to it, or write to a file with --out" in result.stderr
    (tmp_path / "printed.yaml").write_text(result.stdout)
    portfolio = load_portfolio(tmp_path / "printed.yaml", Everything())
    assert portfolio.models[0].deployments[0].api_key == Secret("value-of-API_KEY_6")
    assert os.listdir(tmp_path).count("portfolio.yaml") == 0


def test_a_literal_key_in_a_bad_configuration_is_not_shown(tmp_path: Path) -> None:
    bad = CANARIES.replace("input_cost_per_token: 1e-6", "rpm: canary-20\n      weight: [canary-21]")
    bad = bad.replace("https://llm.example.com/v1", "https://u:canary-22@llm.example.com/v1")
    assert "canary" not in "".join(problems(tmp_path, bad))
    for broken in ("api_key: *canary1", "api_key: !canary1 x", 'api_key: "canary1', "canary1"):
        assert "canary1" not in "".join(problems(tmp_path, "model_list:\n- litellm_params:\n    " + broken))


def test_an_existing_file_is_kept_without_force(tmp_path: Path) -> None:
    out = tmp_path / "portfolio.yaml"
    out.write_text("mine")
    refused = run(tmp_path, one("model: ollama/llama3"))
    assert refused.exit_code == 1
    assert "--force replaces it" in refused.stderr
    assert out.read_text() == "mine"
    assert run(tmp_path, "nonsense", "--force").exit_code == 1
    assert out.read_text() == "mine"
    assert run(tmp_path, one("model: ollama/llama3"), "--force").exit_code == 0
    assert load_portfolio(out, {}).models[0].name == "m"
    assert sorted(os.listdir(tmp_path)) == ["config.yaml", "portfolio.yaml"]


def test_the_configuration_itself_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(one("model: ollama/llama3"))
    result = CliRunner().invoke(main, ["import-config", "litellm", str(path), "--out", str(path), "--force"])
    assert result.exit_code == 1
    assert "the configuration itself" in result.stderr
    assert path.read_text() == one("model: ollama/llama3")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(one("model: ollama/llama3"))
    out = tmp_path / "gone" / "portfolio.yaml"
    arguments = ["import-config", "litellm", str(tmp_path / "config.yaml"), "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


async def test_an_imported_portfolio_serves(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("imported")) as provider:
        config = one(
            f"model: hosted_vllm/Qwen/Qwen2-7B-Instruct, api_base: '{provider.base_url}', api_key: os.environ/UP",
            "general_settings: {master_key: os.environ/MASTER}\nrouter_settings: {model_group_alias: {old-name: m}}\n",
        )
        assert run(tmp_path, config).exit_code == 0
        path = tmp_path / "portfolio.yaml"
        written = yaml.safe_load(path.read_text())
        written["gateway"]["record"] = str(tmp_path / "record.db")
        path.write_text(yaml.safe_dump(written))
        portfolio = load_portfolio(path, {"UP": "sk-up", "MASTER": "sk-master"})
        async with running(portfolio, key="sk-master") as gateway:
            for name in ("m", "old-name", "auto"):
                reply = await gateway.client.chat.completions.create(
                    model=name, messages=[{"role": "user", "content": "hello"}]
                )
                assert reply.choices[0].message.content == "imported"
            refused = await gateway.http.get("/v1/models", headers={"authorization": "Bearer sk-other"})
            assert refused.status_code == 401
        assert {call.body["model"] for call in provider.calls} == {"Qwen/Qwen2-7B-Instruct"}
        assert {call.headers["authorization"] for call in provider.calls} == {"Bearer sk-up"}
