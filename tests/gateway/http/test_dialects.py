"""Which API format belongs to a path, and how each format writes an error in a stream."""

import orjson
import pytest

from gateway.core.errors import Stopped
from gateway.http.dialects import dialect_of
from tests.gateway.running import DIALECTS


@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/chat/completions", "chat"),
        ("/completions", "completions"),
        ("/embeddings", "chat"),
        ("/messages", "messages"),
        ("/messages/count_tokens", "messages"),
        ("/responses", "responses"),
        ("/responses/resp_1/input_items", "responses"),
        ("/messages2", "chat"),
        ("/messages-of-another-kind", "chat"),
        ("/models/x", "chat"),
        ("/", "chat"),
        ("", "chat"),
    ],
)
def test_a_path_belongs_to_the_format_of_its_endpoint(prefix: str, path: str, api: str) -> None:
    assert dialect_of(prefix + path, DIALECTS).api == api


def test_an_error_event_has_the_form_of_its_format() -> None:
    error = Stopped()
    events = {path: dialect.error_event(error) for path, dialect in DIALECTS.items()}
    envelope = b"data: " + orjson.dumps(error.envelope()) + b"\n\n"
    assert events["/chat/completions"] == events["/completions"] == envelope
    name, data, _ = events["/messages"].split(b"\n", 2)
    assert name == b"event: error"
    assert orjson.loads(data.removeprefix(b"data: ")) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": error.message},
    }
    name, data, _ = events["/responses"].split(b"\n", 2)
    assert name == b"event: error"
    assert orjson.loads(data.removeprefix(b"data: ")) == {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": None,
        "sequence_number": 0,
    }
