"""Exact numbers of prompt tokens."""

import pytest

from gateway.request.prompt_length import ENCODING, INLINE_CHARS, openai_tokenizer, with_exact_prompt_tokens
from gateway.request.requirements import Requirements

pytestmark = pytest.mark.anyio


def requirements(*texts: str) -> Requirements:
    return Requirements(frozenset(), prompt_tokens=1, output_tokens=None, texts=texts, overhead_tokens=7)


async def test_the_tokens_of_all_texts_are_counted_and_the_overhead_is_added() -> None:
    exact = await with_exact_prompt_tokens(requirements("hello world", "tiktoken is great!"))
    assert exact.prompt_tokens == 7 + 2 + 6  # the example of OpenAI's cookbook has 6 tokens
    assert exact.prompt_tokens_exact
    assert await with_exact_prompt_tokens(exact) is exact


async def test_a_long_prompt_is_counted_in_pieces() -> None:
    text = "word " * INLINE_CHARS
    exact = await with_exact_prompt_tokens(requirements(text))
    assert exact.prompt_tokens == 7 + len(openai_tokenizer(ENCODING).encode_ordinary(text))


async def test_a_long_run_of_one_character_takes_bounded_time() -> None:
    exact = await with_exact_prompt_tokens(requirements("a" * 1_000_000))
    assert 100_000 < exact.prompt_tokens < 200_000
