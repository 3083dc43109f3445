"""Finish reasons of providers -> OpenAI's."""

from typing import Any

import pytest

from gateway.api.chat.finish_reasons import finish_reason
from gateway.provider_errors.failures import Cause, UpstreamFailure


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        (" Tool_Calls ", "tool_calls"),
        ("MAX_TOKENS", "length"),
        ("end_turn", "stop"),
        ("SAFETY", "content_filter"),
        ("Paused", "Paused"),
        ("", None),
        ("null", None),
        ("None", None),
        (None, None),
        (0, None),
        (["stop"], None),
    ],
)
def test_words_of_providers(value: Any, reason: str | None) -> None:
    assert finish_reason(value) == reason


@pytest.mark.parametrize("word", ["error", "network_error", "ABORT", "cancelled", "malformed_function_call"])
def test_words_for_a_fault_of_the_provider(word: str) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        finish_reason(word)
    assert failed.value.cause is Cause.SERVER_ERROR
