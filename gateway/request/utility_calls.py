"""Identifies utility calls: small requests that chat front ends make by themselves, for titles, tags and follow-up questions.

If the portfolio file configures `utility_calls`, patterns are searched in the prompts, and the calls that match are routed by
a policy of their own.
"""

from dataclasses import replace

from gateway.config.settings import UtilityCalls
from gateway.request.chat_request import ChatRequest
from gateway.request.query_text import message_text

SEARCHED_CHARS = 8_000  # at the beginning of the system prompt, and of the last user turn


def mark_utility_call(request: ChatRequest, calls: UtilityCalls | None) -> ChatRequest:
    """Return the request with the policy for utility calls if it is one; else the same request.

    A request that names a model, or sets the policy by an override, is never treated as a utility call. If its key may not use
    the policy, the call keeps its own.
    """
    named = request.model.partition(":")[0] != "auto" or request.overrides.policy is not None
    if calls is None or named or not _is_utility(request, calls):
        return request
    policy = calls.policy if request.overrides.allowed.policy(calls.policy) else None
    return replace(request, overrides=replace(request.overrides, policy=policy), is_utility_call=True)


def _is_utility(request: ChatRequest, calls: UtilityCalls) -> bool:
    messages = request.fields["messages"]
    texts = [message_text(m)[:SEARCHED_CHARS] for m in messages[:1] if m["role"] in ("system", "developer")]
    texts += [message_text(m)[:SEARCHED_CHARS] for m in messages[-1:] if m["role"] == "user"]
    return any(pattern.search(text) for pattern in calls.regexes for text in texts)
