"""Utility calls: the small requests that chat front ends make on their own, for titles, tags and follow-up questions.

They are recognised by how their prompts begin, where the portfolio file asks for it, and go to a policy of their own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.query import message_text
from gateway.request import ChatRequest

SEARCHED_CHARS = 8_000  # of the system prompt and of the last user turn, each
# By the form of the prompts that each front end brings; an operator who has changed them gives patterns instead.
FRONT_ENDS: Mapping[str, str] = {
    # A task over the chat's history or over messages to be compacted; the task of answering from documents is the user's own.
    "open-webui": r"(?s)\A\s*+### Task:\s++(?!Respond to the user query)(?:(?:Generate|Suggest|Predict) [^\n]{0,80}(?:titles?|tags"
    r"|follow-up|messages|prompt)\b|You are an autocompletion system|(?=.*(?:<chat_history>|### Chat History:"
    r"|### Messages Being Compacted:)))"
    r"|\A\s*+Your task is to reflect the speaker's likely facial expression",
    # A title of a few words for the conversation, and the checkpoint that replaces its earlier messages.
    "librechat": r"(?is)\A(?=.{0,300}\bconversation\b)[^{}]{0,200}(?:words?[- ]or[- ](?:less|fewer)[- ,][^.]{0,40}\btitle"
    r"|\btitle\b[^.]{0,80}\bwords? or (?:less|fewer))"
    r"|\A\s*+Hold on(?:,| again,)[^.]{0,80}\bcheckpoint\b",
}


@dataclass(frozen=True, slots=True)
class UtilityCalls:
    """Which requests are utility calls.

    Attributes:
        policy: name of the policy that they go to.
        patterns: searched in the system prompt and in the last user turn.
    """

    policy: str
    patterns: tuple[re.Pattern[str], ...]


def recognised(request: ChatRequest, calls: UtilityCalls | None) -> ChatRequest:
    """The request with the policy of utility calls, where it is one. One that names a model or a policy keeps that."""
    named = request.model.partition(":")[0] != "auto" or request.control.policy is not None
    if calls is None or named or not _is_utility(request, calls):
        return request
    return replace(request, control=replace(request.control, policy=calls.policy), utility=True)


def _is_utility(request: ChatRequest, calls: UtilityCalls) -> bool:
    messages = request.fields["messages"]
    texts = [message_text(m)[:SEARCHED_CHARS] for m in messages[:1] if m["role"] in ("system", "developer")]
    texts += [message_text(m)[:SEARCHED_CHARS] for m in messages[-1:] if m["role"] == "user"]
    return any(pattern.search(text) for pattern in calls.patterns for text in texts)
