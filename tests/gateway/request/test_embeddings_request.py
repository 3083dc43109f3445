"""Embeddings requests: what is checked, and what is estimated."""

import orjson
import pytest

from gateway.core.errors import InvalidRequest
from gateway.request.embeddings_request import embedding_inputs, parse_embeddings


def body(**fields: object) -> bytes:
    return orjson.dumps({"model": "e"} | fields)


@pytest.mark.parametrize(
    ("given", "inputs", "tokens"),
    [
        ("hello", ["hello"], 2),
        (["hello", "abcd"], ["hello", "abcd"], 3),
        ([1, 2, 3], [[1, 2, 3]], 3),
        ([[1, 2], [3]], [[1, 2], [3]], 3),
    ],
)
def test_inputs_are_one_for_each_vector(given: object, inputs: list[object], tokens: int) -> None:
    request = parse_embeddings(body(input=given))
    assert embedding_inputs(request) == inputs
    assert request.requirements.prompt_tokens == tokens


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 1.5]}, "input[1]"),
        ({"input": ["a", True]}, "input[1]"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": "a", "encoding_format": 3}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": True}, "dimensions"),
        ({"input": "a", "model": ""}, "model"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_embeddings(body(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"model": ""}, "model", "`model` must be the name of an embedding model, not an empty string"),
        ({"input": ""}, "input", "not an empty string"),
        ({"input": []}, "input", "not an empty list"),
        ({"input": None}, "input", "not null"),
        ({"input": {"text": "x"}}, "input", "not an object"),
        ({"input": ["x", 3]}, "input[1]", "not a number"),
        ({"input": ["x", None]}, "input[1]", "not null"),
        ({"input": [[1], []]}, "input[1]", "not an empty list"),
        ({"input": [[1], [True]]}, "input[1]", "not a list"),
        ({"input": ["x", [1]]}, "input", "send them apart"),
        ({"encoding_format": 1}, "encoding_format", "not a number"),
        ({"dimensions": 0}, "dimensions", "at least 1"),
        ({"dimensions": True}, "dimensions", "not a boolean"),
    ],
)
def test_a_message_names_the_wrong_value(more: dict[str, object], param: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_embeddings(body(**({"input": "x"} | more)))
    assert caught.value.param == param
    assert says in caught.value.message
