"""The items of a streamed response, from chat deltas and after another model's events."""

from gateway.api.responses.stream_output import StreamOutput
from gateway.api.responses.tool_names import ClientTool, ToolNames

MESSAGE = {"id": "msg_n", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def kinds(events: list[dict[str, object]]) -> list[str]:
    return [str(event["type"]).removeprefix("response.") for event in events]


def test_reasoning_then_text_then_the_end() -> None:
    output = StreamOutput(ToolNames())
    assert kinds(output.add_delta({"reasoning_content": "Hm"}, None)) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
    ]
    assert kinds(output.add_delta({"content": "4"}, None)) == [
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
    ]
    assert [item["status"] for item in output.items()] == ["completed", "in_progress"]
    assert kinds(output.close("incomplete")) == ["output_text.done", "content_part.done", "output_item.done"]
    reasoning, message = output.items()
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert message["content"] == [PART | {"text": "4"}]
    assert (reasoning["status"], message["status"]) == ("completed", "incomplete")


def test_the_name_of_a_call_may_come_in_pieces() -> None:
    names = ToolNames()
    names.add(ClientTool("function_call", "read", "mcp__web__"))
    output = StreamOutput(names)
    assert output.add_delta({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "mcp__web__"}}]}, None) == []
    assert output.add_delta({"tool_calls": [{"index": 0, "function": {"name": "read"}}]}, None) == []
    events = output.add_delta({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None)
    assert kinds(events) == ["output_item.added", "function_call_arguments.delta"]
    output.close("completed")
    (call,) = output.items()
    assert (call["name"], call["namespace"], call["call_id"], call["arguments"]) == ("read", "mcp__web__", "c", "{}")


def test_a_message_of_a_provider_is_continued() -> None:
    output = StreamOutput(ToolNames())
    place = {"item_id": "msg_n", "output_index": 0, "content_index": 0}
    output.follow({"type": "response.output_item.added", "output_index": 0, "item": MESSAGE | {"content": []}})
    output.follow({"type": "response.content_part.added", **place, "part": PART})
    output.follow({"type": "response.output_text.delta", **place, "delta": "One"})
    assert output.items("incomplete")[0]["content"] == [PART | {"text": "One"}]
    assert kinds(output.add_delta({"content": " two"}, None)) == ["output_text.delta"]
    output.close("completed")
    assert output.items() == [MESSAGE | {"status": "completed", "content": [PART | {"text": "One two"}]}]


def test_an_item_that_only_the_provider_knows_keeps_its_place() -> None:
    output = StreamOutput(ToolNames())
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    output.follow({"type": "response.output_item.added", "output_index": 0, "item": search})
    output.follow({"type": "response.output_item.done", "output_index": 0, "item": search})
    events = output.add_delta({"refusal": "No."}, None)
    assert events[0]["output_index"] == 1
    assert output.items()[0] == search
