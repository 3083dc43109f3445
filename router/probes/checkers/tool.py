"""The checker `tool`: the answer calls the right tools with the right arguments, or none where none is right."""

import contextlib
import json

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.json_answer import canonical_json
from router.probes.json_types import JsonObject, JsonValue, as_json


def check_tool(spec: CheckerSpec, tool_calls: list[JsonObject], reference: JsonValue) -> Extracted:
    """Compares calls with the reference: `{"name": ..., "arguments": {...}}`, a list of them in any order, or `[]` for no call.

    The canonical form is the JSON of the calls in order of their text. With the option `accept`, an argument may have other
    values than the reference; those named in `optional` may be missing or have any value.
    """
    calls = [call_of(call) for call in tool_calls]
    case = spec.flag("case")
    canonical = canonical_calls(calls, case=case)
    wanted = [reference] if isinstance(reference, dict) else reference if isinstance(reference, list) else []
    expected = [item for item in wanted if isinstance(item, dict)]
    if len(calls) != len(expected):
        return Extracted(canonical, True, False)
    left = list(expected)
    for call in calls:
        match = next((item for item in left if _agrees(spec, call, item, case)), None)
        if match is None:
            return Extracted(canonical, True, False)
        left.remove(match)
    return Extracted(canonical, True, True)


def canonical_calls(calls: list[JsonObject], *, case: bool = False) -> str:
    """The JSON of calls, in order of their text."""
    return "[" + ",".join(sorted(canonical_json(call, case=case) for call in calls)) + "]"


def call_of(call: JsonObject) -> JsonObject:
    """Name and arguments of a call of chat completions; arguments that are not JSON stay text."""
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments: JsonValue = function.get("arguments") or "{}"
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError, RecursionError):
            arguments = as_json(json.loads(arguments))
    return {"name": function.get("name"), "arguments": arguments}


def _agrees(spec: CheckerSpec, call: JsonObject, expected: JsonObject, case: bool) -> bool:
    given, wanted = call["arguments"], expected.get("arguments", {})
    if call["name"] != expected.get("name") or not isinstance(given, dict) or not isinstance(wanted, dict):
        return False
    optional = spec.strings("optional")
    accept = spec.options.get("accept")
    others = accept if isinstance(accept, dict) else {}
    for name in given.keys() | wanted.keys():
        if name in optional:
            continue
        if name not in given or name not in wanted:
            return False
        more = others.get(name, [])
        allowed = [wanted[name], *(more if isinstance(more, list) else [])]
        if canonical_json(given[name], case=case) not in [canonical_json(item, case=case) for item in allowed]:
            return False
    return True
