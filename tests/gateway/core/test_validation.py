"""Checks of a client's JSON fields: what passes, and how an error names the field."""

import re
from typing import Any

import pytest

from gateway.core.errors import InvalidRequest
from gateway.core.validation import (
    content_blocks,
    expected,
    field_path,
    json_object,
    json_type,
    objects,
    optional,
    required,
    string,
    unknown_value,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "a boolean"),
        (0, "a number"),
        (1.5, "a number"),
        ("", "an empty string"),
        ("x", "a string"),
        ([], "an empty list"),
        ([1], "a list"),
        ({}, "an empty object"),
        ({"a": 1}, "an object"),
    ],
)
def test_each_json_type_has_words(value: Any, words: str) -> None:
    assert json_type(value) == words


def test_an_error_names_the_path_of_the_field() -> None:
    assert field_path("role") == "role"
    assert field_path("role", "input[2]") == "input[2].role"
    assert expected("n", "a number", {}) == "`n` is missing; expected a number."
    assert expected("n", "a number", {"n": []}, "tools[0]") == "`tools[0].n` must be a number, not an empty list."
    error = unknown_value({"role": "x" * 200}, "role", "`user` or `assistant`", "messages[0]")
    assert error.message == f"`messages[0].role` must be `user` or `assistant`, not `{'x' * 100}`."
    assert error.param == "messages[0].role"


def test_a_required_field_has_its_type_and_booleans_are_not_numbers() -> None:
    assert required({"n": 3}, "n", int, "a number") == 3
    assert required({"n": True}, "n", bool, "true or false") is True
    assert required({"n": 1.5}, "n", (int, float), "a number") == 1.5
    for fields in ({}, {"n": None}, {"n": "3"}, {"n": True}):
        with pytest.raises(InvalidRequest) as caught:
            required(fields, "n", int, "a number")
        assert caught.value.param == "n"
    with pytest.raises(InvalidRequest):
        required({"n": False}, "n", (int, float), "a number")


def test_an_optional_field_may_be_missing_or_null() -> None:
    assert optional({}, "n", int, "a number") is None
    assert optional({"n": None}, "n", int, "a number") is None
    assert optional({"n": 0}, "n", int, "a number") == 0
    with pytest.raises(InvalidRequest, match="`n` must be a number, not a string"):
        optional({"n": "0"}, "n", int, "a number")


def test_strings_and_objects_are_checked_with_their_paths() -> None:
    assert string({"type": ""}, "type") == ""
    assert json_object({"a": 1}, "input[0]") == {"a": 1}
    with pytest.raises(InvalidRequest, match=re.escape("`input[0]` must be an object, not null.")):
        json_object(None, "input[0]")
    assert objects({"tools": [{}, {"a": 1}]}, "tools", "a list", "x") == [("x.tools[0]", {}), ("x.tools[1]", {"a": 1})]
    with pytest.raises(InvalidRequest, match=re.escape("`tools[1]` must be an object, not a number.")):
        objects({"tools": [{}, 1]}, "tools", "a list")


def test_text_content_is_one_block() -> None:
    assert content_blocks({"content": "hi"}, "content") == [("content", {"type": "text", "text": "hi"})]
    block = {"type": "image", "source": {}}
    assert content_blocks({"content": [block]}, "content", "messages[0]") == [("messages[0].content[0]", block)]
    with pytest.raises(InvalidRequest, match=re.escape("`content[0].type` is missing; expected a string.")):
        content_blocks({"content": [{}]}, "content")
    with pytest.raises(InvalidRequest, match="`content` must be a string or a list of content blocks, not null"):
        content_blocks({"content": None}, "content")
