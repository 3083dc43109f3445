"""docs/configuration.md is what the models of the portfolio file give."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from gateway.config.access import BudgetEntry, KeyEntry, NearLimitEntry, TeamEntry
from gateway.config.documentation import configuration_page, type_name
from gateway.config.ensemble import CascadeEntry, EnsembleEntry, WhenEntry
from gateway.config.field_types import Seconds, SecretKey
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingModelEntry,
    ModelEntry,
    PolicyEntry,
    PortfolioEntry,
    PriceEntry,
    PriceTierEntry,
)
from gateway.config.settings import Hedging, Settings, UtilityCalls

DOCS = Path(__file__).parents[3] / "docs"
MODELS = (
    PortfolioEntry, ModelEntry, PriceEntry, PriceTierEntry, EmbeddingModelEntry, DeploymentEntry, PolicyEntry, Settings, UtilityCalls,
    Hedging, KeyEntry, TeamEntry, BudgetEntry, NearLimitEntry, EnsembleEntry, WhenEntry, CascadeEntry,
)  # fmt: skip


def test_the_page_on_disk_is_the_generated_one() -> None:
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == configuration_page()


@pytest.mark.parametrize("model", MODELS)
def test_each_key_has_a_row_and_a_description(model: type[BaseModel]) -> None:
    page = configuration_page()
    for key, field in model.model_fields.items():
        assert field.description, key
        assert f"| `{key}` | " in page


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, "text"),
        (Seconds, "number"),
        (bool | None, "true or false or null"),
        (list[int], "list of whole number"),
        (tuple[SecretKey, ...], "list of text"),
        (dict[str, float], "mapping of text to number"),
        (Literal["a", "b"], "`a` or `b`"),
        (Settings | None, "mapping or null"),
    ],
)
def test_types_in_plain_english(annotation: object, expected: str) -> None:
    assert type_name(annotation) == expected
