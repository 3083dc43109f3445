"""What stands around the choices of chunks and answers, out of what providers write."""

from typing import Any

import pytest

from gateway.api.chat.completion_normalizer import normalize_completion
from gateway.api.chat.envelope import CHUNK, Envelope, normalize_logprobs, normalize_usage
from gateway.api.chat.finish_reasons import finish_reason
from gateway.provider_errors.failures import Cause, UpstreamFailure

GOOD: dict[str, Any] = {"id": "c1", "object": CHUNK, "created": 1, "model": "m", "choices": [], "usage": None}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def test_what_is_right_stays_the_same_object() -> None:
    for fields in (
        GOOD,
        GOOD | {"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": None}}},
    ):
        assert Envelope(CHUNK).normalize(fields) is fields


@pytest.mark.parametrize("wrong", [None, "", [], {}, 1.5, True, [5]])
def test_what_is_missing_is_made_up_once_for_a_stream(wrong: Any) -> None:
    frame = Envelope(CHUNK)
    first = frame.normalize(GOOD | {"id": wrong, "created": wrong, "object": wrong})
    second = frame.normalize({"choices": []})
    assert isinstance(first["id"], str)
    assert first["id"].startswith("chatcmpl-")
    assert type(first["created"]) is int
    assert {key: first[key] for key in ("id", "created", "object")} == {
        key: second[key] for key in ("id", "created", "object")
    }


def test_numbers_that_were_written_otherwise_are_kept() -> None:
    told = Envelope(CHUNK).normalize(
        GOOD | {"id": 5, "created": 7.0, "system_fingerprint": 3, "service_tier": ["x"], "usage": "none"}
    )
    assert (told["id"], told["created"]) == ("5", 7)
    assert told.keys() & {"system_fingerprint", "service_tier", "usage"} == set()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, USAGE),
        ({"prompt_tokens": 7.0, "completion_tokens": "3"}, USAGE),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": [], "prompt_tokens_details": 5}, USAGE),
        (USAGE | {"prompt_tokens_details": {"cached_tokens": "x", "audio_tokens": 0}}, USAGE | {"prompt_tokens_details": {"audio_tokens": 0}}),
        ({"prompt_tokens": -1, "completion_tokens": 1e40}, None),
        ([], None),
    ],
)  # fmt: skip
def test_usage(usage: Any, expected: Any) -> None:
    assert normalize_usage(usage) == expected


def test_log_probabilities_that_no_client_could_read_are_left_out() -> None:
    token = {"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}
    right = {"content": [token], "refusal": None}
    assert normalize_logprobs(right) is right
    for wrong in (5, {}, [], {"content": 5}, {"content": [{"token": 5}]}, {"content": [token | {"top_logprobs": [5]}]}):
        assert normalize_logprobs(wrong) is None


@pytest.mark.parametrize(
    ("word", "known"), [("eos_token", "stop"), ("model_length", "length"), ("TOOL_USE", "tool_calls"), ("odd", "odd")]
)
def test_finish_reasons_of_other_servers(word: str, known: str) -> None:
    assert finish_reason(word) == known


def test_a_call_whose_name_is_lost_is_no_answer() -> None:
    call = {"id": "1", "type": "function", "function": {"arguments": "{}"}}
    with pytest.raises(UpstreamFailure) as caught:
        normalize_completion({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    assert caught.value.cause is Cause.UNREADABLE
