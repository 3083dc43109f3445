"""Patterns for the beginnings of utility calls of common chat front ends, selected by `utility_calls.front_ends`."""

from collections.abc import Mapping

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
