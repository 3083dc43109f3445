"""The envelope and the finish reasons of a text completion."""

from typing import Any

import pytest

from gateway.api.completions.text_completion import additional_fields, completion_envelope, legacy_finish_reason


@pytest.mark.parametrize(
    ("given", "keep_id", "id_"),
    [("chatcmpl-7", False, "cmpl-7"), ("x", False, "cmpl-x"), ("cmpl-7", False, "cmpl-7"), ("x", True, "x")],
)
def test_the_id_is_the_upstreams_own(given: str, keep_id: bool, id_: str) -> None:
    fields = {"id": given, "created": 5, "model": "up"}
    assert completion_envelope(fields, "m", keep_id=keep_id) == {
        "id": id_,
        "object": "text_completion",
        "created": 5,
        "model": "m",
    }


@pytest.mark.parametrize("fields", [{}, {"id": None, "created": None}, {"id": "", "created": "5"}])
def test_a_missing_id_and_time_are_generated(fields: dict[str, Any]) -> None:
    first, second = completion_envelope(fields, "m"), completion_envelope(fields, "m")
    assert first["id"].startswith("cmpl-")
    assert first["id"] != second["id"]
    assert first["created"] > 1_700_000_000


def test_fields_that_this_api_does_not_define_are_kept_unless_null() -> None:
    fields = {"id": "x", "usage": {}, "choices": [], "service_tier": "default", "system_fingerprint": None, "x": 0}
    assert additional_fields(fields) == {"service_tier": "default", "x": 0}


def test_finish_reasons_of_tools_become_stop() -> None:
    reasons = (None, "stop", "length", "content_filter", "tool_calls", "function_call")
    assert [legacy_finish_reason(reason) for reason in reasons] == [*reasons[:4], "stop", "stop"]
