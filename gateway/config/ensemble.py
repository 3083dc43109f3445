"""The mapping `ensemble` of a policy: when several models are asked for one answer, how many, and what they may cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.config.field_types import FileModel, Name, Probability

Aggregate = Literal["auto", "fuse"]
LARGEST = 9  # members
MOST_CALLS = 50


@dataclass(frozen=True, slots=True)
class Ensemble:
    """How several models answer one request together.

    Attributes:
        size: most members, the models that are asked, from 2 to 9.
        first: members that are asked at once, from 1 to `size`; each further one is asked only if its answer can change the
            result.
        gap_below: the P(correct) of each member is less than this below the highest one.
        p_below: one model answers if the highest P(correct) is at least this.
        aggregate: "auto" compares the answers and sends one of them; with "fuse" the judge writes one from all of them.
        judge: name of the model that compares answers which cannot be compared by their text, or writes the fused one; never a
            member. None: such answers are not compared.
        max_calls: most calls of providers for a request: of members and judge, with all retries and stand-ins.
        max_usd: most USD that the calls of a request may be expected to cost together; None: no limit but budgets.
        tools: also asked while an agent's tool calls are under way.
        cheap_first: the cheapest members are asked first.
    """

    size: int = 3
    first: int = 2
    gap_below: float = 0.15
    p_below: float = 0.85
    aggregate: Aggregate = "auto"
    judge: str | None = None
    max_calls: int = 6
    max_usd: float | None = None
    tools: bool = False
    cheap_first: bool = False

    @property
    def least_calls(self) -> int:
        """The calls of a request whose members are all asked once: one each, and one of a judge that writes the answer."""
        return self.size + (self.aggregate == "fuse")

    def of_size(self, size: int) -> "Ensemble":
        """The same ensemble with another number of members."""
        return replace(self, size=size, first=min(self.first, size))


_DEFAULTS = Ensemble()


class WhenEntry(FileModel):
    """The requests for which several models are asked. For the others one model answers, as by a policy without an ensemble."""

    gap_below: Annotated[float, Field(gt=0, le=1)] = Field(
        _DEFAULTS.gap_below,
        description="At least two models have a P(correct) less than this below the highest one; only such models are asked",
    )
    p_below: Probability = Field(_DEFAULTS.p_below, description="The highest P(correct) is below this")


class CascadeEntry(FileModel):
    """The order in which the members are asked."""

    cheap_first: bool = Field(
        _DEFAULTS.cheap_first,
        description="Ask the cheapest members first, so that their agreement saves the dear ones. Default: the most probable first",
    )


class EnsembleEntry(FileModel):
    """Several models answer a request together, where P(correct) says that this helps."""

    size: Annotated[int, Field(ge=2, le=LARGEST)] = Field(
        _DEFAULTS.size, description="Most models that are asked. More than three rarely help, and five or more can harm"
    )
    first: Annotated[int, Field(ge=1, le=LARGEST)] = Field(
        _DEFAULTS.first,
        description="Models that are asked at once. Each further one is asked only if its answer can change the result",
    )
    when: WhenEntry = Field(WhenEntry(), description="The requests for which several models are asked")
    aggregate: Aggregate = Field(
        _DEFAULTS.aggregate,
        description="How one answer is made: auto: the answers are compared, and one of them is sent; fuse: the judge writes one "
        "answer from all of them",
    )
    judge: Name | None = Field(
        None,
        description="Model of this file that compares prose and code in pairs, or writes the answer with `aggregate: fuse`. It is "
        "never asked for an answer of its own. Default: prose and code are not compared, the most probable answer is sent",
    )
    max_calls: Annotated[int, Field(ge=2, le=MOST_CALLS)] | None = Field(
        None,
        description="Most calls of providers for one request: of members and judge, with all retries and stand-ins. Default: twice "
        "`size`",
    )
    max_usd: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        None,
        description="Most USD that the calls of one request may be expected to cost together; models whose price is not known are "
        "then not asked. Default: no limit but budgets",
    )
    tools: bool = Field(
        _DEFAULTS.tools,
        description="Also ask several models while an agent's tool calls are under way",
    )
    cascade: CascadeEntry = Field(CascadeEntry(), description="The order in which the models are asked")

    @model_validator(mode="after")
    def _check(self) -> "EnsembleEntry":
        if self.first > self.size:
            raise _contradiction(f"`first: {self.first}` is more than `size: {self.size}`")
        if self.aggregate == "fuse" and self.judge is None:
            raise _contradiction("`aggregate: fuse` needs a `judge`, the model that writes the answer")
        ensemble = self.settings
        if ensemble.max_calls < ensemble.least_calls:
            calls = (
                f"`max_calls: {self.max_calls}` is less than the {ensemble.least_calls} calls of `size: {self.size}`"
            )
            raise _contradiction(calls + (" and the judge" if self.aggregate == "fuse" else ""))
        return self

    @property
    def settings(self) -> Ensemble:
        """The settings in force."""
        return Ensemble(
            size=self.size,
            first=self.first,
            gap_below=self.when.gap_below,
            p_below=self.when.p_below,
            aggregate=self.aggregate,
            judge=self.judge,
            max_calls=2 * self.size if self.max_calls is None else self.max_calls,
            max_usd=self.max_usd,
            tools=self.tools,
            cheap_first=self.cascade.cheap_first,
        )


def _contradiction(message: str) -> PydanticCustomError:
    return PydanticCustomError("ensemble", "{message}", {"message": message})


def _mapping(value: object) -> object:
    """`true` is a mapping with every default, `false` none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


EnsembleSwitch = Annotated[
    EnsembleEntry | None, BeforeValidator(_mapping, json_schema_input_type=bool | EnsembleEntry | None)
]
DEFAULT_ENSEMBLES: Mapping[str, Ensemble] = {"panel": _DEFAULTS}  # of the policies that a file without policies has
