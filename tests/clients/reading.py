"""Reads an answer in each of the formats as a strict client would: what is no whole and proper answer fails."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Answer:
    """What a client has in the end.

    Attributes:
        calls: the name and the arguments of each tool call.
    """

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)


def read_answer(form: str, stream: bool, response: httpx.Response) -> Answer:
    """The answer in a response.

    Args:
        form: chat, completions, responses or messages.

    Raises:
        AssertionError: it is not whole, or not well-formed.
    """
    assert response.status_code == 200, response.text
    content_type = response.headers["content-type"].partition(";")[0]
    assert content_type == ("text/event-stream" if stream else "application/json")
    if not stream:
        whole = {"chat": _chat, "completions": _completion, "responses": _response, "messages": _message}
        return whole[form](response.json())
    events = _events(response.text)
    streamed = {
        "chat": _chat_stream,
        "completions": _completion_stream,
        "responses": _response_stream,
        "messages": _message_stream,
    }
    return streamed[form](events)


def _events(text: str) -> list[tuple[str, Any]]:
    """Name and data of each event; the name is empty where there is none, the data parsed unless it is `[DONE]`."""
    assert text.endswith("\n\n"), "the last event is cut"
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name = data = ""
        for line in block.split("\n"):
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                data = value
            else:
                assert line.startswith(":"), line
        if data:
            events.append((name, data if data == "[DONE]" else json.loads(data)))
    return events


def _chat(whole: Any) -> Answer:
    assert whole["object"] == "chat.completion"
    (choice,) = whole["choices"]
    message = choice["message"]
    calls = [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
    assert choice["finish_reason"] == ("tool_calls" if calls else "stop") or not calls
    assert whole["usage"]["total_tokens"] > 0
    return Answer(message["content"] or "", calls)


def _chat_stream(events: list[tuple[str, Any]]) -> Answer:
    answer = Answer()
    finishes = []
    chunks = _ended(events)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    for chunk in chunks:
        for choice in chunk["choices"]:
            assert not finishes, "something after the finish reason"
            delta = choice["delta"]
            answer.text += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                if "id" in call:
                    assert call["index"] == len(answer.calls)
                    assert call["type"] == "function"
                    answer.calls.append((call["function"]["name"], ""))
                name, arguments = answer.calls[call["index"]]
                answer.calls[call["index"]] = (name, arguments + call["function"].get("arguments", ""))
            if choice["finish_reason"]:
                finishes.append(choice["finish_reason"])
    assert finishes == ["tool_calls" if answer.calls else "stop"]
    return answer


def _ended(events: list[tuple[str, Any]]) -> list[Any]:
    """The chunks before `[DONE]`, of one id."""
    *chunks, last = [data for _, data in events]
    assert last == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1
    return chunks


def _completion(whole: Any) -> Answer:
    assert whole["object"] == "text_completion"
    assert whole["usage"]["total_tokens"] > 0
    return Answer(whole["choices"][0]["text"])


def _completion_stream(events: list[tuple[str, Any]]) -> Answer:
    chunks = _ended(events)
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    finishes = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert finishes == [choices[-1]["finish_reason"]]
    return Answer("".join(choice["text"] for choice in choices))


def _response(whole: Any) -> Answer:
    assert (whole["object"], whole["status"], whole["error"]) == ("response", "completed", None)
    assert whole["usage"]["total_tokens"] == whole["usage"]["input_tokens"] + whole["usage"]["output_tokens"]
    answer = Answer()
    for item in whole["output"]:
        match item["type"]:
            case "message":
                assert (item["role"], item["status"]) == ("assistant", "completed")
                answer.text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
            case "function_call":
                assert item["call_id"]
                answer.calls.append((item["name"], item["arguments"]))
            case "custom_tool_call":
                answer.calls.append((item["name"], item["input"]))
    return answer


def _response_stream(events: list[tuple[str, Any]]) -> Answer:
    for number, (name, event) in enumerate(events):
        assert name == event["type"]
        assert event["sequence_number"] == number
    kinds = [name for name, _ in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    final = events[-1][1]["response"]
    assert {e["response"]["id"] for _, e in events if "response" in e} == {final["id"]}
    added = [e["item"]["id"] for name, e in events if name == "response.output_item.added"]
    done = [e["item"] for name, e in events if name == "response.output_item.done"]
    assert added == [item["id"] for item in done]
    assert final["output"] == done
    answer = _response(final)
    assert "".join(e["delta"] for name, e in events if name == "response.output_text.delta") == answer.text
    deltas = [e["delta"] for name, e in events if name == "response.function_call_arguments.delta"]
    assert "".join(deltas) == "".join(item["arguments"] for item in done if item["type"] == "function_call")
    return answer


def _message(whole: Any) -> Answer:
    assert (whole["type"], whole["role"]) == ("message", "assistant")
    assert whole["id"]
    assert whole["usage"]["output_tokens"] > 0
    answer = Answer()
    for block in whole["content"]:
        if block["type"] == "text":
            answer.text += block["text"]
        elif block["type"] == "tool_use":
            assert block["id"]
            answer.calls.append((block["name"], json.dumps(block["input"])))
    assert whole["stop_reason"] in (("tool_use",) if answer.calls else ("end_turn", "max_tokens", "stop_sequence"))
    return answer


def _message_stream(events: list[tuple[str, Any]]) -> Answer:
    message: Any = None
    blocks: list[Any] = []
    inputs: dict[int, str] = {}
    is_open = ended = False
    for name, event in events:
        assert name == event["type"]
        assert not ended
        match name:
            case "message_start":
                assert message is None
                message = event["message"]
                assert message["content"] == []
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(blocks)
                blocks.append(dict(event["content_block"]))
                is_open = True
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(blocks) - 1
                match event["delta"]:
                    case {"type": "text_delta", "text": text}:
                        blocks[-1]["text"] += text
                    case {"type": "thinking_delta", "thinking": text}:
                        blocks[-1]["thinking"] += text
                    case {"type": "input_json_delta", "partial_json": text}:
                        inputs[len(blocks) - 1] = inputs.get(len(blocks) - 1, "") + text
                    case {"type": kind}:
                        assert kind == "signature_delta"
            case "content_block_stop":
                assert is_open
                is_open = False
            case "message_delta":
                assert not is_open
                message |= event["delta"]
                message["usage"] |= event["usage"]
            case "message_stop":
                assert message["stop_reason"]
                ended = True
            case _:
                assert name == "ping"
    assert ended
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text or "{}")
    return _message(message | {"content": blocks})
