"""Complete chat completions as OpenAI writes them, from what other providers write."""

from gateway.api.chat.envelope import ANSWER, Envelope, normalize_logprobs
from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.chat.message_content import message_of
from gateway.api.chat.message_normalizer import TEXT_FIELDS, TOOL_CALL_ENDS, MessageNormalizer
from gateway.core.json_types import JsonObject
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event

_NOT_PLAIN = frozenset({"error", "delta", "text"})  # keys of a choice that has to be normalized


def normalize_completion(fields: object) -> JsonObject:
    """Return a chat completion as OpenAI would write it; the same object if nothing has to change.

    Raises:
        UpstreamFailure: it has no list of choices with messages, or a choice failed.
    """
    if not isinstance(fields, dict) or not _are_objects(fields.get("choices")):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no choices in the answer")
    return Envelope(ANSWER).normalize(normalize_choices(fields))


def normalize_choices(fields: JsonObject) -> JsonObject:
    """Return the completion with normal choices; the same object if nothing has to change.

    Args:
        fields: has a list of objects as `choices`.

    Raises:
        UpstreamFailure: a choice has an error, ended with one, or has no message.
    """
    if all(map(_is_plain, fields["choices"])):
        return fields
    choices = [_normalize_choice(choice, position) for position, choice in enumerate(fields["choices"])]
    return fields if choices == fields["choices"] else fields | {"choices": choices}


def _is_plain(choice: JsonObject) -> bool:
    """Return True if nothing has to change. Fast, for plain text, which most answers are."""
    message = choice.get("message")
    return (
        type(message) is dict
        and message.get("role") == "assistant"
        and type(message.get("content")) is str
        and choice.get("finish_reason") in ("stop", "length")
        and type(choice.get("index")) is int
        and not message.get("tool_calls")
        and choice.get("logprobs") is None
        and _NOT_PLAIN.isdisjoint(choice)
        and all(message[key] is None or type(message[key]) is str for key in TEXT_FIELDS & message.keys())
    )


def _normalize_choice(choice: JsonObject, position: int) -> JsonObject:
    if choice.get("error"):
        raise classify_event(choice["error"])
    finish = finish_reason(choice.get("finish_reason"))
    given = choice.get("message")
    if not isinstance(given, dict):
        given = message_of(choice, begun=False)
        if not given:
            raise UpstreamFailure(Cause.UNREADABLE, detail="no message in the answer")
    state = MessageNormalizer()
    message = state.normalize(given)
    message["role"] = "assistant"
    message.setdefault("content", None)
    if state.calls:
        state.calls.check()
        calls = message.get("tool_calls") or []
        places = {call["index"]: call for call in calls}
        for call in state.calls.empty_arguments():
            places[call["index"]]["function"]["arguments"] = "{}"
        indexed = [isinstance(call, dict) and "index" in call for call in _list(given.get("tool_calls"))]
        if not all(indexed):  # only streams have indices
            for call in calls:
                del call["index"]
        if finish in TOOL_CALL_ENDS:
            finish = "tool_calls"
    index = choice.get("index")
    kept = {key: value for key, value in choice.items() if key not in ("delta", "text")}
    if kept.get("logprobs") is not None:
        kept["logprobs"] = normalize_logprobs(kept["logprobs"])
    finish = finish or "stop"  # a complete answer has ended, even if it does not say so
    return kept | {"index": index if type(index) is int else position, "message": message, "finish_reason": finish}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)
