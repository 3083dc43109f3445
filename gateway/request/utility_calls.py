"""Utility calls: the small requests that chat front ends make on their own, for titles, tags and follow-up questions.

They are recognised by how their prompts begin, where the portfolio file asks for it, and go to a policy of their own.
"""

from dataclasses import replace

from gateway.config.settings import UtilityCalls
from gateway.request.chat_request import ChatRequest
from gateway.request.query_text import message_text

SEARCHED_CHARS = 8_000  # of the system prompt and of the last user turn, each


def mark_utility_call(request: ChatRequest, calls: UtilityCalls | None) -> ChatRequest:
    """The request with the policy of utility calls, where it is one. One that names a model or a policy keeps that."""
    named = request.model.partition(":")[0] != "auto" or request.overrides.policy is not None
    if calls is None or named or not _is_utility(request, calls):
        return request
    return replace(request, overrides=replace(request.overrides, policy=calls.policy), is_utility_call=True)


def _is_utility(request: ChatRequest, calls: UtilityCalls) -> bool:
    messages = request.fields["messages"]
    texts = [message_text(m)[:SEARCHED_CHARS] for m in messages[:1] if m["role"] in ("system", "developer")]
    texts += [message_text(m)[:SEARCHED_CHARS] for m in messages[-1:] if m["role"] == "user"]
    return any(pattern.search(text) for pattern in calls.regexes for text in texts)
