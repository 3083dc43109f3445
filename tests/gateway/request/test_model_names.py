"""Suggestions for unknown model names, and the length of names."""

import pytest

from gateway.core.client_limits import LONGEST_NAME
from gateway.core.errors import InvalidRequest, UnknownModel
from gateway.request.model_names import checked_name, did_you_mean, model_name, similar_names, unknown_model

KNOWN = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "llama-3.1-8b", "llama-3.1-70b", "auto", "auto:cheap"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("gpt4o", "gpt-4o"),
        ("GPT-4o", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("anthropic/claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet", "claude-sonnet-4-5"),
        ("llama-3.1-8b-instruct", "llama-3.1-8b"),
        ("llama3.1-70b", "llama-3.1-70b"),
        ("atuo", "auto"),
    ],
)
def test_the_closest_name_comes_first(name: str, first: str) -> None:
    assert similar_names(name, KNOWN)[0] == first


@pytest.mark.parametrize("name", ["", "x", "mistral-large", "o1", "/", "a" * 10_000])
def test_unrelated_names_are_not_suggested(name: str) -> None:
    assert similar_names(name, KNOWN) == []
    assert did_you_mean(name, KNOWN) == "."


def test_the_error_for_an_unknown_model_suggests_names() -> None:
    error = unknown_model("gpt4o", KNOWN, "`auto` chooses.")
    assert isinstance(error, UnknownModel)
    assert error.message == "The model `gpt4o` is not in the portfolio; did you mean `gpt-4o`? `auto` chooses."
    assert unknown_model("zzz", KNOWN).message == "The model `zzz` is not in the portfolio."


def test_a_name_that_is_too_long_is_refused() -> None:
    assert checked_name("a" * LONGEST_NAME, "model") == "a" * LONGEST_NAME
    for call in (
        lambda: checked_name("a" * (LONGEST_NAME + 1), "model"),
        lambda: unknown_model("a" * (LONGEST_NAME + 1), KNOWN),
        lambda: model_name({"model": "a" * 1_000_000}, "a name"),
    ):
        with pytest.raises(InvalidRequest, match="more than 256 characters") as caught:
            call()
        assert len(caught.value.message) < 100
