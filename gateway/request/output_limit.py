"""Reduces the client's output limit to the room that a model's context window leaves beside the prompt.

A context window holds the prompt and the output, and many servers refuse a request if the prompt and the output limit exceed it
together. Agents often set limits of 32,000 tokens and more.
"""

from dataclasses import replace

import orjson

from gateway.config.portfolio import Model
from gateway.core.json_types import JsonObject
from gateway.request.request import Request
from gateway.request.requirements import Requirements

MARGIN = 0.1  # share of the prompt: tokenizers differ by a few percent
MARGIN_TOKENS = 128  # added by the chat template and its tools
MIN_THINKING_TOKENS = 1_024  # the smallest thinking budget that Anthropic accepts
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def needs_exact_prompt_tokens(requirements: Requirements, model: Model) -> bool:
    """Return True if only the exact number of the prompt's tokens shows that the output limit fits into the context window."""
    limit, window = requirements.output_tokens, model.context_window
    if (
        limit is None
        or requirements.prompt_tokens_exact
        or not model.window_known
        or _with_margin(2 * requirements.prompt_tokens) + limit <= window
    ):
        return False  # few texts have more than one token per two characters
    return requirements.prompt_tokens // 2 < window < requirements.max_prompt_tokens + limit


def with_fitting_output_limit(request: Request, requirements: Requirements, model: Model) -> Request:
    """Return the request with an output limit that the model accepts; the same request if its limit already fits.

    If the prompt itself leaves no room, the request stays unchanged: the provider's error then reports the exact lengths.

    Args:
        requirements: of the request; `prompt_tokens` is exact if `needs_exact_prompt_tokens` returned True.
    """
    limit = requirements.output_tokens
    if limit is None:
        return request
    room = model.context_window - _with_margin(requirements.prompt_tokens) if model.window_known else limit
    largest = room if model.max_output_tokens is None else min(room, model.max_output_tokens)
    if limit <= largest or room < 1:
        return request
    fields = _with_limit(request.fields, largest)
    native = request.native
    if native is not None:
        changed = _with_limit(native.fields, largest)
        native = replace(native, fields=changed, body=orjson.dumps(changed))
    return replace(request, fields=fields, body=orjson.dumps(fields), native=native)


def _with_margin(prompt_tokens: int) -> int:
    return int(prompt_tokens * (1 + MARGIN)) + MARGIN_TOKENS


def _with_limit(fields: JsonObject, largest: int) -> JsonObject:
    """Return the fields with limits of at most `largest`, and a thinking budget below it: thinking counts as output."""
    changed = fields | {key: min(fields[key], largest) for key in _LIMITS if fields.get(key) is not None}
    thinking = fields.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(thinking, dict) and isinstance(budget, int) and budget >= largest:
        smaller = max(MIN_THINKING_TOKENS, largest // 2)
        changed["thinking"] = thinking | {"budget_tokens": smaller} if smaller < largest else {"type": "disabled"}
    return changed
