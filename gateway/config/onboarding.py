"""How a model is onboarded: the mapping `onboard` of a model in a portfolio file, the options of `locus onboard`, and the body of
`POST /admin/models/{name}/onboard`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.config.field_types import FileModel, Name

SHIPPED_BANK = "locus-bank"
MOST_PROBES = 10_000


class OnboardEntry(FileModel):
    """How a model is onboarded: the probes that are asked, and what they may cost."""

    probes: Annotated[int, Field(ge=8, le=MOST_PROBES)] = Field(64, description="Most probes that are asked")
    usd: Annotated[float, Field(gt=0, le=10_000)] = Field(
        2.0, description="Most USD that they may cost; no probe is asked that could cost more than is left"
    )
    target_error: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="No more probes are asked once the mean standard error of P(correct) is this low. Default: all probes",
    )
    then: Literal["limited", "live"] = Field(
        "limited",
        description="State afterwards: limited: `auto` gives the model a tenth of the requests at most, with caution, for 200 "
        "requests; live: `auto` chooses it as any other model",
    )
    bank: Name = Field(SHIPPED_BANK, description="Bank of probes: the shipped one, or a JSONL or CSV file")
    judge: Name | None = Field(
        None, description="Model that grades the answers to probes with the checker judge. Default: those are not asked"
    )
    unpriced: Literal["refuse", "free"] | None = Field(
        None,
        description="What happens if the price of a deployment is not known: refuse: nothing is asked; free: it counts as free. "
        "Default: as `unpriced` of the model",
    )
    parallel: Annotated[int, Field(ge=1, le=64)] = Field(4, description="Most probes that are asked at once")

    @staticmethod
    def fields_of(own: "OnboardEntry | None", given: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the file, and in their place those that are given for once.

        Args:
            own: of the model in the portfolio file.
        """
        return ({} if own is None else own.model_dump(exclude_unset=True)) | dict(given)
