"""Tells which user messages of a conversation are an agent's own: results of tools, and texts that the model only acknowledges."""

import re

RESULT_OF = "(Of the result of the tool call {call}:)"  # the gateway puts this before the images of a result
_RESULT_OF = re.compile(
    "^" + re.escape(RESULT_OF).replace(re.escape("{call}"), r"[^()\n]{0,200}") + r"$\n?", re.MULTILINE
)
# How agents without a role for tools begin the results: smolagents, LangChain, CrewAI, OpenHands, Cline.
_RESULT = re.compile(
    r"\s*(?:Call id: [^\n]{0,200}\n|(?:Observations?|OBSERVATIONS?|(?:TOOL|Tool) (?:RESPONSE|[Rr]esponse|[Rr]esult|[Oo]utput)s?"
    r"|EXECUTION RESULT of [^\n]{0,200}|\[\w[^\]\n]{0,500}\] Result):"
    r"|<(?:tool_(?:response|result|output)s?|function_(?:response|result|output)s?|observation)\b)"
)
_CALL = re.compile(
    r"^(?:Action|Action Input|Calling tools)\b[^\n]{0,100}:"
    r"|^[ \t]*</?(?:[a-z]+_[a-z_]{1,40}|code|function|invoke|tool)\b[^<>\n]{0,200}>"
    r"|\"(?:action|action_input|arguments|tool_name)\"[ \t]*:",
    re.MULTILINE,
)
_CALL_CHARS = 20_000  # at the end of an answer
_PROCEED = "Now proceed and carry out this plan."  # smolagents, after the plan of the model
_RETRY = ("Error:\n", "\nNow let's retry")  # how smolagents returns the error of a step
# Models write OK or Okay; aider puts these answers into their mouth.
_ACKNOWLEDGED = re.compile(r"\s*Ok(?:\.|, [^\n]{0,150})\s*")
_DISREGARD = re.compile(
    r"\b(?:don't|do not) consider the above\b|\b(?:ignore|disregard) the (?:above|previous)\b", re.IGNORECASE
)
_DISREGARD_CHARS = 400


def is_result(text: str, answer: str) -> bool:
    """Return True if a user message is the result of a tool call, and no words of the user.

    Args:
        text: the text of the message.
        answer: the text of the assistant message directly before it; empty if there is none.
    """
    if _RESULT.match(text) is None:
        return text == _PROCEED or (text.startswith(_RETRY[0]) and _RETRY[1] in text)
    return calls_tools(answer)


def calls_tools(answer: str) -> bool:
    """Return True if the text of an answer calls a tool, in the protocol of an agent that does not use the API's tools."""
    return _CALL.search(answer[-_CALL_CHARS:]) is not None


def without_result_notes(text: str) -> str:
    """Return `text` without the lines that the gateway puts before the images of tool results."""
    return _RESULT_OF.sub("", text).strip() if RESULT_OF.partition("{")[0] in text else text


def is_acknowledged(answer: str) -> bool:
    """Return True if an answer only acknowledges a message: agents answer in this way for the model, after lists of files."""
    return len(answer) <= 200 and _ACKNOWLEDGED.fullmatch(answer) is not None


def ends_examples(text: str) -> bool:
    """Return True if a message says that what precedes it no longer counts: agents end their examples in this way."""
    return len(text) <= _DISREGARD_CHARS and _DISREGARD.search(text) is not None
