"""The models that the shipped portfolios, `locus init` and the documentation name: current, in the model space, and at their price.

Current means: on the date of the release, which the changelog states, LiteLLM's table knows the model and does not say that it
ends within 90 days.
"""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from gateway.commands.starter import HOSTED, KEYS, starter_text
from gateway.config.documentation import configuration_page
from gateway.config.examples import example_of
from gateway.config.litellm_table import model_facts, table_entry
from gateway.config.portfolio_file import load_portfolio
from gateway.config.providers import OLLAMA_ADDRESS, OPENAI_COMPATIBLE, THROUGH_LITELLM
from gateway.routing.model_embeddings import find_embedding
from router.model.serving import SPACE
from router.model.space import ModelSpace

ROOT = Path(__file__).parents[3]
SPACE_OF_TODAY = ModelSpace.load(SPACE)
SHIPPED = sorted([*(ROOT / "config").glob("*.yaml"), *(ROOT / "config/examples").glob("*.yaml")])
PROVIDERS = (OPENAI_COMPATIBLE | THROUGH_LITELLM).values()
ALL_KEYS = {
    key: "sk-1" for key in ("LOCUS_KEY", "VLLM_API_KEY", *(p.key_variable for p in PROVIDERS)) if key is not None
}
REST_OF_LIFE = timedelta(days=90)
# Names that LiteLLM's table does not have: local servers run what was pulled, and its list of OpenRouter's models is empty.
# Each is the same model as one that the table knows at another provider.
SAME_MODEL = {
    "ollama/gemma4:31b": "deepinfra/google/gemma-4-31B-it",
    "ollama/gemma4:e4b": "deepinfra/google/gemma-4-E4B-it",
    "ollama/gpt-oss:20b": "deepinfra/openai/gpt-oss-20b",
    "ollama/ministral-3:8b": "mistral/ministral-8b-2512",
    "ollama/qwen3.5:9b": "deepinfra/Qwen/Qwen3.5-9B",
    "hosted_vllm/Qwen/Qwen3.5-9B": "deepinfra/Qwen/Qwen3.5-9B",
    "hosted_vllm/Qwen/Qwen3.6-27B": "deepinfra/Qwen/Qwen3.6-27B",
    "hosted_vllm/openai/gpt-oss-120b": "deepinfra/openai/gpt-oss-120b",
} | {
    model.deployments["openrouter"]: model.listed_as or next(iter(model.deployments.values()))
    for model in HOSTED
    if "openrouter" in model.deployments
}


def release_date() -> date:
    """The first date in a heading of the changelog: of the release that the file is written for."""
    found = re.search(r"^## .*(\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return date.fromisoformat(found[1])


def deployed(text: str) -> list[str]:
    return re.findall(r"\bmodel: ([a-z_]+/[^\s,}\]`]+)", text)


def starter() -> str:
    return starter_text(list(KEYS), [], SPACE_OF_TODAY.models, OLLAMA_ADDRESS)


TEXTS = {
    **{str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (*SHIPPED, ROOT / "README.md")},
    "locus init": starter(),
    "docs/configuration.md": configuration_page(),
    "an example in an error": example_of(("models", 0, "deployments", 0, "model")),
}
NAMED = sorted({(where, name) for where, text in TEXTS.items() for name in deployed(text) if "embedding" not in name})


@pytest.mark.parametrize(("where", "name"), NAMED)
def test_a_model_that_we_name_is_current(where: str, name: str) -> None:
    entry = table_entry(SAME_MODEL.get(name, name))
    assert entry is not None, f"{where}: LiteLLM's table does not know {name}"
    ends = entry.get("deprecation_date")
    assert ends is None or date.fromisoformat(str(ends)) - release_date() > REST_OF_LIFE, f"{where}: {name} ends {ends}"


@pytest.mark.parametrize("name", SAME_MODEL)
def test_a_name_that_the_table_lacks_means_the_model_that_it_stands_for(name: str) -> None:
    [family], [same] = (SPACE_OF_TODAY.families.find(one) for one in (name, SAME_MODEL[name]))
    assert family.name == same.name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_auto_chooses_among_all_models_of_a_shipped_portfolio(path: Path) -> None:
    portfolio = load_portfolio(path, ALL_KEYS)
    assert portfolio.warnings == ()
    assert [m.name for m in portfolio.models if find_embedding(m, SPACE_OF_TODAY).family is None] == []


def test_auto_chooses_among_all_models_that_init_writes(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.yaml"
    path.write_text(starter(), encoding="utf-8")
    portfolio = load_portfolio(path, ALL_KEYS)
    assert len(portfolio.models) == len(HOSTED)
    assert [m.name for m in portfolio.models if find_embedding(m, SPACE_OF_TODAY).family is None] == []


@pytest.mark.parametrize("path", [ROOT / "config/portfolio.yaml"], ids=lambda path: path.name)
def test_a_stated_price_is_that_of_the_first_host_in_the_table(path: Path) -> None:
    for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]:
        if (price := model.get("price")) is None:
            continue
        listed = next(facts for d in model["deployments"] if (facts := model_facts(d["model"])) is not None)
        assert listed.price is not None
        assert price == listed.price.stated, model["name"]
