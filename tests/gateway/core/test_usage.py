"""Usage of a chat completion, in the words of each provider."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.usage import MAX_TOKENS, Usage


def reported(prompt: Any = 1000, completion: Any = 50, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion} | more


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        pytest.param(reported(7, 3), Usage(7, 3), id="two counts"),
        pytest.param(reported(7.0, 3.0), Usage(7, 3), id="floats"),
        pytest.param(reported(7, None), Usage(7, 0), id="null"),
        pytest.param({"prompt_tokens": 7, "total_tokens": 7}, Usage(7), id="embeddings"),
        pytest.param(reported(0, 0, total_tokens=0), Usage(), id="zeros"),
        pytest.param(reported(0, 3), Usage(0, 3), id="no prompt"),
        pytest.param(
            reported(
                total_tokens=1050,
                prompt_tokens_details={"cached_tokens": 768, "audio_tokens": 0},
                completion_tokens_details={"reasoning_tokens": 20, "audio_tokens": 0, "accepted_prediction_tokens": 0},
            ),
            Usage(1000, 50, 768, reasoning_tokens=20),
            id="OpenAI",
        ),
        pytest.param(
            reported(
                prompt_tokens_details={
                    "cached_tokens": 200,
                    "cache_write_tokens": 700,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 600, "ttl_12h_tokens": 100},
                }
            ),
            Usage(1000, 50, 200, 600, 100),
            id="OpenAI, cache write",
        ),
        pytest.param(
            reported(
                prompt_tokens_details={"audio_tokens": 400, "text_tokens": 600, "cached_tokens": 0},
                completion_tokens_details={"audio_tokens": 40, "text_tokens": 10, "reasoning_tokens": 0},
            ),
            Usage(1000, 50, prompt_audio_tokens=400, completion_audio_tokens=40),
            id="OpenAI, audio",
        ),
        pytest.param(
            reported(
                prompt_cache_hit_tokens=640, prompt_cache_miss_tokens=360, prompt_tokens_details={"cached_tokens": 640}
            ),
            Usage(1000, 50, 640),
            id="DeepSeek",
        ),
        pytest.param(reported(prompt_cache_hit_tokens=640.0), Usage(1000, 50, 640), id="DeepSeek, a float"),
        pytest.param(reported(cached_tokens=512), Usage(1000, 50, 512), id="Moonshot"),
        pytest.param(reported(num_cached_tokens=512, prompt_audio_seconds=None), Usage(1000, 50, 512), id="Mistral"),
        pytest.param(
            reported(
                completion=5,
                total_tokens=1105,
                prompt_tokens_details={"text_tokens": 1000, "cached_tokens": 900, "image_tokens": 0},
                completion_tokens_details={"reasoning_tokens": 100},
                num_sources_used=0,
            ),
            Usage(1000, 105, 900, reasoning_tokens=100),
            id="xAI: reasoning beside the completion",
        ),
        pytest.param(
            reported(20, 198, total_tokens=623),
            Usage(20, 603, reasoning_tokens=405),
            id="Gemini: thoughts in the total only",
        ),
        pytest.param(
            reported(21, 0, total_tokens=81, completion_tokens_details={"reasoning_tokens": 60}),
            Usage(21, 60, reasoning_tokens=60),
            id="Gemini: thoughts and no answer",
        ),
        pytest.param(
            reported(
                cost=0.01,
                prompt_tokens_details={"cached_tokens": 500, "cache_write_tokens": 300, "audio_tokens": 0},
                completion_tokens_details={"reasoning_tokens": 30, "image_tokens": 0},
            ),
            Usage(1000, 50, 500, 300, reasoning_tokens=30),
            id="OpenRouter",
        ),
        pytest.param(
            reported(
                cache_creation_input_tokens=700,
                cache_read_input_tokens=200,
                prompt_tokens_details={
                    "cached_tokens": 200,
                    "cache_creation_tokens": 700,
                    "text_tokens": 100,
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": 100,
                        "ephemeral_1h_input_tokens": 600,
                    },
                },
            ),
            Usage(1000, 50, 200, 100, 600),
            id="litellm, of Anthropic",
        ),
        pytest.param(
            reported(cache_read_input_tokens=200, cache_creation_input_tokens=700),
            Usage(1000, 50, 200, 700),
            id="beside",
        ),
        pytest.param(
            reported(5, 7, total_tokens=107, cache_read_input_tokens=80, cache_creation_input_tokens=15),
            Usage(100, 7, 80, 15),
            id="a gateway that counts the prompt as Anthropic does",
        ),
        # Details never exceed what they are details of.
        pytest.param(
            reported(7, 3, cached_tokens=99, cache_creation_input_tokens=5), Usage(7, 3, 7), id="too many cached"
        ),
        pytest.param(
            reported(10, 3, prompt_tokens_details={"cached_tokens": 6, "audio_tokens": 8}),
            Usage(10, 3, 6, prompt_audio_tokens=4),
            id="cached audio",
        ),
        pytest.param(
            reported(7, 3, total_tokens=10, completion_tokens_details={"reasoning_tokens": 90}),
            Usage(7, 3, reasoning_tokens=3),
            id="more reasoning than the total has",
        ),
        # A detail that is not valid does not count.
        pytest.param(reported(7, 3, cached_tokens="5"), Usage(7, 3), id="a text"),
        pytest.param(reported(7, 3, cached_tokens=True), Usage(7, 3), id="a boolean"),
        pytest.param(reported(7, 3, prompt_tokens_details=None, total_tokens=-4), Usage(7, 3), id="null details"),
        pytest.param(reported(7, 3, prompt_tokens_details=[5]), Usage(7, 3), id="a list"),
        # Nothing is reported.
        pytest.param(None, None, id="none"),
        pytest.param([7, 3], None, id="a list of counts"),
        pytest.param({}, None, id="empty"),
        pytest.param(reported(None, None), None, id="nulls"),
        pytest.param(reported("7", 3), None, id="a text as count"),
        pytest.param(reported(-1, 3), None, id="negative"),
        pytest.param(reported(7.5, 3), None, id="half a token"),
        pytest.param(reported(True, 3), None, id="a boolean as count"),
        pytest.param(reported(MAX_TOKENS + 1, 3), None, id="too many"),
    ],
)
def test_usage_is_read_in_the_words_of_each_provider(value: Any, usage: Usage | None) -> None:
    assert Usage.read(value) == usage


def test_usages_are_added() -> None:
    assert Usage(*range(1, 9)).plus(Usage(*range(10, 90, 10))) == Usage(*range(11, 90, 11))


COUNTS = st.integers(0, 10_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, short, long, audio, text = (draw(COUNTS) for _ in range(5))
    reasoning, spoken, answer = (draw(COUNTS) for _ in range(3))
    prompt, completion = cached + short + long + audio + text, reasoning + spoken + answer
    return Usage(prompt, completion, cached, short, long, reasoning, audio, spoken)


@given(usages())
def test_usage_is_the_same_there_and_back(usage: Usage) -> None:
    assert Usage.read(usage.in_chat()) == usage


JUNK = st.none() | st.booleans() | st.integers(-5, 50) | st.floats() | st.text(max_size=2)
NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cached_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "cache_write_tokens",
        "prompt_cache_hit_tokens",
        "cache_creation_input_tokens",
        "ephemeral_1h_input_tokens",
    ]
)
NESTED = st.sampled_from(["prompt_tokens_details", "completion_tokens_details", "cache_creation"])


@given(st.dictionaries(NAMES | NESTED, JUNK | st.dictionaries(NAMES, JUNK)))
def test_each_token_has_one_kind(value: dict[str, Any]) -> None:
    usage = Usage.read(value)
    if usage is not None:
        assert min(usage) >= 0
        assert usage.cached_tokens + usage.cache_write_tokens + usage.prompt_audio_tokens <= usage.prompt_tokens
        assert usage.reasoning_tokens + usage.completion_audio_tokens <= usage.completion_tokens
