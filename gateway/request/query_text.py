"""Extracts from a conversation the text by which it is routed: the words of the user, without what agents put around them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from gateway.core.json_types import JsonObject
from gateway.request.agent_frames import framed_question, in_fields, is_task, task, without_added
from gateway.request.agent_turns import calls_tools, ends_examples, is_acknowledged, is_result, without_result_notes
from gateway.request.elements import request_element, response_element, without_agent_elements
from gateway.request.repeated_text import COMPARED_TURNS, without_known, without_template
from gateway.request.user_labels import after_documents, after_label, is_template, task_section

QUERY_MIN_CHARS = 24  # a shorter last user turn ("go on") does not identify the task
QUERY_MAX_CHARS = 8_000  # much more than the encoder's 512 tokens; bounds the work per request
SEARCHED_CHARS = 150_000  # at each end of one message
_RESULTS = frozenset({"tool", "function"})
_SYSTEM = frozenset({"system", "developer"})
_NEW_TASK = "\nNew task:\n"


def query_text(messages: list[JsonObject]) -> str:
    """Return the text that the query encoder encodes for a conversation: at most 8,000 characters.

    The text is the last question of the user. A question is what is left of a user turn without the elements, templates, labels and
    repeated texts of agents; results of tools are no questions. If it is shorter than 24 characters ("go on"), earlier questions
    are put before it. If nothing is left, the whole last user turn counts; if no user turn has text, the last message that has any.
    """
    turns: list[str] = []
    length = 0
    for question in _questions(messages):
        turns.append(question[:QUERY_MAX_CHARS])
        length += len(turns[-1])
        if length >= QUERY_MIN_CHARS:
            break
    return "\n".join(reversed(turns))[:QUERY_MAX_CHARS] if turns else _any_text(messages)[:QUERY_MAX_CHARS]


def user_text(message: JsonObject) -> str:
    """Return the question in one message without the texts of agents; the whole text if nothing else is left."""
    text = message_text(message)
    return _question(_searched(text), [], []) or text


def _questions(messages: list[JsonObject]) -> Iterator[str]:
    """Yield the questions of the user, the last one first."""
    first = next((i for i, message in enumerate(messages) if message["role"] == "user"), len(messages))
    system = [_searched(message_text(m)) for m in messages[:first] if m["role"] in _SYSTEM]
    if not system and first + 1 < len(messages) and is_acknowledged(_answer(messages, first + 1)):
        system = [_searched(message_text(messages[first]))]  # for models that know no system messages
    labelled = first < len(messages) and is_task(message_text(messages[first])[:SEARCHED_CHARS])
    is_last = True
    later: list[str] = []  # the user turn after the one that is read
    for at in range(len(messages) - 1, first - 1, -1):
        if messages[at]["role"] != "user":
            continue
        text = _searched(without_result_notes(message_text(messages[at])))
        if not is_last and is_acknowledged(_answer(messages, at + 1)):
            if ends_examples(text):
                return
            continue
        answer = _answer(messages, at - 1)
        if is_result(text, answer):
            text = (text.partition(_NEW_TASK)[2] if labelled else response_element(text)) or ""
        elif labelled and task(text, is_template(text)) is None and _continues(messages, at, answer):
            continue
        others = chain(later, islice(_user_texts(messages, at), COMPARED_TURNS))
        later = [text]
        if question := _question(text, system, others):
            yield question
            is_last = False
            if in_fields(text):  # earlier turns are examples
                return


def _question(text: str, system: Sequence[str], others: Iterable[str]) -> str:
    """Return the question in the text of a user turn; empty if all of the text is an agent's."""
    text, had_history = without_agent_elements(text.strip())
    if "\n" not in text and len(text) < QUERY_MIN_CHARS:
        return text
    template = is_template(text)
    if had_history and (section := task_section(text)):  # a front end's own task over the conversation
        return section
    if (content := request_element(text, template)) is not None:
        return content
    if (question := framed_question(text, system, template)) is not None:
        return question
    words = without_template(without_known(text, system), others).strip()
    if words == text and template:
        words = after_documents(text) or after_label(text) or text
    return without_added(words) or words


def _user_texts(messages: list[JsonObject], end: int) -> Iterator[str]:
    """Yield the texts of the user turns before the index `end`, the last one first, without the elements of agents."""
    for at in range(end - 1, -1, -1):
        if messages[at]["role"] == "user":
            yield without_agent_elements(_searched(message_text(messages[at]))).text


def _continues(messages: list[JsonObject], at: int, answer: str) -> bool:
    """Return True if the message at this index follows a call of a tool or its result."""
    return calls_tools(answer) or messages[at - 1]["role"] in _RESULTS


def _answer(messages: list[JsonObject], at: int) -> str:
    """Return the text of the message at this index if it is an assistant message; empty otherwise."""
    return message_text(messages[at]) if 0 <= at < len(messages) and messages[at]["role"] == "assistant" else ""


def _any_text(messages: list[JsonObject]) -> str:
    users = (m for m in reversed(messages) if m["role"] == "user")
    others = (m for m in reversed(messages) if m["role"] not in _RESULTS)
    return next((text for group in (users, others, reversed(messages)) for m in group if (text := message_text(m))), "")


def _searched(text: str) -> str:
    """Return the two ends of a long text."""
    return text if len(text) <= 2 * SEARCHED_CHARS else f"{text[:SEARCHED_CHARS]}\n{text[-SEARCHED_CHARS:]}"


def message_text(message: Mapping[str, object]) -> str:
    """Return the text of one message. If its content is a list of parts, their texts are joined by newlines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return ""
