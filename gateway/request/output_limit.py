"""The client's limit of the answer's length, cut to what a model has room for. Agents always ask for 32,000 tokens and more.

The window of a model holds prompt and answer, and many servers refuse a request whose limit does not fit beside the prompt.
"""

from dataclasses import replace
from typing import Any

import orjson

from gateway.config.portfolio import Model
from gateway.request.request import Request
from gateway.request.requirements import Requirements

MARGIN = 0.1  # of the prompt: tokenizers differ by some percent
MARGIN_TOKENS = 128  # what a chat template and its tools add
LEAST_THINKING_TOKENS = 1_024  # the smallest budget for thinking that Anthropic takes
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")

Fields = dict[str, Any]


def needs_exact_prompt_tokens(requirements: Requirements, model: Model) -> bool:
    """Whether the prompt's tokens must be counted to know if the client's limit fits into the window."""
    asked, window = requirements.output_tokens, model.context_window
    if (
        asked is None
        or requirements.prompt_tokens_exact
        or not model.window_known
        or _with_margin(2 * requirements.prompt_tokens) + asked <= window
    ):
        return False  # few texts have more than one token in two characters
    return requirements.prompt_tokens // 2 < window < requirements.max_prompt_tokens + asked


def with_fitting_output_limit(request: Request, requirements: Requirements, model: Model) -> Request:
    """The request with a limit that the model takes; the same where it has one.

    A prompt that leaves no room stays as it is: the provider says how long it is, or how long the window where that is not known.

    Args:
        need: the request's, with the prompt's tokens counted where they are in doubt.
    """
    asked = requirements.output_tokens
    if asked is None:
        return request
    room = model.context_window - _with_margin(requirements.prompt_tokens) if model.window_known else asked
    most = room if model.max_output_tokens is None else min(room, model.max_output_tokens)
    if asked <= most or room < 1:
        return request
    fields = _with_limit(request.fields, most)
    native = request.native
    if native is not None:
        changed = _with_limit(native.fields, most)
        native = replace(native, fields=changed, body=orjson.dumps(changed))
    return replace(request, fields=fields, body=orjson.dumps(fields), native=native)


def _with_margin(prompt_tokens: int) -> int:
    return int(prompt_tokens * (1 + MARGIN)) + MARGIN_TOKENS


def _with_limit(fields: Fields, most: int) -> Fields:
    """Thinking is part of the answer: its budget must be below the limit."""
    changed = fields | {key: min(fields[key], most) for key in _LIMITS if fields.get(key) is not None}
    thinking = fields.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(thinking, dict) and isinstance(budget, int) and budget >= most:
        smaller = max(LEAST_THINKING_TOKENS, most // 2)
        changed["thinking"] = thinking | {"budget_tokens": smaller} if smaller < most else {"type": "disabled"}
    return changed
