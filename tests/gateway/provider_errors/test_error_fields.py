"""The request field that an error is about."""

import pytest

from gateway.provider_errors.error_fields import (
    is_model_limitation,
    is_optional_field,
    is_unknown_field,
    named_field,
)


@pytest.mark.parametrize(
    ("param", "text", "field"),
    [
        ("seed", "", "seed"),
        ("reasoning.effort", "", "reasoning_content"),
        ("messages[3].tool_calls[0].id", "", "tool_call_id"),
        (None, "unknown parameter: 'user'", "user"),
        (None, "unexpected keyword argument parallel_tool_calls", "parallel_tool_calls"),
        (None, "the user said hello", None),
        (None, "stop_sequences must be a list", "stop"),
    ],
)
def test_the_field_is_named(param: str | None, text: str, field: str | None) -> None:
    assert named_field(param, text) == field


def test_only_fields_that_do_not_change_the_answer_are_optional() -> None:
    assert is_optional_field("seed")
    assert is_optional_field("max_tokens")
    assert not is_optional_field("tools")


@pytest.mark.parametrize(
    ("codes", "text", "unknown"),
    [
        (frozenset({"unsupported_parameter"}), "", True),
        (frozenset({"unsupported_value"}), "unknown parameter: seed", False),
        (frozenset(), "unrecognized request argument supplied: seed", True),
        (frozenset(), "seed: extra inputs are not permitted", True),
        (frozenset(), "`seed` is not supported", True),
        (frozenset(), "seed is not supported when stream is set", False),
        (frozenset(), "invalid value for seed", False),
    ],
)
def test_an_unknown_field_differs_from_a_refused_value(codes: frozenset[str], text: str, unknown: bool) -> None:
    assert is_unknown_field("seed", codes, text) is unknown


def test_a_limitation_of_the_model_is_found() -> None:
    assert is_model_limitation("this model cannot do that")
    assert is_model_limitation("function calling is not enabled")
    assert not is_model_limitation("the request is malformed")
