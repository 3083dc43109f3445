"""The text of freeform tools in function arguments."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.responses.freeform_tools import (
    FreeformInputReader,
    function_parameters,
    unwrapped_input,
    wrapped_input,
)


def test_a_text_is_one_argument() -> None:
    assert wrapped_input('say "hi"\n') == '{"input":"say \\"hi\\"\\n"}'
    assert list(function_parameters()["properties"]) == ["input"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "a"}', "a"),
        ('{"patch": "a"}', "a"),
        ('{"input": "a", "n": 1}', "a"),
        ('{"patch": "a", "n": 1}', '{"patch": "a", "n": 1}'),
        ('{"input": 5}', '{"input": 5}'),
        ('{"input": "a', '{"input": "a'),
        ("plain text", "plain text"),
        ('["a"]', '["a"]'),
        ('{"input": "\\ud83d"}', "?"),
    ],
)
def test_the_text_in_arguments(arguments: str, text: str) -> None:
    assert unwrapped_input(arguments) == text


def read(pieces: list[str]) -> tuple[list[str], str, str]:
    reader = FreeformInputReader()
    texts = [reader.feed(piece) for piece in pieces]
    return (texts, *reader.close())


def test_text_is_returned_as_early_as_it_can_be_known() -> None:
    assert read(['{"in', 'put": "a', "b\\", 'n"c"}']) == (["", "a", "b", "\n"], "", "ab\n")
    assert read(['{"input": "\\ud83d', '\\ude00"}']) == (["", "😀"], "", "😀")


def test_arguments_of_another_form_are_returned_at_the_end() -> None:
    assert read(['{"patch": ', '"a"}']) == (["", ""], "a", "a")
    assert read(["x" * 100, "y"]) == (["", ""], "x" * 100 + "y", "x" * 100 + "y")


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(1, 7))
def test_any_text_in_pieces_of_any_length(text: str, length: int) -> None:
    arguments = orjson.dumps({"input": text}).decode()
    texts, rest, complete = read([arguments[i : i + length] for i in range(0, len(arguments), length)])
    assert "".join(texts) + rest == complete == text
