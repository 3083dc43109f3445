"""The section `feedback` of a portfolio file: how outcomes of answers change the embeddings of models."""

from pydantic import Field

from gateway.config.field_types import Count, Duration, FileModel, Probability

HALF_LIFE_S = 30 * 86_400.0


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
