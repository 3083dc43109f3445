"""Counts the tokens of a prompt, where an estimate will not do: by OpenAI's cl100k_base, whose table litellm brings.

Other models' tokenizers differ by some percent. Where that matters after all the provider says so, and a model with a larger
window is asked.
"""

import asyncio
import importlib.util
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gateway.request.requirements import Requirements

ENCODING = "cl100k_base"
AT_ONCE_CHARS = 20_000  # a few ms; more is counted in a thread
PIECE_CHARS = 200_000  # the tokenizer takes quadratic time for a long run of one character


async def with_exact_prompt_tokens(requirements: Requirements) -> Requirements:
    """The need with the tokens of its prompt counted."""
    if requirements.prompt_tokens_exact:
        return requirements
    chars = sum(map(len, requirements.texts))
    if chars <= AT_ONCE_CHARS and openai_tokenizer.cache_info().currsize:
        tokens = _count(requirements.texts)
    else:
        tokens = await asyncio.to_thread(_count, requirements.texts)
    return replace(requirements, prompt_tokens=requirements.overhead_tokens + tokens, prompt_tokens_exact=True)


def _count(texts: tuple[str, ...]) -> int:
    tokenizer = openai_tokenizer(ENCODING)
    return sum(
        len(tokenizer.encode_ordinary(text[start : start + PIECE_CHARS]))
        for text in texts
        for start in range(0, len(text), PIECE_CHARS)
    )


@cache
def openai_tokenizer(name: str) -> Any:
    """A tokenizer of OpenAI's, read on the first use: some tenths of a second.

    Args:
        name: one whose table litellm brings.
    """
    package = importlib.util.find_spec("litellm")
    if package is not None and package.origin is not None:
        tables = Path(package.origin).parent / "litellm_core_utils" / "tokenizers"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(tables))  # or it would be downloaded
    import tiktoken

    return tiktoken.get_encoding(name)
