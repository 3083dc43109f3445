"""What an answer votes for: the JSON, the tool calls, the letter, the number or the few words that it states.

It is found by the code that grades the answers to probes (`router/probes/checkers`), but more strictly: two answers are compared
with each other, not with a reference, so that nothing counts that two essays may share by chance.
"""

import re
from collections.abc import Sequence

from gateway.ensemble.chosen_option import chosen_option
from gateway.ensemble.json_key import json_key, json_text, key_of
from gateway.ensemble.key import Key
from gateway.ensemble.question import asks_number, asks_yes_no, options_in, without_subject
from gateway.ensemble.short_answer import (
    LONGEST_SEARCHED,
    MOST_CHARACTERS,
    bare_number,
    main_clause,
    number_in_sentence,
    short_answer,
)
from gateway.ensemble.stated_answer import Statement, statements
from gateway.request.chat_request import ChatRequest
from gateway.request.response_schema import response_schema
from router.probes.checkers.answer import Answer
from router.probes.checkers.grade import CUT
from router.probes.checkers.json_answer import strict_json
from router.probes.checkers.number import canonical_number
from router.probes.checkers.number_text import Number
from router.probes.checkers.refusal import is_refusal, knows_nothing
from router.probes.checkers.short_text import bounded
from router.probes.checkers.tool import call_of, canonical_calls
from router.probes.checkers.visible import plain_signs, visible, without_code
from router.probes.json_types import JsonObject

_YES_NO = re.compile(
    r"\W{0,6}(?:(?P<yes>yes|true|ja|oui|s[ií]|sì|sim|да|はい|是的?|对|예|네)|(?P<no>no|false|nein|nee|non|não|нет|いいえ|不是|否|不对|아니요))"
    r"(?![\w'])",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"\W*([^\W\d_]{1,2})\s*=")
_BOLD_AT_END = re.compile(r"^[^*\n]*\*\*([^*\n]{1,80})\*\*[\s.!]*(?:\([^()\n]*\))?[\s.!]*$")


def answer_key(answer: Answer, request: ChatRequest) -> Key | None:
    """What an answer votes for; None where there is nothing to count.

    Tool calls count as their names and arguments, in any order. Where the request asks for JSON, the JSON counts. Else the text
    counts for the final answer that it states: an option, a number, or at most 64 characters.

    None: prose and code without a stated answer, an answer that refuses, says that it does not know, is empty, was cut before it
    stated its answer, or is not the JSON that the request asks for.
    """
    cut = answer.finish_reason in CUT
    if answer.finish_reason == "content_filter":
        return None
    if answer.tool_calls:
        return None if cut else _calls(answer.tool_calls)
    if request.requires_json:
        return None if cut else json_key(answer.text, response_schema(request))
    text = visible(answer.text)
    if not text or is_refusal(text) or knows_nothing(text):
        return None
    query, text = request.query, without_code(plain_signs(text))
    stated = statements(text)
    if cut and not (stated and stated[-1].complete):
        return None
    return _option(text, stated, query) or _whole_json(answer.text) or _short(text, stated, query)


def abstains(answer: Answer, request: ChatRequest) -> bool:
    """Return True for an answer without a key that answers nothing, so that it must not count against others.

    It refuses, says that it does not know, is empty, was cut, or is not the JSON or the tool call that it had to be; or it chooses
    none of the options that the question shows. Of recorded answers of weak models to MMLU-Pro, not to count the last kind
    was worth half of what a vote gains.
    """
    if answer.finish_reason in CUT or answer.finish_reason == "content_filter":
        return True
    if answer.tool_calls or request.requires_json:
        return True
    text = visible(answer.text)
    return not text or is_refusal(text) or knows_nothing(text) or options_in(request.query) is not None


def _calls(tool_calls: Sequence[JsonObject]) -> Key | None:
    """The key of tool calls; None if the arguments of one are no JSON object, so that no tool can take them."""
    calls = [call_of(call) for call in tool_calls]
    if not all(isinstance(call["arguments"], dict) for call in calls):
        return None
    return Key("tools", bounded(canonical_calls(calls, case=True)) or "")


def _option(text: str, stated: Sequence[Statement], query: str) -> Key | None:
    options = options_in(query)
    if options is None or (not stated and "```" in text):
        return None
    chosen = chosen_option(text, stated, options)
    return None if chosen is None else Key("choice", chosen)


def _whole_json(text: str) -> Key | None:
    """The key of a text that is a JSON object, or a list of several items, although the request does not say that it must be."""
    found = json_text(text)
    value = None if found is None else strict_json(found)
    return key_of(value) if isinstance(value, dict) or (isinstance(value, list) and len(value) > 1) else None


def _short(text: str, stated: Sequence[Statement], query: str) -> Key | None:
    """The key of a number, of yes or no, or of a few words."""
    yes_no, counted = asks_yes_no(query), asks_number(query)
    if stated:
        said = [main_clause(one.text) for one in stated]
        return _joined(
            [(_yes_or_no(text) if yes_no else None) or short_answer(text, asks_number=counted) for text in said]
        )
    if "```" in text:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if yes_no and (answer := _yes_or_no(text)):
        return answer
    if (number := _number(lines, counted)) is not None:
        return Key("number", canonical_number(number.value))
    if len(text) > LONGEST_SEARCHED:
        return None
    if len(lines) == 1:
        bold = _BOLD_AT_END.match(lines[0])
        return short_answer(without_subject(lines[0], query) if bold is None else bold[1], asks_number=counted)
    return short_answer(" ".join(lines)) if len(text) <= MOST_CHARACTERS else None


def _yes_or_no(text: str) -> Key | None:
    match = _YES_NO.match(text)
    return None if match is None else Key("short", "yes" if match["yes"] else "no")


def _number(lines: Sequence[str], counted: bool) -> Number | None:
    """The number that a text without a marked answer gives.

    Args:
        counted: the question asks for a number; then the last line may be a sentence with one number, and the first one a
            number with its unit. Otherwise it must be the number alone, the only such line, at the end of a calculation.
    """
    last, *rest = (lines[-1], lines[0]) if len(lines) > 1 else lines
    if len({match[1] for line in lines[-2:] if (match := _ASSIGNED.match(line))}) > 1:  # values of two unknowns
        return None
    if counted:
        of_last = bare_number(last, with_unit=True) or number_in_sentence(last)
        return of_last or next((n for line in rest if (n := bare_number(line, with_unit=True))), None)
    if rest and not any("=" in line or "≈" in line for line in lines):
        return None
    alone = [number for line in lines if (number := bare_number(line)) is not None]
    return bare_number(last) if len(alone) == 1 else None


def _joined(keys: Sequence[Key | None]) -> Key | None:
    """One key for all statements of a text; None if one of them is not countable."""
    if any(key is None for key in keys):
        return None
    known = list(dict.fromkeys(key for key in keys if key is not None))
    return known[0] if len(known) == 1 else Key(known[0].kind, bounded("|".join(key.value for key in known)) or "")
