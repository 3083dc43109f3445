"""Statements of other tools -> outcomes of the requests that they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.feedback.importing.statement import Statement
from gateway.feedback.outcome import IMPORT, Answered, Outcome
from gateway.feedback.outcomes import Outcomes

BATCH = 500  # statements whose requests are looked up at once


@dataclass(slots=True)
class Report:
    """What became of an import.

    Attributes:
        imported: outcomes that were written.
        usable: those of them that something can be learned from.
        unmatched: the names of statements that no request of the record belongs to.
        ambiguous: the names of those whose trace several models answered.
        without_score: why statements were left out -> how many.
    """

    imported: int = 0
    usable: int = 0
    unmatched: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    without_score: dict[str, int] = field(default_factory=dict)


async def import_statements(
    outcomes: Outcomes, tool: str, statements: Sequence[Statement], *, first: bool = False
) -> Report:
    """Writes the outcomes of the statements, whose source is `import:TOOL`. Of several about one request the newest counts; of
    those whose time is not known, the last.

    Args:
        first: of several requests with an id, the first is meant, as chat front ends ask for titles and tags after the answer. Else
            the last, which is the final answer of an agent, as long as the same model answered all of them.

    Raises:
        StoreUnavailable: the database cannot be used; batches before are written.
    """
    report = Report()
    scored = []
    for statement in statements:
        if statement.score is None:
            report.without_score[statement.reason] = report.without_score.get(statement.reason, 0) + 1
        else:
            scored.append(statement)
    scored.sort(key=lambda one: float("-inf") if one.time is None else one.time)  # both tools list the newest first
    for i in range(0, len(scored), BATCH):
        batch = scored[i : i + BATCH]
        named = await outcomes.named([id for statement in batch for id in statement.ids])
        found: dict[str, Outcome] = {}
        for statement in batch:
            request = _request(statement, named, report, first=first)
            if request is not None:
                found[request.request_id] = Outcome(request, IMPORT + tool, "feedback", statement.score)
        await outcomes.put_all(list(found.values()))
        report.imported += len(found)
        report.usable += sum(outcome.request.encoding is not None for outcome in found.values())
    return report


def _request(
    statement: Statement, named: Mapping[str, Sequence[Answered]], report: Report, *, first: bool
) -> Answered | None:
    requests = next((named[id] for id in statement.ids if id in named), None)
    if requests is None:
        report.unmatched.append(statement.name)
        return None
    if first:
        return requests[0]
    if len({request.model for request in requests}) > 1:
        report.ambiguous.append(statement.name)
        return None
    return requests[-1]
