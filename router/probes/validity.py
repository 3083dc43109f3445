"""Whether a checker can compare answers with a reference, and the answer that a reference stands for."""

import json

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Answer
from router.probes.checkers.choice import letters_of
from router.probes.checkers.exact import canonical_literal
from router.probes.checkers.json_schema import check_schema
from router.probes.checkers.number import reference_number
from router.probes.checkers.number_text import Decimal
from router.probes.json_types import JsonObject, JsonValue


def check_reference(checker: CheckerSpec, reference: JsonValue, tools: list[JsonObject]) -> None:
    """Checks what only shows when checker, reference and tools are seen together.

    Raises:
        ValueError: the message names the field, and what it needs.
    """
    if checker.type in ("choice", "number", "exact", "tool") and reference is None:
        raise ValueError(f"reference: missing, and the checker {checker.type} compares with it")
    match checker.type:
        case "choice" if reference not in [*letters_of(checker)]:
            raise ValueError(f"reference: expected a letter from A to {letters_of(checker)[-1]}, found {reference!r}")
        case "number" if reference_number(reference, _decimal(checker)) is None:
            raise ValueError(f"reference: expected one number, found {reference!r}")
        case "exact":
            _check_exact(checker.text("compare", "text"), reference)
        case "regex" | "python" if reference is not None and not isinstance(reference, str):
            raise ValueError(f"reference: {checker.type} takes a right answer as text, found {reference!r}")
        case "json_schema":
            schema = checker.options["schema"]
            check_schema(schema if isinstance(schema, dict) else {})
        case "tool":
            _check_tool(reference, tools)


def _decimal(checker: CheckerSpec) -> Decimal:
    return "," if checker.text("decimal", ".") == "," else "."


def _check_exact(compare: str, reference: JsonValue) -> None:
    if isinstance(reference, list) and compare not in ("list", "set"):
        raise ValueError("reference: a list needs the option compare: list or set")
    if isinstance(reference, dict):
        raise ValueError(f"reference: exact compares texts and lists, found {reference!r}")
    if compare == "literal" and canonical_literal(str(reference)) is None:
        raise ValueError(f"reference: expected a Python literal, found {reference!r}")


def _check_tool(reference: JsonValue, tools: list[JsonObject]) -> None:
    if not tools:
        raise ValueError("tools: missing, and the checker tool compares calls of them")
    functions = [tool["function"] for tool in tools]
    names = [function["name"] for function in functions if isinstance(function, dict)]
    for call in _calls(reference):
        if call.get("name") not in names or not isinstance(call.get("arguments", {}), dict):
            raise ValueError(
                f"reference: expected calls of {', '.join(map(str, names))} with `arguments`, found {call!r}"
            )


def _calls(reference: JsonValue) -> list[JsonObject]:
    calls = reference if isinstance(reference, list) else [reference]
    found = [call for call in calls if isinstance(call, dict)]
    if len(found) != len(calls):
        raise ValueError(
            f'reference: expected {{"name": ..., "arguments": {{...}}}} or a list of them, found {reference!r}'
        )
    return found


def right_answer(checker: CheckerSpec, reference: JsonValue) -> Answer | None:
    """An answer that says what the reference says; None if there is none, as for a judge or a pattern without an example."""
    if reference is None or checker.type == "judge":
        return None
    if checker.type == "tool":
        calls: list[JsonObject] = [
            {"type": "function", "function": {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))}}
            for call in _calls(reference)
        ]
        return Answer("" if calls else "No call is needed.", calls)
    if checker.type == "json_schema":
        return Answer(json.dumps(reference, ensure_ascii=False))
    if isinstance(reference, list):
        return Answer("\n".join(f"- {item}" for item in reference))
    return Answer(str(reference))
