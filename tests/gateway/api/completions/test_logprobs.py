"""Log probabilities of chat completions in the legacy form, and back."""

from typing import Any

import pytest

from gateway.api.completions.logprobs import chat_logprobs, legacy_logprobs

CHAT = {
    "content": [
        {"token": "in", "logprob": -0.5, "bytes": [105, 110], "top_logprobs": [{"token": "on", "logprob": -2.0}]},
        {"token": " é", "logprob": -1, "bytes": None, "top_logprobs": []},
    ]
}
LEGACY = {
    "tokens": ["in", " é"],
    "token_logprobs": [-0.5, -1],
    "top_logprobs": [{"on": -2.0}, {}],
    "text_offset": [10, 12],
}


def test_the_legacy_form_counts_characters_from_the_offset() -> None:
    assert legacy_logprobs(CHAT, 10) == LEGACY
    without = {"content": [{"token": "in", "logprob": -0.5}]}
    assert legacy_logprobs(without, 0) == {
        "tokens": ["in"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{}],
        "text_offset": [0],
    }


@pytest.mark.parametrize(
    "logprobs",
    [None, [], {}, {"content": None}, {"content": []}, {"content": [{"token": 1, "logprob": 0}]}, {"content": ["in"]}],
)
def test_what_has_no_legacy_form(logprobs: Any) -> None:
    assert legacy_logprobs(logprobs, 0) is None


def test_the_chat_form_has_the_bytes_of_each_token() -> None:
    assert chat_logprobs(LEGACY) == {
        "content": [
            {
                "token": "in",
                "logprob": -0.5,
                "bytes": [105, 110],
                "top_logprobs": [{"token": "on", "logprob": -2.0, "bytes": [111, 110]}],
            },
            {"token": " é", "logprob": -1, "bytes": [32, 195, 169], "top_logprobs": []},
        ],
        "refusal": None,
    }
    for top in (None, [], [None, {}]):
        converted = chat_logprobs(LEGACY | {"top_logprobs": top})
        assert converted is not None
        assert [entry["top_logprobs"] for entry in converted["content"] or ()] == [[], []]


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [],
        {},
        LEGACY | {"tokens": ["in"]},
        LEGACY | {"tokens": ["in", 5]},
        LEGACY | {"token_logprobs": [None, -1]},  # the first token of an echoed prompt
    ],
)
def test_what_has_no_chat_form(logprobs: Any) -> None:
    assert chat_logprobs(logprobs) is None
