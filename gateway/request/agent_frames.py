"""Finds the question of a user in a message that an agent wrote around it: in fields, in a protocol, or after a label."""

import re
from collections.abc import Iterable
from itertools import islice

from gateway.request.sections import SEARCHED_LINES, in_code

_FIELD = re.compile(r"^\[\[ ## (\w{1,100}) ## \]\][ \t]*$", re.MULTILINE)
_DECLARED = re.compile(r"^\d+\. `(\w{1,100})`", re.MULTILINE)
# Words in the names of fields that ask, and of fields that only inform.
_ASKING = {
    "question",
    "query",
    "task",
    "request",
    "prompt",
    "message",
    "problem",
    "instruction",
    "instructions",
    "input",
    "goal",
}
_GIVEN = {
    "context",
    "passages",
    "documents",
    "document",
    "history",
    "trajectory",
    "tools",
    "examples",
    "facts",
    "sources",
}

_BEGIN = re.compile(r"^Begin!", re.MULTILINE)
_QUESTION = re.compile(r"^Question:[ \t]*", re.MULTILINE)

_TASK_LABELS = ("New task:", "Current Task:")
_TASK = re.compile(r"^(?:New task:[ \t]*$|Current Task:[ \t]*)", re.MULTILINE)
_CRITERIA = re.compile(r"^(?:This is|These are|Here (?:is|are)) the expected [^\n]{0,100}:", re.MULTILINE)
_STEP = re.compile(r"^(?:Observation:[ \t]*|Call id: [^\n]{1,200})$", re.MULTILINE)  # of smolagents, joined to the task
_TASK_TAIL = re.compile(
    r"^(?:Begin! |Provide your complete response:|You have been provided with these additional arguments\b)",
    re.MULTILINE,
)
_INNER_TASK, _INNER_END = "\n---\nTask:\n", "\n---\n"

# Constant texts that LangChain adds after the words of the user, by a character that they contain or that follows: the format of
# the answer, and the work up to now.
_ADDED = (
    ("`", "\nYou must format your output as a JSON value that adheres to "),
    ("`", "\nThe output should be formatted as a JSON instance that "),
    ("`", "\nThe output should be a markdown code snippet formatted in "),
    ("(", "\nThis was your previous work ("),
    ("(", "\n (reminder to respond "),
    ("(", "\n(Reminder to respond "),
)


def framed_question(text: str, system: Iterable[str], template: bool) -> str | None:
    """Return the user's question in fields, after the label of a task or in a protocol; None if the message is no such frame.

    Args:
        text: the message without the elements of agents.
        system: the texts of the system messages; they name the fields.
        template: the value of `is_template(text)`.
    """
    return _in_fields(text, system) or task(text, template) or (_in_protocol(text) if template else None)


def is_task(text: str) -> bool:
    """Return True if an agent certainly labels the tasks of this conversation: later messages without a label are its own."""
    start = text.lstrip()
    return start.startswith("New task:\n") or (start.startswith("Current Task:") and _CRITERIA.search(text) is not None)


def task(text: str, template: bool) -> str | None:
    """Return the task after the label `New task:` or `Current Task:` (smolagents, CrewAI); None without a label.

    The criteria for the answer and the appeals after it belong to the template.
    """
    if not template and not text.lstrip().startswith(_TASK_LABELS):
        return None
    label = _TASK.search(text)
    if label is None:
        return None
    start = label.end()
    if (step := _STEP.search(text, start)) is not None:
        text = text[: step.start()]
    end = _last(_CRITERIA, text, start)
    if end is None and text[: label.start()].strip():
        return None
    if end is None:
        end = _last(_TASK_TAIL, text, start)
    question = text[start:end].strip()
    inner = question.find(_INNER_TASK)
    if inner >= 0 and question.startswith(("You are", "You're")):  # of a managed agent
        close = question.rfind(_INNER_END)
        question = question[inner + len(_INNER_TASK) : close if close > inner else None].strip()
    return question or None


def in_fields(text: str) -> bool:
    """Return True if a message is in fields, `[[ ## question ## ]]` (dspy)."""
    return text.lstrip().startswith("[[ ## ")


def _in_fields(text: str, system: Iterable[str]) -> str | None:
    """Return the values of the fields that ask; of all fields that do not only inform, if no name says that it asks."""
    if not in_fields(text):
        return None
    text = text.strip()
    declared = {name for message in system if "[[ ## " in message for name in _DECLARED.findall(message)}
    fields: dict[str, str] = {}
    name, start = "", 0
    for header in islice(_FIELD.finditer(text), SEARCHED_LINES):
        found = header.group(1)
        if found in fields or found == name or (declared and found not in declared):
            continue  # a line of the value
        if name:
            fields[name] = text[start : header.start()].strip()
        name, start = found, header.end()
    value, _, last = text[start:].strip().rpartition("\n\n")
    requires = "\n" not in last and last.startswith("Respond with ") and "`" in last
    if not name or not (requires or declared):  # a user's own text about such fields
        return None
    fields[name] = value.strip() if requires else text[start:].strip()
    asking = [value for field, value in fields.items() if _ASKING.intersection(field.split("_"))]
    others = [value for field, value in fields.items() if not _GIVEN.intersection(field.split("_"))]
    return "\n".join(asking or others or fields.values()) or None


def _in_protocol(text: str) -> str | None:
    """Return the question after `Begin!` in a prompt that describes a protocol of `Thought:`, `Action:`, `Observation:`."""
    described = text.find("\nObservation:")
    begin = None if described < 0 or "\nThought:" not in text else _BEGIN.search(text, described)
    label = None if begin is None else _QUESTION.search(text, begin.end())
    if label is None:
        return None
    start = label.end()
    action = text.find("\nAction:", start)
    end = text.rfind("\nThought:", start, action if action >= 0 else len(text))
    if end < 0:
        end = text.rfind("\nThought:", start)
    return text[start : end if end >= 0 else None].strip() or None


def without_added(text: str) -> str | None:
    """Return the text before the first constant text that a library adds; None if there is none, or if the user quotes it."""
    starts = [at for sign, added in _ADDED if sign in text and (at := text.find(added)) > 0]
    if not starts or in_code(text, min(starts)):
        return None
    words = text[: min(starts)].strip()
    return None if words.endswith((":", "：")) or not text.endswith(("```", ")", "Thought:")) else words or None


def _last(pattern: re.Pattern[str], text: str, start: int) -> int | None:
    found = None
    for match in islice(pattern.finditer(text, start), SEARCHED_LINES):
        found = match.start()
    return found
