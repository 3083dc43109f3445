"""Finds the request field that an error is about, and if the field is unknown or only its value is refused. Pure functions."""

import re

from gateway.provider_errors.causes import ALTERNATIVE_NAME, OPTIONAL_FIELDS

# Fields that change the meaning of the answer. They are never dropped; another model is called instead.
MODEL_FIELDS = frozenset(
    """temperature top_p top_k min_p presence_penalty frequency_penalty repetition_penalty stop tools tool_choice functions
    function_call response_format logprobs top_logprobs logit_bias n modalities audio prediction thinking
    web_search_options stream dimensions encoding_format input_type suffix echo best_of reasoning_content""".split()  # noqa: SIM905
)
_ALIASES = {  # other names that servers use for a field
    "reasoning": "reasoning_content",
    "reasoning_details": "reasoning_content",
    "stop_sequences": "stop",
    "max_output_tokens": "max_tokens",
    "output_config": "reasoning_effort",
}
_OPTIONAL = frozenset(OPTIONAL_FIELDS) | frozenset(ALTERNATIVE_NAME)
_FIELDS = _OPTIONAL | MODEL_FIELDS | frozenset(_ALIASES)
VOCABULARY = _FIELDS | {"developer", "system", "user", "assistant", "tool", "function", "messages", "content", "model"}
_PLAIN = ("temperature", "verbosity")  # like names with an underscore, these have no other meaning in a sentence


def _any_of(names: frozenset[str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=lambda name: (-len(name), name)))


_ALL = _any_of(_FIELDS)
_CLEAR = _any_of(frozenset(name for name in _FIELDS if "_" in name or name in _PLAIN))
_NAMED = re.compile(
    rf"(?<![\w.])(?P<clear>{_CLEAR})\b"
    rf"|[\"'`](?:\$\.)?(?P<quoted>{_ALL})[\"'`]"
    rf"|\b(?:argument|parameter|field|property|key|input|param|name)s?(?: supplied| provided| named)?[ :]{{1,2}}(?P<after>{_ALL})\b"
    rf"|(?:^|; |body/)(?P<path>{_ALL})(?=[:.\[]| must\b)"
    rf"|\b(?P<before>{_ALL}) (?:parameter|argument|field|option|value|property)\b"
)
_CALL_ID = re.compile(r"tool_calls?\b.{0,12}\bid$|tool_call_id$|tool_use(?:\.|_)id$|tooluseid$")
_UNKNOWN = re.compile(
    r"(?:unsupported|unknown|unexpected|invalid|unrecogni[sz]ed)(?:_| |\b.{0,3} )(?:request )?(?:keyword )?"
    r"(?:parameter|argument|property|name)s?\b(?! value)"
    r"|(?:unknown|unexpected|unrecogni[sz]ed) (?:request )?(?:field|key|option)"
    r"|extra(?: inputs?| fields?)?(?: are| is)? not (?:permitted|allowed)|extra_forbidden|extra fields"
    r"|additional propert(?:y|ies)"
    r"|cannot find field"
)
_NOT_KNOWN = (
    r"[\"'`]?(?: parameter| argument| field| property| option)?(?: is| are)? "
    r"(?:not (?:yet )?(?:supported|allowed|permitted|recogni[sz]ed|implemented|known)|unsupported|unknown|unrecogni[sz]ed)\b"
    r"(?! (?:when|if|unless|for|together|in combination|without)\b)"
)
_VALUE = re.compile(
    r"(?:unsupported|invalid)[_ ]value|\b(?:integer|decimal|string|array|object)_(?:above|below)_"
    r"|invalid value|only (?:allowed|supported|available|permitted|valid) (?:when|with|if|for)"
)
_THIS_MODEL = re.compile(
    r"\b(?:this|the|selected|requested|current) model\b"
    r"|\bmodel\b.{0,100}(?:does(?: not|n't) support|not supported|only supports|cannot)"
    r"|(?:is|are) not (?:supported|enabled|implemented)\b|enable_thinking must be"
    r"|not supported (?:by|for|on|with|in) |unsupported (?:value|operation|feature)|not (?:available|supported) (?:for|on|with) "
)


def named_field(param: str | None, text: str) -> str | None:
    """Return the field that an error is about, or None.

    It is one of `OPTIONAL_FIELDS`, `ALTERNATIVE_NAME`, `MODEL_FIELDS`, or `tool_call_id`.

    Args:
        param: the field or path that the error contains as a separate value.
        text: the error message in lower case.
    """
    if param is not None:
        param = param.lower()
        if _CALL_ID.search(param):
            return "tool_call_id"
        parts = [part for part in re.split(r"[.\[\]/]+", param) if part and not part.isdigit()]
        for part in (*parts[:1], *parts[-1:]):
            if part in _FIELDS:
                return _ALIASES.get(part, part)
        if parts:
            return None
    if (match := _NAMED.search(text)) is None:
        return None
    name = next(name for name in match.groupdict().values() if name)
    return _ALIASES.get(name, name)


def is_optional_field(field: str) -> bool:
    """Return True if the field can be dropped without changing the meaning of the answer."""
    return field in _OPTIONAL


def is_unknown_field(field: str, codes: frozenset[str], text: str) -> bool:
    """Return True if the error says that the field itself is unknown, and not only that its value is refused."""
    if codes & {"unsupported_parameter", "unknown_parameter", "extra_forbidden"}:
        return True
    if codes & {"unsupported_value", "invalid_value"} or _VALUE.search(text):
        return False
    if _UNKNOWN.search(text):
        return True
    return re.search(rf"\b{re.escape(field)}{_NOT_KNOWN}", text) is not None


def is_model_limitation(text: str) -> bool:
    """Return True if the error message, in lower case, says that this model does not support something."""
    return _THIS_MODEL.search(text) is not None
