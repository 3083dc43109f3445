"""The answer of a call as an attribute of its span, for exports that have content."""

from collections.abc import Sequence

from gateway.answering.open_call import OpenCall
from gateway.core.answer import Complete
from gateway.core.json_types import JsonObject, objects_in
from gateway.request.last_answer import answer_in_response
from gateway.telemetry.content import output_messages


def answer_text(answered: OpenCall, finish_reasons: Sequence[str]) -> str | None:
    """The answer as messages. Of an answer that several calls wrote, the last one has the whole text."""
    if answered.complete is not None:
        complete = answered.complete
        choices = [choice.get("message") for choice in objects_in(complete.fields.get("choices"))]
        written = {"content": answer_in_response(complete).text, "tool_calls": _tool_calls(complete)}
        return output_messages(objects_in(choices) or [written], finish_reasons)
    if answered.relay is None or answered.failure is not None:
        return None
    transcript = answered.relay.transcript
    written = {"content": transcript.text, "tool_calls": transcript.calls.complete()}
    return output_messages([written], finish_reasons)


def _tool_calls(complete: Complete) -> list[JsonObject]:
    """The tool calls of an answer in the format of Messages or Responses, in that of chat."""
    if complete.api == "messages":
        uses = [block for block in objects_in(complete.fields.get("content")) if block.get("type") == "tool_use"]
        found = [(use.get("id"), use.get("name"), use.get("input")) for use in uses]
    else:
        items = [item for item in objects_in(complete.fields.get("output")) if "call_id" in item]
        found = [(item["call_id"], item.get("name"), item.get("arguments", item.get("input"))) for item in items]
    return [{"id": id, "function": {"name": name, "arguments": arguments}} for id, name, arguments in found]
