"""Usage and complete answers of Messages in the form of chat. Streams are read in test_stream_writer.py."""

from gateway.api.messages.stream_reader import events_of_answer


def test_the_events_of_a_complete_message() -> None:
    text, call = {"type": "text", "text": "4"}, {"type": "tool_use", "id": "a", "name": "add", "input": {"a": 1}}
    message = {"type": "message", "content": [text, call], "stop_reason": None, "stop_sequence": None}
    assert events_of_answer(message) == [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": call},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}},
        {"type": "message_stop"},
    ]
