"""All questions of the shipped bank, in its order."""

from collections.abc import Iterator

from router.probes.generators import code, everyday, extraction, instructions, logic, mathematics, tools
from router.probes.generators.draft import Draft, drafts
from router.probes.generators.written_questions import written_drafts

_GENERATED = {
    "mathematics": mathematics.SERIES,
    "code": code.SERIES,
    "logic": logic.SERIES,
    "extraction": extraction.SERIES,
    "tools": tools.SERIES,
    "instructions": instructions.SERIES,
    "everyday": everyday.SERIES,
}
_WRITTEN = {"knowledge": "knowledge", "languages": "language", "everyday": "everyday"}


def questions() -> Iterator[tuple[str, str, Draft]]:
    """(kind, id, draft) of each question.

    Raises:
        DisagreementError: two computations of an answer differ.
    """
    for kind, series in _GENERATED.items():
        yield from ((kind, identifier, draft) for identifier, draft in drafts(kind, series))
    for table, kind in _WRITTEN.items():
        yield from written_drafts(table, kind)
