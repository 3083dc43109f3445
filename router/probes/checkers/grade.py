"""Grades an answer: takes out what it says, compares it, and decides whether there is anything to grade.

No answer is not a wrong answer. There is no score where the answer is empty, where the provider or the model refused, where the
text was cut before it stated a result, or where the check itself could not be made. A complete answer from which no result can
be taken is wrong.
"""

import asyncio

from router.probes.checkers.answer import Answer, Extracted, Grade
from router.probes.checkers.choice import check_choice
from router.probes.checkers.exact import check_exact
from router.probes.checkers.json_schema import check_json_schema
from router.probes.checkers.judge import Ask, judged
from router.probes.checkers.number import check_number
from router.probes.checkers.python import check_python
from router.probes.checkers.refusal import is_refusal
from router.probes.checkers.regex import check_regex
from router.probes.checkers.sandbox import SandboxError
from router.probes.checkers.short_text import bounded
from router.probes.checkers.tool import check_tool
from router.probes.checkers.visible import visible
from router.probes.probe import Probe

CUT = frozenset({"length", "max_tokens"})
EMPTY, REFUSED, CUT_SHORT, NO_JUDGE = "empty", "refused", "cut before an answer", "the checker judge needs a model"


def grade(probe: Probe, answer: Answer) -> Grade:
    """Grades an answer by every checker but `judge`. The checker `python` starts a process and waits for it.

    Args:
        answer: as the provider sent it, with reasoning tags if it has some.
    """
    text = visible(answer.text)
    missing = _missing(answer, text)
    if missing:
        return Grade(None, None, missing)
    if probe.checker.type == "judge":
        return Grade(None, None, NO_JUDGE)
    try:
        found = _extracted(probe, answer, text)
    except SandboxError as exc:
        return Grade(None, None, f"the sandbox is not available: {exc}")
    canonical = bounded(found.canonical)
    if answer.finish_reason in CUT and not found.complete:
        return Grade(None, canonical, CUT_SHORT)
    if (
        not found.correct and probe.checker.type != "tool" and is_refusal(text)
    ):  # with tools at hand it is no refusal, but wrong
        return Grade(None, None, REFUSED)
    return Grade(float(found.correct), canonical)


async def grade_with(probe: Probe, answer: Answer, ask: Ask) -> Grade:
    """Grades an answer by any checker, and blocks no event loop: `judge` awaits `ask`, every other runs in a thread.

    Raises: what `ask` raises.
    """
    if probe.checker.type != "judge":
        return await asyncio.to_thread(grade, probe, answer)
    text = visible(answer.text)
    missing = _missing(answer, text) or (CUT_SHORT if answer.finish_reason in CUT else "")
    if missing or is_refusal(text):
        return Grade(None, None, missing or REFUSED)
    return await judged(probe.query, text, probe.reference, probe.checker.text("rubric"), ask)


def _missing(answer: Answer, text: str) -> str:
    """Why there is nothing to grade; empty if there is."""
    if answer.finish_reason == "content_filter":
        return REFUSED
    if text or answer.tool_calls:
        return ""
    return CUT_SHORT if answer.finish_reason in CUT else EMPTY


def _extracted(probe: Probe, answer: Answer, text: str) -> Extracted:
    spec, reference = probe.checker, probe.reference
    match spec.type:
        case "choice":
            return check_choice(spec, text, reference)
        case "number":
            return check_number(spec, text, reference)
        case "regex":
            return check_regex(spec, text)
        case "json_schema":
            return check_json_schema(spec, text, reference)
        case "tool":
            return check_tool(spec, answer.tool_calls, reference)
        case "python":
            return check_python(spec, text)
        case _:
            return check_exact(spec, text, reference)
