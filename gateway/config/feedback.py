"""The section `feedback` of a portfolio file: how outcomes of answers change the embeddings of models, and who grades answers."""

from functools import cached_property
from typing import Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.config.field_types import AccessName, Count, Duration, FileModel, Name, Number, PolicyName, Probability
from router.probes.checker_spec import CheckerSpec, checker_spec

HALF_LIFE_S = 30 * 86_400.0
JUDGED_SHARE = 0.02
NOT_FOR_GRADERS = ("judge", "tool")  # checkers: a judge is named by `model`, and answers that call tools are not graded


class MatchEntry(FileModel):
    """Which requests a grader grades: those for which everything that is stated holds."""

    tags: list[AccessName] = Field([], description="The key has one of these tags")
    keys: list[AccessName] = Field([], description="Names of gateway keys")
    models: list[Name] = Field([], description="Models that answered")
    policies: list[PolicyName] = Field([], description="Policies that chose the model")
    metadata: dict[Name, str] = Field({}, description="Fields of the request's `metadata`, with their values")
    schema_asked: bool | None = Field(
        None, description="true: the request asks for an answer by a JSON schema; false: it does not. Default: either"
    )


class GraderEntry(FileModel):
    """Grades answers after they were sent: by `checker`, which is exact, or by the judgement of `model`."""

    name: AccessName = Field(description="Name of the grader; its outcomes have the source grader:NAME")
    checker: str | dict[str, Any] | None = Field(
        None,
        description="How an answer is checked: the name of a checker, or an object with `type` and options, as in a bank of "
        "probes. json_schema without `schema` takes the one that the request asks for",
    )
    reference: Any = Field(None, description="What the checker compares with")
    reference_metadata: Name | None = Field(
        None, description="The field of the request's `metadata` that has the reference, in place of `reference`"
    )
    reliability: Probability = Field(1.0, description="How many evaluations one outcome of the checker counts as")
    model: Name | None = Field(
        None, description="Name of the chat model that judges. It does not judge its own answers"
    )
    rubric: str = Field("", description="When an answer is good, for the model that judges. Default: complete and true")
    usd_per_day: Number = Field(1.0, description="Most that the model may cost in a day (UTC), in all processes, USD")
    sensitivity: Probability = Field(
        0.8, description="Share of right answers that the model calls good, until it is measured"
    )
    specificity: Probability = Field(
        0.8, description="Share of wrong answers that the model calls bad, until it is measured"
    )
    sample: Probability | None = Field(
        None, description=f"Share of the requests that are graded. Default: 1, or {JUDGED_SHARE:g} for a model"
    )
    match: MatchEntry = Field(MatchEntry(), description="Which requests are graded. Default: all")

    @model_validator(mode="after")
    def _check(self) -> "GraderEntry":
        if (self.checker is None) == (self.model is None):
            raise PydanticCustomError("grader", "expected exactly one of checker and model")
        if self.checker is None:
            return self
        try:
            spec = self.spec
        except ValueError as exc:
            raise PydanticCustomError("grader", "checker: {reason}", {"reason": str(exc)}) from exc
        if spec is not None and spec.type in NOT_FOR_GRADERS:
            raise PydanticCustomError("grader", "checker: {type} cannot grade requests", {"type": spec.type})
        return self

    @property
    def of_request(self) -> bool:
        """True if the checker takes its schema from the request."""
        options = {"type": self.checker} if isinstance(self.checker, str) else self.checker or {}
        return options.get("type") == "json_schema" and "schema" not in options

    @cached_property
    def spec(self) -> CheckerSpec | None:
        """The checker; None for a model, and for a checker that takes its schema from the request.

        Raises:
            ValueError: an unknown checker or option.
        """
        return None if self.checker is None or self.of_request else checker_spec(self.checker)

    @property
    def share(self) -> float:
        """The share of the requests that are graded."""
        return self.sample if self.sample is not None else 1.0 if self.model is None else JUDGED_SHARE


class FeedbackEntry(FileModel):
    """Outcomes of answers, and what they change. Without this section feedback is accepted, and changes nothing."""

    half_life: Duration = Field(
        HALF_LIFE_S, description="After this time an outcome counts half: seconds, or a text such as 30d"
    )
    source_cap: Probability = Field(
        0.10,
        description="Most weight of one source of feedback, as a share of the weight of graded evaluations of the same kind of "
        "question",
    )
    total_cap: Probability = Field(
        0.25, description="Most weight of all feedback together, as a share of the weight of graded evaluations"
    )
    refine_every: Duration = Field(3600.0, description="How often embeddings are refined by new outcomes")
    refine_outcomes: Count = Field(
        500, description="Number of new outcomes of a model after which its embedding is refined before that"
    )
    graders: list[GraderEntry] = Field([], max_length=20, description="What grades answers")

    @model_validator(mode="after")
    def _check(self) -> "FeedbackEntry":
        names = [grader.name for grader in self.graders]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError("grader", "two graders are named {name}", {"name": repr(name)})
        return self
