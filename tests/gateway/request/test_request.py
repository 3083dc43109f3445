"""The part that all requests have in common: optional fields, and the body for an upstream."""

import orjson
import pytest

from gateway.core.errors import InvalidRequest
from gateway.request.chat_request import ChatRequest, parse_chat
from gateway.request.request import MAX_DEPTH, Native, parse_object


def request(**fields: object) -> ChatRequest:
    return parse_chat(orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}]} | fields))


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_a_body_is_parsed_up_to_a_depth() -> None:
    assert list(parse_object(nested(MAX_DEPTH))) == ["a"]
    with pytest.raises(InvalidRequest, match="nested deeper than 250 levels"):
        parse_object(nested(MAX_DEPTH + 20))


@pytest.mark.parametrize(
    ("fields", "count", "requires_json"),
    [
        ({}, 1, False),
        ({"n": 3}, 3, False),
        ({"n": None, "response_format": {"type": "text"}}, 1, False),
        ({"response_format": {"type": "json_object"}}, 1, True),
        ({"response_format": {"type": "json_schema"}}, 1, True),
        ({"response_format": "json_object"}, 1, False),
    ],
)
def test_choices_and_form_of_the_answer(fields: dict[str, object], count: int, requires_json: bool) -> None:
    assert (request(**fields).choice_count, request(**fields).requires_json) == (count, requires_json)


def test_usage_is_sent_with_every_stream() -> None:
    assert request(stream=True).sends_field("stream_options")
    assert not request().sends_field("stream_options")
    assert request(seed=1).sends_field("seed")


@pytest.mark.parametrize(
    ("fields", "name", "valid"),
    [
        ({}, "seed", True),
        ({"seed": 1}, "seed", True),
        ({"seed": "one"}, "seed", False),
        ({"max_tokens": 5}, "max_tokens", True),
        ({"stream": True, "stream_options": {"include_usage": True}}, "stream_options", True),
        ({"stream": True, "stream_options": {"include_usage": True, "x": 1}}, "stream_options", False),
        ({"stream_options": {"include_usage": True}}, "stream_options", False),
    ],
)
def test_an_optional_field_is_valid_by_its_type(fields: dict[str, object], name: str, valid: bool) -> None:
    assert request(**fields).is_valid_optional_field(name) is valid


def test_a_dropped_output_limit_is_sent_under_its_other_name() -> None:
    given = request(max_tokens=5, seed=1)
    assert given.fields_without(frozenset()) is given.fields
    assert given.fields_without(frozenset({"user"})) is given.fields
    assert given.fields_without(frozenset({"max_tokens", "seed"})) == {
        "model": "auto",
        "messages": given.fields["messages"],
        "max_completion_tokens": 5,
    }


def test_a_native_body_keeps_the_bytes_of_the_client() -> None:
    body = b'{ "model": "auto", "max_tokens": 5 }'
    native = Native("messages", body, orjson.loads(body))
    assert native.upstream_body("m") == b'{ "model": "m", "max_tokens": 5 }'
    twice = b'{"model": "auto", "model": "auto"}'
    assert Native("messages", twice, orjson.loads(twice)).upstream_body("m") == b'{"model":"m"}'
