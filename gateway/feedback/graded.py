"""What a grader sees of a request, for as long as it grades: the texts are not stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.config.feedback import GraderEntry, MatchEntry
from gateway.core.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether a request is graded.

    Attributes:
        key: name of the gateway key; None without one.
        schema: the JSON schema that the request asks for; None if it asks for none.
        metadata: the client's own.
        may_see: True if this model of the portfolio may see the texts: neither the key nor the request forbids it to answer.
    """

    model: str
    policy: str | None
    key: str | None
    tags: tuple[str, ...]
    schema: JsonObject | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    may_see: Callable[[str], bool] = lambda model: True


@dataclass(frozen=True, slots=True)
class AnsweredText:
    """A request with the text of its answer.

    Attributes:
        deployment: the id of the one that answered.
        time: of the request, seconds since the epoch.
        query: the text by which the request is routed.
        answer: the visible text.
        packed: the query's encoding, as in the record; None if the router did not encode it.
        chosen_by_vote: an ensemble chose the answer, so that its grade says nothing of the model.
    """

    request_id: str
    facts: Facts
    deployment: str
    time: float
    query: str
    answer: str
    finish_reason: str | None
    packed: tuple[bytes, bytes] | None = field(repr=False, default=None)
    chosen_by_vote: bool = False

    @property
    def chars(self) -> int:
        """The length of its texts."""
        return len(self.query) + len(self.answer)


def matches(grader: GraderEntry, facts: Facts) -> bool:
    """True if the grader grades such requests."""
    match = grader.match
    if grader.of_request and facts.schema is None:
        return False
    if grader.model is not None and (grader.model == facts.model or not facts.may_see(grader.model)):
        return False  # a model does not judge its own answers
    if grader.reference_metadata is not None and not isinstance(facts.metadata.get(grader.reference_metadata), str):
        return False
    return _of_client(match, facts) and (
        (not match.models or facts.model in match.models) and (not match.policies or facts.policy in match.policies)
    )


def _of_client(match: MatchEntry, facts: Facts) -> bool:
    return (
        (not match.tags or not set(match.tags).isdisjoint(facts.tags))
        and (not match.keys or facts.key in match.keys)
        and all(facts.metadata.get(name) == value for name, value in match.metadata.items())
        and (match.schema_asked is None or match.schema_asked == (facts.schema is not None))
    )
