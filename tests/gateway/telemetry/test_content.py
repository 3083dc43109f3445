"""Messages in the JSON form of the GenAI conventions."""

from typing import Any

import orjson

from gateway.telemetry.content import MAX_CHARS, input_messages, output_messages, split_instructions


def written(*messages: dict[str, Any]) -> Any:
    return orjson.loads(input_messages(messages))


def test_tools_images_and_files() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    linked = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert written(
        {"role": "user", "content": [{"type": "text", "text": "See"}, image, linked]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "See"},
                {"type": "blob", "modality": "image", "content": ""},
                {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
            ],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a":1}'}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "42"}]},
    ]


def test_the_newest_messages_are_kept() -> None:
    old, new = {"role": "user", "content": "o" * MAX_CHARS}, {"role": "user", "content": "new"}
    first, last = written({"role": "user", "content": "oldest"}, old, new)
    assert last["parts"][0]["content"] == "new"
    assert first["parts"][0]["content"] == "o" * (MAX_CHARS - 3) + "…"


def test_instructions_beside_the_messages() -> None:
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}
    instructions, rest = split_instructions([system, user])
    assert orjson.loads(instructions or "") == [{"type": "text", "content": "Be brief."}]
    assert rest == [user]
    assert split_instructions([user]) == (None, [user])


def test_answers_with_their_finish_reasons() -> None:
    answers = orjson.loads(output_messages([{"content": "a"}, {"content": "b"}], ["stop"]))
    assert [answer["finish_reason"] for answer in answers] == ["stop", ""]
