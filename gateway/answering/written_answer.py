"""What a model wrote, in the form that probe checkers, graders and votes read: text, tool calls and why it ended.

Only the first choice counts.
"""

from collections.abc import Iterable

import orjson

from gateway.api.answer_text import content_text
from gateway.api.chat.stream_to_completion import completion_of_chunks
from gateway.core.answer import Complete
from gateway.core.chat_types import ChatChunk
from gateway.core.json_types import JsonObject, objects_in
from router.probes.checkers.answer import Answer

_ENDINGS = {  # of Messages, in the words of chat completions
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def written_answer(complete: Complete) -> Answer:
    """What a complete answer in any API format says."""
    fields = complete.fields
    if complete.api == "messages":
        return _of_message(fields)
    if complete.api == "responses":
        return _of_response(fields)
    choice = next(iter(objects_in(fields.get("choices"))), {})
    reason = _text(choice.get("finish_reason"))
    message = choice.get("message")
    if not isinstance(message, dict):  # a completion
        return Answer(content_text(choice.get("text")), [], reason)
    return Answer(content_text(message.get("content")), objects_in(message.get("tool_calls")), reason)


def streamed_answer(chunks: Iterable[ChatChunk]) -> Answer:
    """What the chunks of a whole stream say."""
    return written_answer(Complete(b"", completion_of_chunks(chunks), None))


def _of_message(fields: JsonObject) -> Answer:
    blocks = objects_in(fields.get("content"))
    reason = _text(fields.get("stop_reason"))
    calls = [_call(block.get("name"), orjson.dumps(block.get("input")).decode()) for block in blocks if _is_call(block)]
    return Answer(content_text(blocks), calls, None if reason is None else _ENDINGS.get(reason, reason))


def _of_response(fields: JsonObject) -> Answer:
    items = objects_in(fields.get("output"))
    text = "".join(content_text(item.get("content")) for item in items if item.get("type") == "message")
    calls = [_call(item.get("name"), item.get("arguments")) for item in items if item.get("type") == "function_call"]
    reason = "tool_calls" if calls else "stop"
    if fields.get("status") == "incomplete":
        details = fields.get("incomplete_details")
        why = details.get("reason") if isinstance(details, dict) else None
        reason = "length" if why in (None, "max_output_tokens") else "content_filter"
    return Answer(text, calls, reason)


def _is_call(block: JsonObject) -> bool:
    return block.get("type") == "tool_use"


def _call(name: object, arguments: object) -> JsonObject:
    return {"function": {"name": name, "arguments": arguments}}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
