"""The section `drift` of a portfolio file: how the gateway notices that a provider has changed a model."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.field_types import Duration, FileModel, Name, SecretKey
from gateway.config.onboarding import SHIPPED_BANK

LEAST_PROBES = 16


class DriftEntry(FileModel):
    """Probes that are asked again and again, and what happens when the answers change. Without this section nothing is asked."""

    probes: Annotated[int, Field(ge=LEAST_PROBES, le=512)] = Field(
        64, description="Probes of each deployment, those that tell its model from the nearest other ones"
    )
    per_round: Annotated[int, Field(ge=1, le=64)] = Field(8, description="Probes that are asked in a round")
    every: Duration = Field(21_600.0, description="Time between two rounds: seconds, or a text such as 6h")
    false_alarms: Annotated[float, Field(gt=0, le=0.1)] = Field(
        0.001, description="Share of deployments that ever give an alarm although nothing has changed, at most"
    )
    then: Literal["tell", "suspect", "quarantine"] = Field(
        "suspect",
        description="What an alarm does besides telling: suspect: `auto` is more cautious with the model; quarantine: `auto` does "
        "not choose it",
    )
    usd_per_day: Annotated[float, Field(gt=0, le=10_000)] = Field(
        0.5, description="Most USD that probes of all deployments together may cost in 24 hours"
    )
    bank: Name = Field(SHIPPED_BANK, description="Bank of probes: the shipped one, or a JSONL or CSV file")
    webhook: SecretKey | None = Field(
        None, description="URL that gets each event as JSON by POST, as os.environ/NAME or file:PATH"
    )
