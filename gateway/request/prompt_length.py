"""Counts the tokens of a prompt if an estimate is not sufficient, with OpenAI's tokenizer cl100k_base, which litellm includes.

The tokenizers of other models differ by a few percent. If a prompt is too long after all, the provider refuses it, and a model
with a larger context window is called.
"""

import asyncio
import importlib.util
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.request.requirements import Requirements

if TYPE_CHECKING:
    from tiktoken import Encoding

ENCODING = "cl100k_base"
INLINE_CHARS = 20_000  # take a few milliseconds; longer prompts are counted in a thread
PIECE_CHARS = 200_000  # encoded at a time: for a long run of one character the tokenizer takes quadratic time


async def with_exact_prompt_tokens(requirements: Requirements) -> Requirements:
    """Return the requirements with the prompt's tokens counted by the tokenizer."""
    if requirements.prompt_tokens_exact:
        return requirements
    chars = sum(map(len, requirements.texts))
    if chars <= INLINE_CHARS and openai_tokenizer.cache_info().currsize:
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
def openai_tokenizer(name: str) -> "Encoding":
    """Return a tokenizer of OpenAI. The first call loads it, which takes some tenths of a second.

    Args:
        name: of an encoding that litellm includes.
    """
    package = importlib.util.find_spec("litellm")
    if package is not None and package.origin is not None:
        tables = Path(package.origin).parent / "litellm_core_utils" / "tokenizers"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(tables))  # otherwise tiktoken downloads the table
    import tiktoken

    return tiktoken.get_encoding(name)
